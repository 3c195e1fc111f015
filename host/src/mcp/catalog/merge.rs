//! Many lists as one: names, rules, and what a model would see of it.

use std::{collections::HashSet, sync::Arc};

use super::{
    super::{Tool, rules::Rules},
    CatalogTool,
    lists::{List, Source},
    names::{Candidate, assign},
};
use crate::ServerName;

/// The tools that may be used, by name. A name that a server lists twice counts once: a call could not tell the two apart.
pub(super) fn merge(sources: &[(ServerName, Source)], rules: &Rules) -> Vec<CatalogTool> {
    let mut admitted: Vec<(&ServerName, &Arc<Tool>, bool)> = Vec::new();
    for (server, list, stale) in known(sources) {
        let mut listed = HashSet::new();
        let of_server = list.tools.iter().filter(|tool| listed.insert(tool.name.as_str()));
        admitted
            .extend(of_server.filter(|tool| rules.admit(server, &tool.name).is_ok()).map(|tool| (server, tool, stale)));
    }
    let candidates: Vec<_> = admitted.iter().map(|(server, tool, _)| candidate(server, tool, rules)).collect();
    let names = assign(&candidates);
    let named = names.into_iter().zip(admitted).map(|(name, (server, tool, stale))| CatalogTool {
        name,
        server: server.clone(),
        tool: tool.clone(),
        stale,
        description: rules.description(server, &tool.name).map(str::to_owned),
    });
    let mut tools: Vec<_> = named.collect();
    // Not as servers list them, which may differ from one answer to the next.
    tools.sort_by(|a, b| a.name.cmp(&b.name));
    tools
}

/// A tool that is denied, and that would have this name if it were not.
pub(super) fn denied<'a>(
    name: &str,
    sources: &'a [(ServerName, Source)],
    rules: &Rules,
) -> Option<(&'a ServerName, &'a str)> {
    let tools = known(sources).flat_map(|(server, list, _)| list.tools.iter().map(move |tool| (server, tool)));
    let mut denied = tools.filter(|(server, tool)| rules.admit(server, &tool.name).is_err());
    denied
        .find(|(server, tool)| candidate(server, tool, rules).could_be(name))
        .map(|(server, tool)| (server, tool.name.as_str()))
}

/// Whether a model would see the same of both.
pub(super) fn looks_alike(a: &[CatalogTool], b: &[CatalogTool]) -> bool {
    let same = |a: &CatalogTool, b: &CatalogTool| {
        let tools_alike = Arc::ptr_eq(&a.tool, &b.tool) || a.tool == b.tool;
        a.name == b.name && a.server == b.server && a.description == b.description && tools_alike
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

fn known(sources: &[(ServerName, Source)]) -> impl Iterator<Item = (&ServerName, &List, bool)> {
    sources.iter().filter_map(|(server, source)| match source {
        Source::Known { list, stale } => Some((server, &**list, *stale)),
        Source::Failed(_) => None,
    })
}

fn candidate<'a>(server: &'a ServerName, tool: &'a Tool, rules: &'a Rules) -> Candidate<'a> {
    Candidate { server: server.as_str(), tool: &tool.name, name: rules.name(server, &tool.name) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Catalog, Error, MayHaveRun, Server, ToolRules};

    fn source(tools: &[&str], stale: bool) -> Source {
        let tools = tools.iter().map(|name| Arc::new(tool(name, "as the server has it")));
        Source::Known { list: Arc::new(List { tools: tools.collect(), bytes: 1 }), stale }
    }

    fn tool(name: &str, description: &str) -> Tool {
        let list = json!({ "tools": [{ "name": name, "description": description }] });
        super::super::super::tool::list(list.to_string().into()).unwrap().remove(0)
    }

    fn rules(of_server: ToolRules) -> Rules {
        let catalog = Catalog::new().server("a", Server::url("http://localhost").tool_rules(of_server));
        Rules::new(&catalog, &ToolRules::new()).unwrap()
    }

    fn names(tools: &[CatalogTool]) -> Vec<&str> {
        tools.iter().map(|tool| tool.name.as_str()).collect()
    }

    #[test]
    fn what_is_denied_is_not_there_and_what_is_renamed_has_its_other_name_and_description() {
        let rules = rules(ToolRules::new().deny("delete_*").rename("get", "fetch").describe("get", "of the rules"));
        let sources =
            [("a".into(), source(&["get", "delete_all", "put"], false)), ("b".into(), source(&["get"], true))];

        let tools = merge(&sources, &rules);

        assert_eq!(names(&tools), ["a__put", "b__get", "fetch"]);
        assert_eq!((tools[2].description(), tools[2].tool.name.as_str()), (Some("of the rules"), "get"));
        assert_eq!((tools[1].description(), tools[1].stale), (Some("as the server has it"), true));
        assert!(!tools[0].stale);
    }

    #[test]
    fn the_order_of_servers_and_of_their_lists_is_no_matter() {
        let rules = rules(ToolRules::new());
        let (first, second) = (source(&["x", "y", "b__c"], false), source(&["c"], false));

        let one = merge(&[("a".into(), first), ("a__b".into(), second.clone())], &rules);
        let other = merge(&[("a__b".into(), second), ("a".into(), source(&["b__c", "y", "x"], false))], &rules);

        assert_eq!(names(&one).len(), 4);
        assert!(looks_alike(&one, &other));
    }

    #[test]
    fn a_name_that_is_listed_twice_counts_once() {
        let list = List { tools: vec![Arc::new(tool("x", "first")), Arc::new(tool("x", "second"))], bytes: 1 };
        let source = Source::Known { list: Arc::new(list), stale: false };

        let tools = merge(&[("a".into(), source)], &rules(ToolRules::new()));

        assert_eq!((names(&tools), tools[0].description()), (vec!["a__x"], Some("first")));
    }

    #[test]
    fn a_denied_tool_is_found_by_each_name_that_it_could_have() {
        let rules = rules(ToolRules::new().deny("delete_*").rename("delete_one", "rm"));
        let long = format!("delete_{}", "x".repeat(80));
        let sources = [("a".into(), source(&["delete_all", "delete_one", "get", &long], false))];
        let cut = assign(&[Candidate { server: "a", tool: &long, name: None }]).remove(0);

        let found = |name: &str| denied(name, &sources, &rules).map(|(_, tool)| tool.to_owned());

        assert_eq!(found("a__delete_all").as_deref(), Some("delete_all"));
        assert_eq!(found("rm").as_deref(), Some("delete_one"));
        assert_eq!(found(&cut), Some(long));
        assert_eq!(found("a__get"), None);
        assert_eq!(found("a__delete_one"), None);
    }

    #[test]
    fn a_server_that_failed_has_no_tools_and_hides_none() {
        let failed = Error::Closing { what: "it".to_owned(), may_have_run: MayHaveRun::No };
        let sources = [("a".into(), Source::Failed(Arc::new(failed))), ("b".into(), source(&["x"], false))];

        assert_eq!(names(&merge(&sources, &rules(ToolRules::new()))), ["b__x"]);
    }
}
