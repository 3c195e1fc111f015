//! `innkeeper doctor`: what this machine gives for servers, tried out. Opens none, and reads no configuration.

use std::time::Duration;

use innkeeper::Diagnosis;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    exit::{Exit, Failure},
    hosting::builder,
    output::Report,
    page::{Cell, Page, Style},
};

/// What was found out.
#[derive(Debug)]
pub(crate) struct DoctorReport(Diagnosis);

pub(crate) async fn run() -> Result<DoctorReport, Failure> {
    let runtime = builder().start().await?;
    let diagnosis = runtime.diagnose().await;
    runtime.drain(Duration::ZERO).await;
    Ok(DoctorReport(diagnosis?))
}

impl DoctorReport {
    /// What is wrong, if something is.
    fn failure(&self) -> Option<Failure> {
        let missing = self.0.missing.as_ref()?;
        let message = format!("servers cannot be guarded: this machine lacks {missing}");
        let hint = "a server with \"isolation\": \"basic\" can be used, and can harm others of the same user";
        Some(Failure::isolation(message).hint(hint))
    }

    fn rows(&self) -> Vec<Vec<Cell>> {
        let diagnosis = &self.0;
        let guarded = match &diagnosis.missing {
            None => ("yes".to_owned(), Some(Style::Green)),
            Some(missing) => (format!("no: this machine lacks {missing}"), Some(Style::Red)),
        };
        let landlock = match diagnosis.landlock {
            0 => "none".to_owned(),
            revision => format!("revision {revision}"),
        };
        let (supervisor, children) = match (diagnosis.supervisor, diagnosis.lists_children) {
            (Some(_), true) => (("runs", Some(Style::Green)), "listed by the kernel"),
            (Some(_), false) => (("runs", Some(Style::Green)), "found by reading all of /proc"),
            (None, _) => (("none on this system", None), "ended by process group; those that leave it are not found"),
        };
        [
            ("supervisor", (supervisor.0.to_owned(), supervisor.1)),
            ("guarded servers", guarded),
            ("Landlock", (landlock, None)),
            ("processes", (children.to_owned(), None)),
            ("sessions", (format!("up to {}", diagnosis.sessions), None)),
        ]
        .into_iter()
        .map(|(what, finding)| vec![(what.to_owned(), Some(Style::Bold)), finding])
        .collect()
    }
}

impl Serialize for DoctorReport {
    /// Beside what was found, an `error` as every document of a command that failed has it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Diagnosis { guarded, missing, landlock, lists_children, sessions, .. } = &self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("guarded", guarded)?;
        map.serialize_entry("missing", missing)?;
        map.serialize_entry("landlock", landlock)?;
        map.serialize_entry("lists_children", lists_children)?;
        map.serialize_entry("sessions", sessions)?;
        if let Some(failure) = self.failure() {
            map.serialize_entry("error", &failure.to_json())?;
        }
        map.end()
    }
}

impl Report for DoctorReport {
    fn write_text(&self, page: &mut Page) {
        page.table(&self.rows());
        if let Some(failure) = self.failure() {
            page.failure(&failure);
        }
    }

    fn exit(&self) -> Exit {
        if self.0.guarded { Exit::Success } else { Exit::Server }
    }
}
