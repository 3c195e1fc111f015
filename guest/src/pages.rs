//! One result out of many pages.
//!
//! MCP gives long lists in pages: a result with `nextCursor` says that there is
//! more (server/utilities/pagination). A call that asks for all of them is
//! completed with the first page, whose list has become the lists of all pages
//! and which has lost its `nextCursor`.
//!
//! A server could go on for ever, so the number of pages, the bytes and the
//! cursors are bounded. A cursor that comes back is an error, and not the end of
//! the list: what follows it would be the same pages again.

use crate::boundary::{Fault, FaultKind, Limits, Payload};
use crate::effects::fault;
use crate::json::{self, Malformed, set};
use crate::payload::{Builder, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where following the pages stands.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pages {
    /// No page has come.
    #[default]
    First,
    /// Some have, and there are more.
    Following(Gathered),
}

/// The pages that have come.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Gathered {
    /// Name of the member that is a list.
    list: String,
    /// The first page up to the first item.
    head: String,
    /// The items, with commas between them.
    items: String,
    /// The first page from behind the last item on.
    tail: String,
    /// Every cursor so far.
    cursors: BTreeSet<String>,
    /// Pages so far.
    pages: u32,
}

/// What is to be done after a page.
#[derive(Debug)]
pub(crate) enum Step {
    /// That was the last one.
    Complete(Payload),
    /// Ask for the page at this cursor.
    Next(String),
}

impl Pages {
    /// Takes the result of one more page of `method`.
    pub(crate) fn take(
        &mut self,
        method: &str,
        source: Source<'_>,
        result: &str,
        limits: &Limits,
    ) -> Result<Step, Fault> {
        match self {
            Pages::First => {
                let page = match Page::read(result, known_list(method)) {
                    Ok(page) => page,
                    // Nothing with pages, so the caller gets what there is.
                    Err(Malformed::NotAnObject) => {
                        return Ok(Step::Complete(source.payload(Some(result))));
                    }
                    Err(reason) => return Err(not_a_page(reason)),
                };
                let Some(cursor) = page.cursor else {
                    return Ok(Step::Complete(source.payload(Some(result))));
                };
                let mut gathered = Gathered::begin(result, page.list)?;
                let step = gathered.proceed(cursor, limits)?;
                *self = Pages::Following(gathered);
                Ok(step)
            }
            Pages::Following(gathered) => {
                let page = Page::read(result, Some(&gathered.list)).map_err(not_a_page)?;
                let items = page.items().ok_or_else(|| no_list(&gathered.list))?;
                match page.cursor {
                    Some(cursor) => {
                        gathered.append(items);
                        gathered.proceed(cursor, limits)
                    }
                    None => gathered.finish(source, items, limits).map(Step::Complete),
                }
            }
        }
    }
}

impl Gathered {
    fn begin(result: &str, list: Option<(String, &str)>) -> Result<Self, Fault> {
        let Some((list, items)) = list else {
            return Err(fault(
                FaultKind::ProtocolViolation,
                "the server's first page has a next cursor but no list to continue",
            ));
        };
        let mut gathered = Gathered {
            head: String::from("{"),
            items: interior(items).to_owned(),
            tail: String::from("]"),
            cursors: BTreeSet::new(),
            pages: 0,
            list,
        };
        gathered.frame(result).map_err(not_a_page)?;
        Ok(gathered)
    }

    /// Keeps the members beside the list, in their places.
    fn frame(&mut self, result: &str) -> Result<(), Malformed> {
        let mut seen = false;
        json::members(result, |name, value| {
            if name == "nextCursor" {
                return Ok(());
            }
            let is_list = !seen && name == *self.list;
            let part = if seen { &mut self.tail } else { &mut self.head };
            if part != "{" {
                part.push(',');
            }
            part.push_str(&json::quoted(&name));
            part.push(':');
            part.push_str(if is_list { "[" } else { value });
            seen |= is_list;
            Ok(())
        })?;
        self.tail.push('}');
        Ok(())
    }

    fn append(&mut self, items: &str) {
        if !self.items.is_empty() && !items.is_empty() {
            self.items.push(',');
        }
        self.items.push_str(items);
    }

