//! What is measured of a call: a span for it, and for the edge how long it took and how it ended.
//!
//! The span goes to `tracing`. Metrics are the edge's, because their names are the protocol's; ours are in `telemetry`. Where the
//! embedder has installed nothing, both cost next to nothing.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{Span, field::Empty};

use super::lease::Held;
use crate::{
    Error, MayHaveRun, SessionInfo,
    names::{ServerName, TenantName},
    session::CallId,
};

/// A call that has ended, as the edge is told of it.
pub(crate) struct CallEnded<'a> {
    pub(crate) tenant: &'a TenantName,
    pub(crate) server: &'a ServerName,
    /// The connection that the session had last.
    pub(crate) info: Option<&'a SessionInfo>,
    pub(crate) method: &'a str,
    /// What the call is about, in the words of the protocol: the name of a tool.
    pub(crate) subject: Option<&'a str>,
    pub(crate) took: Duration,
    pub(crate) failure: Option<&'a Failure>,
}

/// A connection that has ended.
pub(crate) struct ConnectionEnded<'a> {
    pub(crate) tenant: &'a TenantName,
    pub(crate) server: &'a ServerName,
    pub(crate) info: &'a SessionInfo,
    /// How long it was ready.
    pub(crate) lived: Duration,
    pub(crate) error: &'a Error,
}

/// How a call failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    /// [`Error::code`], or a word of the edge.
    pub(crate) kind: &'static str,
    /// What the server gave as a number.
    pub(crate) status: Option<i64>,
}

/// A call, from being made until it is dropped.
pub(super) struct Operation {
    span: Span,
    began: Instant,
    method: String,
    subject: Option<String>,
    ended: Option<(Duration, Option<Failure>)>,
}

impl Operation {
    pub(super) fn begin(held: &Held, id: Option<CallId>, method: String, subject: Option<String>) -> Self {
        let key = held.session.key();
        let span = tracing::info_span!(
            "call",
            otel.kind = "client",
            tenant = %key.tenant,
            user = held.user.as_ref().map(tracing::field::display),
            server = %key.server,
            session = %held.session.session().id(),
            call = id.map(tracing::field::display),
            method,
            subject,
            incarnation = Empty,
            revision = Empty,
            guest = Empty,
            error = Empty,
            may_have_run = Empty,
        );
        Self { span, began: Instant::now(), method, subject, ended: None }
    }

    /// What the call is about.
    pub(super) fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// It has its outcome.
    pub(super) fn end(&mut self, error: Option<&Error>) {
        let failure = error.map(|error| Failure {
            kind: error.code(),
            status: if let Error::Server(error) = error { error.code() } else { None },
        });
        if let Some(error) = error {
            self.span.record(
                "may_have_run",
                match error.may_have_run() {
                    MayHaveRun::No => "no",
                    MayHaveRun::Unknown => "unknown",
                    MayHaveRun::Yes => "yes",
                },
            );
        }
        self.ended = Some((self.began.elapsed(), failure));
    }

    /// Its outcome says that it failed, to whoever can read it.
    pub(super) fn failed(&mut self, kind: &'static str) {
        if let Some((_, failure)) = &mut self.ended {
            failure.get_or_insert(Failure { kind, status: None });
        }
    }

    /// It is over. Without an outcome it was given up.
    pub(super) fn finish(&mut self, held: &Held) {
        let given_up = (self.began.elapsed(), Some(Failure { kind: "cancelled", status: None }));
        let (took, failure) = self.ended.take().unwrap_or(given_up);
        let key = held.session.key();
        let info = held.session.session().info();
        if let Some(info) = &info {
            self.span.record("incarnation", info.incarnation);
            self.span.record("revision", &info.revision);
            self.span.record("guest", &info.guest);
        }
        if let Some(failure) = &failure {
            self.span.record("error", failure.kind);
        }
        held.edge().call_ended(&CallEnded {
            tenant: &key.tenant,
            server: &key.server,
            info: info.as_deref(),
            method: &self.method,
            subject: self.subject.as_deref(),
            took,
            failure: failure.as_ref(),
        });
    }
}
