//! What is tried before the first session is touched: whether the new guest goes on from where the old one is, at least from the
//! beginning of a session.
//!
//! That it can be loaded, imports nothing and describes itself was seen when it was loaded.

use bytes::Bytes;

use crate::{
    Error, Limits,
    guest::{
        Component, GuestFault, Runner, Standing,
        boundary::{Event, Outstanding, Settings, TransportKind},
    },
    session::{NotHandedOver, common_format},
};

/// Has the new guest go on from a session of the old one that has just begun.
///
/// # Errors
///
/// [`Error::Component`] where the new guest fails. `Ok(Err(..))`: it says that it cannot.
pub(super) async fn try_out(
    from: &Component,
    to: &Component,
    limits: &Limits,
    client_info: &Bytes,
) -> Result<Result<(), NotHandedOver>, Error> {
    let format = match common_format(from, to) {
        Ok(format) => format,
        Err(reason) => return Ok(Err(reason)),
    };
    let failed = |fault: GuestFault| Error::Component { reason: format!("{to} failed when it was tried out: {fault}") };
    let settings = Settings {
        transport: TransportKind::Stream,
        revision: None,
        client_info: client_info.clone(),
        capabilities: Bytes::from_static(b"{}"),
        shared: false,
        max_frame: limits.frame as u64,
        max_result: limits.gathered_result as u64,
        max_pages: limits.pages,
        max_server_requests: limits.server_requests,
    };

    // Whatever the old one does wrong is no reason against the new one: then each session is tried for itself.
    let Ok(mut old) = Runner::new(from, Standing::default()).await else { return Ok(Ok(())) };
    if old.handle(0, vec![Event::Open(settings)]).await.is_err() {
        return Ok(Ok(()));
    }
    let state = match old.snapshot(format).await {
        Ok(Ok(state)) => state,
        // Each session is asked for itself, and may have another answer.
        Ok(Err(_)) => return Ok(Ok(())),
        Err(fault) => {
            let reason = Error::Component { reason: format!("{from}: {fault}") };
            return Ok(Err(NotHandedOver::PresentFailed(reason)));
        }
    };
    let mut new = Runner::new(to, Standing::default()).await.map_err(failed)?;
    let restored = new.restore(state, Outstanding::default()).await.map_err(failed)?;
    Ok(restored.map(drop).map_err(NotHandedOver::Restore))
}
