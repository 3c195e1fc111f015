//! The arguments of a tool, as they are typed.
//!
//! | written | means |
//! |---|---|
//! | `key=value` | a string, whatever it looks like |
//! | `key:=json` | a number, a boolean, a list, an object, null |
//! | `--args JSON`, `--args @FILE`, `--args -` | all of them as one JSON object |
//!
//! Nothing is guessed from the look of a value: a postal code stays a string though it looks like a number, and whoever
//! wants a number says so.

use std::{
    fs::File,
    io::{self, Read},
};

use serde_json::{Map, Value};

use crate::exit::Failure;

/// Most bytes that are read from a file or from standard input: 16 MiB, as much as fits into one message to a server.
const MAX_BYTES: usize = 16 << 20;

/// Reads `key=value` and `key:=json`.
pub(crate) fn from_pairs(pairs: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut arguments = Map::new();
    for pair in pairs {
        let (key, value) = read_pair(pair)?;
        if arguments.insert(key.to_owned(), value).is_some() {
            return Err(
                Failure::usage(format!("the argument `{key}` is given twice")).hint("give a list as key:=[1,2]")
            );
        }
    }
    Ok(arguments)
}

fn read_pair(pair: &str) -> Result<(&str, Value), Failure> {
    let malformed = || {
        Failure::usage(format!("`{pair}` is not an argument"))
            .hint("write key=value for a string, or key:=json for anything else")
    };
    let (key, text) = pair.split_once('=').ok_or_else(malformed)?;
    let (key, value) = match key.strip_suffix(':') {
        None => (key, Value::from(text)),
        Some(key) => {
            let value = serde_json::from_str(text).map_err(|error| {
                Failure::usage(format!("the value of `{key}` is not JSON: {error}"))
                    .hint(format!("write {key}=... for a string; mind that the shell removes quotes"))
            })?;
            (key, value)
        }
    };
    if key.is_empty() { Err(malformed()) } else { Ok((key, value)) }
}

/// Reads the value of `--args`. `stdin` is read only for `-`.
pub(crate) fn from_source(source: &str, stdin: impl Read) -> Result<Map<String, Value>, Failure> {
    let (name, text) = match (source, source.strip_prefix('@')) {
        ("-", _) => ("standard input", read(stdin, "standard input")?),
        (_, Some(path)) => {
            let file = File::open(path).map_err(|error| unreadable(path, &error))?;
            (path, read(file, path)?)
        }
        _ => ("--args", source.to_owned()),
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => {
            Err(Failure::usage(format!("{name}: the arguments are not a JSON object")).hint("write {\"key\": value}"))
        }
        Err(error) => Err(Failure::usage(format!("{name}: the arguments are not JSON: {error}"))
            .hint("give --args a JSON object, @FILE, or - for standard input")),
    }
}

fn read(source: impl Read, name: &str) -> Result<String, Failure> {
    let mut text = String::new();
    source.take(MAX_BYTES as u64 + 1).read_to_string(&mut text).map_err(|error| unreadable(name, &error))?;
    if text.len() > MAX_BYTES {
        return Err(Failure::too_large(&format!("{name}: the input of the tool"), MAX_BYTES));
    }
    Ok(text)
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::usage(format!("{name}: cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::exit::Exit;

    fn pairs(pairs: &[&str]) -> Result<Value, String> {
        let pairs: Vec<String> = pairs.iter().map(|&pair| pair.into()).collect();
        from_pairs(&pairs).map(Value::Object).map_err(|failure| failure.message)
    }

    fn source(source: &str, stdin: &[u8]) -> Result<Value, String> {
        from_source(source, stdin).map(Value::Object).map_err(|failure| failure.message)
    }

    #[test]
    fn a_single_equals_sign_makes_a_string() {
        let cases = [
            ("a=b", json!({"a": "b"})),
            ("a=1", json!({"a": "1"})),
            ("a=true", json!({"a": "true"})),
            ("a=", json!({"a": ""})),
            ("a=b=c", json!({"a": "b=c"})),
            ("a=b:=c", json!({"a": "b:=c"})),
            ("a b=c d", json!({"a b": "c d"})),
            ("url=http://x?y=z", json!({"url": "http://x?y=z"})),
        ];

        for (pair, arguments) in cases {
            assert_eq!(pairs(&[pair]), Ok(arguments), "{pair}");
        }
    }

    #[test]
    fn a_colon_before_it_makes_json() {
        let cases = [
            ("a:=1", json!({"a": 1})),
            ("a:=true", json!({"a": true})),
            ("a:=null", json!({"a": null})),
            ("a:=[1, \"x\"]", json!({"a": [1, "x"]})),
            ("a:={\"b\": {}}", json!({"a": {"b": {}}})),
            ("a:=\"b\"", json!({"a": "b"})),
            ("a::=1", json!({"a:": 1})),
        ];

        for (pair, arguments) in cases {
            assert_eq!(pairs(&[pair]), Ok(arguments), "{pair}");
        }
    }

    #[test]
    fn all_pairs_make_one_object() {
        assert_eq!(pairs(&[]), Ok(json!({})));
        assert_eq!(pairs(&["b=x", "a:=2"]), Ok(json!({"a": 2, "b": "x"})));
    }

    #[test]
    fn what_is_neither_is_an_error() {
        for pair in ["", "a", "=b", ":=1", "a:b"] {
            assert!(pairs(&[pair]).is_err_and(|message| message.contains("is not an argument")), "{pair}");
        }
        assert!(pairs(&["a:=b"]).is_err_and(|message| message.starts_with("the value of `a` is not JSON")));
        assert!(pairs(&["a:="]).is_err_and(|message| message.starts_with("the value of `a` is not JSON")));
    }

    #[test]
    fn an_argument_that_is_given_twice_is_an_error() {
        assert_eq!(pairs(&["a=1", "a:=2"]), Err("the argument `a` is given twice".into()));
    }

    #[test]
    fn a_source_is_text_or_standard_input() {
        assert_eq!(source("{\"a\": [1]}", b"{}"), Ok(json!({"a": [1]})));
        assert_eq!(source("-", b"{\"b\": 2}\n"), Ok(json!({"b": 2})));
    }

    #[test]
    fn a_source_must_hold_an_object() {
        assert_eq!(source("[1]", b""), Err("--args: the arguments are not a JSON object".into()));
        assert!(
            source("-", b"").is_err_and(|message| message.starts_with("standard input: the arguments are not JSON"))
        );
        assert!(source("{a: 1}", b"").is_err_and(|message| message.starts_with("--args: the arguments are not JSON")));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let message = source("@/nonexistent/args.json", b"").expect_err("there is no such file");

        assert!(message.starts_with("/nonexistent/args.json: cannot be read: "), "{message}");
    }

    #[test]
    fn standard_input_without_end_is_refused() {
        let failure = from_source("-", io::repeat(b' ')).expect_err("no end");

        assert_eq!(failure.exit, Exit::Refused);
        assert_eq!(failure.message, "standard input: the input of the tool is larger than 16 MiB");
    }
}
