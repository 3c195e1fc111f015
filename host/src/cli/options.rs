//! What can be said on the command line.
//!
//! Options that mean the same for every verb are global and may stand before or after it, because nobody remembers
//! which way round a program wants them. A server that is in no file can be given after `--`, as a command of its own,
//! or with `--url`.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand};
use innkeeper::config::parse_duration;

/// Uses the tools of MCP servers, through a client that runs as a WebAssembly guest.
#[derive(Debug, Parser)]
#[command(name = "innkeeper", version, after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  innkeeper tools                                  tools of all servers in ./mcp.json
  innkeeper call time.convert_time time=16:30      a tool of one of them
  innkeeper tools -- npx -y @scope/server          tools of a server that is in no file
  innkeeper tools --url http://localhost:3001/mcp  the same over HTTP
  innkeeper read files file:///notes.txt           a resource of a server
  innkeeper inspect files                          what it is, what it offers, and how fast

Exit status:
  0    fine
  1    the tool reports an error
  2    usage or configuration
  3    server or transport, time-outs included
  4    refused by a limit or policy
  130  interrupted, after everything was closed";

/// What every verb understands.
#[derive(Args, Clone, Debug)]
pub(crate) struct GlobalOptions {
    /// The file that lists the servers [default: ./mcp.json, ./.mcp.json, then innkeeper/mcp.json in the user's
    /// configuration folder]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,

    /// A component to run as the client, instead of the built-in one
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) guest: Option<PathBuf>,

    /// Print one JSON document to standard output, and nothing else there
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// How long opening a server may take, and each request to it, such as 30s, 500ms or 2m [default: 30s to open, 60s
    /// for a request since its last progress]
    #[arg(long, value_name = "DURATION", global = true, value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,

    /// Say more on standard error: once what happens and what servers write there, twice for debugging, thrice
    /// everything
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the servers of the configuration; opens none
    List,
    /// List the tools of one server, or of all that are enabled
    Tools {
        /// A server of the configuration
        #[arg(conflicts_with_all = ["command", "url"])]
        server: Option<String>,
        #[command(flatten)]
        ad_hoc: AdHoc,
    },
    /// Call a tool
    Call(CallOptions),
    /// List the resources of one server, or of all that are enabled
    Resources {
        /// A server of the configuration
        #[arg(conflicts_with_all = ["command", "url"])]
        server: Option<String>,
        #[command(flatten)]
        ad_hoc: AdHoc,
    },
    /// Read a resource
    Read(ReadOptions),
    /// List the prompts of one server, or of all that are enabled
    Prompts {
        /// A server of the configuration
        #[arg(conflicts_with_all = ["command", "url"])]
        server: Option<String>,
        #[command(flatten)]
        ad_hoc: AdHoc,
    },
    /// Get a prompt, filled in
    Prompt(PromptOptions),
    /// Say what a server is and offers, and how long each step with it takes
    Inspect {
        /// A server of the configuration; may be left out where there is only one
        #[arg(conflicts_with_all = ["command", "url"])]
        server: Option<String>,
        #[command(flatten)]
        ad_hoc: AdHoc,
    },
    /// Open one server, or all that are enabled, and measure a ping
    Ping {
        /// A server of the configuration
        #[arg(conflicts_with_all = ["command", "url"])]
        server: Option<String>,
        #[command(flatten)]
        ad_hoc: AdHoc,
    },
    /// Say what this machine gives for servers: whether they can be kept from each other
    Doctor,
    /// Look at the configuration
    Config {
        #[command(subcommand)]
        verb: ConfigVerb,
    },
}

/// What to call, and with what.
#[derive(Args, Debug)]
pub(crate) struct CallOptions {
    /// The tool, as SERVER.TOOL; with a server after `--` or `--url`, just TOOL
    #[arg(value_name = "TOOL")]
    pub(crate) target: String,

    /// Arguments: key=value for a string, key:=json for anything else
    #[arg(value_name = "KEY=VALUE", conflicts_with = "args")]
    pub(crate) arguments: Vec<String>,

    /// All arguments as one JSON object, from a file with @FILE, from standard input with -
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    pub(crate) args: Option<String>,

    #[command(flatten)]
    pub(crate) saving: Saving,

    #[command(flatten)]
    pub(crate) ad_hoc: AdHoc,
}

/// What to read.
#[derive(Args, Debug)]
pub(crate) struct ReadOptions {
    /// The server and the URI of the resource; with a server after `--` or `--url`, just the URI
    #[arg(value_names = ["SERVER", "URI"], required = true, num_args = 1..=2)]
    pub(crate) words: Vec<String>,

    #[command(flatten)]
    pub(crate) saving: Saving,

    #[command(flatten)]
    pub(crate) ad_hoc: AdHoc,
}

/// Which prompt to get, and what to fill it in with.
#[derive(Args, Debug)]
pub(crate) struct PromptOptions {
    /// The server, the name of the prompt, and its arguments as key=value; with a server after `--` or `--url`, no SERVER
    #[arg(value_names = ["SERVER", "NAME", "KEY=VALUE"], required = true, num_args = 1..)]
    pub(crate) words: Vec<String>,

