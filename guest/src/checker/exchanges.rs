//! The HTTP side of the tables of a host.

use super::{Batch, Checked, Checker, Requested, violated};
use crate::boundary::{Event, ExchangeId, Header, HttpRequest, Target, TransportKind};
use std::collections::BTreeSet;

/// Exchanges that have been started, and not ended.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    open: BTreeSet<ExchangeId>,
    /// Every id that the guest has given.
    used: BTreeSet<ExchangeId>,
    on_close: Option<Requested>,
}

/// More than a guest has use for with the calls of a test: what it starts and never
/// ends shows up here.
const MAX_OPEN: usize = 1024;

impl Exchanges {
    pub(super) fn open(&self) -> impl Iterator<Item = ExchangeId> {
        self.open.iter().copied()
    }

    /// Enters an event of an exchange.
    pub(super) fn take(&mut self, event: &Event, batch: &mut Batch<'_>) {
        let ended = match event {
            Event::ResponseEnd(exchange) => *exchange,
            Event::ExchangeFailed(failed) => failed.exchange,
            _ => return,
        };
        if self.open.remove(&ended) {
            batch.ended.insert(ended);
        }
    }

    /// Loses an exchange without a word.
    pub(super) fn lose(&mut self, exchange: ExchangeId) {
        self.open.remove(&exchange);
    }

    /// Takes over one that this host's guest never started.
    pub(super) fn adopt(&mut self, exchange: ExchangeId) {
        self.used.insert(exchange);
        self.open.insert(exchange);
    }

    pub(super) fn abort(&mut self, exchange: ExchangeId, batch: &mut Batch<'_>) -> Checked<()> {
        // Its end may have crossed the guest's wish.
        if self.open.remove(&exchange) || batch.ended.remove(&exchange) {
            return Ok(());
        }
        violated(format!("aborted the exchange {exchange}, which is not open"))
    }

    /// The request to be sent at the end.
    pub(super) fn on_close(&self) -> Option<&Requested> {
        self.on_close.as_ref()
    }

    pub(super) fn end(&mut self) {
        self.open.clear();
    }
}

impl Checker {
    pub(super) fn start(&mut self, request: &HttpRequest, batch: &Batch<'_>) -> Checked<Requested> {
        if !batch.connected {
            return violated("started an exchange outside a session");
        }
        let requested = self.requested(request, batch)?;
        if let Some(call) = request.call {
            self.open_call(call, "request")?.sent = true;
        }
        self.exchanges.open.insert(request.exchange);
        if self.exchanges.open.len() > MAX_OPEN {
            return violated(format!("more than {MAX_OPEN} open exchanges"));
        }
        Ok(requested)
    }

    pub(super) fn arrange(&mut self, request: Option<&HttpRequest>, batch: &Batch<'_>) -> Checked<Option<Requested>> {
        if self.transport() != Some(TransportKind::Http) {
            return violated("an HTTP exchange on a transport of frames");
        }
        let requested = request.map(|request| self.requested(request, batch)).transpose()?;
        self.exchanges.on_close.clone_from(&requested);
        Ok(requested)
    }

    fn requested(&mut self, request: &HttpRequest, batch: &Batch<'_>) -> Checked<Requested> {
        if self.transport() != Some(TransportKind::Http) {
            return violated("an HTTP exchange on a transport of frames");
        }
        if !self.exchanges.used.insert(request.exchange) {
            return violated(format!("the exchange id {} has been used before", request.exchange));
        }
        if request.method.is_empty() || !request.method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return violated(format!("a method that is none: {:?}", request.method));
        }
        if let Target::Origin(path) = &request.target
            && !(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return violated(format!("a target that is no path: {path:?}"));
        }
        request.headers.iter().try_for_each(check_header)?;
        let body = request.body.as_ref().map(|body| self.put_together(body, batch)).transpose()?;
        let max_frame = self.settings.as_ref().map_or(0, |settings| settings.limits.max_frame);
        if body.as_ref().is_some_and(|body| body.len() as u64 > max_frame) {
            return violated(format!("a body that is longer than {max_frame} bytes"));
        }
        Ok(Requested {
            exchange: request.exchange,
            call: request.call,
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect(),
            body,
        })
    }
}

fn check_header(header: &Header) -> Checked<()> {
    let Header { name, value } = header;
    if !crate::Client::describe().headers.iter().any(|declared| declared.eq_ignore_ascii_case(name)) {
        return violated(format!("the header `{name}`, which is not declared"));
    }
    if value.is_empty() || !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return violated(format!("a value of `{name}` that is none: {value:?}"));
    }
    Ok(())
}
