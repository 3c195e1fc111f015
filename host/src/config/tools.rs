//! The rules for tools of an entry: which of its server's tools may be used, and what they are called.
//!
//! Programs have agreed on the thing and on none of its names, so the names of all that mean the same are taken. A list of tools
//! that are used *without asking* (`alwaysAllow`, `autoApprove`) is something else: it denies nothing, and stays an unknown key.

use std::collections::BTreeMap;

use jsonc_parser::ast::{ObjectProp, Value};

use super::{
    context::{Context, KeyPath, Members},
    keys::{ALLOW_KEYS, DENY_KEYS, OF_TOOLS, TRUST_KEY},
};
use crate::names::is_tool_name;

/// Which tools of a server may be used, and what models are told of them. Tools are named as the server names them; in `allow` and
/// `deny`, `*` stands for any characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolsEntry {
    /// Those that may be used. None: all.
    pub allow: Option<Vec<String>>,
    /// Those that may not, also if they are allowed.
    pub deny: Vec<String>,
    /// Other names.
    pub rename: BTreeMap<String, String>,
    /// Other descriptions.
    pub describe: BTreeMap<String, String>,
    /// Whether hints of the server are trusted that a tool may be called twice. None: the file says nothing of it.
    pub trust_idempotence_hints: Option<bool>,
}

/// Reads the rules of an entry, under whatever names they are there. What is wrong with them is reported.
pub(super) fn read(context: &mut Context<'_>, key: &KeyPath, members: &Members<'_>) -> ToolsEntry {
    let mut entry = ToolsEntry::default();
    // Where a list comes from, because two of them may contradict each other.
    let (mut allowed_by, mut denied_by) = (None, None);
    if let Some(property) = members.get("tools") {
        let key = key.member("tools");
        if matches!(property.value, Value::Array(_)) {
            entry.allow = Some(patterns(context, &key, &property.value));
            allowed_by = Some("tools");
        } else if let Some(members) = context.members(&key, &property.value) {
            entry = ToolsEntry {
                allow: members.get("allow").map(|list| patterns(context, &key.member("allow"), &list.value)),
                deny: read_deny(context, &key.member("deny"), members.get("deny").copied()),
                rename: texts(context, &key.member("rename"), members.get("rename").copied()),
                describe: texts(context, &key.member("describe"), members.get("describe").copied()),
                trust_idempotence_hints: members
                    .get(TRUST_KEY)
                    .and_then(|property| context.boolean(&key.member(TRUST_KEY), &property.value)),
            };
            check_names(context, &key.member("rename"), &members, &entry.rename);
            OF_TOOLS.warn_of_others(context, &key, &members);
            allowed_by = entry.allow.as_ref().map(|_| "tools.allow");
            denied_by = members.contains_key("deny").then_some("tools.deny");
        }
    }
    for name in ALLOW_KEYS {
        if let Some(property) = only_list(context, key, members, name, &mut allowed_by) {
            entry.allow = Some(patterns(context, &key.member(name), &property.value));
        }
    }
    for name in DENY_KEYS {
        if let Some(property) = only_list(context, key, members, name, &mut denied_by) {
            entry.deny = patterns(context, &key.member(name), &property.value);
        }
    }
    if entry.allow.as_ref().is_some_and(Vec::is_empty)
        && let Some(property) = allowed_by.and_then(|by| members.get(by.split('.').next().unwrap_or(by)))
    {
        let hint = "remove the list to allow all, or write \"*\"";
        context.warn(*property, key, format!("\"{}\" allows no tool", allowed_by.unwrap_or_default()), hint);
    }
    entry
}

/// The list of that name, where no other says the same.
fn only_list<'t>(
    context: &mut Context<'_>,
    key: &KeyPath,
    members: &Members<'t>,
    name: &'static str,
    by: &mut Option<&'static str>,
) -> Option<&'t ObjectProp<'t>> {
    let property = *members.get(name)?;
    if let Some(other) = by {
        let problem = format!("says the same as {other:?}, which is there too");
        context.error(property, &key.member(name), problem, "keep one of the two");
        return None;
    }
    *by = Some(name);
    Some(property)
}

fn read_deny(context: &mut Context<'_>, key: &KeyPath, property: Option<&ObjectProp<'_>>) -> Vec<String> {
    property.map(|property| patterns(context, key, &property.value)).unwrap_or_default()
}

fn patterns(context: &mut Context<'_>, key: &KeyPath, value: &Value<'_>) -> Vec<String> {
    let Value::Array(array) = value else {
        let hint = "write the names of tools as strings: [\"get_*\", \"search\"]";
        return context.wrong_type(key, value, "an array of strings", hint).unwrap_or_default();
    };
    let elements = array.elements.iter().enumerate();
    elements
        .filter_map(|(index, element)| context.string(&key.element(index), element, "put it in quotes"))
        .map(str::to_owned)
        .collect()
}

fn texts(context: &mut Context<'_>, key: &KeyPath, property: Option<&ObjectProp<'_>>) -> BTreeMap<String, String> {
    let Some(members) = property.and_then(|property| context.members(key, &property.value)) else {
        return BTreeMap::new();
    };
    let mut texts = BTreeMap::new();
    for (name, property) in members {
        if let Some(text) = context.string(&key.member(name), &property.value, "put it in quotes") {
            texts.insert(name.to_owned(), text.to_owned());
        }
    }
    texts
}

fn check_names(context: &mut Context<'_>, key: &KeyPath, members: &Members<'_>, names: &BTreeMap<String, String>) {
    let Some(property) = members.get("rename") else { return };
    for (tool, _) in names.iter().filter(|(_, name)| !is_tool_name(name)) {
        let hint = "write 1 to 64 letters, digits, \"_\" and \"-\"";
        context.error(*property, &key.member(tool), "is not a name that every model takes", hint);
    }
}
