//! One request to a server.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use tokio::time::Instant;

use super::{IdempotenceHint, lease::Held, operation::Operation};
use crate::{
    Error,
    limits::LONGEST,
    session::{CallId, CallRequest, Cancel, OpenCall, Reply},
};

/// A call that is being prepared. Made by [`Lease::call`](crate::Lease::call).
#[must_use = "a call is made by `start`"]
pub struct CallBuilder {
    lease: Arc<Held>,
    request: Result<CallRequest, Error>,
    /// None: as the edge says.
    idempotent: Option<bool>,
    subject: Option<String>,
}

impl CallBuilder {
    pub(super) fn new(lease: Arc<Held>, method: String) -> Self {
        let user = lease.user.clone();
        let request = CallRequest {
            user,
            method,
            params: None,
            progress: true,
            all_pages: false,
            deadline: None,
            spent: Duration::ZERO,
        };
        Self { lease, request: Ok(request), idempotent: None, subject: None }
    }

    /// The parameters, as JSON. What cannot be said in JSON is the error of the call.
    pub fn params(mut self, params: &impl Serialize) -> Self {
        match serde_json::to_vec(params) {
            Ok(params) => self.change(|request| request.params = Some(params.into())),
            Err(error) => {
                self.request = Err(Error::InvalidInput { what: "the parameters", reason: error.to_string() });
            }
        }
        self
    }

    /// The parameters, as JSON that is there already. It is not checked here; the guest does.
    pub fn raw_params(mut self, params: Bytes) -> Self {
        self.change(|request| request.params = Some(params));
        self
    }

    /// How long the call may take in all, whatever progress it reports. Default: [`Limits::call`](crate::Limits::call) since
    /// the last news, and [`Limits::call_total`](crate::Limits::call_total) in all.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.change(|request| request.deadline = Some(deadline.min(LONGEST)));
        self
    }

    /// Whether to ask the server for progress reports. Default: yes.
    pub fn progress(mut self, progress: bool) -> Self {
        self.change(|request| request.progress = progress);
        self
    }

    /// Have all pages of a list as one result, bounded by [`Limits::pages`](crate::Limits::pages) and
    /// [`Limits::gathered_result`](crate::Limits::gathered_result).
    pub fn all_pages(mut self) -> Self {
        self.change(|request| request.all_pages = true);
        self
    }

    /// Whether to make the call does no more when it is made twice. Then it is made again, once, where the server or the guest ended
    /// before the answer came, and in what is left of its time; otherwise that is an error which says whether it may have run. A
    /// server that broke the protocol would most likely do so again: that is an error always. Default: no, but for calls of a tool
    /// where [`ToolRules::trust_idempotence_hints`](crate::ToolRules::trust_idempotence_hints) is set.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = Some(idempotent);
        self
    }

    /// What it is about, for telemetry: the name of a tool.
    pub(crate) fn about(mut self, subject: &str) -> Self {
        self.subject = Some(subject.to_owned());
        self
    }

    /// Makes the call. What is wrong with it is its outcome.
    pub fn start(self) -> Call {
        let method = self.request.as_ref().map(|request| request.method.clone()).unwrap_or_default();
        let request = self.request.and_then(|request| {
            self.lease.admit(&request.method, request.params.as_deref())?;
            Ok(request)
        });
        let hint = |request: &CallRequest| self.lease.idempotence_hint(&request.method, self.subject.as_deref());
        let idempotent =
            |request: &CallRequest| self.idempotent.unwrap_or_else(|| hint(request) != IdempotenceHint::None);
        let again = request.as_ref().ok().filter(|request| idempotent(request)).map(|request| Again {
            request: request.clone(),
            began: Instant::now(),
            by_hint: self.idempotent.is_none(),
        });
        let (id, reply, cancel) = match request {
            Ok(request) => {
                let OpenCall { id, reply, cancel } = self.lease.session.session().call(request);
                (Some(id), reply, cancel)
            }
            Err(error) => (None, Reply::ready(Err(error)), None),
        };
        let operation = Operation::begin(&self.lease, id, method, self.subject);
        Call { id, reply, cancel, again, lost: None, operation, lease: self.lease }
    }

    fn change(&mut self, change: impl FnOnce(&mut CallRequest)) {
        if let Ok(request) = &mut self.request {
            change(request);
        }
    }
}

