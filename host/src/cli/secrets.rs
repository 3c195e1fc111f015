//! Where the secrets of a configuration come from: the environment of the command.
//!
//! `${secret:NAME}` is the variable `INNKEEPER_SECRET_NAME`, read when a server is started. Against `${NAME}` it is hidden in all
//! that is shown, its name is the same on a platform with a vault, and the file says what is secret in it.

use std::env;

use innkeeper::{Secret, SecretError, SecretRequest, SecretStore, transport::BoxFuture};

/// What stands before the name.
const PREFIX: &str = "INNKEEPER_SECRET_";

pub(crate) struct FromEnvironment;

impl SecretStore for FromEnvironment {
    fn resolve(&self, request: SecretRequest) -> BoxFuture<'static, Result<Secret, SecretError>> {
        let variable = format!("{PREFIX}{}", request.name);
        let secret = match env::var(&variable) {
            Ok(value) => Ok(Secret::new(value)),
            Err(env::VarError::NotPresent) => Err(SecretError::new(format!("set the variable {variable}"))),
            Err(env::VarError::NotUnicode(_)) => Err(SecretError::new(format!("{variable} is not valid UTF-8"))),
        };
        Box::pin(async { secret })
    }
}
