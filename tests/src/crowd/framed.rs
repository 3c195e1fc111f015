//! The servers in process: frames after their length, and calls that are held in the manner that the call asks for.

use std::sync::Arc;

use innkeeper::transport::{Connection, Connector, Framing, connector_fn};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    sync::{mpsc, watch},
};

use super::counts::Counts;

/// Bytes that a pipe holds, as one of the system does.
const PIPE: usize = 64 * 1024;

/// What all of them share.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) counts: Arc<Counts>,
    pub(super) over: watch::Receiver<u32>,
    pub(super) holds: mpsc::UnboundedSender<()>,
}

/// A call that is held.
struct Held {
    round: u32,
    /// What is written when the round is over; nothing where the platform is asked something, whose answer comes then.
    rest: Vec<u8>,
    /// The result of the call, for when that answer is there.
    reply: Value,
}

pub(super) fn connector(desk: Desk) -> Arc<dyn Connector> {
    connector_fn("a server of a crowd", move |_| {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        tokio::spawn(serve(theirs, desk.clone()));
        async move {
            let (reader, writer) = tokio::io::split(ours);
            Ok(Connection::new(reader, writer, Framing::LengthPrefixed))
        }
    })
}

async fn serve(pipe: DuplexStream, Desk { counts, mut over, holds }: Desk) {
    let (reader, mut writer) = tokio::io::split(pipe);
    let (read, mut messages) = mpsc::unbounded_channel();
    tokio::spawn(read_messages(reader, read));
    let mut held: Option<Held> = None;
    loop {
        let round = held.as_ref().map_or(0, |held| held.round);
        let message: Value = tokio::select! {
            () = is_over(&mut over, round), if held.as_ref().is_some_and(|held| !held.rest.is_empty()) => {
                let held = held.take().expect("it is held");
                write(&mut writer, &held.rest).await;
                continue;
            }
            message = messages.recv() => match message {
                Some(message) => message,
                None => return,
            },
        };
        let params = &message["params"];
        match message["method"].as_str() {
            Some("initialize") => {
                let info = json!({ "name": "framed", "version": "1" });
                let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": info });
                write(&mut writer, &frame(&reply(&message, result))).await;
            }
            Some("short") => {
                counts.ran(params["number"].as_u64().expect("calls have numbers"));
                write(&mut writer, &frame(&reply(&message, params["number"].clone()))).await;
            }
            Some("hold") => {
                counts.ran(params["number"].as_u64().expect("calls have numbers"));
                let round = params["round"].as_u64().and_then(|round| u32::try_from(round).ok()).unwrap_or_default();
                held = Some(hold(&message, round, &mut writer, &holds).await);
            }
            None if message["id"] == "question" => {
                if let Some(held) = held.take() {
                    write(&mut writer, &frame(&held.reply)).await;
                }
            }
            _ => {}
        }
    }
}

/// Waits for the end of a round, or of the crowd.
async fn is_over(over: &mut watch::Receiver<u32>, round: u32) {
    // An error: the crowd is gone.
    let _ = over.wait_for(|over| *over > round).await;
}

/// Begins to hold a call. Where the caller cannot know that it is held, it is said here.
async fn hold(
    call: &Value,
    round: u32,
    writer: &mut WriteHalf<DuplexStream>,
    holds: &mpsc::UnboundedSender<()>,
) -> Held {
    let reply = reply(call, call["params"]["number"].clone());
    let mut rest = frame(&reply);
    let mut begun = Vec::new();
    match call["params"]["manner"].as_str() {
        Some("reports") => begun = progress(call),
        // In one piece, so that whoever has read the report has read that much of the reply.
        Some("halves") => {
            let half = rest.len() / 2;
            begun = progress(call);
            begun.extend(rest.drain(..half));
        }
        Some("asks") => {
            let question = json!({ "message": "May I?", "requestedSchema": { "type": "object", "properties": {} } });
            let question =
                json!({ "jsonrpc": "2.0", "id": "question", "method": "elicitation/create", "params": question });
            begun = frame(&question);
            rest.clear();
        }
        _ => _ = holds.send(()),
    }
    write(writer, &begun).await;
    Held { round, rest, reply }
}

async fn read_messages(mut reader: ReadHalf<DuplexStream>, read: mpsc::UnboundedSender<Value>) {
    while let Ok(length) = reader.read_u32().await {
        let mut frame = vec![0; length as usize];
        if reader.read_exact(&mut frame).await.is_err() {
            return;
        }
        let message = serde_json::from_slice(&frame).expect("a client sends JSON");
        if read.send(message).is_err() {
            return;
        }
    }
}

/// Writes bytes. What the client does not read any more is lost.
async fn write(writer: &mut WriteHalf<DuplexStream>, bytes: &[u8]) {
    let _ = writer.write_all(bytes).await;
}

fn reply(request: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })
}

fn progress(call: &Value) -> Vec<u8> {
    let params = json!({ "progressToken": call["params"]["_meta"]["progressToken"], "progress": 1, "total": 2 });
    frame(&json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params }))
}

fn frame(message: &Value) -> Vec<u8> {
    let message = message.to_string();
    let length = u32::try_from(message.len()).expect("it is a short message");
    [&length.to_be_bytes(), message.as_bytes()].concat()
}
