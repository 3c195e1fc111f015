//! Where the servers are. `cargo xtask platform` builds and installs them, at the versions that the tests have.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The programs of the servers, by absolute paths: what is looked for on a `PATH` is whatever somebody put there.
pub(crate) struct Programs {
    /// The reference server "everything" of the MCP project. Node.js.
    pub(crate) everything: String,
    /// The reference server for the time of the MCP project. Python.
    pub(crate) time: String,
    /// The demo server of this repository. Rust.
    pub(crate) demo: String,
}

impl Programs {
    /// Finds them from where this program is: the demo server beside it, the others in the target folder above.
    pub(crate) fn find() -> Result<Self> {
        let this = std::env::current_exe().context("cannot find out where this program is")?;
        let profile = this.parent().context("a program is in a folder")?;
        let target = profile.parent().context("a profile is in a target folder")?;
        let servers = target.join("servers");
        Ok(Self {
            everything: present(&servers.join("npm/node_modules/.bin/mcp-server-everything"))?,
            time: present(&servers.join("python/bin/mcp-server-time"))?,
            demo: present(&profile.join(format!("innkeeper-demo-server{}", std::env::consts::EXE_SUFFIX)))?,
        })
    }
}

fn present(path: &Path) -> Result<String> {
    ensure!(path.is_file(), "{} is missing; `cargo xtask platform` builds and installs it", path.display());
    let text = PathBuf::from(path).into_os_string().into_string();
    text.ok().with_context(|| format!("{} is not text, which a command must be", path.display()))
}
