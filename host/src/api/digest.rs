//! The spec digest: whether two definitions of a server are the same as far as a connection is concerned.
//!
//! An edit of a timeout must not restart a server, and an edit of its command must. So the settings that a running process or
//! connection was made from have a hash, and the others have not.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Server, catalog::Reach};
use crate::{
    isolation::Confinement,
    names::SpecDigest,
    policy::{Part, Reference, Template},
    transport::{Command, Endpoint},
};

impl Server {
    /// What its connections are made from, as a hash.
    pub fn digest(&self) -> SpecDigest {
        // Whoever adds a setting decides here whether a connection is made from it.
        let Self {
            reach,
            open_timeout: _,
            call_timeout: _,
            revision,
            confinement,
            inherit_home,
            scope,
            tool_rules: _,
            replace: _,
        } = self;
        let mut hash = Fields(Sha256::new());
        match reach {
            Reach::Command(command) => hash.command(command),
            Reach::Connector(connector) => {
                hash.text("connector");
                // As long as a session has it, no other is at its place.
                hash.number(Arc::as_ptr(connector).cast::<()>().addr() as u64);
            }
            Reach::Url(endpoint) => hash.endpoint(endpoint),
        }
        let Confinement { isolation, allow_privileges, limits } = confinement;
        hash.text(isolation.as_str());
        hash.number(u64::from(*allow_privileges));
        for limit in [limits.address_space, limits.open_files, limits.cpu_seconds, Some(limits.core_files.into())] {
            hash.option(limit, Fields::number);
        }
        hash.option(inherit_home.map(u64::from), Fields::number);
        hash.option(revision.as_deref(), Fields::text);
        hash.number(*scope as u64);
        SpecDigest(hash.0.finalize().into())
    }

    /// Whether another definition differs in nothing, beside what the digest says.
    pub(super) fn is_as_patient_as(&self, other: &Self) -> bool {
        self.open_timeout == other.open_timeout
            && self.call_timeout == other.call_timeout
            && self.tool_rules == other.tool_rules
            && self.describe() == other.describe()
    }
}

/// Fields, each with its length, so that no two sequences of them are the same bytes.
struct Fields(Sha256);

impl Fields {
    fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn option<T>(&mut self, value: Option<T>, field: impl FnOnce(&mut Self, T)) {
        self.number(value.is_some().into());
        if let Some(value) = value {
            field(self, value);
        }
    }

    fn command(&mut self, command: &Command) {
        self.text("command");
        self.text(&command.program);
        let path = |fields: &mut Self, path: &std::path::PathBuf| fields.bytes(path.as_os_str().as_encoded_bytes());
        self.option(command.pinned.as_ref(), path);
        self.number(command.args.len() as u64);
        command.args.iter().for_each(|argument| self.text(argument));
        self.number(command.env.len() as u64);
        for (name, value) in &command.env {
            self.text(name);
            self.template(value);
        }
        self.option(command.cwd.as_ref(), path);
    }

    fn endpoint(&mut self, endpoint: &Endpoint) {
        self.text("url");
        self.text(&endpoint.url());
        self.number(endpoint.headers.len() as u64);
        for (name, value) in &endpoint.headers {
            self.text(name);
            self.template(value);
        }
        self.option(endpoint.proxy.as_ref(), Self::template);
        for file in [&endpoint.ca_certificates, &endpoint.client_certificate] {
            self.option(file.as_ref(), |fields, path| fields.bytes(path.as_os_str().as_encoded_bytes()));
        }
        self.number(u64::from(endpoint.private_addresses));
        self.number(u64::from(endpoint.origin_paths));
    }

