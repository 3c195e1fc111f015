//! The rules for tools that bind a tenant's calls: those of each server, and those of the tenant.

use std::collections::BTreeMap;

use super::Tool;
use crate::{Catalog, Error, ServerName, ToolRules, names::SpecDigest};

pub(super) struct Rules {
    of_tenant: ToolRules,
    /// Those that say something.
    of_servers: BTreeMap<ServerName, ToolRules>,
    /// What the definitions are, to know another when it comes.
    digests: BTreeMap<ServerName, SpecDigest>,
    /// Those of definitions that have been replaced: they bind the sessions that were opened with them, which others hold yet.
    earlier: BTreeMap<(ServerName, SpecDigest), ToolRules>,
}

/// Definitions that are remembered after they were replaced. Their sessions are held for a minute more, as a rule.
const MOST_EARLIER: usize = 1_024;

/// The rules that bind one session.
pub(super) struct OfSession<'a> {
    rules: &'a Rules,
    /// None: those of its server are in force.
    earlier: Option<&'a ToolRules>,
}

impl OfSession<'_> {
    /// Whether some tool may be refused.
    pub(super) fn restrict(&self, server: &ServerName) -> bool {
        match self.earlier {
            Some(earlier) => earlier.restrict() || self.rules.of_tenant.restrict(),
            None => self.rules.restrict(server),
        }
    }

    /// Whether a tool may be used, or which rule is against it.
    pub(super) fn admit(&self, server: &ServerName, tool: &str) -> Result<(), Error> {
        match self.earlier {
            Some(earlier) => self.rules.admit_by(Some(earlier), server, tool),
            None => self.rules.admit(server, tool),
        }
    }

    /// What is known of tools is of the definition that is in force: of another nothing is believed.
    pub(super) fn trust_idempotence_hints(&self, server: &ServerName) -> bool {
        self.earlier.is_none() && self.rules.trust_idempotence_hints(server)
    }

    /// Leaves out what is denied.
    pub(super) fn retain_admitted(&self, server: &ServerName, tools: &mut Vec<Tool>) {
        if self.restrict(server) {
            tools.retain(|tool| self.admit(server, &tool.name).is_ok());
        }
    }
}

impl Rules {
    /// The rules of a tenant, or what is wrong with them.
    pub(super) fn new(catalog: &Catalog, of_tenant: &ToolRules) -> Result<Self, Error> {
        let invalid = |whose: &str, problem: String| Error::InvalidInput {
            what: "the rules for tools",
            reason: format!("in those of {whose}, {problem}"),
        };
        of_tenant.check().map_err(|problem| invalid("the tenant", problem))?;
        let mut of_servers = BTreeMap::new();
        for (name, server) in catalog.servers() {
            let rules = server.rules_for_tools();
            rules.check().map_err(|problem| invalid(&format!("server `{name}`"), problem))?;
            if *rules != ToolRules::default() {
                of_servers.insert(name.clone(), rules.clone());
            }
        }
        let digests = catalog.servers().map(|(name, server)| (name.clone(), server.digest())).collect();
        Ok(Self { of_tenant: of_tenant.clone(), of_servers, digests, earlier: BTreeMap::new() })
    }

    /// Those of the same tenant with another catalog. Sessions with servers that are other ones now, or gone, are bound as before.
    pub(super) fn with(&self, catalog: &Catalog) -> Result<Self, Error> {
        let mut next = Self::new(catalog, &self.of_tenant)?;
        next.earlier = self.earlier.clone();
        for (server, digest) in &self.digests {
            let rules = self.of_servers.get(server).cloned().unwrap_or_default();
            next.earlier.insert((server.clone(), *digest), rules);
        }
        next.earlier.retain(|(server, digest), _| next.digests.get(server) != Some(digest));
        while next.earlier.len() > MOST_EARLIER {
            next.earlier.pop_first();
        }
        Ok(next)
    }

