//! What a server says on one connection.

use std::{collections::BTreeMap, future::pending, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, WriteHalf, split},
    time::{Instant, sleep_until},
};

use super::{
    plan::Order,
    servers::{Running, Temper},
};

/// The ids of requests that nobody made begin here.
const UNKNOWN: u64 = 1 << 40;

const SECOND: Duration = Duration::from_secs(1);

/// Longer than the frames of a run may be.
pub(super) const FLOOD: usize = 100 * 1024;

/// The server has ended.
struct Ended;

struct Server {
    running: Running,
    writer: WriteHalf<DuplexStream>,
    temper: Temper,
    calls: u32,
    /// What is to be written, by its time and in order.
    due: BTreeMap<(Instant, u64), Value>,
    written: u64,
}

/// Serves until one of both sides ends the connection.
pub(super) async fn serve(running: Running, stream: DuplexStream, temper: Temper) {
    if temper == Temper::Curt {
        return;
    }
    let (reader, writer) = split(stream);
    let mut lines = BufReader::new(reader).lines();
    let mut server = Server { running, writer, temper, calls: 0, due: BTreeMap::new(), written: 0 };
    loop {
        let next = server.due.keys().next().map(|(at, _)| *at);
        let due = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        let goes_on = tokio::select! {
            biased;
            line = lines.next_line() => match line {
                Ok(Some(line)) => server.hear(&line).await,
                _ => Err(Ended),
            },
            order = server.running.orders.recv() => match order {
                Some(order) => server.obey(order).await,
                None => Err(Ended),
            },
            () = due => match server.due.pop_first() {
                Some((_, message)) => server.say(&message).await,
                None => Ok(()),
            },
        };
        if goes_on.is_err() {
            return;
        }
    }
}

impl Server {
    async fn hear(&mut self, line: &str) -> Result<(), Ended> {
        let Ok(message) = serde_json::from_str::<Value>(line) else { return Ok(()) };
        // The faulty guest sends the parameters alone.
        let call = message["params"]["call"].as_u64().or(message["call"].as_u64());
        if let Some(call) = call {
            self.running.servers.call_came(call);
            self.calls += 1;
            if let Temper::Mortal(calls) = self.temper
                && self.calls > calls
            {
                return Err(Ended);
            }
        }
        let Some(id) = message["id"].as_u64() else { return Ok(()) };
        let answer = |result: Value| json!({ "jsonrpc": "2.0", "id": id, "result": result });
        let refusal = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32000, "message": "no" } });
        if self.temper == Temper::Liar {
            self.lie().await?;
        }
        match message["method"].as_str() {
            Some("initialize") => match self.temper {
                Temper::Mute => Ok(()),
                Temper::Unwelcoming => self.say(&refusal).await,
                _ => {
                    let info = json!({ "name": "scripted", "version": "1" });
                    let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": info });
                    self.say(&answer(result)).await
                }
            },
            Some("now") => self.say(&answer(json!(call))).await,
            Some("later") => {
                self.say_after(SECOND, answer(json!(call)));
                Ok(())
            }
            Some("slowly") => {
                let token = &message["params"]["_meta"]["progressToken"];
                for done in 1..10 {
                    let params = json!({ "progressToken": token, "progress": done });
                    let report = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params });
                    self.say_after(done * SECOND, report);
                }
                self.say_after(10 * SECOND, answer(json!(call)));
                Ok(())
            }
            Some("refuse") => self.say(&refusal).await,
            Some("die") => Err(Ended),
            Some("lie") => {
                self.lie().await?;
                self.say(&answer(json!(call))).await?;
                self.say(&answer(json!("the same once more"))).await
            }
            _ => Ok(()),
        }
    }

    async fn obey(&mut self, order: Order) -> Result<(), Ended> {
        match order {
            Order::Die => Err(Ended),
            Order::Garble => self.write(b"{ this is no message\n").await,
            Order::DieMidFrame => {
                self.write(b"{\"jsonrpc\":\"2.0\",\"id\":").await?;
                Err(Ended)
            }
            Order::Flood => self.write(&[b"x".repeat(FLOOD), b"\n".to_vec()].concat()).await,
            Order::Ask => {
                self.written += 1;
                self.say(&json!({ "jsonrpc": "2.0", "id": self.written, "method": "roots/list" })).await
            }
        }
    }

    /// Answers requests that nobody made.
    async fn lie(&mut self) -> Result<(), Ended> {
        self.written += 1;
        let id = UNKNOWN + self.written;
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "result": "a lie" })).await?;
        self.say(&json!({ "jsonrpc": "2.0", "id": id.to_string(), "result": "another" })).await
    }

    fn say_after(&mut self, time: Duration, message: Value) {
        self.written += 1;
        self.due.insert((Instant::now() + time, self.written), message);
    }

    async fn say(&mut self, message: &Value) -> Result<(), Ended> {
        self.write(format!("{message}\n").as_bytes()).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.writer.write_all(bytes).await.map_err(|_| Ended)
    }
}
