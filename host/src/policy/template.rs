//! The value of an environment variable or a header field as a catalog has it: text that is known, and references to what is
//! not.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::secret::Secret;
use crate::{
    config::{Expanded, Part as ConfigPart},
    names::SecretName,
};

/// A value with its secrets left out.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Template(pub(super) Vec<Part>);

/// A piece of a value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// As the catalog has it.
    Text(String),
    /// What a variable of a configuration file stood for, which is a secret until proven otherwise.
    Variable(String),
    /// What is asked for when the value is needed.
    Reference(Reference),
}

/// Where a secret is, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reference {
    /// In the store of the platform.
    Secret(SecretName),
    /// In a file of the host: all of it, less the end of its last line.
    File(PathBuf),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(name) => write!(f, "secret `{name}`"),
            Self::File(path) => write!(f, "file `{}`", path.display()),
        }
    }
}

impl Template {
    pub(crate) fn secret(name: SecretName) -> Self {
        Self(vec![Part::Reference(Reference::Secret(name))])
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> Self {
        Self(vec![Part::Reference(Reference::File(path.into()))])
    }

    /// The same after a text.
    pub(crate) fn after(mut self, text: &str) -> Self {
        self.0.insert(0, Part::Text(text.to_owned()));
        self
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// What it refers to.
    pub(crate) fn references(&self) -> impl Iterator<Item = &Reference> {
        self.0.iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Text(_) | Part::Variable(_) => None,
        })
    }

    /// The secrets that it names.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        self.references().filter_map(|reference| match reference {
            Reference::Secret(name) => Some(name),
            Reference::File(_) => None,
        })
    }

    /// The files that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.references().filter_map(|reference| match reference {
            Reference::File(path) => Some(path.as_path()),
            Reference::Secret(_) => None,
        })
    }

    /// What variables of a configuration file stood for.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(value) => Some(value.as_str()),
            Part::Text(_) | Part::Reference(_) => None,
        })
    }

    /// The value of one that refers to nothing.
    pub(crate) fn known(&self) -> Option<Zeroizing<String>> {
        self.fill(&BTreeMap::new())
    }

    /// Its bytes in the catalog.
    pub(crate) fn len(&self) -> usize {
        let length = |part: &Part| match part {
            Part::Text(text) | Part::Variable(text) => text.len(),
            Part::Reference(Reference::Secret(name)) => name.as_str().len(),
            Part::Reference(Reference::File(path)) => path.as_os_str().len(),
        };
        self.0.iter().map(length).sum()
    }

    /// The value with its secrets. None: one is missing.
    pub(super) fn fill(&self, secrets: &BTreeMap<Reference, Secret>) -> Option<Zeroizing<String>> {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) | Part::Variable(text) => Some(text.as_str()),
            Part::Reference(reference) => secrets.get(reference).map(Secret::expose),
        });
        let parts: Vec<&str> = parts.collect::<Option<_>>()?;
        // Allocated once: a string that grows leaves its beginnings behind.
        let mut value = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
        parts.iter().for_each(|part| value.push_str(part));
        Some(value)
    }
}

impl<T: Into<String>> From<T> for Template {
    fn from(text: T) -> Self {
        Self(vec![Part::Text(text.into())])
    }
}

impl From<&Expanded> for Template {
    fn from(text: &Expanded) -> Self {
        let part = |part| match part {
            ConfigPart::Text(text) => Part::Text(text.to_owned()),
            ConfigPart::Variable(value) => Part::Variable(value.to_owned()),
            ConfigPart::Secret(name) => Part::Reference(Reference::Secret(name.clone())),
            ConfigPart::File(path) => Part::Reference(Reference::File(path.to_owned())),
        };
        Self(text.parts().map(part).collect())
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
