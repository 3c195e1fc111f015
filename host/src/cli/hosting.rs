//! The runtime that a command works with: made before, closed after, whatever happens in between.
//!
//! A command that opens servers must not leave any behind: not when it fails, not when the user interrupts it. So the
//! work of a command is a future that is given to [`with_host`], which alone decides when it ends.

use std::{path::PathBuf, process, time::Duration};

use innkeeper::{ComponentSource, Error, Lease, Limits, Runtime, RuntimeBuilder, SessionInfo, Tenant};

use crate::{
    exit::{Exit, Failure},
    interrupt::Interrupts,
    options::GlobalOptions,
    output::{Output, Report},
    secrets::FromEnvironment,
    servers::Servers,
    spinner::Spinner,
};

/// Who uses the servers, in the words of the library. A command line has one tenant with one user.
const TENANT: &str = "local";
const USER: &str = "me";

/// Settings of a runtime, with what the environment says of it: where the supervisor is as a file, for systems that forbid
/// executing it from memory.
#[cfg(target_os = "linux")]
pub(crate) fn builder() -> RuntimeBuilder {
    let builder = Runtime::builder();
    match std::env::var_os("INNKEEPER_SUPERVISOR").filter(|path| !path.is_empty()) {
        Some(path) => builder.supervisor(path),
        None => builder,
    }
}

/// Settings of a runtime.
#[cfg(not(target_os = "linux"))]
pub(crate) fn builder() -> RuntimeBuilder {
    Runtime::builder()
}

/// Servers that can be opened.
#[derive(Clone)]
pub(crate) struct Host {
    tenant: Tenant,
    /// Where the guest comes from, if it is not the built-in one.
    guest: Option<PathBuf>,
}

impl Host {
    /// Opens a server.
    pub(crate) async fn lease(&self, server: &str) -> Result<Lease, Failure> {
        match self.tenant.lease(USER, server).await {
            Ok(lease) => {
                let SessionInfo { revision, process, .. } = &*lease.info();
                tracing::info!(server, revision, process, "opened the server");
                Ok(lease)
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    /// A server that does not understand its client fails in ways that say nothing of the client.
    fn explain(&self, error: Error) -> Failure {
        let of_the_server = matches!(
            error,
            Error::Timeout { .. } | Error::Protocol { .. } | Error::ServerExited { .. } | Error::Server(_)
        );
        match &self.guest {
            Some(guest) if of_the_server => {
                Failure::from(error).hint(format!("does the guest {} speak the server's protocol?", guest.display()))
            }
            _ => error.into(),
        }
    }
}

/// Does the work of a command, prints what comes of it, closes everything, and gives the exit status.
pub(crate) async fn with_host<R: Report>(
    servers: &Servers,
    options: &GlobalOptions,
    work: impl AsyncFnOnce(Host) -> Result<R, Failure>,
) -> Exit {
    let output = Output::new(options.json);
    let mut interrupts = match Interrupts::listen() {
        Ok(interrupts) => interrupts,
        Err(failure) => return output.failure(&failure),
    };
    let limits = limits(options);
    // Longer than closing takes by its own limits, which are what decides.
    let patience = (limits.close_input + limits.close_terminate) * 2;
    let runtime = builder()
        .secrets(FromEnvironment)
        .limits(limits)
        .client_info("innkeeper", env!("CARGO_PKG_VERSION"))
        .start()
        .await;
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return output.failure(&error.into()),
    };

    let outcome = tokio::select! {
        outcome = async { work(host(&runtime, servers, options).await?).await } => outcome,
        signal = interrupts.next() => Err(Failure::interrupted(signal)),
    };
    // Before closing: a server that is slow to end must not keep its user from the result.
    let exit = output.print(&outcome);
    let title = if matches!(exit, Exit::Signal(_)) { "closing; interrupt again to use force" } else { "closing" };
    let spinner = Spinner::start(title, options.verbose == 0);
    let exit = close(&runtime, patience, &mut interrupts, exit).await;
    drop(spinner);
    exit
}

/// Closes everything. A signal meanwhile becomes the exit status.
async fn close(runtime: &Runtime, patience: Duration, interrupts: &mut Interrupts, mut exit: Exit) -> Exit {
    let closing = runtime.drain(patience);
    tokio::pin!(closing);
    let mut forced = false;
    loop {
        let signal = tokio::select! {
            report = &mut closing => {
                for session in report.closed.iter().filter(|session| !session.gone) {
                    tracing::error!(session = ?session.session, "something of the server is left");
                }
                return exit;
            }
            signal = interrupts.next() => Exit::Signal(signal),
        };
        match exit {
            // Even force takes too long: the machine is in trouble, and its user knows.
            Exit::Signal(_) if forced => process::exit(signal.status().into()),
            Exit::Signal(_) => {
                forced = true;
                closing.set(runtime.drain(Duration::ZERO));
            }
            _ => {}
        }
        exit = signal;
    }
}

async fn host(runtime: &Runtime, servers: &Servers, options: &GlobalOptions) -> Result<Host, Failure> {
    let source = match &options.guest {
        Some(path) => ComponentSource::File(path.clone()),
        None => ComponentSource::Embedded,
    };
    let guest = runtime.load_component(source).await.map_err(|error| match &options.guest {
        Some(path) if matches!(error, Error::Component { .. }) => {
            let hint = "--guest takes a component that exports `innkeeper:guest/client`, which this file is not";
            Failure::from(error).hint(format!("{hint}: {}", path.display()))
        }
        _ => error.into(),
    })?;
    tracing::info!(%guest, "loaded the guest");
    let tenant = runtime.tenant(TENANT).catalog(servers.catalog()).guest(guest).apply().await?;
    Ok(Host { tenant, guest: options.guest.clone() })
}

/// The limits of the library, where the options say nothing else.
fn limits(options: &GlobalOptions) -> Limits {
    let mut limits = Limits::default();
    if let Some(timeout) = options.timeout {
        limits.open = timeout;
        limits.call = timeout;
        // Who names a time means it: progress does not extend it.
        limits.call_total = timeout;
    }
    limits
}
