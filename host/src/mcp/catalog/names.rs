//! The names of tools in a catalog: safe for every model, no two alike, and the same in whatever order servers answer.
//!
//! A tool is called `server__tool`, or as a rule says. That can be too long, and two tools can come to the same, because
//! characters are replaced and because `a` with `b__c` reads like `a__b` with `c`. There is one way out of both: the tool gets a
//! piece of the hash of what it really is. It depends on that tool alone, so a name does not move when another server comes.
//!
//! Servers choose the names of their tools, and one could choose what the way out gives to another's. So it is taken in rounds,
//! and the tool that has the shorter piece of its hash gives way.

use std::collections::{BTreeSet, HashMap};

use sha2::{Digest, Sha256};

use crate::names::{LONGEST_TOOL_NAME, is_of_tool_names};

/// Hexadecimal digits of the hash, by how often a tool had to give way. Eight tell tools apart that are alike by chance; for
/// eight a server can find two that are not. 32 are as many as nobody can.
const DIGITS: [usize; 3] = [0, 8, 32];

/// A tool that is to have a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) server: &'a str,
    /// As the server calls it.
    pub(super) tool: &'a str,
    /// The name that a rule gives it, which is safe.
    pub(super) name: Option<&'a str>,
}

impl Candidate<'_> {
    /// The name without a hash, up to one character more than it may have.
    fn plain(&self) -> String {
        if let Some(name) = self.name {
            return name.to_owned();
        }
        let safe = |character: char| if is_of_tool_names(character) { character } else { '_' };
        let characters = self.server.chars().chain("__".chars()).chain(self.tool.chars());
        characters.map(safe).take(LONGEST_TOOL_NAME + 1).collect()
    }

    /// The name after giving way so often. None: it is too long.
    fn after(&self, rounds: usize) -> Option<String> {
        let mut name = self.plain();
        if rounds == 0 {
            return (name.len() <= LONGEST_TOOL_NAME).then_some(name);
        }
        // Of ASCII, so that any length is one between characters.
        name.truncate(LONGEST_TOOL_NAME - 1 - DIGITS[rounds]);
        name.push('_');
        name.push_str(&self.hash()[..DIGITS[rounds]]);
        Some(name)
    }

    fn hash(&self) -> String {
        let mut hash = Sha256::new();
        // The length keeps `a` with `bc` from being `ab` with `c`.
        hash.update((self.server.len() as u64).to_be_bytes());
        hash.update(self.server);
        hash.update(self.tool);
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether a tool that is in no catalog could have this name in one.
    pub(super) fn could_be(&self, name: &str) -> bool {
        (0..DIGITS.len()).any(|rounds| self.after(rounds).is_some_and(|own| own == name))
    }
}

/// Whether a tool of a server could have this name in a catalog, whatever the server calls it.
pub(super) fn could_be_of(server: &str, name: &str) -> bool {
    let prefix = Candidate { server, tool: "", name: None }.plain();
    // What is left of it where the name has given way as often as it can.
    let shortest = LONGEST_TOOL_NAME - 1 - DIGITS[DIGITS.len() - 1];
    name.starts_with(&prefix) || (prefix.len() > shortest && name.starts_with(&prefix[..shortest]))
}

