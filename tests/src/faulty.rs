//! The guest that misbehaves on demand, and a tenant that has it.

use innkeeper::{Catalog, Component, ComponentSource, Runtime, Server, Tenant};

use crate::{artifacts, in_process};

/// Faults by the method that asks for them, and words of what the host says of each.
pub const FAULTS: [(&str, &str); 25] = [
    ("spin", "CPU time"),
    ("allocate", "memory"),
    ("trap", "trapped"),
    ("recurse", "trapped"),
    ("garbage", "which is not open"),
    ("forged-progress", "which is not open"),
    ("forged-write", "which is not open"),
    ("forged-withdrawal", "which never was"),
    ("forged-range", "outside of its event"),
    ("overflowing-range", "outside of its event"),
    ("forged-index", "outside of its event"),
    ("forged-params-range", "outside of the params"),
    ("forged-params-call", "outside of the params"),
    ("complete-twice", "which is not open"),
    ("progress-after-complete", "which is not open"),
    ("newline-in-frame", "delimiter"),
    ("fresh-process-3", "fresh processes"),
    ("ready-twice", "twice that it is ready"),
    ("ready-without-connection", "ready without a connection"),
    ("request-id-twice", "the id 1 of a request of the server again"),
    ("http-on-stream", "HTTP request"),
    ("many-timers", "timers"),
    ("many-server-requests", ""),
    ("huge-frame", ""),
    ("slow:100000", "CPU time"),
];

/// The guest.
pub async fn faulty(runtime: &Runtime) -> Component {
    let guest = ComponentSource::File(artifacts::guest("innkeeper-faulty-guest"));
    runtime.load_component(guest).await.expect("the guest is one that loads")
}

/// A tenant with that guest and one server, `quiet`.
pub async fn tenant(runtime: &Runtime, name: &str, guest: &Component, server: Server) -> Tenant {
    let catalog = Catalog::new().server("quiet", server);
    runtime.tenant(name).guest(guest.clone()).catalog(catalog).apply().await.expect("the name is free")
}

/// A server that never says anything, which is enough for this guest.
pub fn quiet() -> Server {
    Server::connector(in_process::silent())
}
