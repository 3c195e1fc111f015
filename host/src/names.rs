//! The names by which an embedder addresses things, and the ids that the runtime gives.
//!
//! A newtype per kind, so that a user's name cannot be passed where a server's is meant.

use std::{fmt, sync::Arc};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            #[allow(dead_code, reason = "not every kind of name is a label")]
            pub(crate) fn shared(&self) -> Arc<str> {
                self.0.clone()
            }
        }

        impl<T: Into<Arc<str>>> From<T> for $name {
            fn from(name: T) -> Self {
                Self(name.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

name! {
    /// A customer of the platform. Nothing crosses between two tenants.
    TenantName
}
name! {
    /// Somebody for whom a tenant uses servers. Two users of a tenant share a session only where its catalog says so.
    UserName
}
name! {
    /// A server as a tenant's catalog names it.
    ServerName
}
name! {
    /// A secret as the platform's store names it. Not its value: names stand in catalogs, errors and logs.
    SecretName
}

/// A session of this runtime: unique as long as the runtime lives, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(crate) u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The most bytes that a tool's name may have for the models that are in use.
pub(crate) const LONGEST_TOOL_NAME: usize = 64;

/// Whether a tool can have this name for every model: `[A-Za-z0-9_-]{1,64}`.
pub(crate) fn is_tool_name(name: &str) -> bool {
    (1..=LONGEST_TOOL_NAME).contains(&name.len()) && name.chars().all(is_of_tool_names)
}

/// Whether such a name may hold a character.
pub(crate) fn is_of_tool_names(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '-'
}

/// A hash of the settings of a server that its connections are made from: command, arguments, environment, folder, isolation, limits
/// of processes, home, revision of the protocol, address, scope. Secrets are in it by their names, a connector by its identity in this
/// process. Not in it: timeouts, rules for tools, and how the
/// server is shown.
///
/// It is shown as 12 hexadecimal digits, which is what logs need; what is compared is all of it. Whoever can guess a value of
/// the environment can test the guess with it: what must not be guessed is a secret, and belongs in a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpecDigest(pub(crate) [u8; 32]);

impl fmt::Display for SpecDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SpecDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