    fn template(&mut self, value: &Template) {
        self.number(value.parts().len() as u64);
        for part in value.parts() {
            match part {
                // Where a text came from does not matter to whoever is given it.
                Part::Text(text) | Part::Variable(text) => {
                    self.number(0);
                    self.text(text);
                }
                Part::Reference(Reference::Secret(name)) => {
                    self.number(1);
                    self.text(name.as_str());
                }
                Part::Reference(Reference::File(path)) => {
                    self.number(2);
                    self.bytes(path.as_os_str().as_encoded_bytes());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::*;
    use crate::{
        Isolation, ProcessLimits,
        transport::{Connection, connector_fn},
    };

    fn command() -> Command {
        Command::new("server").args(["--key", "value"]).env("A", "b").env_secret("TOKEN", "github")
    }

    fn endpoint() -> Endpoint {
        Endpoint::new("https://a.example/mcp")
    }

    #[test]
    fn what_a_connection_is_made_from_makes_another_digest() {
        let limits = ProcessLimits { open_files: Some(64), ..ProcessLimits::default() };
        let core_files = ProcessLimits { core_files: true, ..ProcessLimits::default() };
        let servers = [
            Server::command(command()),
            Server::command(command().args(["more"])),
            Server::command(
                Command::new("server").args(["--key", "value"]).env("A", "b").env_secret("TOKEN", "gitlab"),
            ),
            Server::command(Command::new("server").args(["--key", "value"]).env("A", "b").env("TOKEN", "github")),
            Server::command(Command::new("server").args(["--key", "value"]).env("A", "b")),
            Server::command(Command::new("server").args(["--keyvalue"]).env("A", "b").env_secret("TOKEN", "github")),
            Server::command(Command::new("other").args(["--key", "value"]).env("A", "b").env_secret("TOKEN", "github")),
            Server::command(command().env("A", "c")),
            Server::command(command().current_dir("/")),
            Server::command(command()).isolation(Isolation::Basic),
            Server::command(command()).allow_privileges(true),
            Server::command(command()).process_limits(limits),
            Server::command(command()).process_limits(core_files),
            Server::command(command()).inherit_home(true),
            Server::command(command()).inherit_home(false),
            Server::command(command()).revision("2025-11-25"),
            Server::command(command()).scope(crate::Scope::Tenant),
            Server::url("https://a.example/mcp"),
            Server::url("https://b.example/mcp"),
            Server::url(endpoint().header("x-key", "1")),
            Server::url(endpoint().header("x-key", "2")),
            Server::url(endpoint().header_secret("x-key", "1")),
            Server::url(endpoint().header_file("x-key", "1")),
            Server::url(endpoint().bearer_secret("1")),
            Server::url(endpoint().bearer_file("1")),
            Server::url(endpoint().proxy("http://proxy")),
            Server::url(endpoint().ca_certificates("/file.pem")),
            Server::url(endpoint().client_certificate("/file.pem")),
            Server::url(endpoint().private_addresses(true)),
            Server::url(endpoint().origin_paths(true)),
        ];

        let digests: BTreeSet<_> = servers.iter().map(Server::digest).collect();

        assert_eq!(digests.len(), servers.len());
    }

    #[test]
    fn what_a_connection_is_not_made_from_makes_none() {
        let server = Server::command(command());
        let patient = server.clone().call_timeout(Duration::from_secs(1)).open_timeout(Duration::from_secs(2));
        let shown = Server::command(command().shown_as("a server"));

        assert_eq!(patient.digest(), server.digest());
        assert_eq!(shown.digest(), server.digest());
        assert!(!patient.is_as_patient_as(&server) && !shown.is_as_patient_as(&server));
    }

    #[test]
    fn a_connector_is_the_same_as_itself_only() {
        let connector = || connector_fn("same", |_| async { Err::<Connection, _>("none".to_owned()) });
        let (one, other) = (connector(), connector());

        assert_eq!(Server::connector(one.clone()).digest(), Server::connector(one.clone()).digest());
        assert_ne!(Server::connector(one).digest(), Server::connector(other).digest());
    }

    #[test]
    fn a_digest_is_shown_as_twelve_digits() {
        let digest = Server::command("server").digest();

        let shown = digest.to_string();

        assert!(shown.len() == 12 && shown.bytes().all(|digit| digit.is_ascii_hexdigit()), "{shown}");
        assert_eq!(format!("{digest:?}"), shown);
    }
}
