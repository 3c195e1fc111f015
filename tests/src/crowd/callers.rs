//! Who calls: for each session one that holds a call a round, and one that makes short ones.

use std::{
    ffi::CString,
    fs::File,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use innkeeper::{Error, Lease, Tenant};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use super::{END, Sizes, counts::Counts};
use crate::awkward::tool;

/// How calls are held by servers in process, one after the other.
const MANNERS: [&str; 4] = ["waits", "reports", "asks", "halves"];

/// What a session's server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Framed(&'static str),
    Process,
    Demo,
    Remote,
}

/// A session of the crowd.
#[derive(Clone, Debug)]
pub(super) struct Member {
    kind: Kind,
    /// Begins with the manner in which calls are held, or the name of the server.
    pub(super) user: String,
    pub(super) server: String,
}

impl Member {
    pub(super) fn all(sizes: Sizes) -> impl Iterator<Item = Self> {
        let framed = (0..sizes.framed).map(|number| {
            let manner = MANNERS[number % MANNERS.len()];
            Self { kind: Kind::Framed(manner), user: format!("{manner}-{number}"), server: "framed".into() }
        });
        let of = |kind, name: &'static str, count| {
            (0..count).map(move |number| Self { kind, user: format!("{name}-{number}"), server: name.into() })
        };
        let remotes = of(Kind::Remote, "remote", sizes.remotes);
        let remotes = remotes.map(|member| Self { server: member.user.clone(), ..member });
        framed
            .chain(of(Kind::Process, "process", sizes.processes))
            .chain(of(Kind::Demo, "demo", sizes.demos))
            .chain(remotes)
    }
}

/// The callers of one session. Each call leases it anew, as a platform does.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) tenant: Tenant,
    pub(super) member: Member,
    pub(super) counts: Arc<Counts>,
    pub(super) folder: PathBuf,
    /// Which of the crowd it is.
    pub(super) number: usize,
    pub(super) over: watch::Receiver<u32>,
    pub(super) holds: mpsc::UnboundedSender<()>,
}

impl Caller {
    /// Holds a call in each round, until the crowd is to end.
    pub(super) async fn hold_calls(mut self) {
        loop {
            let round = *self.over.borrow_and_update();
            if round == END {
                return;
            }
            let number = self.counts.next(self.member.kind, true);
            let outcome = self.hold(number, round).await;
            self.counts.came(outcome);
            // A call that failed is not made again in the same round.
            if self.over.wait_for(|over| *over > round).await.is_err() {
                return;
            }
        }
    }

    /// Whether the answer was the one to this call.
    async fn hold(&mut self, number: u64, round: u32) -> Result<bool, Error> {
        let lease = self.lease().await?;
        match self.member.kind {
            Kind::Framed(manner) => {
                let params = json!({ "number": number, "round": round, "manner": manner });
                let mut call = lease.call("hold").params(&params).start();
                if matches!(manner, "reports" | "halves") && call.progress().await.is_some() {
                    let _ = self.holds.send(());
                }
                Ok(call.await?[..] == *number.to_string().as_bytes())
            }
            Kind::Process => self.hold_by_pipe(&lease, number, round).await,
            Kind::Demo => says(&lease, "ask_name", &json!({}), "Hello, Alice!").await,
            Kind::Remote => says(&lease, "ask", &json!({ "message": number }), r#"{"roots":[]}"#).await,
        }
    }

    /// The server waits for the end of a pipe, and has opened it when somebody else can.
    async fn hold_by_pipe(&mut self, lease: &Lease, number: u64, round: u32) -> Result<bool, Error> {
        let pipe = self.folder.join(number.to_string());
        let path = CString::new(pipe.as_os_str().as_encoded_bytes()).expect("paths have no zeros");
        // SAFETY: mkfifo(3) reads the path, which ends with a zero.
        let made = unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
        assert_eq!(made, 0, "cannot make {}: {}", pipe.display(), std::io::Error::last_os_error());
        let (opened, opening) = oneshot::channel();
        let arguments = json!({ "pipe": pipe });
        // Not one of tokio's, which would wait for it where nobody ever opens the other end.
        thread::spawn(move || drop(opened.send(File::options().write(true).open(pipe))));
        let mut call = lease.call_tool(tool::COUNT, &arguments)?.start();
        let writer = tokio::select! {
            outcome = &mut call => return outcome.map(|result| !result.is_error),
            writer = opening => writer.expect("it is sent").expect("the pipe was made"),
        };
        let _ = self.holds.send(());
        let _ = self.over.wait_for(|over| *over > round).await;
        drop(writer);
        Ok(!call.await?.is_error)
    }

    /// Makes short calls one after the other, until the crowd is to end.
    pub(super) async fn make_short_calls(self, pace: Option<Duration>) {
        if self.member.kind == Kind::Framed("halves") {
            // Its server can say nothing before the other half of what it has begun.
            return;
        }
        if let Some(pace) = pace {
            // Not all at once.
            tokio::time::sleep(pace.mul_f64((self.number % 97) as f64 / 97.0)).await;
        }
        while *self.over.borrow() != END {
            let number = self.counts.next(self.member.kind, false);
            let began = Instant::now();
            let outcome = self.short(number).await;
            if outcome.is_ok() {
                self.counts.took(began);
            }
            self.counts.came(outcome);
            match pace {
                Some(pace) => tokio::time::sleep(pace).await,
                None => tokio::task::yield_now().await,
            }
        }
    }

    async fn short(&self, number: u64) -> Result<bool, Error> {
        let lease = self.lease().await?;
        match self.member.kind {
            Kind::Framed(_) => {
                let result = lease.call("short").params(&json!({ "number": number })).start().await?;
                Ok(result[..] == *number.to_string().as_bytes())
            }
            Kind::Process => Ok(!lease.call_tool(tool::COUNT, &json!({}))?.start().await?.is_error),
            Kind::Demo => says(&lease, "echo", &json!({ "text": number.to_string() }), &number.to_string()).await,
            Kind::Remote => says(&lease, "echo", &json!({ "message": number.to_string() }), &number.to_string()).await,
        }
    }

    async fn lease(&self) -> Result<Lease, Error> {
        self.tenant.lease(&*self.member.user, &*self.member.server).await
    }
}

/// Whether a tool says this.
async fn says(lease: &Lease, name: &str, arguments: &Value, text: &str) -> Result<bool, Error> {
    let result = lease.call_tool(name, arguments)?.start().await?;
    let result: Value = serde_json::from_slice(&result.raw).unwrap_or_default();
    Ok(result["content"][0]["text"] == text)
}