/// The names of tools, in the same order. No tool is there twice.
pub(super) fn assign(tools: &[Candidate<'_>]) -> Vec<String> {
    let mut rounds = vec![0_usize; tools.len()];
    let mut names = Vec::with_capacity(tools.len());
    let mut holders: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, tool) in tools.iter().enumerate() {
        let name = tool.after(0).unwrap_or_else(|| {
            rounds[index] = 1;
            tool.after(1).unwrap_or_default()
        });
        holders.entry(name.clone()).or_default().push(index);
        names.push(name);
    }

    let mut changed: BTreeSet<String> = holders.keys().cloned().collect();
    while !changed.is_empty() {
        // All leave before any arrives: what a round gives does not depend on the order within it.
        let mut leaving = Vec::new();
        for name in std::mem::take(&mut changed) {
            let Some(holders) = holders.get_mut(&name) else { continue };
            let fewest = holders.iter().map(|index| rounds[*index]).min().unwrap_or_default();
            if holders.len() < 2 || fewest + 1 == DIGITS.len() {
                continue;
            }
            holders.retain(|index| {
                let stays = rounds[*index] > fewest;
                if !stays {
                    leaving.push(*index);
                }
                stays
            });
            changed.insert(name);
        }
        for index in leaving {
            rounds[index] += 1;
            names[index] = tools[index].after(rounds[index]).unwrap_or_default();
            holders.entry(names[index].clone()).or_default().push(index);
            changed.insert(names[index].clone());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::names::is_tool_name;

    fn candidate<'a>(server: &'a str, tool: &'a str) -> Candidate<'a> {
        Candidate { server, tool, name: None }
    }

    fn renamed<'a>(server: &'a str, tool: &'a str, name: &'a str) -> Candidate<'a> {
        Candidate { server, tool, name: Some(name) }
    }

    #[test]
    fn a_name_tells_of_which_server_a_tool_may_be() {
        let (long, longer) = ("s".repeat(40), "s".repeat(80));
        let tool = "t".repeat(80);
        let servers = ["my.server", long.as_str(), longer.as_str()];

        for server in servers {
            let short = assign(&[candidate(server, "tool")]).remove(0);
            let twice = assign(&[candidate(server, &tool), renamed("other", "x", &short)]).remove(0);

            assert!(could_be_of(server, &short) && could_be_of(server, &twice), "{server}: {short}, {twice}");
            assert!(!could_be_of("other", &short), "{short}");
        }
        assert!(!could_be_of("my", "my_server__tool"));
    }

    #[test]
    fn a_name_is_that_of_the_server_and_of_the_tool_with_what_is_not_safe_replaced() {
        let names = assign(&[
            candidate("github", "search"),
            candidate("my.server", "Get time/now"),
            candidate("zwölf", ""),
            renamed("time", "get_current_time", "now"),
        ]);

        assert_eq!(names, ["github__search", "my_server__Get_time_now", "zw_lf__", "now"]);
    }

    #[test]
    fn a_name_that_is_too_long_is_cut_and_told_apart_by_a_hash() {
        let (long, longer) = ("x".repeat(57), "x".repeat(58));

        let names = assign(&[candidate("serve", &long), candidate("serve", &longer), candidate("serve", "x")]);

        assert_eq!(names[0], format!("serve__{long}"));
        assert_eq!(names[1].len(), 64);
        assert!(names[1].starts_with(&format!("serve__{}_", "x".repeat(48))), "{names:?}");
        assert_eq!(names[2], "serve__x");
    }

    #[test]
    fn each_of_two_tools_of_one_name_gets_a_hash_and_the_same_each_time() {
        let both = [candidate("a", "b__c"), candidate("a__b", "c"), candidate("a", "other")];

        let names = assign(&both);

        // Pinned: what a model was told yesterday has to mean the same tomorrow.
        assert_eq!(names, ["a__b__c_c220063d", "a__b__c_17a08e21", "a__other"]);
    }

    #[test]
    fn a_name_that_a_rule_gives_collides_like_any_other() {
        let names = assign(&[
            renamed("a", "get", "get"),
            renamed("b", "get", "get"),
            candidate("c", "d"),
            renamed("e", "f", "c__d"),
        ]);

        assert!(names[0].starts_with("get_") && names[1].starts_with("get_"), "{names:?}");
        assert!(names[2].starts_with("c__d_") && names[3].starts_with("c__d_"), "{names:?}");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 4);
    }

    #[test]
    fn a_tool_that_is_called_as_another_with_its_hash_gives_way_to_it() {
        let victims = [candidate("a", "b__c"), candidate("a__b", "c")];
        let before = assign(&victims);
        let imitation = before[0].strip_prefix("a__").unwrap();

        let names = assign(&[victims[0], victims[1], candidate("a", imitation)]);

        assert_eq!(names[..2], before);
        assert!(names[2].starts_with(&format!("{}_", before[0])), "{names:?}");
    }

    #[test]
    fn a_chain_of_imitations_ends() {
        // Each is called as the one before it would be after giving way.
        let mut tools = vec![("s".to_owned(), "t".repeat(80)), ("s".to_owned(), "t".repeat(80) + "u")];
        for _ in 0..200 {
            let (server, tool) = tools.last().unwrap();
            let name = candidate(server, tool).after(1).unwrap();
            tools.push(("s".to_owned(), name.strip_prefix("s__").unwrap().to_owned()));
        }
        let candidates: Vec<_> = tools.iter().map(|(server, tool)| candidate(server, tool)).collect();

        let names = assign(&candidates);

        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), tools.len());
    }

    /// Parts that collide in many ways when they are put together.
    fn part() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "[ab_.]{0,4}",
            2 => "(a|b|__|\\.|-|ü){0,6}",
            1 => "[ab]{50,70}",
            1 => "a{60}[ab]?",
        ]
    }

    fn tools() -> impl Strategy<Value = Vec<(String, String, Option<String>)>> {
        let name = prop_oneof![3 => Just(None), 1 => "[ab_]{1,3}".prop_map(Some), 1 => "a{62,64}".prop_map(Some)];
        prop::collection::btree_map((part(), part()), name, 0..24)
            .prop_map(|tools| tools.into_iter().map(|((server, tool), name)| (server, tool, name)).collect())
    }

    fn assigned(tools: &[(String, String, Option<String>)]) -> BTreeMap<(String, String), String> {
        let candidates: Vec<_> =
            tools.iter().map(|(server, tool, name)| Candidate { server, tool, name: name.as_deref() }).collect();
        let names = assign(&candidates);
        tools.iter().map(|(server, tool, _)| (server.clone(), tool.clone())).zip(names).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn names_are_safe_and_unique_and_do_not_depend_on_order(
            (tools, shuffled) in tools().prop_flat_map(|tools| (Just(tools.clone()), Just(tools).prop_shuffle())),
        ) {
            let names = assigned(&tools);

            prop_assert!(names.values().all(|name| is_tool_name(name)), "{names:?}");
            prop_assert_eq!(names.values().collect::<BTreeSet<_>>().len(), tools.len());
            prop_assert_eq!(&names, &assigned(&shuffled));
        }

        #[test]
        fn a_name_without_a_hash_is_one_that_no_other_tool_wants(tools in tools()) {
            let names = assigned(&tools);

            for (server, tool, name) in &tools {
                let own = Candidate { server, tool, name: name.as_deref() };
                let wanted = own.after(0);
                let others = tools.iter().filter(|(a, b, _)| (a, b) != (server, tool));
                let alone = others
                    .map(|(server, tool, name)| Candidate { server, tool, name: name.as_deref() })
                    .all(|other| other.after(0) != wanted);
                if wanted.is_some() && !alone {
                    prop_assert_ne!(Some(&names[&(server.clone(), tool.clone())]), wanted.as_ref());
                }
            }
        }
    }
}
