//! Secrets: what a platform keeps, and servers are given.
//!
//! A catalog names a secret and does not have it. Its value is asked for whenever a server is started, for whoever it is started
//! for, goes into the environment of that process, and is forgotten with it: a secret that was replaced reaches the next
//! process, and what reads a catalog, a log or an error reads a name.

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    future::BoxFuture,
    names::{SecretName, ServerName, TenantName, UserName},
};

/// The value of a secret. `Debug` does not show it, and its memory is overwritten when it is dropped.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A value. Where it is at most 5 bytes long, it is not hidden in what people see: it would stand in any text by chance.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value. Whoever asks for it answers for where it goes.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Which secret is asked for, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretRequest {
    /// The tenant. A store gives a tenant its own secrets only: nothing else keeps tenants apart here.
    pub tenant: TenantName,
    /// The user, where the server is started for one.
    pub user: Option<UserName>,
    /// The server that is started.
    pub server: ServerName,
    /// The name, as the catalog has it.
    pub name: SecretName,
}

/// Where secrets are kept: a vault, a key ring, a table. Given to a runtime by
/// [`RuntimeBuilder::secrets`](crate::RuntimeBuilder::secrets).
///
/// ```
/// use innkeeper::{Secret, SecretError, SecretRequest, SecretStore, transport::BoxFuture};
///
/// /// One token for each user of a tenant.
/// struct Tokens;
///
/// impl SecretStore for Tokens {
///     fn resolve(&self, request: SecretRequest) -> BoxFuture<'static, Result<Secret, SecretError>> {
///         Box::pin(async move {
///             match (request.tenant.as_str(), request.user, request.name.as_str()) {
///                 ("acme", Some(user), "token") => Ok(Secret::new(format!("token-of-{user}"))),
///                 _ => Err(SecretError::new("there is none of this name")),
///             }
///         })
///     }
/// }
/// ```
pub trait SecretStore: Send + Sync + 'static {
    /// The value of a secret. Called for each process that is started with it, once for each name; several at a time.
    ///
    /// # Errors
    ///
    /// Returns why it cannot be had, for people, and without a secret in it.
    ///
    /// # Cancellation
    ///
    /// The host drops the future when the session is closed or the time for opening it,
    /// [`Limits::open`](crate::Limits::open), has passed.
    fn resolve(&self, request: SecretRequest) -> BoxFuture<'static, Result<Secret, SecretError>>;
}

/// Why a secret cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SecretError {
    reason: String,
    later: bool,
}

impl SecretError {
    /// There is none, or not for this tenant, user or server. The session is
    /// [`Error::Start`](crate::Error::Start): somebody has to change something.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), later: false }
    }

    /// The store cannot say at present. The session is [`Error::Unavailable`](crate::Error::Unavailable), which is worth another
    /// try.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), later: true }
    }

    /// Whether another try may help.
    pub(crate) fn is_temporary(&self) -> bool {
        self.later
    }
}

/// The store of a runtime that was given none.
pub(crate) struct NoSecrets;

impl SecretStore for NoSecrets {
    fn resolve(&self, _request: SecretRequest) -> BoxFuture<'static, Result<Secret, SecretError>> {
        let error =
            SecretError::new("this runtime has no store of secrets; give it one with `RuntimeBuilder::secrets`");
        Box::pin(async { Err(error) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new("hunter2");

        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "*** Some(\n    ***,\n)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
