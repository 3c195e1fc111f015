//! The parameters of a call: checked, and where something has to go in between.
//!
//! The host keeps the bytes, so a frame names them instead of repeating them.
//! What this guest adds (a progress token, a cursor) goes in front of the first
//! member of an object; all that has to be remembered is where that is.

use crate::boundary::Limits;
use crate::effects::CallId;
use crate::json::{self, Malformed, set};
use crate::jsonrpc::RequestId;
use crate::payload::Builder;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Parameters that can be said to a server.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Params {
    /// Bytes of the text.
    length: u32,
    /// The text, where it is not the one that the caller gave: where a line break ends
    /// a frame, a message must not contain one, and theirs did.
    rewritten: Option<String>,
    /// The object itself.
    object: Opening,
    /// Its member `_meta`, if it has one.
    meta: Option<Opening>,
}

/// Where the members of an object begin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Opening {
    /// Offset of what follows the `{`.
    at: u32,
    /// Whether that is the `}`, white space apart.
    empty: bool,
}

/// What the guest adds to a call's parameters.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Additions<'a> {
    /// The next page of a list (server/utilities/pagination).
    pub(crate) cursor: Option<&'a str>,
    /// A wish to hear of progress (basic/utilities/progress). The id of the request
    /// does as token: both have to be unique among the open requests.
    pub(crate) progress: Option<RequestId>,
}

impl Params {
    /// Checks what a caller gave.
    ///
    /// A progress token of the caller's own is refused: reports would come under a
    /// token that this guest cannot tell from its own. So is a cursor where the
    /// guest is to follow the pages. `has_lines` says whether they have to be on one
    /// line.
    pub(crate) fn check(bytes: &[u8], all_pages: bool, has_lines: bool, limits: &Limits) -> Result<Self, Malformed> {
        if bytes.len() as u64 > limits.max_frame {
            return Err(Malformed::Because("longer than a frame may be"));
        }
        let text = json::text(bytes)?;
        if !json::is_single_line(text) {
            // A line break within a string is not to be repaired, but refused.
            json::check(text)?;
        }
        let line = if has_lines { json::single_line(text) } else { Cow::Borrowed(text) };

        let mut meta = None;
        let mut empty = true;
        json::members(&line, |name, value| {
            empty = false;
            match &*name {
                "_meta" => set(&mut meta, value, "an object with two members `_meta`"),
                "cursor" if all_pages => Err("a cursor in a call that is to follow all pages from the first"),
                _ => Ok(()),
            }
        })?;
        let object = Opening::find(&line, &line, empty)?;
        let meta = meta.map(|meta| Self::check_meta(meta, &line)).transpose()?;

        Ok(Params {
            length: narrow(line.len())?,
            rewritten: match line {
                Cow::Borrowed(_) => None,
                Cow::Owned(line) => Some(line),
            },
            object,
            meta,
        })
    }

    fn check_meta(meta: &str, whole: &str) -> Result<Opening, Malformed> {
        if !json::is_object(meta) {
            return Err(Malformed::Because("a `_meta` that is not an object"));
        }
        let mut empty = true;
        json::members(meta, |name, _| {
            empty = false;
            match &*name {
                "progressToken" => Err("a `_meta.progressToken` of the caller's own; ask for progress instead"),
                _ => Ok(()),
            }
        })?;
        Opening::find(meta, whole, empty)
    }

    /// Bytes that this guest keeps for as long as it keeps these parameters.
    pub(crate) fn retained(&self) -> u64 {
        self.rewritten.as_ref().map_or(0, |text| text.len() as u64)
    }

    /// Whether what a snapshot says of a text can be true of any.
    pub(crate) fn is_sound(&self) -> bool {
        let rewritten = self.rewritten.as_ref().is_none_or(|text| {
            text.len() as u64 == u64::from(self.length)
                && json::is_single_line(text)
                && json::members(text, |_, _| Ok(())).is_ok()
        });
        let inner = self.meta.map_or(self.object.at, |meta| meta.at);
        rewritten && self.object.at > 0 && self.object.at <= inner && inner < self.length
    }