    fn proceed(&mut self, cursor: String, limits: &Limits) -> Result<Step, Fault> {
        self.pages = self.pages.saturating_add(1);
        if self.pages >= limits.max_pages {
            return Err(fault(FaultKind::TooLarge, format!("it has more than {} pages", self.pages)));
        }
        if !self.cursors.insert(cursor.clone()) {
            return Err(fault(
                FaultKind::ProtocolViolation,
                format!("the server gave the same cursor again after {} pages", self.pages),
            ));
        }
        check_size(self.retained(), limits)?;
        Ok(Step::Next(cursor))
    }

    fn finish(&self, source: Source<'_>, items: &str, limits: &Limits) -> Result<Payload, Fault> {
        let mut result = Builder::with_capacity(self.head.len().saturating_add(self.items.len()));
        result.text(&self.head).text(&self.items);
        if !self.items.is_empty() && !items.is_empty() {
            result.text(",");
        }
        result.source(source, items).text(&self.tail);
        check_size(result.len(), limits)?;
        Ok(result.finish())
    }

    /// Everything counts: a server that sends tiny pages with huge cursors is not to
    /// fill the memory either.
    fn retained(&self) -> u64 {
        let cursors: usize = self.cursors.iter().map(String::len).sum();
        let texts = self.head.len().saturating_add(self.items.len()).saturating_add(self.tail.len());
        texts.saturating_add(cursors) as u64
    }
}

fn check_size(bytes: u64, limits: &Limits) -> Result<(), Fault> {
    if bytes <= limits.max_result {
        return Ok(());
    }
    let message = format!("its pages come to more than {} bytes", limits.max_result);
    Err(fault(FaultKind::TooLarge, message))
}

/// One page, as far as it matters here.
struct Page<'a> {
    cursor: Option<String>,
    /// The list, with its name.
    list: Option<(String, &'a str)>,
}

impl<'a> Page<'a> {
    /// Reads a page whose list is the member `list` or, where that is not known, the
    /// first member that is a list. `_meta` is never it.
    fn read(result: &'a str, list: Option<&str>) -> Result<Self, Malformed> {
        let mut cursor = None;
        let mut found: Option<(String, &str)> = None;
        json::members(result, |name, value| match (&*name, list) {
            ("nextCursor", _) => set(&mut cursor, value, "a page with two next cursors"),
            (name, Some(list)) if name == list => {
                set(&mut found, (name.to_owned(), value), "a page with two lists of one name")
            }
            (name, None) if found.is_none() && name != "_meta" && json::is_array(value) => {
                found = Some((name.to_owned(), value));
                Ok(())
            }
            _ => Ok(()),
        })?;
        let cursor = match cursor {
            // "Treat a missing nextCursor as the end": null says that it is missing.
            // An empty string does not; a cursor is opaque.
            None | Some("null") => None,
            Some(cursor) => match json::string(cursor) {
                Some(cursor) => Some(cursor.into_owned()),
                None => return Err(Malformed::Because("a next cursor that is not a string")),
            },
        };
        Ok(Page { cursor, list: found.filter(|(_, value)| json::is_array(value)) })
    }

    fn items(&self) -> Option<&'a str> {
        self.list.as_ref().map(|(_, value)| interior(value))
    }
}

/// The members that the lists of MCP are called by.
fn known_list(method: &str) -> Option<&'static str> {
    match method {
        "prompts/list" => Some("prompts"),
        "resources/list" => Some("resources"),
        "resources/templates/list" => Some("resourceTemplates"),
        "tools/list" => Some("tools"),
        _ => None,
    }
}

/// What is between the brackets of an array.
fn interior(array: &str) -> &str {
    let open = array.strip_prefix('[').unwrap_or(array);
    open.strip_suffix(']').unwrap_or(open).trim_ascii()
}

fn not_a_page(reason: Malformed) -> Fault {
    fault(FaultKind::ProtocolViolation, format!("a page of the server is malformed: {reason}"))
}

fn no_list(list: &str) -> Fault {
    fault(
        FaultKind::ProtocolViolation,
        format!("a later page of the server lacks the list \"{}\"", json::excerpt(list)),
    )
}
