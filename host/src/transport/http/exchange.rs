//! One exchange: a request, the redirects that it meets, and its response, as it comes.
//!
//! How long the other end may take depends on who waits. A body that has begun is waited for only as long as something of it
//! comes: whoever wants it cannot use a part. A stream of events may say nothing for as long as it likes, for that is what it is
//! for; who waits for one of its events has a deadline of their own, and a machine that is gone is found out by keep-alives. For
//! the same reason nothing here bounds a whole exchange: the session does, which knows what the exchange is for.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, Method, Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION},
};
use tokio::time::timeout;
use url::Url;

use super::{
    body::RequestBody,
    failure::{self, denied, plain},
    headers,
    redirect::{self, Redirect},
    sse,
};
use crate::{
    Limits,
    future::BoxFuture,
    policy::{Asker, SessionSecrets, Unresolved},
    transport::{
        ConnectError, Endpoint, ExchangeFailure, Target,
        exchange::{Exchanger, Failed, Head, News, Request, SMALL, Teller},
    },
};

/// Makes the exchanges of one client of a session.
pub(super) struct HttpExchanger {
    pub(super) client: Arc<Client>,
    pub(super) url: Url,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) secrets: SessionSecrets,
    pub(super) asker: Asker,
    pub(super) limits: Arc<Limits>,
}

/// The same, as each of its exchanges has it.
pub(super) struct Shared(pub(super) Arc<HttpExchanger>);

impl Exchanger for Shared {
    fn exchange(&self, request: Request, mut teller: Teller) -> BoxFuture<'static, ()> {
        let exchanger = self.0.clone();
        Box::pin(async move {
            if let Err(mut failed) = exchanger.attempt(request, &mut teller).await {
                let mask = exchanger.secrets.mask();
                failed.message = mask.text(&failed.message).into_owned();
                failed.error = failed.error.map(|error| error.masked(mask));
                teller.tell(News::Failed(failed)).await;
            }
        })
    }
}

