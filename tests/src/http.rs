//! An HTTP server that writes exact bytes.
//!
//! A library that serves HTTP keeps one from being awkward: it counts the length, ends chunks and lines, and answers what was
//! asked. So here is a listener, a reader of requests, and the bare connection for the answer. What a server does with a request
//! is a function of the test.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
    time::timeout,
};

/// How long anything may take that a test waits for.
pub const BOUND: Duration = Duration::from_secs(30);

/// A request, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The method.
    pub method: String,
    /// Path and query, as they were sent.
    pub path: String,
    /// Header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Which connection of the server it came on, from 0.
    pub connection: usize,
}

impl Received {
    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The connection that a request came on.
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    /// Writes bytes as they are. What the client does not read any more is lost.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Writes bytes for as long as the client takes them, and returns how many it took.
    pub async fn write_without_end(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while let Ok(count @ 1..) = self.stream.write(bytes).await {
            written += count;
        }
        written
    }

    /// Ends the connection so that the client's system says "connection reset by peer".
    pub fn reset(self) {
        let _ = self.stream.set_zero_linger();
    }

    /// Waits until the client has ended the connection.
    pub async fn ended(&mut self) {
        let mut nowhere = [0; 1024];
        while let Ok(1..) = self.stream.read(&mut nowhere).await {}
    }

    /// The next request; none when the client is gone.
    async fn request(&mut self, connection: usize) -> Option<Received> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.read.drain(..end + 4).collect()).ok()?;
        let mut lines = head.trim_end().split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.and_then(|(_, length)| length.parse().ok()).unwrap_or(0);
        while self.read.len() < length {
            self.more().await?;
        }
        let body = self.read.drain(..length).collect();
        Some(Received { method, path, headers, body, connection })
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.read).await {
            Ok(1..) => Some(()),
            _ => None,
        }
    }
}

/// A server on a port of this machine. It ends when it is dropped.
pub struct HttpServer {
    address: SocketAddr,
    log: Arc<Log>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Log {
    received: Mutex<Vec<Received>>,
    news: Notify,
}

impl HttpServer {
    /// Serves each request by `serve`, which gives the connection back where more requests may come on it.
    pub async fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(Received, Wire) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Option<Wire>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of this machine");
        let address = listener.local_addr().expect("it is bound");
        let log = Arc::<Log>::default();
        let (serve, logged) = (Arc::new(serve), log.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let _ = stream.set_nodelay(true);
                let (serve, log) = (serve.clone(), logged.clone());
                connections.spawn(async move {
                    let mut wire = Wire { stream, read: Vec::new() };
                    while let Some(request) = wire.request(number).await {
                        log.received.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
                        log.news.notify_waiters();
                        match serve(request, wire).await {
                            Some(same) => wire = same,
                            None => return,
                        }
                    }
                });
            }
        });
        Self { address, log, _serving: serving }
    }

    /// One that gives the same bytes for each request, and ends the connection then.
    pub async fn of(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = Arc::new(bytes.into());
        Self::start(move |_, mut wire| {
            let bytes = bytes.clone();
            async move {
                wire.write(&bytes[..]).await;
                None
            }
        })
        .await
    }

    /// One that answers each request with its body.
    pub async fn echo() -> Self {
        Self::start(|request, mut wire| async move {
            wire.write(answer(200, "text/plain", &request.text())).await;
            Some(wire)
        })
        .await
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it has received so far.
    pub fn received(&self) -> Vec<Received> {
        self.log.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has received so many requests, and gives them.
    pub async fn receives(&self, count: usize) -> Vec<Received> {
        let waiting = async {
            loop {
                let news = self.log.news.notified();
                let received = self.received();
                if received.len() >= count {
                    return received;
                }
                news.await;
            }
        };
        timeout(BOUND, waiting).await.unwrap_or_else(|_| panic!("it received {:?}, not {count}", self.received()))
    }
}

/// A response with a body of a known length.
pub fn answer(status: u16, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} Any\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// The head of a response whose body ends with the connection.
pub fn head(status: u16, content_type: &str, headers: &str) -> String {
    format!("HTTP/1.1 {status} Any\r\ncontent-type: {content_type}\r\nconnection: close\r\n{headers}\r\n")
}

/// One chunk of a body of any length (RFC 9112, section 7.1).
pub fn chunk(bytes: &str) -> String {
    format!("{:x}\r\n{bytes}\r\n", bytes.len())
}

/// So many zeros, compressed (RFC 1951, 1952): a block of fixed codes that repeats one byte, without the sum at its end.
pub fn gzip_of_zeros(bytes: usize) -> Vec<u8> {
    // Magic, deflate, no flags, no time, nothing extra, a system that does not matter.
    let mut compressed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let (mut pending, mut count) = (0_u32, 0);
    // Codes stand with their first bit first, and so do bits in bytes.
    let mut write = |bits: &[u8]| {
        for bit in bits {
            pending |= u32::from(*bit) << count;
            count += 1;
            if count == 8 {
                compressed.push(u8::try_from(pending).expect("eight bits"));
                (pending, count) = (0, 0);
            }
        }
    };
    // The last block, with fixed codes; a zero.
    write(&[1, 1, 0]);
    write(&[0, 0, 1, 1, 0, 0, 0, 0]);
    for _ in 0..bytes / 258 {
        // 258 bytes more of what stood one byte before.
        write(&[1, 1, 0, 0, 0, 1, 0, 1]);
        write(&[0, 0, 0, 0, 0]);
    }
    // The end of the block, and bits to fill the byte.
    write(&[0; 7 + 7]);
    compressed
}
