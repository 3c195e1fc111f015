//! Folders for servers to work in. "Client Features / Roots".

use std::path::Path;

use serde_json::{Value, json};
use url::Url;

use crate::Error;

/// A folder, or a file, for servers to work in. It tells servers where they are wanted, and keeps none from going elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Root {
    /// Where it is: a URI, whose scheme is `file` in the revisions so far.
    pub uri: String,
    /// A name for people.
    pub name: Option<String>,
}

impl Root {
    /// What is at a URI.
    pub fn new(uri: impl Into<String>) -> Self {
        Self { uri: uri.into(), name: None }
    }

    /// A folder of this machine. Its URI has no `/` at the end.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] where the path is not absolute: servers have folders of their own to be in.
    pub fn folder(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let uri = Url::from_file_path(path).map_err(|()| Error::InvalidInput {
            what: "the folder for servers to work in",
            reason: format!("{} is not an absolute path", path.display()),
        })?;
        Ok(Self::new(uri.to_string()))
    }

    /// Gives it a name for people.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    pub(super) fn to_json(&self) -> Value {
        match &self.name {
            Some(name) => json!({ "uri": self.uri, "name": name }),
            None => json!({ "uri": self.uri }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_folder_has_its_uri() {
        assert_eq!(Root::folder("/a b/ü").unwrap().uri, "file:///a%20b/%C3%BC");
        assert!(Root::folder("a").unwrap_err().to_string().ends_with("a is not an absolute path"));
    }

    #[test]
    fn a_name_is_said_where_there_is_one() {
        assert_eq!(Root::new("file:///a").to_json(), json!({ "uri": "file:///a" }));
        assert_eq!(Root::new("file:///a").name("A").to_json(), json!({ "uri": "file:///a", "name": "A" }));
    }
}
