//! The run of a script: the client, and all that surrounds it.

use super::bytes::Bytes;
use super::platform::Platform;
use super::server::{Server, read_json};
use super::web::Web;
use super::{Report, Step};
use crate::Client;
use crate::boundary::{Effect, Event, ExitStatus, Extension, Instant, Limits, Settings, TransportKind};
use crate::checker::{Checker, Ended, Observed};
use serde_json::json;

/// Plays a script, and tells of each step to whoever asks what it was.
pub(super) fn play(
    transport: TransportKind,
    script: &[u8],
    tell: impl FnMut(&dyn Fn() -> Step),
) -> Result<Report, String> {
    let mut world = World {
        transport,
        now: 0,
        script: Bytes(script),
        client: Client::new(),
        twin: Client::new(),
        eager: false,
        checker: Checker::new(),
        batch: Vec::new(),
        server: Server::default(),
        web: Web::default(),
        platform: Platform::default(),
        report: Report::default(),
        tell,
    };
    world.play().map_err(|violation| {
        let played = script.len() - world.script.0.len();
        format!("after {played} of {} bytes: {violation}", script.len())
    })?;
    Ok(world.report)
}

struct World<'a, F> {
    script: Bytes<'a>,
    transport: TransportKind,
    now: Instant,
    client: Client,
    /// A second client, which must not differ.
    twin: Client,
    /// Restore the twin after every batch, and not only where the script says so.
    eager: bool,
    checker: Checker,
    batch: Vec<Event>,
    server: Server,
    /// The server's side of exchanges, where that is the transport.
    web: Web,
    platform: Platform,
    report: Report,
    tell: F,
}