/// A call under way: a future of the server's result, verbatim. It holds its session as a [`Lease`](crate::Lease) does.
///
/// # Cancellation
///
/// Dropping a call cancels it: the server is told, and the call takes no place any more. It may have had its effect all the
/// same.
#[must_use = "dropping a call cancels it"]
pub struct Call {
    id: Option<CallId>,
    reply: Reply,
    cancel: Option<Cancel>,
    /// For the case that its connection is lost.
    again: Option<Again>,
    /// Why it was made a second time, if it was.
    lost: Option<Error>,
    operation: Operation,
    lease: Arc<Held>,
}

/// How to make a call a second time.
struct Again {
    request: CallRequest,
    began: Instant,
    /// Not its caller said so, but a hint, which may have changed meanwhile.
    by_hint: bool,
}

impl Call {
    /// Its id in the session, as logs and [`ServerRequest::call`](crate::ServerRequest::call) have it. None for a call that
    /// could not be made.
    pub fn id(&self) -> Option<CallId> {
        self.id
    }

    /// The next report of the server on this call, verbatim; none when the call is complete.
    ///
    /// Reports that nobody takes are kept up to [`Limits::progress_backlog`](crate::Limits::progress_backlog); then the
    /// oldest is dropped.
    ///
    /// Cancellation safe: no report is lost.
    pub async fn progress(&mut self) -> Option<Bytes> {
        std::future::poll_fn(|context| {
            loop {
                match ready!(self.reply.poll_progress(context)) {
                    // It is not over where it is made a second time, whose reports come here too.
                    None if self.reply.error().is_some_and(|error| self.make_again(&error)) => {}
                    report => return Poll::Ready(report),
                }
            }
        })
        .await
    }
}

impl Call {
    /// Its outcome says that it failed, to whoever can read it.
    pub(crate) fn failed(&mut self, kind: &'static str) {
        self.operation.failed(kind);
    }

    /// Makes the call a second time, if it may be and has time left.
    fn make_again(&mut self, error: &Error) -> bool {
        let was_lost = matches!(
            error,
            Error::ServerExited { .. } | Error::GuestFault { .. } | Error::Unavailable { retry_after: None, .. }
        );
        let Some(Again { mut request, began, by_hint }) = self.again.take().filter(|_| was_lost) else { return false };
        // A server may have taken it back meanwhile.
        let hint = || self.lease.idempotence_hint(&request.method, self.operation.subject());
        if by_hint && hint() != IdempotenceHint::Current {
            return false;
        }
        request.spent = began.elapsed();
        let session = self.lease.session.session();
        if request.deadline.unwrap_or_else(|| session.call_total()) <= request.spent {
            return false;
        }
        tracing::debug!(%error, method = %request.method, "making an idempotent call again");
        let OpenCall { id, reply, cancel } = session.call(request);
        (self.id, self.reply, self.cancel) = (Some(id), reply, cancel);
        self.lost = Some(error.clone());
        true
    }

    /// What is said of a call that failed in the end: it may have run the first time, whatever became of the second.
    fn with_the_first_time(&mut self, error: Error) -> Error {
        let Some(lost) = self.lost.take() else { return error };
        if error.may_have_run() >= lost.may_have_run() {
            return error;
        }
        let error = error.with_may_have_run(lost.may_have_run());
        // Of some errors there is nothing else to say than that the call has not run.
        if error.may_have_run() < lost.may_have_run() { lost } else { error }
    }
}

impl Future for Call {
    type Output = Result<Bytes, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match ready!(self.reply.poll_outcome(context)) {
                Err(error) if self.make_again(&error) => {}
                outcome => {
                    let outcome = outcome.map_err(|error| self.with_the_first_time(error));
                    self.operation.end(outcome.as_ref().err());
                    return Poll::Ready(outcome);
                }
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(abandoned) = self.reply.abandon()
            && let Some(cancel) = &self.cancel
        {
            cancel.cancel(abandoned);
        }
        self.operation.finish(&self.lease);
    }
}
