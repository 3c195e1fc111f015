//! Policy: what a tenant may use, what its own servers may be, and what servers are given that nobody else may see.
//!
//! A catalog comes from the platform, which is trusted, or from the tenant, which is not. Of the platform's, a policy says which
//! servers the tenant may use. Of a tenant's own, everything is denied that a policy does not allow by name: whoever may name a
//! command runs it as the host's user.
//!
//! Nothing here knows sessions or processes: it looks at definitions, and turns names into values.
//!
//! | file | what it holds |
//! |---|---|
//! | `rules` | [`Policy`]: what is allowed, as an embedder says it |
//! | `definition` | what of a server policy looks at |
//! | `admission` | a definition against the rules: all that is wrong with it |
//! | `paths`, `origin`, `variables`, `pattern` | one kind of rule each |
//! | `tools` | [`ToolRules`]: which tools may be used, and what models are told of them |
//! | `secret` | [`Secret`] and where they come from |
//! | `template` | values of variables that name secrets |
//! | `resolve` | from names to values, for one process |
//! | `mask`, `patterns` | hiding the values in what people see |

mod admission;
mod definition;
mod mask;
mod origin;
mod paths;
mod pattern;
mod patterns;
mod resolve;
mod rules;
mod secret;
mod template;
mod tools;
mod variables;

pub(crate) use admission::admit;
pub(crate) use definition::{Definition, Reached};
pub(crate) use mask::Mask;
#[cfg(unix)]
pub(crate) use patterns::Masker;
pub(crate) use patterns::Patterns;
#[cfg(unix)]
pub(crate) use resolve::{Asker, Variables};
pub(crate) use resolve::{SessionSecrets, Unresolved};
pub use rules::Policy;
pub(crate) use secret::NoSecrets;
pub use secret::{Secret, SecretError, SecretRequest, SecretStore};
pub(crate) use template::{Part, Template};
pub use tools::ToolRules;
