//! Which configuration file is meant when none is named.
//!
//! The nearest one: what lies in the working folder speaks for the project, and comes before what speaks for the user.
//! The first file that is there is taken; files are not merged, and folders further up are not searched.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Environment;

/// No configuration file was found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no configuration file; looked for {}", display_list(.looked_for))]
#[non_exhaustive]
pub struct ConfigNotFound {
    /// The places, in the order in which they were looked at.
    pub looked_for: Vec<PathBuf>,
}

/// The configuration file to use: the first that exists of
///
/// 1. `./mcp.json`
/// 2. `./.mcp.json`
/// 3. `$XDG_CONFIG_HOME/innkeeper/mcp.json`, or `$HOME/.config/innkeeper/mcp.json`
///    where `XDG_CONFIG_HOME` is not set, empty or relative (XDG Base Directory
///    Specification 0.8).
///
/// `exists` says whether a file is there; for the real file system that is [`Path::exists`].
///
/// # Errors
///
/// If none exists: the list of places.
pub fn locate(environment: &Environment<'_>, exists: &dyn Fn(&Path) -> bool) -> Result<PathBuf, ConfigNotFound> {
    let mut places = vec![PathBuf::from("./mcp.json"), PathBuf::from("./.mcp.json")];
    places.extend(user_folder(environment).map(|folder| folder.join("innkeeper").join("mcp.json")));

    match places.iter().position(|place| exists(place)) {
        Some(index) => Ok(places.swap_remove(index)),
        None => Err(ConfigNotFound { looked_for: places }),
    }
}

/// The folder for the user's configuration, if the environment tells one.
fn user_folder(environment: &Environment<'_>) -> Option<PathBuf> {
    let absolute = |name| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))
}

fn display_list(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn home(name: &str) -> Option<OsString> {
        (name == "HOME").then(|| "/home/ada".into())
    }

    fn only(path: &'static str) -> impl Fn(&Path) -> bool {
        move |candidate| candidate == Path::new(path)
    }

    #[test]
    fn the_working_folder_comes_before_the_user() {
        assert_eq!(locate(&home, &|_| true), Ok("./mcp.json".into()));
        assert_eq!(locate(&home, &|path| !path.ends_with("mcp.json")), Ok("./.mcp.json".into()));
    }

    #[test]
    fn the_user_folder_is_the_one_that_xdg_names() {
        let environment = |name: &str| match name {
            "XDG_CONFIG_HOME" => Some("/etc/ada".into()),
            name => home(name),
        };

        let found = locate(&environment, &only("/etc/ada/innkeeper/mcp.json"));

        assert_eq!(found, Ok("/etc/ada/innkeeper/mcp.json".into()));
    }

    #[test]
    fn without_xdg_the_user_folder_lies_in_the_home() {
        for useless in [None, Some(""), Some("relative/path")] {
            let environment = |name: &str| match name {
                "XDG_CONFIG_HOME" => useless.map(OsString::from),
                name => home(name),
            };

            let found = locate(&environment, &only("/home/ada/.config/innkeeper/mcp.json"));

            assert_eq!(found, Ok("/home/ada/.config/innkeeper/mcp.json".into()), "{useless:?}");
        }
    }

    #[test]
    fn finding_none_lists_where_it_looked() {
        let error = locate(&home, &|_| false).expect_err("nothing exists");

        assert_eq!(
            error.to_string(),
            "no configuration file; looked for ./mcp.json, ./.mcp.json, /home/ada/.config/innkeeper/mcp.json"
        );
    }

    #[test]
    fn without_a_home_only_the_working_folder_is_searched() {
        let error = locate(&|_| None, &|_| false).expect_err("nothing exists");

        assert_eq!(error.looked_for, [PathBuf::from("./mcp.json"), PathBuf::from("./.mcp.json")]);
    }
}
