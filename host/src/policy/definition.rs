//! What of a server policy looks at, whatever the layers above call it.

use std::{collections::BTreeMap, path::Path};

use super::template::Template;
use crate::{isolation::Confinement, names::ServerName};

/// A server that somebody wants.
pub(crate) struct Definition<'a> {
    pub(crate) name: &'a ServerName,
    pub(crate) reached: Reached<'a>,
    pub(crate) confinement: Confinement,
    /// Whether it asks for the folders of the host's user.
    pub(crate) inherit_home: bool,
    /// Bytes of everything that a tenant can make long.
    pub(crate) bytes: usize,
}

/// How it is reached.
pub(crate) enum Reached<'a> {
    Command {
        program: &'a str,
        /// As people may see it.
        shown: &'a str,
        folder: Option<&'a Path>,
        variables: &'a BTreeMap<String, Template>,
    },
    Url(&'a str),
    /// Code of the embedder.
    Connector,
}
