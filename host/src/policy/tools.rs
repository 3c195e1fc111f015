//! Rules for tools: which may be used, and what models are told of them.
//!
//! Plain data. Whoever knows what a call of a tool is enforces it: the [`mcp`](crate::mcp) edge, for the catalog of a user and
//! for each call, made with a raw method name too.

use std::collections::BTreeMap;

use crate::names::{LONGEST_TOOL_NAME, is_tool_name};

/// Which tools may be used, and what models are told of them: of one server ([`Server::tool_rules`](crate::Server::tool_rules)),
/// or of all servers of a tenant ([`TenantBuilder::tool_rules`](crate::TenantBuilder::tool_rules)), which then both have to allow
/// a tool.
///
/// All names are those that the server has. A pattern is a name in which `*` stands for any characters, or none; nothing else in
/// it is special. Where there is a deny list, prefer an allow list: what the next version of a server brings is on neither.
///
/// ```
/// use innkeeper::{Server, ToolRules};
///
/// let rules = ToolRules::new()
///     .allow("get_*")
///     .allow("convert_time")
///     .deny("get_secret*")
///     .rename("get_current_time", "now")
///     .describe("get_current_time", "The time of day in a time zone.");
/// let server = Server::command("mcp-server-time").tool_rules(rules);
/// # drop(server);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolRules {
    /// None: all.
    allow: Option<Vec<String>>,
    deny: Vec<String>,
    names: BTreeMap<String, String>,
    descriptions: BTreeMap<String, String>,
    /// None: these rules say nothing of it.
    trust_idempotence_hints: Option<bool>,
}

impl ToolRules {
    /// Rules that allow everything and change nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows tools, and with the first pattern no others any more. Default: all.
    #[must_use]
    pub fn allow(mut self, pattern: impl Into<String>) -> Self {
        self.allow.get_or_insert_default().push(pattern.into());
        self
    }

    /// Allows no tool but those that [`allow`](Self::allow) names: an allow list that may be empty.
    #[must_use]
    pub fn allow_only_listed(mut self) -> Self {
        self.allow.get_or_insert_default();
        self
    }

    /// Denies tools, also those that are allowed.
    #[must_use]
    pub fn deny(mut self, pattern: impl Into<String>) -> Self {
        self.deny.push(pattern.into());
        self
    }

    /// Gives a tool another name in the catalog: the whole of it, without the server's. It must be
    /// `[A-Za-z0-9_-]{1,64}`, else the tenant is not made. Where two tools of a catalog have the same name, each is told apart as
    /// [`ToolCatalog`](crate::mcp::ToolCatalog) says.
    #[must_use]
    pub fn rename(mut self, tool: impl Into<String>, name: impl Into<String>) -> Self {
        self.names.insert(tool.into(), name.into());
        self
    }

    /// Gives a tool another description in the catalog.
    #[must_use]
    pub fn describe(mut self, tool: impl Into<String>, description: impl Into<String>) -> Self {
        self.descriptions.insert(tool.into(), description.into());
        self
    }

    /// Whether calls of a tool are made again, once, where their connection was lost before the answer came and the server says of
    /// the tool, by `readOnlyHint` or `idempotentHint`, that a second call does no more than the first. Default: no; then only those are
    /// made again of which the caller says so ([`ToolCallBuilder::idempotent`](crate::mcp::ToolCallBuilder::idempotent), which
    /// counts more than any hint).
    ///
    /// **Hints are what a server says of itself.** The specification has clients take them as untrusted unless they come from a
    /// server that is trusted: one that calls a payment read-only has it made twice. So allow this for servers whose hints you have
    /// read, rather than for a tenant; in the rules of a tenant it is for all of its servers, those that it brings itself
    /// included. Where those of the tenant or those of the server say `false`, hints are not trusted.
    ///
    /// A hint counts if the user's catalog has it when the call is made, and has it still, and not as
    /// [stale](crate::mcp::CatalogTool::stale), when the connection is lost. So without [`Tenant::tools`](crate::Tenant::tools) or
    /// [`Tenant::call_tool`](crate::Tenant::call_tool) none does; and none of a server that has announced other tools, or has been
    /// connected to anew, until it has said which they are. Of raw calls none counts.
    #[must_use]
    pub fn trust_idempotence_hints(mut self, trust: bool) -> Self {
        self.trust_idempotence_hints = Some(trust);
        self
    }

