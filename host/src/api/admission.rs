//! From the catalogs of a tenant to the servers that it has.
//!
//! All that is wrong is said at once, and before anything is done: a tenant is there with all of its servers or not at all.

use std::collections::BTreeSet;

use super::{
    Catalog,
    catalog::{Reach, Server},
};
use crate::{
    Error,
    names::{ServerName, TenantName},
    policy::{Definition, Policy, Reached, Wishes, admit},
};

/// Violations that an error lists. A tenant that has more mends these first.
const MOST_LISTED: usize = 50;

/// What a tenant may have.
#[derive(Clone)]
pub(super) struct Admission {
    pub(super) catalog: Catalog,
    /// Servers of its catalogs that policy does not let it use.
    pub(super) denied: BTreeSet<ServerName>,
    /// Servers that the tenant brought.
    pub(super) untrusted: BTreeSet<ServerName>,
    pub(super) policy: Policy,
}

impl Admission {
    /// Looks at the catalogs. Blocks: links are followed on disk.
    pub(super) fn of(tenant: &TenantName, policy: Policy, trusted: Catalog, untrusted: Catalog) -> Result<Self, Error> {
        let faults = policy.faults();
        if !faults.is_empty() {
            return Err(Error::InvalidInput { what: "the policy", reason: faults.join("; ") });
        }
        let mut violations = Vec::new();
        let (own, most) = (untrusted.servers().count(), policy.servers_at_most());
        if own > most {
            violations.push(format!(
                "it has {own} servers of its own, and may have {most}; raise `Policy::most_untrusted_servers`"
            ));
        }
        let mut admission =
            Self { catalog: Catalog::new(), denied: BTreeSet::new(), untrusted: BTreeSet::new(), policy };
        // Of more than there may be, each is still looked at, up to what is listed.
        for (name, server) in untrusted.servers().take(most.max(MOST_LISTED)) {
            if trusted.get(name).is_some() {
                let name = name.as_str().escape_debug();
                violations.push(format!("server `{name}`: the platform has one of this name; give it another"));
                continue;
            }
            match admitted(&admission.policy, name, server) {
                Ok(server) => {
                    admission.untrusted.insert(name.clone());
                    admission.add(name, server);
                }
                Err(found) => violations.extend(found),
            }
        }
        if !violations.is_empty() {
            return Err(denied(tenant, &violations));
        }
        for (name, server) in trusted.servers() {
            admission.add(name, server.clone());
        }
        Ok(admission)
    }

    fn add(&mut self, name: &ServerName, server: Server) {
        if self.policy.allows_server(name) {
            self.catalog.insert(name.clone(), server);
        } else {
            self.denied.insert(name.clone());
        }
    }

    /// Why a server that is not in the catalog may not be used, if that is why.
    pub(super) fn check(&self, server: &ServerName) -> Result<(), Error> {
        if !self.denied.contains(server) {
            return Ok(());
        }
        let reason = "the tenant's policy does not let it use this server; see `Policy::allow_servers` and \
                      `Policy::deny_servers`";
        Err(Error::Denied { what: format!("server `{server}`"), reason: reason.to_owned() })
    }

    /// The platform's servers, as the tenant has them.
    pub(super) fn trusted(&self) -> impl Iterator<Item = (&ServerName, &Server)> {
        self.catalog.servers().filter(|(name, _)| !self.untrusted.contains(*name))
    }

    /// The same, as a catalog. What policy does not let the tenant use is not in it.
    pub(super) fn trusted_catalog(&self) -> Catalog {
        self.trusted().fold(Catalog::new(), |trusted, (name, server)| trusted.server(name.clone(), server.clone()))
    }

    /// The same, with what another says of one server.
    pub(super) fn taking(&self, name: &ServerName, from: &Self) -> Self {
        let mut next = self.clone();
        next.catalog.remove(name);
        next.denied.remove(name);
        next.untrusted.remove(name);
        if let Some(server) = from.catalog.get(name) {
            next.catalog.insert(name.clone(), server.clone());
        }
        next.denied.extend(from.denied.get(name).cloned());
        next.untrusted.extend(from.untrusted.get(name).cloned());
        next
    }

    /// The same, with this entry for a server that it has.
    pub(super) fn with(&self, name: &ServerName, server: &Server) -> Self {
        let mut next = self.clone();
        next.catalog.insert(name.clone(), server.clone());
        next
    }

    /// The servers of another catalog of the platform that the tenant could use.
    pub(super) fn usable(&self, catalog: &Catalog) -> Catalog {
        let usable = catalog.servers().filter(|(name, _)| self.policy.allows_server(name));
        usable.fold(Catalog::new(), |usable, (name, server)| usable.server(name.clone(), server.clone()))
    }
}

/// A tenant's own server, as it is started.
fn admitted(policy: &Policy, name: &ServerName, server: &Server) -> Result<Server, Vec<String>> {
    let url;
    let (reached, bytes) = match &server.reach {
        Reach::Command(command) => {
            let reached = Reached::Command {
                program: &command.program,
                shown: command.shown_program(),
                folder: command.cwd.as_deref(),
                variables: &command.env,
            };
            (reached, command.len())
        }
        Reach::Connector(_) => (Reached::Connector, 0),
        Reach::Url(endpoint) => {
            url = endpoint.url();
            let wishes = Wishes {
                proxy: endpoint.proxy.is_some(),
                certificates: endpoint.ca_certificates.is_some() || endpoint.client_certificate.is_some(),
                private_addresses: endpoint.private_addresses,
            };
            (Reached::Url { address: &url, headers: &endpoint.headers, wishes }, endpoint.len())
        }
    };
    let bytes = bytes + name.as_str().len() + server.revision.as_ref().map_or(0, String::len);
    let inherit_home = server.inherit_home == Some(true);
    let definition = Definition { name, reached, confinement: server.confinement, inherit_home, bytes };
    let found = |violations: Vec<_>| violations.iter().map(ToString::to_string).collect::<Vec<_>>();
    let admitted = admit(policy, &definition).map_err(found)?;

    let mut server = server.clone();
    // In a runtime with one tenant too.
    server.inherit_home = Some(false);
    if let Reach::Command(command) = &mut server.reach {
        command.pinned = admitted.program;
        command.cwd = admitted.folder;
    }
    Ok(server)
}

fn denied(tenant: &TenantName, violations: &[String]) -> Error {
    let listed: String = violations.iter().take(MOST_LISTED).map(|violation| format!("\n- {violation}")).collect();
    let more = match violations.len().saturating_sub(MOST_LISTED) {
        0 => String::new(),
        more => format!("\n- and {more} more"),
    };
    let reason = format!("nothing was changed; policy does not allow what it brings:{listed}{more}");
    Error::Denied { what: format!("tenant `{tenant}`"), reason }
}
