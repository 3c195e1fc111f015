//! Where things are: the root of the workspace and its target folder.
//!
//! Cargo is asked rather than the paths guessed, because the target folder may
//! come from `CARGO_TARGET_DIR`, `--target-dir` or any of several configuration
//! files.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command::Tool;

pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    cargo: OsString,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        // Cargo says which cargo runs us; a program started by hand falls back to the one on the path.
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let purpose = "find the workspace";
        let metadata = Tool::new(&cargo)
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path", manifest])
            .output(purpose)?;
        let metadata: Value =
            serde_json::from_str(&metadata).with_context(|| format!("cannot {purpose}: cargo metadata is not JSON"))?;
        let folder = |key: &str| -> Result<PathBuf> {
            let path = metadata[key].as_str();
            Ok(path.with_context(|| format!("cannot {purpose}: cargo metadata has no `{key}`"))?.into())
        };
        Ok(Self { root: folder("workspace_root")?, target: folder("target_directory")?, cargo })
    }

    /// The cargo that runs this task, in the root of the workspace.
    pub(crate) fn cargo(&self) -> Tool {
        let mut cargo = Tool::new(&self.cargo);
        cargo.current_dir(&self.root);
        cargo
    }
}
