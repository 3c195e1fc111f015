//! The whole way of an exchange, where it takes what no end-to-end test can have: names that lead somewhere, and TLS.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc::Receiver,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{HttpClients, HttpConnector, resolver::tests::Scripted};
use crate::{
    Error, Limits,
    names::SessionId,
    policy::SessionSecrets,
    transport::{
        ConnectContext, Endpoint, ExchangeFailure, Target,
        exchange::{Departure, ExchangeConnector, Exchanger, Hub, News, Request, Told},
    },
};

const BOUND: Duration = Duration::from_secs(30);

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// A listener on this machine, and the endpoint of a server there under a name.
async fn listener(scheme: &str, host: &str) -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, Endpoint::new(format!("{scheme}://{host}:{port}/")))
}

/// Makes exchanges, where names lead to these addresses one after the other.
async fn exchanger(endpoint: Endpoint, answers: &[&[&str]]) -> Arc<dyn Exchanger> {
    let clients = Arc::new(HttpClients::looking_up(Scripted::new(answers)));
    let connector = HttpConnector::new(endpoint, clients, SessionSecrets::default(), Arc::new(Limits::default()));
    let context = ConnectContext {
        tenant: "acme".into(),
        user: None,
        server: "remote".into(),
        session: SessionId(1),
        incarnation: 1,
    };
    connector.connect(context).await.unwrap()
}

/// An exchange under way.
struct Begun {
    told: Receiver<Told>,
    departure: Arc<Departure>,
    _running: JoinHandle<()>,
}

fn begin(exchanger: &Arc<dyn Exchanger>) -> Begun {
    let (hub, told) = Hub::new();
    let teller = hub.teller(0);
    let departure = teller.departure().clone();
    let request = Request {
        method: "POST".into(),
        target: Target::Server,
        headers: Vec::new(),
        body: Some(Bytes::from_static(b"hello")),
    };
    Begun { told, departure, _running: tokio::spawn(exchanger.exchange(request, teller)) }
}

/// The body of a response, or why there is none.
async fn fetch(exchanger: &Arc<dyn Exchanger>) -> Result<Bytes, (ExchangeFailure, Option<Error>, String)> {
    outcome(begin(exchanger)).await
}

async fn outcome(mut begun: Begun) -> Result<Bytes, (ExchangeFailure, Option<Error>, String)> {
    let mut body = Bytes::new();
    loop {
        match timeout(BOUND, begun.told.recv()).await.unwrap().unwrap().news {
            News::Body(bytes) => body = bytes,
            News::End => return Ok(body),
            News::Failed(failed) => {
                return Err((failed.failure, failed.error.map(|error| error.of("remote".into())), failed.message));
            }
            News::Head(_) | News::Event(_) => {}
        }
    }
}

/// Answers each connection once.
fn answer_all(listener: TcpListener) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(ANSWER).await;
        }
    })
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused_before_anything_is_connected() {
    let (listener, endpoint) = listener("http", "a.example").await;
    for address in ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
        let exchanger = exchanger(endpoint.clone(), &[&[address]]).await;

        let (failure, error, message) = fetch(&exchanger).await.unwrap_err();

        assert_eq!(failure, ExchangeFailure::Denied, "{message}");
        assert!(matches!(error, Some(Error::Denied { .. })) && message.contains(&format!("a.example is at {address}")));
    }
    let nobody = timeout(Duration::ZERO, listener.accept()).await;
    assert!(nobody.is_err(), "{nobody:?}");
}

#[tokio::test]
async fn a_server_that_is_meant_to_be_private_is_reached_for_as_long_as_it_is_somewhere() {
    let (listener, endpoint) = listener("http", "a.example").await;
    let _serving = answer_all(listener);
    let exchanger =
        exchanger(endpoint.private_addresses(true), &[&["127.0.0.1"], &["127.0.0.1"], &["224.0.0.1"]]).await;

    // Each connection is a look-up of its own.
    assert_eq!(fetch(&exchanger).await.unwrap(), "ok");
    assert_eq!(fetch(&exchanger).await.unwrap(), "ok");
    assert_eq!(fetch(&exchanger).await.unwrap_err().0, ExchangeFailure::Denied);
}

#[tokio::test]
async fn a_name_without_an_address_is_no_connection() {
    let (_listener, endpoint) = listener("http", "a.example").await;
    let exchanger = exchanger(endpoint, &[&[]]).await;

    let (failure, error, message) = fetch(&exchanger).await.unwrap_err();

    assert_eq!(failure, ExchangeFailure::Connect, "{message}");
    assert!(matches!(error, Some(Error::Unavailable { .. })), "{error:?}");
}

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "src/transport/http/tests/certificates", name].iter().collect()
}

