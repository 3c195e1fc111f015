//! Where this platform keeps secrets: a table, in place of a vault.
//!
//! A catalog names a secret. Its value is asked for here whenever a process is started, for that tenant, user and server, and goes into
//! the environment of the process: no guest, log, error, status or event has it. So each user has a token of their own, and one
//! that is replaced here reaches the next process.

use innkeeper::{Secret, SecretError, SecretRequest, SecretStore, transport::BoxFuture};

use crate::screen::Screen;

/// What catalogs call it.
pub(crate) const TOKEN: &str = "everything/token";

/// Tenant, user, name and value. A real one would not be in the source.
const KEPT: [(&str, &str, &str, &str); 3] = [
    ("acme", "alice", TOKEN, "alice-3f9c2a7e"),
    ("acme", "bob", TOKEN, "bob-81d04b6c"),
    ("acme", "carol", TOKEN, "carol-e57a9d12"),
];

pub(crate) struct Vault {
    pub(crate) screen: Screen,
}

impl SecretStore for Vault {
    fn resolve(&self, request: SecretRequest) -> BoxFuture<'static, Result<Secret, SecretError>> {
        let SecretRequest { tenant, user, server, name, .. } = request;
        // Nothing else keeps tenants and users apart: the request says for whom, and the vault must look.
        let kept = user.as_ref().and_then(|user| {
            let wanted = (tenant.as_str(), user.as_str(), name.as_str());
            KEPT.iter().find(|(tenant, user, name, _)| (*tenant, *user, *name) == wanted)
        });
        let value = match (kept, user) {
            (Some((.., value)), Some(user)) => {
                self.screen.note(&format!("secret `{name}` of {tenant}/{user} goes to a new process of `{server}`"));
                Ok(Secret::new(*value))
            }
            _ => Err(SecretError::new("nobody has kept one of this name for them")),
        };
        Box::pin(async move { value })
    }
}