    /// Writes the member `params` of a request.
    pub(crate) fn write(params: Option<&Self>, frame: &mut Builder, call: CallId, add: Additions<'_>) {
        let Some(params) = params else {
            if add.cursor.is_some() || add.progress.is_some() {
                frame.text(r#","params":{"#);
                add.write(frame, true);
                frame.text("}");
            }
            return;
        };
        frame.text(r#","params":"#);
        match (params.meta, add.progress) {
            (_, None) if add.cursor.is_none() => params.copy(frame, call, 0, params.length),
            (Some(meta), Some(token)) => {
                params.copy(frame, call, 0, params.object.at);
                Additions { progress: None, ..add }.write(frame, params.object.empty);
                params.copy(frame, call, params.object.at, meta.at);
                frame.text(r#""progressToken":"#).number(token.0);
                frame.text(if meta.empty { "" } else { "," });
                params.copy(frame, call, meta.at, params.length);
            }
            _ => {
                params.copy(frame, call, 0, params.object.at);
                add.write(frame, params.object.empty);
                params.copy(frame, call, params.object.at, params.length);
            }
        }
    }

    fn copy(&self, frame: &mut Builder, call: CallId, from: u32, to: u32) {
        match &self.rewritten {
            None => frame.params(call, from, to.saturating_sub(from)),
            Some(text) => frame.text(text.get(from as usize..to as usize).unwrap_or_default()),
        };
    }
}

impl Additions<'_> {
    /// Writes the members to be added to an object, and the comma behind them
    /// unless nothing follows.
    fn write(self, frame: &mut Builder, last: bool) {
        if let Some(cursor) = self.cursor {
            frame.text(r#""cursor":"#).string(cursor);
            frame.text(if last && self.progress.is_none() { "" } else { "," });
        }
        if let Some(token) = self.progress {
            frame.text(r#""_meta":{"progressToken":"#).number(token.0).text("}");
            frame.text(if last { "" } else { "," });
        }
    }
}

impl Opening {
    /// Where the members of `object` begin in `whole`, of which it is a slice.
    fn find(object: &str, whole: &str, empty: bool) -> Result<Self, Malformed> {
        let brace = object.find('{').ok_or(Malformed::NotAnObject)?;
        let start = object.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
        Ok(Opening { at: narrow(start.saturating_add(brace).saturating_add(1))?, empty })
    }
}

/// What the boundary can name.
fn narrow(length: usize) -> Result<u32, Malformed> {
    u32::try_from(length).map_err(|_| Malformed::Because("longer than 4 GiB"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::Segment;

    const LIMITS: Limits = Limits { max_frame: 4096, max_result: 4096, max_pages: 4, max_server_requests: 4 };

    /// The member `params` that a server reads.
    fn said(params: Option<&str>, cursor: Option<&str>, progress: Option<u64>) -> String {
        let checked = params.map(|text| Params::check(text.as_bytes(), false, true, &LIMITS).unwrap());
        assert!(checked.iter().all(Params::is_sound));
        let mut frame = Builder::default();
        let add = Additions { cursor, progress: progress.map(RequestId) };
        Params::write(checked.as_ref(), &mut frame, 1, add);
        frame
            .finish()
            .into_iter()
            .map(|segment| match segment {
                Segment::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
                Segment::Params(range) => params.unwrap()[range.offset as usize..][..range.length as usize].to_owned(),
                Segment::Event(_) => panic!("no event is at hand"),
            })
            .collect()
    }

    fn refused(params: &str) -> Malformed {
        Params::check(params.as_bytes(), true, true, &LIMITS).unwrap_err()
    }

    #[test]
    fn parameters_pass_verbatim_where_nothing_is_added() {
        assert_eq!(said(None, None, None), "");
        assert_eq!(said(Some(r#" {"a" : 1} "#), None, None), r#","params": {"a" : 1} "#);
    }

    #[test]
    fn a_token_goes_into_meta_whether_or_not_there_is_one() {
        let with_token = |params| said(params, None, Some(5));

        assert_eq!(with_token(None), r#","params":{"_meta":{"progressToken":5}}"#);
        assert_eq!(with_token(Some("{ }")), r#","params":{"_meta":{"progressToken":5} }"#);
        assert_eq!(with_token(Some(r#"{"a":1}"#)), r#","params":{"_meta":{"progressToken":5},"a":1}"#);
        assert_eq!(with_token(Some(r#"{"a":1,"_meta":{}}"#)), r#","params":{"a":1,"_meta":{"progressToken":5}}"#);
        assert_eq!(
            with_token(Some(r#"{"_meta": {"b":2},"a":1}"#)),
            r#","params":{"_meta": {"progressToken":5,"b":2},"a":1}"#
        );
    }

    #[test]
    fn a_cursor_and_a_token_go_in_together() {
        let with_both = |params| said(params, Some("p\n2"), Some(5));

        assert_eq!(with_both(None), r#","params":{"cursor":"p\n2","_meta":{"progressToken":5}}"#);
        assert_eq!(with_both(Some(r#"{"a":1}"#)), r#","params":{"cursor":"p\n2","_meta":{"progressToken":5},"a":1}"#);
        assert_eq!(
            with_both(Some(r#"{"_meta":{"b":2}}"#)),
            r#","params":{"cursor":"p\n2","_meta":{"progressToken":5,"b":2}}"#
        );
        assert_eq!(said(Some("{}"), Some("p2"), None), r#","params":{"cursor":"p2"}"#);
    }

    #[test]
    fn line_breaks_are_taken_out() {
        let pretty = "{\n  \"a\": \"x\\ny\",\r\n  \"_meta\": {\n    \"b\": 2\n  }\n}\n";

        assert_eq!(
            said(Some(pretty), None, Some(5)),
            r#","params":{  "a": "x\ny",  "_meta": {"progressToken":5,    "b": 2  }}"#
        );
    }

    #[test]
    fn what_no_server_could_read_is_refused() {
        assert_eq!(refused("[1]"), Malformed::NotAnObject);
        assert_eq!(refused("null"), Malformed::NotAnObject);
        assert!(matches!(refused(r#"{"a":1"#), Malformed::NotJson { .. }));
        assert_eq!(Params::check(b"{\"a\":\"\xff\"}", false, true, &LIMITS), Err(Malformed::NotUtf8 { at: 6 }));
        assert!(matches!(refused(&format!("{{{}}}", " ".repeat(5000))), Malformed::Because(_)));
    }

    #[test]
    fn what_the_guest_adds_itself_is_refused_from_the_caller() {
        for params in [
            r#"{"_meta":{"progressToken":1}}"#,
            r#"{"_meta":{"progress\u0054oken":1}}"#,
            r#"{"_meta":[]}"#,
            r#"{"_meta":null}"#,
            r#"{"_meta":{},"_meta":{}}"#,
            r#"{"cursor":"x"}"#,
        ] {
            assert!(matches!(refused(params), Malformed::Because(_)), "{params}");
        }
        assert!(Params::check(br#"{"cursor":"x"}"#, false, true, &LIMITS).is_ok());
    }
}