    /// The rules that bind a session which was opened with this definition of its server.
    pub(super) fn of_session(&self, server: &ServerName, digest: SpecDigest) -> OfSession<'_> {
        OfSession { rules: self, earlier: self.earlier.get(&(server.clone(), digest)) }
    }

    /// Whether some tool of a server may be refused.
    pub(super) fn restrict(&self, server: &ServerName) -> bool {
        self.of_tenant.restrict() || self.of_servers.get(server).is_some_and(ToolRules::restrict)
    }

    /// Whether a tool may be used, or which rule is against it.
    pub(super) fn admit(&self, server: &ServerName, tool: &str) -> Result<(), Error> {
        self.admit_by(self.of_servers.get(server), server, tool)
    }

    fn admit_by(&self, of_server: Option<&ToolRules>, server: &ServerName, tool: &str) -> Result<(), Error> {
        let of_server = of_server.and_then(|rules| rules.refusal(tool)).map(|rule| ("server", rule));
        let refusal = of_server.or_else(|| self.of_tenant.refusal(tool).map(|rule| ("tenant", rule)));
        match refusal {
            None => Ok(()),
            Some((whose, rule)) => Err(Error::Denied {
                what: format!("tool `{tool}` of server `{server}`"),
                reason: format!("the {whose}'s rules for tools {rule}; change them to have it"),
            }),
        }
    }

    /// Refuses a call of which it is not clear what tool it is of.
    pub(super) fn refuse_unnamed(server: &ServerName, problem: &str) -> Error {
        Error::Denied {
            what: format!("a call of a tool of server `{server}`"),
            reason: format!(
                "there are rules for its tools, and the parameters do not name one in a way that all servers read alike: {problem}"
            ),
        }
    }

    /// The name that a tool has in place of its own.
    pub(super) fn name(&self, server: &ServerName, tool: &str) -> Option<&str> {
        self.first(server, |rules| rules.name(tool))
    }

    /// Whether a tool of the server may have this name in place of its own.
    pub(super) fn give(&self, server: &ServerName, name: &str) -> bool {
        self.of_servers.get(server).is_some_and(|rules| rules.gives(name)) || self.of_tenant.gives(name)
    }

    /// The description that a tool has in place of its own.
    pub(super) fn description(&self, server: &ServerName, tool: &str) -> Option<&str> {
        self.first(server, |rules| rules.description(tool))
    }

    /// Whether a server is believed that a tool may be called twice: somebody says so, and nobody otherwise.
    pub(super) fn trust_idempotence_hints(&self, server: &ServerName) -> bool {
        let of_server = self.of_servers.get(server).and_then(ToolRules::trusts_idempotence_hints);
        let said = [of_server, self.of_tenant.trusts_idempotence_hints()];
        said.contains(&Some(true)) && !said.contains(&Some(false))
    }

    /// What the server's rules say, or else those of the tenant.
    fn first<'a>(&'a self, server: &ServerName, say: impl Fn(&'a ToolRules) -> Option<&'a str>) -> Option<&'a str> {
        self.of_servers.get(server).and_then(&say).or_else(|| say(&self.of_tenant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Server;

    fn catalog(rules: ToolRules) -> Catalog {
        Catalog::new().server("github", Server::url("http://localhost").tool_rules(rules))
    }

    fn reason(error: Error) -> String {
        match error {
            Error::Denied { what, reason } => format!("{what}: {reason}"),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn both_the_server_s_rules_and_the_tenant_s_must_allow() {
        let rules = Rules::new(&catalog(ToolRules::new().deny("delete_*")), &ToolRules::new().allow("*_repo")).unwrap();
        let (github, other) = ("github".into(), "other".into());

        assert!(rules.admit(&github, "get_repo").is_ok());
        assert!(rules.admit(&other, "delete_repo").is_ok());
        assert_eq!(
            reason(rules.admit(&github, "delete_repo").unwrap_err()),
            "tool `delete_repo` of server `github`: the server's rules for tools deny `delete_*`; change them to have it"
        );
        assert_eq!(
            reason(rules.admit(&github, "get_issue").unwrap_err()),
            "tool `get_issue` of server `github`: the tenant's rules for tools allow only `*_repo`; change them to have it"
        );
    }

    #[test]
    fn what_the_server_s_rules_call_a_tool_counts_before_what_the_tenant_s_do() {
        let of_server = ToolRules::new().rename("get", "fetch").describe("get", "of the server");
        let of_tenant = ToolRules::new().rename("get", "have").rename("put", "give").describe("get", "of the tenant");
        let rules = Rules::new(&catalog(of_server), &of_tenant).unwrap();
        let (github, other) = ("github".into(), "other".into());

        assert_eq!((rules.name(&github, "get"), rules.name(&github, "put")), (Some("fetch"), Some("give")));
        assert_eq!((rules.name(&other, "get"), rules.name(&other, "say")), (Some("have"), None));
        assert_eq!(rules.description(&github, "get"), Some("of the server"));
        assert_eq!(rules.description(&other, "get"), Some("of the tenant"));
        assert!(!rules.restrict(&github));
    }

    #[test]
    fn hints_are_trusted_where_somebody_says_so_and_nobody_otherwise() {
        let says = |trust: Option<bool>| {
            trust.map_or_else(ToolRules::new, |trust| ToolRules::new().trust_idempotence_hints(trust))
        };
        let cases = [
            (None, None, false),
            (Some(true), None, true),
            (None, Some(true), true),
            (Some(true), Some(true), true),
            (Some(false), Some(true), false),
            (Some(true), Some(false), false),
            (Some(false), None, false),
        ];

        for (of_server, of_tenant, trusted) in cases {
            let rules = Rules::new(&catalog(says(of_server)), &says(of_tenant)).unwrap();
            assert_eq!(rules.trust_idempotence_hints(&"github".into()), trusted, "{of_server:?} {of_tenant:?}");
        }
    }

    #[test]
    fn a_name_that_a_model_would_not_take_is_invalid_and_whose_it_is_is_said() {
        let bad = ToolRules::new().rename("get", "a.b");

        let of_server = Rules::new(&catalog(bad.clone()), &ToolRules::new()).err().unwrap();
        let of_tenant = Rules::new(&Catalog::new(), &bad).err().unwrap();

        assert_eq!(of_server.code(), "invalid_input");
        assert!(
            of_server.to_string().contains("in those of server `github`, `get` is renamed to `a.b`"),
            "{of_server}"
        );
        assert!(of_tenant.to_string().contains("in those of the tenant, `get`"), "{of_tenant}");
    }
}
