//! Which tool a call is of, as strictly as any server may read it.
//!
//! A rule for tools is worth what the reading of `name` is worth. Parsers differ: of two members of one name some take the
//! first and some the last, and some do not tell `Name` from `name`. So parameters that two parsers could read differently
//! name no tool, and where there are rules such a call is not made.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};

/// The member that names the tool: "Server Features / Tools / Calling Tools".
const NAME: &str = "name";

/// The tool that parameters name, or what is wrong with them.
pub(super) fn named_tool(params: Option<&[u8]>) -> Result<String, String> {
    let params = params.ok_or("there are none")?;
    serde_json::from_slice::<Named>(params).map(|named| named.0).map_err(|error| error.to_string())
}

struct Named(String);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with one member `{NAME}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Named, A::Error> {
        let mut tool = None;
        while let Some(member) = members.next_key::<String>()? {
            if !member.eq_ignore_ascii_case(NAME) {
                members.next_value::<IgnoredAny>()?;
            } else if tool.is_some() {
                return Err(A::Error::custom(format!("a second member `{NAME}`")));
            } else if member != NAME {
                return Err(A::Error::custom(format!("a member `{member}`, which some take for `{NAME}`")));
            } else {
                tool = Some(members.next_value::<String>()?);
            }
        }
        tool.map(Named).ok_or_else(|| A::Error::missing_field(NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_is_the_member_name_wherever_it_stands_and_however_it_is_written() {
        for params in [
            r#"{"name":"echo"}"#,
            r#" { "arguments" : { "name": "other", "Name": 1 } , "name" : "echo" } "#,
            r#"{"n\u0061me":"e\u0063ho","_meta":{}}"#,
        ] {
            assert_eq!(named_tool(Some(params.as_bytes())), Ok("echo".to_owned()), "{params}");
        }
    }

    #[test]
    fn what_two_servers_could_read_differently_names_no_tool() {
        let cases: [(&[u8], &str); 13] = [
            (br#"{"name":"echo","name":"delete"}"#, "a second member `name`"),
            (br#"{"name":"echo","name":"echo"}"#, "a second member `name`"),
            (br#"{"name":"echo","n\u0061me":"delete"}"#, "a second member `name`"),
            (br#"{"name":"echo","Name":"delete"}"#, "a second member `name`"),
            (br#"{"NAME":"delete","name":"echo"}"#, "a member `NAME`"),
            (br#"{"arguments":{}}"#, "missing field `name`"),
            (br#"{"name":1}"#, "invalid type"),
            (br#"{"name":["echo"]}"#, "invalid type"),
            (br#"{"name":null}"#, "invalid type"),
            (br#"["echo"]"#, "invalid type"),
            (br#"{"name":"echo"}{"name":"delete"}"#, "trailing characters"),
            (b"{\"name\":\"\xff\"}", "invalid unicode"),
            (br#"{"name":"\ud800"}"#, "end of hex escape"),
        ];

        for (params, said) in cases {
            let problem = named_tool(Some(params)).unwrap_err();
            assert!(problem.contains(said), "{}: {problem}", String::from_utf8_lossy(params));
        }
        assert!(named_tool(None).is_err());
        assert!(named_tool(Some(b"")).is_err());
    }

    #[test]
    fn depth_is_no_matter() {
        let deep = format!(r#"{{"arguments":{}{},"name":"echo"}}"#, "[".repeat(100_000), "]".repeat(100_000));

        assert_eq!(named_tool(Some(deep.as_bytes())), Ok("echo".to_owned()));
    }
}
