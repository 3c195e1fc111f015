//! Which server and which tool are meant.
//!
//! Names of servers and of tools may both hold dots, so `SERVER.TOOL` is split where a server is known by the part
//! before the dot, and where several are, at the longest.

use crate::{exit::Failure, servers::Servers};

/// How alike two names must be for one to be suggested for the other, where 1 is equal.
const SIMILAR: f64 = 0.75;

/// Names that an error lists at most: more do not fit on a screen.
const LISTED: usize = 20;

/// The server and the tool of `SERVER.TOOL`.
pub(crate) fn split<'a>(target: &'a str, servers: &'a Servers) -> Result<(&'a str, &'a str), Failure> {
    let names = servers.enabled().chain(servers.disabled());
    let server = names
        .filter(|name| target.strip_prefix(*name).is_some_and(|rest| rest.starts_with('.')))
        .max_by_key(|name| name.len());
    match server.and_then(|name| Some((name, target.get(name.len() + 1..)?))) {
        Some((server, "")) => Err(Failure::usage(format!("`{target}` names no tool")).hint(see_tools(server))),
        Some((server, tool)) => Ok((servers.find(server)?, tool)),
        None if servers.contains(target) => {
            Err(Failure::usage(format!("`{target}` is a server, not a tool")).hint(see_tools(target)))
        }
        None => match target.split_once('.') {
            Some((server, _)) => Err(unknown("server", server, servers.enabled())),
            None => Err(Failure::usage(format!("`{target}` does not name a tool of a server"))
                .hint("write SERVER.TOOL, or give the server after `--` or with --url")),
        },
    }
}

/// The server and what follows it: the first word, or the only server, where that was given on the command line.
pub(crate) fn lead<'a>(
    words: &'a [String],
    servers: &'a Servers,
    usage: &str,
) -> Result<(&'a str, &'a str, &'a [String]), Failure> {
    let (server, words) = match (servers.only(), words) {
        (Some(server), words) => (server, words),
        (None, [server, words @ ..]) => (servers.find(server)?, words),
        (None, []) => return Err(Failure::usage("no server is named").hint(format!("write innkeeper {usage}"))),
    };
    match words {
        [subject, rest @ ..] => Ok((server, subject, rest)),
        [] => Err(Failure::usage(format!("`{server}` is a server, and nothing of it is named"))
            .hint(format!("write innkeeper {usage}"))),
    }
}

fn see_tools(server: &str) -> String {
    format!("`innkeeper tools {server}` lists those that it has")
}

/// Says that there is no `what` of that name, which ones there are, and which was probably meant.
pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let known: Vec<&str> = known.collect();
    let likeness = |candidate: &str| strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase());
    let nearest = known
        .iter()
        .map(|candidate| (likeness(candidate), *candidate))
        .filter(|(likeness, _)| *likeness >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0));

    let mut listed = known.iter().take(LISTED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if known.len() > LISTED {
        listed.push_str(&format!(" and {} more", known.len() - LISTED));
    }
    let hint = match nearest {
        Some((_, nearest)) => format!("did you mean `{nearest}`? there are {listed}"),
        None if known.is_empty() => "there are none".to_owned(),
        None => format!("there are {listed}"),
    };
    let known: Vec<&str> = known.into_iter().take(LISTED).collect();
    Failure::not_found(format!("there is no {what} `{name}`")).hint(hint).detail("known", known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Servers {
        Servers::for_tests(&["time", "my.server", "my"], &["old"])
    }

    fn split_of(target: &str) -> Result<(String, String), String> {
        let servers = servers();
        let split = split(target, &servers).map(|(server, tool)| (server.to_owned(), tool.to_owned()));
        split.map_err(|failure| format!("{}; {}", failure.message, failure.hint.unwrap_or_default()))
    }

    #[test]
    fn a_target_splits_at_the_server_that_exists() {
        let cases = [
            ("time.convert", "time", "convert"),
            ("time.convert.now", "time", "convert.now"),
            ("my.tool", "my", "tool"),
            ("my.server.tool", "my.server", "tool"),
            ("my.serverless", "my", "serverless"),
        ];

        for (target, server, tool) in cases {
            assert_eq!(split_of(target), Ok((server.into(), tool.into())), "{target}");
        }
    }

    #[test]
    fn an_unknown_server_gets_the_nearest_name_or_all_of_them() {
        assert_eq!(
            split_of("tme.convert"),
            Err("there is no server `tme`; did you mean `time`? there are `my`, `my.server`, `time`".into())
        );
        assert_eq!(
            split_of("zzz.convert"),
            Err("there is no server `zzz`; there are `my`, `my.server`, `time`".into())
        );
    }

    #[test]
    fn a_server_without_a_tool_says_how_to_find_one() {
        assert_eq!(
            split_of("time"),
            Err("`time` is a server, not a tool; `innkeeper tools time` lists those that it has".into())
        );
        assert_eq!(
            split_of("time."),
            Err("`time.` names no tool; `innkeeper tools time` lists those that it has".into())
        );
    }

    #[test]
    fn a_target_without_a_dot_says_what_to_write() {
        assert_eq!(
            split_of("convert"),
            Err("`convert` does not name a tool of a server; write SERVER.TOOL, or give the server after `--` or with --url".into())
        );
    }

    #[test]
    fn a_server_leads_what_is_meant_of_it() {
        let servers = servers();
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (both, alone, unknown) = (words(&["time", "a:b", "c"]), words(&["time"]), words(&["tme", "a:b"]));

        let (server, subject, rest) = lead(&both, &servers, "read SERVER URI").expect("all is there");

        assert_eq!((server, subject, rest), ("time", "a:b", &both[2..]));
        let nothing = lead(&alone, &servers, "read SERVER URI").expect_err("no URI");
        assert_eq!(nothing.hint.as_deref(), Some("write innkeeper read SERVER URI"));
        let unknown = lead(&unknown, &servers, "read SERVER URI").expect_err("no such server");
        assert_eq!(unknown.message, "there is no server `tme`");
    }

    #[test]
    fn a_disabled_server_is_said_to_be_disabled() {
        assert!(split_of("old.tool").is_err_and(|message| message.starts_with("the server `old` is disabled")));
    }

    #[test]
    fn a_long_list_of_names_is_cut() {
        let names: Vec<String> = (0..30).map(|number| format!("tool-{number}")).collect();

        let failure = unknown("tool", "xyz", names.iter().map(String::as_str));

        assert!(failure.hint.is_some_and(|hint| hint.ends_with("`tool-19` and 10 more")));
    }
}