    /// All arguments as one JSON object, from a file with @FILE, from standard input with -
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    pub(crate) args: Option<String>,

    #[command(flatten)]
    pub(crate) saving: Saving,

    #[command(flatten)]
    pub(crate) ad_hoc: AdHoc,
}

/// What to do with what is not text.
#[derive(Args, Debug)]
pub(crate) struct Saving {
    /// A folder to save images, sounds and other files in, which is made where it is not there. No file is ever written over
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// A server that is in no file.
#[derive(Args, Debug)]
pub(crate) struct AdHoc {
    /// A server to start, instead of those of the configuration: its command and arguments
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["config", "url"])]
    pub(crate) command: Vec<String>,

    /// A server to reach over HTTP, instead of those of the configuration
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    pub(crate) url: Option<String>,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Say what is in it and what is wrong with it; opens no server
    Check,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(words: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["innkeeper"], words].concat())
    }

    fn call(words: &[&str]) -> CallOptions {
        match parse(words).expect("a valid command line").verb {
            Verb::Call(options) => options,
            other => panic!("not a call: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_verb() {
        let lines = [
            ["--json", "--timeout", "5s", "--config", "a.json", "tools"],
            ["tools", "--json", "--timeout", "5s", "--config", "a.json"],
        ];

        for line in lines {
            let options = parse(&line).expect("a valid command line").global;

            assert!(options.json);
            assert_eq!(options.timeout, Some(Duration::from_secs(5)));
            assert_eq!(options.config, Some("a.json".into()));
        }
    }

    #[test]
    fn global_options_reach_a_verb_of_a_verb() {
        assert!(parse(&["config", "check", "--json"]).expect("a valid command line").global.json);
    }

    #[test]
    fn verbosity_is_counted() {
        assert_eq!(parse(&["-vv", "list"]).expect("a valid command line").global.verbose, 2);
        assert_eq!(parse(&["list", "-v", "-v", "-v"]).expect("a valid command line").global.verbose, 3);
    }

    #[test]
    fn arguments_of_a_tool_end_where_an_ad_hoc_server_begins() {
        let options = call(&["call", "echo", "a=b", "c:=1", "--", "npx", "-y", "server", "--json"]);

        assert_eq!(options.target, "echo");
        assert_eq!(options.arguments, ["a=b", "c:=1"]);
        assert_eq!(options.ad_hoc.command, ["npx", "-y", "server", "--json"]);
    }

    #[test]
    fn a_url_is_a_server_of_its_own() {
        let options = call(&["call", "echo", "a=b", "--url", "https://example.com/mcp"]);

        assert_eq!(options.target, "echo");
        assert_eq!(options.ad_hoc.url.as_deref(), Some("https://example.com/mcp"));
    }

    #[test]
    fn options_may_stand_between_arguments() {
        let options = call(&["call", "a.b", "c=d", "--timeout", "1s", "e=f"]);

        assert_eq!(options.arguments, ["c=d", "e=f"]);
    }

    #[test]
    fn what_is_not_text_can_be_saved_by_each_verb_that_gives_some() {
        for line in [["call", "a.b"], ["read", "a:b"], ["prompt", "a"]] {
            let options =
                parse(&[&line[..], &["--out", "folder", "--", "server"]].concat()).expect("a valid command line");

            let (saving, ad_hoc) = match options.verb {
                Verb::Call(CallOptions { saving, ad_hoc, .. })
                | Verb::Read(ReadOptions { saving, ad_hoc, .. })
                | Verb::Prompt(PromptOptions { saving, ad_hoc, .. }) => (saving, ad_hoc),
                other => panic!("another verb: {other:?}"),
            };
            assert_eq!((saving.out, ad_hoc.command), (Some("folder".into()), vec!["server".to_owned()]));
        }
    }

    #[test]
    fn all_arguments_may_come_from_one_place() {
        for source in ["{\"a\": 1}", "@file.json", "-"] {
            assert_eq!(call(&["call", "a.b", "--args", source]).args.as_deref(), Some(source));
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let lines: [&[&str]; 14] = [
            &["tools", "time", "--url", "https://example.com/mcp"],
            &["ping", "time", "--url", "https://example.com/mcp"],
            &["tools", "--url", "https://example.com/mcp", "--", "server"],
            &["tools", "--config", "a.json", "--url", "https://example.com/mcp"],
            &["call", "a.b", "c=d", "--args", "{}"],
            &["tools", "time", "--", "server"],
            &["ping", "time", "--", "server"],
            &["tools", "--config", "a.json", "--", "server"],
            &["call"],
            &["read"],
            &["read", "a", "b", "c"],
            &["prompt"],
            &["resources", "time", "--", "server"],
            &["inspect", "time", "--url", "https://example.com/mcp"],
        ];

        for line in lines {
            assert_eq!(parse(line).expect_err("a contradiction").exit_code(), 2, "{line:?}");
        }
    }

    #[test]
    fn a_timeout_needs_a_unit() {
        let error = parse(&["--timeout", "30", "list"]).expect_err("no unit").to_string();

        assert!(error.contains("a bare number has no unit"), "{error}");
    }
}
