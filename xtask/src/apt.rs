//! Debian packages, for machines where they are the only way.

use anyhow::{Context, Result, bail};

use crate::command::{Tool, exists};

/// Installs packages, or says how to. Never removes one: where apt would have to,
/// for a conflict with the machine's own toolchain, the machine's owner decides.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !exists("apt-get")? {
        bail!("there is no apt-get; install what Debian has as {list} by other means");
    }
    let user = Tool::new("id").args(["-u"]).output("find out which user this is")?;
    if user.trim_end() != "0" {
        bail!("only root may; run `sudo apt-get update && sudo apt-get install {list}` and then this again");
    }
    println!("installing {list}");
    let purpose = format!("install {list}");
    if install_as_known(packages, &purpose).is_ok() {
        return Ok(());
    }
    // The lists of packages are old, or were never loaded.
    apt_get().args(["update"]).run("load the lists of Debian packages")?;
    install_as_known(packages, &purpose).with_context(|| format!("try `apt-get install {list}` by hand"))
}

fn install_as_known(packages: &[&str], purpose: &str) -> Result<()> {
    apt_get().args(["install", "--yes", "--no-install-recommends", "--no-remove"]).args(packages).run(purpose)
}

fn apt_get() -> Tool {
    let mut apt_get = Tool::new("apt-get");
    apt_get.args(["--quiet"]).env("DEBIAN_FRONTEND", "noninteractive");
    apt_get
}