impl<F: FnMut(&dyn Fn() -> Step)> World<'_, F> {
    fn play(&mut self) -> Result<(), String> {
        let start = self.script.next();
        self.eager = start & 1 == 1;
        // Most sessions begin well, for what is behind that is the larger part.
        if start & 6 != 6 {
            self.open();
            if self.over_http() {
                self.deliver()?;
                if start & 96 == 96 {
                    self.batch.extend(self.web.refuse(&mut self.script));
                }
                // `initialize`, its reply and the confirmation, with or without a channel.
                for _ in 0..8 {
                    self.answer(start & 24 != 24)?;
                }
            } else {
                self.batch.push(Event::Started(1));
                self.answer(start & 24 != 24)?;
            }
            self.deliver()?;
        }
        while !self.script.0.is_empty() {
            self.step()?;
        }
        if self.over_http() {
            self.wind_up()?;
        }
        self.batch.push(Event::Close);
        self.deliver()
    }

    fn over_http(&self) -> bool {
        self.transport == TransportKind::Http
    }

    /// Breaks every exchange and fires every timer, until there are none.
    fn wind_up(&mut self) -> Result<(), String> {
        /// Attempts to go on with what broke are bounded by fewer.
        const MAX_ROUNDS: usize = 100;

        self.deliver()?;
        for _ in 0..MAX_ROUNDS {
            self.batch = self.web.break_all();
            while self.fire() {}
            if self.batch.is_empty() {
                let left = self.checker.outstanding().calls;
                return if left.is_empty() { Ok(()) } else { Err(format!("calls that nothing will end: {left:?}")) };
            }
            self.deliver()?;
        }
        Err("exchanges without end".to_owned())
    }

    /// Lets a timer fire that is set, and has not fired in this batch.
    fn fire(&mut self) -> bool {
        let fired = |id| self.batch.contains(&Event::Timer(id));
        let mut due = self.checker.timers().filter(|timer| !fired(timer.id));
        let Some(timer) = due.next().copied() else { return false };
        self.now = self.now.max(timer.at);
        self.batch.push(Event::Timer(timer.id));
        self.report.saw("timer");
        true
    }

    /// The server says something of itself.
    fn say(&mut self, message: Vec<u8>) {
        if self.over_http() {
            self.batch.extend(self.web.say(&mut self.script, message));
        } else {
            self.batch.push(Event::Frame(message));
        }
    }

    fn step(&mut self) -> Result<(), String> {
        let over_http = self.over_http();
        let script = &mut self.script;
        match script.below(27) {
            0..=3 => self.batch.push(Event::Call(self.platform.call(script))),
            4..=7 => self.answer(true)?,
            8 => self.answer(false)?,
            9 => self.cancel(),
            10 => {
                let garbage = self.server.garbage(script);
                self.say(garbage);
            }
            11 => {
                let progress = self.server.progress(script);
                self.say(progress);
            }
            12 | 13 => {
                let request = self.server.request(script);
                self.say(request);
            }
            14 => {
                let cancel = self.server.cancel(script);
                self.say(cancel);
            }
            15 | 16 => self.batch.push(Event::ServerResponse(self.platform.answer(script))),
            17 => self.batch.push(Event::Notify(Platform::notify(script))),
            18 => {
                let notification = self.server.notification(script);
                self.say(notification);
            }
            19 => {
                let batch = self.server.batch(script);
                self.say(batch);
            }
            20 => self.restore_twin()?,
            21 => self.change_guest()?,
            22 => self.disturb()?,
            23 if over_http => drop(self.fire()),
            24 if over_http => self.answer(true)?,
            25 if over_http => self.batch.extend(self.web.refuse(script)),
            _ => self.deliver()?,
        }
        if self.batch.len() >= 4 || self.script.flag() { self.deliver() } else { Ok(()) }
    }

    fn open(&mut self) {
        let script = &mut self.script;
        let revisions = [None, None, Some("legacy"), Some("2025-03-26"), Some("2024-11-05")];
        self.batch.push(Event::Open(Settings {
            transport: self.transport,
            revision: script.pick(&revisions).map(str::to_owned),
            client_info: b"{\"name\":\"script\",\n\"version\":\"0\"}".to_vec(),
            capabilities: script.pick(&["{}", r#"{"sampling":{},"elicitation":{}}"#]).into(),
            shared: script.pick(&[false, true]),
            limits: Limits {
                max_frame: script.pick(&[1 << 20, 1024]),
                max_result: script.pick(&[1 << 20, 200]),
                max_pages: script.pick(&[10, 2, 0]),
                max_server_requests: script.pick(&[4, 1, 0]),
            },
        }));
    }

    /// The server answers, having read all that was written to it.
    fn answer(&mut self, well: bool) -> Result<(), String> {
        self.deliver()?;
        if !self.over_http() {
            let answer = self.server.answer(&mut self.script, well);
            self.batch.extend(answer.map(Event::Frame));
        } else if well {
            self.batch.extend(self.web.answer(&mut self.script, &mut self.server));
        } else {
            self.batch.extend(self.web.botch(&mut self.script, &mut self.server));
        }
        Ok(())
    }

    fn cancel(&mut self) {
        let held = self.checker.outstanding().calls;
        let choice = self.script.below(held.len());
        let call = held.get(choice).map_or(u64::MAX, |call| call.id);
        self.batch.push(Event::CancelCall(call));
    }

    /// Events that come at the wrong time, or that this client has no use for.
    fn disturb(&mut self) -> Result<(), String> {
        // What is written before another process starts is not for that one to read.
        self.deliver()?;
        match self.script.below(10) {
            0 => self.open(),
            1 => self.batch.push(Event::Started(2)),
            2 => self.batch.push(Event::Exited(ExitStatus { code: Some(1), signal: None })),
            3 => self.batch.push(Event::Close),
            4 => self.batch.push(Event::Timer(7)),
            5 => self.batch.push(Event::ResponseEnd(7)),
            6 => self.batch.push(Event::CancelCall(u64::MAX)),
            7 => self.batch.push(Event::Extension(Extension { name: "a/b@1".to_owned(), body: vec![1] })),
            8 => {
                self.batch.push(Event::Exited(ExitStatus { code: None, signal: Some(9) }));
                self.batch.push(Event::Call(self.platform.call(&mut self.script)));
                // A host reads that the connection was given up before it makes another.
                self.deliver()?;
                self.batch.push(Event::Started(3));
            }
            _ => self.batch.push(Event::Started(4)),
        }
        Ok(())
    }

    /// Gives the events so far to both clients, and compares and applies what they
    /// make of them.
    fn deliver(&mut self) -> Result<(), String> {
        let events = std::mem::take(&mut self.batch);
        if events.is_empty() {
            return Ok(());
        }
        // A millisecond, so that what is to come later does.
        self.now = self.now.saturating_add(1_000_000);
        let now = self.now;
        let effects = self.client.handle(now, events.clone());
        if effects != self.twin.handle(now, events.clone()) {
            return Err(format!("the restored client differs on {events:?}"));
        }
        (self.tell)(&|| Step::Handle { now, events: events.clone(), effects: effects.clone() });
        if !self.over_http() && events.iter().any(|event| matches!(event, Event::Started(_))) {
            self.server.restart();
        }
        let observed = self.checker.apply(&events, &effects).map_err(|violation| violation.to_string())?;
        self.observe(observed)?;
        if self.eager { self.restore_twin() } else { Ok(()) }
    }

    /// Puts a restored client in the place of the second.
    fn restore_twin(&mut self) -> Result<(), String> {
        self.deliver()?;
        let (twin, effects) = self.restored()?;
        if !effects.is_empty() {
            return Err(format!("a faithful restore led to {effects:?}"));
        }
        if twin.snapshot(Client::SNAPSHOT_FORMAT) != self.client.snapshot(Client::SNAPSHOT_FORMAT) {
            return Err("a restored client has another snapshot".to_owned());
        }
        self.twin = twin;
        self.report.saw("restore");
        Ok(())
    }

    /// Puts restored clients in the place of both, after the host forgot one call and
    /// took over another.
    fn change_guest(&mut self) -> Result<(), String> {
        self.deliver()?;
        let held = self.checker.outstanding().calls;
        if let Some(call) = held.get(self.script.below(8)) {
            self.checker.drop_call(call.id);
        }
        self.checker.adopt_call(self.platform.next_call());
        if let Some(newest) = self.checker.outstanding().exchanges.last()
            && self.script.flag()
        {
            self.checker.adopt_exchange(newest + 1000);
            if let Some(lost) = self.web.any(&mut self.script) {
                self.checker.lose_exchange(lost);
                self.web.forget(lost);
            }
        }
        let outstanding = self.checker.outstanding();
        let (client, effects) = self.restored()?;
        self.twin = self.restored()?.0;
        self.client = client;
        (self.tell)(&|| Step::Restore { outstanding: outstanding.clone(), effects: effects.clone() });
        self.report.saw("change of guest");
        let observed = self.checker.apply_restored(&effects).map_err(|violation| violation.to_string())?;
        self.observe(observed)
    }

    fn restored(&self) -> Result<(Client, Vec<Effect>), String> {
        let snapshot = self.client.snapshot(Client::SNAPSHOT_FORMAT).map_err(|error| format!("{error:?}"))?;
        Client::restore(&snapshot, self.checker.outstanding()).map_err(|error| format!("{error:?}"))
    }

    fn observe(&mut self, observed: Vec<Observed>) -> Result<(), String> {
        for effect in observed {
            self.report.saw(name(&effect));
            match effect {
                Observed::Write { frame, .. } => self.server.read(&frame)?,
                Observed::Ready { .. } if !self.over_http() => self.server.opened(),
                Observed::Request(request) => {
                    let what = self.web.read(&request, &mut self.server)?;
                    what.into_iter().for_each(|what| self.report.saw(what));
                }
                Observed::Abort(exchange) => self.web.forget(exchange),
                Observed::ServerRequest { id, .. } => self.platform.notice(id),
                Observed::Complete { outcome: Ended::Result(result), .. } => {
                    let result = read_json(&result)?;
                    if result.get("nextCursor").is_none() && result["z"] == json!(1) {
                        self.report.saw("all pages");
                    }
                }
                Observed::Disconnected { left_open, .. } if !left_open.is_empty() => {
                    return Err(format!("calls left open at a disconnect: {left_open:?}"));
                }
                Observed::Disconnected { .. } => self.web.clear(),
                Observed::SetTimer(_) | Observed::CancelTimer(_) if self.over_http() => {}
                Observed::FreshProcess | Observed::SetTimer(_) | Observed::CancelTimer(_) => {
                    return Err(format!("an effect that this client has no use for: {effect:?}"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn name(effect: &Observed) -> &'static str {
    match effect {
        Observed::Write { .. } => "write",
        Observed::Request(_) => "request",
        Observed::Abort(_) => "abort",
        Observed::OnClose(_) => "on-close request",
        Observed::FreshProcess => "fresh process",
        Observed::Complete { outcome: Ended::Result(_), .. } => "result",
        Observed::Complete { outcome: Ended::Error(_), .. } => "error",
        Observed::Complete { outcome: Ended::Fault(_), .. } => "fault",
        Observed::Progress { .. } => "progress",
        Observed::Notification { .. } => "notification",
        Observed::ServerRequest { .. } => "server request",
        Observed::Withdraw(_) => "withdraw",
        Observed::Ready { .. } => "ready",
        Observed::Disconnected { .. } => "disconnected",
        Observed::SetTimer(_) => "set timer",
        Observed::CancelTimer(_) => "cancel timer",
        Observed::Log(..) => "log",
    }
}