    /// What is wrong with the rules, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.names.iter().find(|(_, name)| !is_tool_name(name)) {
            Some((tool, name)) => Err(format!(
                "`{tool}` is renamed to `{name}`; a name has 1 to {LONGEST_TOOL_NAME} letters, digits, `_` and `-`"
            )),
            None => Ok(()),
        }
    }

    /// Whether some tool may be refused by them.
    pub(crate) fn restrict(&self) -> bool {
        self.allow.is_some() || !self.deny.is_empty()
    }

    /// Why a tool may not be used; none: it may.
    pub(crate) fn refusal(&self, tool: &str) -> Option<String> {
        if let Some(pattern) = self.deny.iter().find(|pattern| matches(pattern, tool)) {
            return Some(format!("deny `{pattern}`"));
        }
        let allow = self.allow.as_ref()?;
        if allow.iter().any(|pattern| matches(pattern, tool)) {
            return None;
        }
        Some(match allow.as_slice() {
            [] => "allow no tool".to_owned(),
            patterns => format!("allow only {}", listed(patterns)),
        })
    }

    /// The name that a tool has in place of its own.
    pub(crate) fn name(&self, tool: &str) -> Option<&str> {
        self.names.get(tool).map(String::as_str)
    }

    /// Whether some tool has this name in place of its own.
    pub(crate) fn gives(&self, name: &str) -> bool {
        self.names.values().any(|given| given == name)
    }

    /// Whether hints are trusted, where the rules say so or otherwise.
    pub(crate) fn trusts_idempotence_hints(&self) -> Option<bool> {
        self.trust_idempotence_hints
    }

    /// The description that a tool has in place of its own.
    pub(crate) fn description(&self, tool: &str) -> Option<&str> {
        self.descriptions.get(tool).map(String::as_str)
    }
}

/// Patterns that an error lists at most.
const MOST_LISTED: usize = 20;

fn listed(patterns: &[String]) -> String {
    let quoted = patterns.iter().take(MOST_LISTED).map(|pattern| format!("`{pattern}`"));
    let mut listed = quoted.collect::<Vec<_>>().join(", ");
    if patterns.len() > MOST_LISTED {
        listed.push_str(&format!(" and {} more", patterns.len() - MOST_LISTED));
    }
    listed
}

/// Whether a name is one that a pattern stands for. In time linear in the name, which is the server's to
/// choose: the leftmost place of each part is as good as any later one.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let (parts, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in parts.split('*') {
        let Some(at) = memchr::memmem::find(name.as_bytes(), part.as_bytes()) else { return false };
        // At the beginning of a character, because parts are text.
        name = &name[at + part.len()..];
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_nothing_else_is_special() {
        let cases = [
            ("get", "get", true),
            ("get", "get_time", false),
            ("get_*", "get_time", true),
            ("get_*", "get_", true),
            ("get_*", "forget_", false),
            ("*", "", true),
            ("*", "anything", true),
            ("**", "", true),
            ("*_repo", "delete_repo", true),
            ("*_repo", "delete_repository", false),
            ("a*b", "ab", true),
            ("a*b", "acb", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*ab*ab", "abab", false),
            ("ü*ß", "übermaß", true),
            ("get?", "gets", false),
            ("[a-z]*", "a", false),
            (".*", "a", false),
            ("Get", "get", false),
            ("", "", true),
            ("", "a", false),
        ];

        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern:?} and {name:?}");
        }
    }

    /// The definition, in exponential time.
    fn matches_by_definition(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=name.len()).any(|taken| matches_by_definition(rest, &name[taken..])),
            ([p, pattern @ ..], [n, name @ ..]) => p == n && matches_by_definition(pattern, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_means_what_its_definition_says(pattern in "[ab*]{0,8}", name in "[ab]{0,10}") {
            prop_assert_eq!(
                matches(&pattern, &name),
                matches_by_definition(pattern.as_bytes(), name.as_bytes())
            );
        }
    }

    #[test]
    fn denial_wins_and_without_an_allow_list_all_are_allowed() {
        let none = ToolRules::new();
        let deny = ToolRules::new().deny("delete_*");
        let both = ToolRules::new().allow("get_*").allow("delete_draft").deny("delete_*");
        let nothing = ToolRules::new().allow_only_listed();

        assert_eq!(none.refusal("delete_repo"), None);
        assert_eq!(deny.refusal("get"), None);
        assert_eq!(deny.refusal("delete_repo").as_deref(), Some("deny `delete_*`"));
        assert_eq!(both.refusal("get_repo"), None);
        assert_eq!(both.refusal("delete_draft").as_deref(), Some("deny `delete_*`"));
        assert_eq!(both.refusal("push").as_deref(), Some("allow only `get_*`, `delete_draft`"));
        assert_eq!(nothing.refusal("get").as_deref(), Some("allow no tool"));
    }

    #[test]
    fn only_allowing_and_denying_restrict() {
        assert!(!ToolRules::new().rename("a", "b").describe("a", "c").restrict());
        assert!(ToolRules::new().allow("*").restrict());
        assert!(ToolRules::new().allow_only_listed().restrict());
        assert!(ToolRules::new().deny("a").restrict());
    }

    #[test]
    fn another_name_must_be_one_that_every_model_takes() {
        for name in ["now", "a-b_C9", &"x".repeat(64)] {
            assert_eq!(ToolRules::new().rename("get", name).check(), Ok(()), "{name}");
        }
        for name in ["", "a b", "a.b", "zwölf", &"x".repeat(65)] {
            let problem = ToolRules::new().rename("get", name).check().unwrap_err();
            assert!(problem.starts_with("`get` is renamed to"), "{problem}");
        }
    }
}
