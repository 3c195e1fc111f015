//! A session, as everybody names it.

use serde::Serialize;

use super::Key;
use crate::names::{ServerName, SessionId, TenantName, UserName};

/// Which session, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionKey {
    /// The session.
    #[serde(serialize_with = "as_text")]
    pub id: SessionId,
    /// Its tenant.
    #[serde(serialize_with = "as_text")]
    pub tenant: TenantName,
    /// Its user. None: the users of the tenant share it.
    #[serde(serialize_with = "as_optional_text")]
    pub user: Option<UserName>,
    /// Its server.
    #[serde(serialize_with = "as_text")]
    pub server: ServerName,
}

impl SessionKey {
    pub(crate) fn new(id: SessionId, key: &Key) -> Self {
        Self { id, tenant: key.tenant.clone(), user: key.user().cloned(), server: key.server.clone() }
    }
}

fn as_text<S: serde::Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_optional_text<S: serde::Serializer>(
    value: &Option<impl std::fmt::Display>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}
