//! The server over HTTP: a session is one with an id, from its `initialize` to its `DELETE`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use innkeeper_tests::http::{HttpServer, Received, Wire, answer, head};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Act, Break, Script};

/// The session that may be forgotten.
const FIRST: usize = 1;

/// What a probe asks for.
const PROBE: &str = "/probe";

pub(super) async fn server(script: Arc<Script>) -> HttpServer {
    let forgets = Arc::new(AtomicBool::new(false));
    HttpServer::start(move |request, wire| serve(script.clone(), forgets.clone(), request, wire)).await
}

/// The number of a connection that is made now, from 0.
pub(super) async fn probe(server: &HttpServer) -> usize {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(format!("GET {PROBE} HTTP/1.1\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    server.received().into_iter().rfind(|request| request.path == PROBE).unwrap().connection
}

async fn serve(script: Arc<Script>, forgets: Arc<AtomicBool>, request: Received, mut wire: Wire) -> Option<Wire> {
    if request.path == PROBE {
        return None;
    }
    let session = request.header("mcp-session-id").map(|id| id.parse().unwrap());
    let session = match (request.method.as_str(), session) {
        ("POST", None) if script.refuses.load(SeqCst) => return status(wire, 503).await,
        ("POST", None) => script.begin(),
        ("POST", Some(FIRST)) if forgets.load(SeqCst) => return status(wire, 404).await,
        ("POST", Some(session)) => session,
        ("DELETE", Some(session)) => {
            script.log(session, "leave");
            script.ends.passed().await;
            script.log(session, "end");
            return status(wire, 204).await;
        }
        _ => return status(wire, 405).await,
    };
    let message: Value = serde_json::from_slice(&request.body).unwrap();
    match script.hear(session, &message) {
        Act::Greet(reply) => {
            tokio::select! {
                () = script.greets.passed() => {}
                () = wire.ended() => {
                    script.log(session, "end");
                    return None;
                }
            }
            script.log(session, "open");
            say(wire, &reply, &format!("mcp-session-id: {session}\r\n")).await
        }
        Act::Reply(reply) => say(wire, &reply, "").await,
        Act::Nothing => status(wire, 202).await,
        Act::Break(reply) => {
            script.breaks.passed().await;
            match script.how() {
                Break::Ends => None,
                Break::Resets => {
                    wire.reset();
                    None
                }
                Break::Hangs => {
                    script.log(session, "broken");
                    wire.ended().await;
                    None
                }
                Break::Fails => status(wire, 503).await,
                Break::Truncates => {
                    wire.write(head(200, "application/json", "content-length: 1000\r\n") + "{").await;
                    None
                }
                Break::Forgets if session == FIRST => {
                    forgets.store(true, SeqCst);
                    status(wire, 404).await
                }
                Break::Forgets => say(wire, &reply, "").await,
                how @ (Break::StopsSaying | Break::StopsHearing) => panic!("HTTP does not break like this: {how:?}"),
            }
        }
    }
}

async fn say(mut wire: Wire, reply: &Value, headers: &str) -> Option<Wire> {
    let body = reply.to_string();
    let length = body.len();
    let head = "HTTP/1.1 200 Any\r\ncontent-type: application/json\r\n";
    wire.write(format!("{head}content-length: {length}\r\n{headers}\r\n{body}")).await;
    Some(wire)
}

/// A response that is a status and no more.
async fn status(mut wire: Wire, status: u16) -> Option<Wire> {
    // A response with the status 204 has no length (RFC 9110, section 8.6).
    let response = if status == 204 { "HTTP/1.1 204 Any\r\n\r\n".to_owned() } else { answer(status, "text/plain", "") };
    wire.write(response).await;
    Some(wire)
}