impl HttpExchanger {
    async fn attempt(&self, request: Request, teller: &mut Teller) -> Result<(), Failed> {
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| plain(ExchangeFailure::Malformed, "the method of the request is none"))?;
        let mut url = self.target(&request.target)?;
        let headers = self.headers(&request).await?;
        for followed in 0..=redirect::MOST {
            let sent = self.send(&method, &url, headers.clone(), request.body.clone(), teller).await;
            let response = sent.map_err(|failed| if followed > 0 { after_redirect(failed) } else { failed })?;
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            match Redirect::of(&url, &method, response.status(), location) {
                Redirect::To(next) => url = next,
                Redirect::Elsewhere(origin) => {
                    return Err(denied(format!(
                        "the server redirects to {origin}, which is not its origin; if that is where it is, write so in its entry"
                    )));
                }
                Redirect::None => {
                    // Credentials among them, which nobody needs any more.
                    drop((headers, request));
                    return self.read(response, teller).await;
                }
            }
        }
        let message = format!("the server redirects more than {} times", redirect::MOST);
        Err(plain(ExchangeFailure::TooLarge, message))
    }

    fn target(&self, target: &Target) -> Result<Url, Failed> {
        let Target::Origin(path) = target else { return Ok(self.url.clone()) };
        if !self.endpoint.origin_paths {
            return Err(denied(
                "requests go to its URL only; if it is a server that says where messages go, set \"type\": \"sse\" in its entry, \
                 or `Endpoint::origin_paths`",
            ));
        }
        match self.url.join(path) {
            Ok(url) if url.origin() == self.url.origin() => Ok(url),
            _ => Err(denied("the path of the request leads to another origin")),
        }
    }

    /// The header fields of a request, with credentials as they are now.
    async fn headers(&self, request: &Request) -> Result<HeaderMap, Failed> {
        let of_error =
            |failure, error: ConnectError| Failed { failure, message: error.to_string(), error: Some(error) };
        let unresolved = |unresolved: Unresolved| {
            let later = unresolved.is_temporary();
            of_error(if later { ExchangeFailure::Connect } else { ExchangeFailure::Denied }, unresolved.into())
        };
        let own = self.secrets.resolve(&self.endpoint.headers, &self.asker).await.map_err(unresolved)?;
        headers::of_request(&request.headers, &own.variables).map_err(|error| of_error(ExchangeFailure::Denied, error))
    }

    async fn send(
        &self,
        method: &Method,
        url: &Url,
        headers: HeaderMap,
        body: Option<Bytes>,
        teller: &Teller,
    ) -> Result<Response, Failed> {
        let mut request = reqwest::Request::new(method.clone(), url.clone());
        *request.headers_mut() = headers;
        match body.filter(|body| !body.is_empty()) {
            Some(body) => {
                *request.body_mut() = Some(reqwest::Body::wrap(RequestBody::new(body, teller.departure().clone())));
            }
            // Nobody says when a head leaves, so it may from here on.
            None if !teller.departure().leave() => {
                return Err(plain(ExchangeFailure::Reset, "the request was withdrawn"));
            }
            None => {}
        }
        self.client.execute(request).await.map_err(|error| failure::of(&error))
    }

    async fn read(&self, response: Response, teller: &mut Teller) -> Result<(), Failed> {
        let mask = self.secrets.mask();
        let status = response.status();
        let headers = response.headers();
        let encoding = headers.get(CONTENT_ENCODING).map(|encoding| encoding.as_bytes());
        if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
            return Err(plain(ExchangeFailure::Malformed, "the response has an encoding that was not asked for"));
        }
        let is_stream = status.is_success() && is_event_stream(headers);
        let head = Head {
            status: status.as_u16(),
            headers: headers::of_response(headers, mask)?,
            is_stream,
            challenge: headers::challenge(headers, mask),
        };
        if !teller.tell(News::Head(head)).await {
            return Ok(());
        }
        if is_stream {
            self.read_events(response, teller).await?;
        } else {
            self.read_body(response, teller).await?;
        }
        teller.tell(News::End).await;
        Ok(())
    }

    async fn read_body(&self, mut response: Response, teller: &mut Teller) -> Result<(), Failed> {
        let limit = self.limits.frame;
        let too_large =
            || plain(ExchangeFailure::TooLarge, format!("the body of the response has more than {limit} bytes"));
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        loop {
            let chunk = timeout(self.limits.http_idle, response.chunk()).await.map_err(|_| {
                let waited = self.limits.http_idle;
                plain(ExchangeFailure::Timeout, format!("nothing of the response came for {waited:?}"))
            })?;
            let Some(chunk) = chunk.map_err(|error| failure::of(&error))? else { break };
            if body.len() + chunk.len() > limit {
                return Err(too_large());
            }
            if body.len() + chunk.len() > SMALL {
                teller.make_room().await;
            }
            body.extend_from_slice(&chunk);
        }
        if !body.is_empty() {
            teller.tell(News::Body(body.freeze())).await;
        }
        Ok(())
    }

    async fn read_events(&self, mut response: Response, teller: &mut Teller) -> Result<(), Failed> {
        let limit = self.limits.frame;
        let mut parser = sse::Parser::new(limit);
        while let Some(mut chunk) = response.chunk().await.map_err(|error| failure::of(&error))? {
            loop {
                let block = parser.next(&mut chunk).map_err(|fault| match fault {
                    sse::Fault::TooLarge => plain(
                        ExchangeFailure::TooLarge,
                        format!("an event of the response has more than {limit} bytes"),
                    ),
                    sse::Fault::NotUtf8 => plain(ExchangeFailure::Malformed, "the stream of events is not UTF-8"),
                })?;
                let Some(block) = block else { break };
                if !teller.tell(News::Event(block)).await {
                    return Ok(());
                }
            }
            if parser.buffered() > SMALL {
                teller.make_room().await;
            }
        }
        Ok(())
    }
}

/// Something has left, whatever becomes of the rest.
fn after_redirect(failed: Failed) -> Failed {
    let failure = if failed.failure == ExchangeFailure::Connect { ExchangeFailure::Reset } else { failed.failure };
    Failed { failure, ..failed }
}

/// RFC 9110, section 8.3.1: a media type may have parameters, and no case.
fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("text/event-stream")
}
