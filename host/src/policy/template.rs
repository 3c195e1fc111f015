//! The value of an environment variable as a catalog has it: text that is known, and names of secrets that are not.

use std::{collections::BTreeMap, fmt};

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
    /// What is asked for when the process is started.
    Secret(SecretName),
}

impl Template {
    pub(crate) fn secret(name: SecretName) -> Self {
        Self(vec![Part::Secret(name)])
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The secrets that it names.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        self.0.iter().filter_map(|part| match part {
            Part::Secret(name) => Some(name),
            Part::Text(_) | Part::Variable(_) => None,
        })
    }

    /// Its bytes in the catalog.
    pub(crate) fn len(&self) -> usize {
        let length = |part: &Part| match part {
            Part::Text(text) | Part::Variable(text) => text.len(),
            Part::Secret(name) => name.as_str().len(),
        };
        self.0.iter().map(length).sum()
    }

    /// The value with its secrets. None: one is missing.
    pub(super) fn fill(&self, secrets: &BTreeMap<SecretName, Secret>) -> Option<Zeroizing<String>> {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) | Part::Variable(text) => Some(text.as_str()),
            Part::Secret(name) => secrets.get(name).map(Secret::expose),
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
            ConfigPart::Secret(name) => Part::Secret(name.clone()),
        };
        Self(text.parts().map(part).collect())
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