/// TLS as the server has it.
fn acceptor(asks_for_certificate: bool, protocol: &[u8]) -> TlsAcceptor {
    let pem = std::fs::read(file("server.pem")).unwrap();
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let config = if asks_for_certificate {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(file("ca.pem")).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        config.with_client_cert_verifier(verifier)
    } else {
        config.with_no_client_auth()
    };
    let mut config = config.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Serves connections over TLS.
fn serve<F, Fut>(listener: TcpListener, acceptor: TlsAcceptor, serve: F) -> JoinHandle<()>
where
    F: Fn(TlsStream<TcpStream>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream));
            }
        }
    })
}

async fn answer_over_tls(mut stream: TlsStream<TcpStream>) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    let _ = stream.write_all(ANSWER).await;
    let _ = stream.shutdown().await;
}

#[tokio::test]
async fn a_server_is_trusted_by_the_authority_of_its_entry_and_under_its_own_name() {
    let (listener, endpoint) = listener("https", "a.example").await;
    let port = listener.local_addr().unwrap().port();
    let _serving = serve(listener, acceptor(false, b"http/1.1"), answer_over_tls);
    let at = |endpoint: Endpoint| exchanger(endpoint.private_addresses(true), &[&["127.0.0.1"]]);

    let trusted = at(endpoint.clone().ca_certificates(file("ca.pem"))).await;
    let public = at(endpoint).await;
    let other_name = at(Endpoint::new(format!("https://b.example:{port}/")).ca_certificates(file("ca.pem"))).await;

    assert_eq!(fetch(&trusted).await.unwrap(), "ok");
    for untrusted in [public, other_name] {
        let (failure, _, message) = fetch(&untrusted).await.unwrap_err();
        assert!(failure == ExchangeFailure::Connect && message.contains("certificate"), "{message}");
    }
}

#[tokio::test]
async fn a_certificate_of_the_entry_is_shown_to_a_server_that_asks_for_one() {
    let (listener, endpoint) = listener("https", "a.example").await;
    let _serving = serve(listener, acceptor(true, b"http/1.1"), answer_over_tls);
    let endpoint = endpoint.ca_certificates(file("ca.pem")).private_addresses(true);

    let shown = exchanger(endpoint.clone().client_certificate(file("client.pem")), &[&["127.0.0.1"]]).await;
    let hidden = exchanger(endpoint, &[&["127.0.0.1"]]).await;

    assert_eq!(fetch(&shown).await.unwrap(), "ok");
    assert!(fetch(&hidden).await.is_err());
}

#[tokio::test]
async fn exchanges_share_a_connection_of_http_2() {
    let (listener, endpoint) = listener("https", "a.example").await;
    let (connected, mut connections) = tokio::sync::mpsc::unbounded_channel();
    let _serving = serve(listener, acceptor(false, b"h2"), move |stream| {
        let connected = connected.clone();
        async move {
            let _ = connected.send(());
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((mut request, mut respond))) = connection.accept().await {
                tokio::spawn(async move {
                    let body = request.body_mut().data().await.unwrap().unwrap();
                    let mut answer = respond.send_response(http::Response::new(()), false).unwrap();
                    answer.send_data(body, true).unwrap();
                });
            }
        }
    });
    let endpoint = endpoint.ca_certificates(file("ca.pem")).private_addresses(true);
    let exchanger = exchanger(endpoint, &[&["127.0.0.1"]]).await;
    assert_eq!(fetch(&exchanger).await.unwrap(), "hello");

    let begun: Vec<Begun> = (0..8).map(|_| begin(&exchanger)).collect();
    for begun in begun {
        assert_eq!(outcome(begun).await.unwrap(), "hello");
    }

    connections.recv().await.unwrap();
    assert!(connections.try_recv().is_err(), "there is one connection");
}

#[tokio::test]
async fn what_is_withdrawn_before_there_is_a_connection_is_never_sent() {
    let (listener, endpoint) = listener("https", "a.example").await;
    let endpoint = endpoint.ca_certificates(file("ca.pem")).private_addresses(true);
    let exchanger = exchanger(endpoint, &[&["127.0.0.1"]]).await;

    let begun = begin(&exchanger);
    let (stream, _): (TcpStream, SocketAddr) = timeout(BOUND, listener.accept()).await.unwrap().unwrap();
    assert!(begun.departure.withdraw());
    let mut stream = acceptor(false, b"http/1.1").accept(stream).await.unwrap();
    let mut received = Vec::new();
    let _ = timeout(BOUND, stream.read_to_end(&mut received)).await.unwrap();

    assert!(!received.ends_with(b"hello"), "{}", String::from_utf8_lossy(&received));
    assert!(outcome(begun).await.is_err());
}
