//! The HTTP exchanges of a client: which are open, what each is for, and what comes of them.
//!
//! This is for HTTP what the link is for a stream. Each exchange runs in a task of its own, which tells its news over one bounded
//! channel; the owner takes them when it has room for them. An exchange is open until the owner has taken its end, and its task
//! ends with it, whoever drops it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use tokio::{sync::mpsc::Receiver, task::AbortHandle, time::Instant};
use tracing::Instrument;

use crate::transport::exchange::{Departure, Exchanger, Hub, News, Request, Told};

pub(super) struct Exchanges {
    exchanger: Arc<dyn Exchanger>,
    open: BTreeMap<u64, Exchange>,
    /// Ids by number. A guest may not use an id again while it is open, and what was told of an exchange may arrive after its end:
    /// so each has a number that no other has.
    ids: BTreeMap<u64, u64>,
    next_number: u64,
    /// Bytes of requests that are not answered yet.
    queued: usize,
    hub: Hub,
    told: Receiver<Told>,
    /// Those that were refused before they began.
    refused: VecDeque<(u64, News)>,
}

/// An exchange under way.
pub(super) struct Exchange {
    number: u64,
    pub(super) call: Option<u64>,
    /// When its response must be there, if nothing else bounds it.
    pub(super) due: Option<Instant>,
    /// Whether its request counts as sent for its call, once it has left.
    pub(super) counts: bool,
    /// Whether events follow, for as long as the server likes.
    pub(super) is_stream: bool,
    departure: Arc<Departure>,
    /// Bytes of its request, until it is answered.
    size: usize,
    task: AbortHandle,
}

impl Exchange {
    /// Sees to it that its request does not leave, if it has not; the call that it was for may say so.
    pub(super) fn unsent(&self) -> Option<u64> {
        self.call.filter(|_| self.counts && self.departure.withdraw())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Exchanges {
    pub(super) fn new(exchanger: Arc<dyn Exchanger>) -> Self {
        let (hub, told) = Hub::new();
        Self {
            exchanger,
            open: BTreeMap::new(),
            ids: BTreeMap::new(),
            next_number: 0,
            queued: 0,
            hub,
            told,
            refused: VecDeque::new(),
        }
    }

    pub(super) fn is_open(&self, id: u64) -> bool {
        self.open.contains_key(&id) || self.refused.iter().any(|(refused, _)| *refused == id)
    }

    /// Those that are open, in ascending order.
    pub(super) fn ids(&self) -> Vec<u64> {
        let refused = self.refused.iter().map(|(id, _)| *id);
        let mut ids: Vec<u64> = self.open.keys().copied().chain(refused).collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn len(&self) -> usize {
        self.open.len() + self.refused.len()
    }

    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Begins an exchange under an id that is not open.
    pub(super) fn begin(&mut self, id: u64, call: Option<u64>, due: Option<Instant>, request: Request) {
        let number = self.next_number;
        self.next_number += 1;
        let teller = self.hub.teller(number);
        let departure = teller.departure().clone();
        let size = request.body.as_ref().map_or(0, bytes::Bytes::len);
        self.queued += size;
        let exchange = self.exchanger.exchange(request, teller).in_current_span();
        let task = tokio::spawn(exchange).abort_handle();
        self.ids.insert(number, id);
        self.open.insert(id, Exchange { number, call, due, counts: true, is_stream: false, departure, size, task });
    }

    /// Has an exchange fail that never begins.
    pub(super) fn refuse(&mut self, id: u64, news: News) {
        self.refused.push_back((id, news));
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Exchange> {
        self.open.get_mut(&id)
    }

    /// The call that an open exchange is for, if it is for one.
    pub(super) fn call_of(&self, id: u64) -> Option<Option<u64>> {
        match self.open.get(&id) {
            Some(exchange) => Some(exchange.call),
            None => self.is_open(id).then_some(None),
        }
    }

    /// Those that are made for a call.
    pub(super) fn of_call(&mut self, call: u64) -> impl Iterator<Item = (u64, &mut Exchange)> {
        self.open
            .iter_mut()
            .filter(move |(_, exchange)| exchange.call == Some(call))
            .map(|(id, exchange)| (*id, exchange))
    }

    /// Takes an exchange out, which ends it when it is dropped. Nothing of it is told any more.
    pub(super) fn remove(&mut self, id: u64) -> Option<Exchange> {
        self.refused.retain(|(refused, _)| *refused != id);
        let exchange = self.open.remove(&id)?;
        self.ids.remove(&exchange.number);
        self.queued -= exchange.size;
        Some(exchange)
    }

    /// Takes all of them out.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Exchange> + use<> {
        self.refused.clear();
        self.ids.clear();
        self.queued = 0;
        std::mem::take(&mut self.open).into_values()
    }

    /// The next news of an open exchange, by its id. Cancellation safe.
    pub(super) async fn news(&mut self) -> (u64, News) {
        loop {
            if let Some(refused) = self.refused.pop_front() {
                return refused;
            }
            // We have a sender ourselves.
            let Some(told) = self.told.recv().await else { return std::future::pending().await };
            if let Some(news) = self.open_news(told) {
                return news;
            }
        }
    }

    /// The same, if there are some.
    pub(super) fn next_news(&mut self) -> Option<(u64, News)> {
        loop {
            if let Some(refused) = self.refused.pop_front() {
                return Some(refused);
            }
            let told = self.told.try_recv().ok()?;
            if let Some(news) = self.open_news(told) {
                return Some(news);
            }
        }
    }

    fn open_news(&mut self, told: Told) -> Option<(u64, News)> {
        let id = *self.ids.get(&told.number)?;
        if let (News::Head(_), Some(exchange)) = (&told.news, self.open.get_mut(&id)) {
            self.queued -= std::mem::take(&mut exchange.size);
        }
        Some((id, told.news))
    }

    /// Makes an exchange whose response nobody wants to know, and resolves when it has begun, or cannot.
    pub(super) fn last(&self, request: Request) -> impl Future<Output = ()> + use<> {
        // Nobody listens: it is over with the head of its response.
        let (hub, told) = Hub::new();
        drop(told);
        self.exchanger.exchange(request, hub.teller(0))
    }
}
