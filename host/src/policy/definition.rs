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

/// What only the platform may have for a server at a URL.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    /// A proxy, which sees where requests go.
    pub(crate) proxy: bool,
    /// Files of the host, with certificates.
    pub(crate) certificates: bool,
    /// To be at an address that is not of the public Internet, under a name.
    pub(crate) private_addresses: bool,
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
    Url {
        address: &'a str,
        headers: &'a BTreeMap<String, Template>,
        wishes: Wishes,
    },
    /// Code of the embedder.
    Connector,
}
