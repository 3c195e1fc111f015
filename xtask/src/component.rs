//! From a core wasm module to a component on disk.
//!
//! The compiler leaves the world that a guest implements in a custom section of
//! its module; `wit-component` reads it there and wraps the module accordingly.
//! What comes out is checked for what the host will insist on, so that a guest
//! with an import is refused here and not only by the first host that loads it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use wit_component::{ComponentEncoder, DecodedWasm};

/// What a component may import.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Imports {
    /// Nothing, as the world of a guest says.
    None,
    /// Anything: for a component that exists to be refused by the host.
    Any,
}

/// The interface that every guest exports, without its version.
const EXPORT: &str = "innkeeper:guest/client@";

/// Turns the module in the file `module` into a valid component that implements the world of a guest.
pub(crate) fn from_module(module: &Path, imports: Imports) -> Result<Vec<u8>> {
    let purpose = || format!("cannot make a component of {}", module.display());
    let bytes = fs::read(module).with_context(purpose)?;
    let mut encoder = ComponentEncoder::default();
    let encoded = encoder.validate(true).module(&bytes).and_then(ComponentEncoder::encode);
    // The encoder's errors are chains that end in the cause: an import of the module that no world explains, mostly.
    let component = encoded.with_context(purpose)?;
    check_world(&component, imports).with_context(purpose)?;
    Ok(component)
}

fn check_world(component: &[u8], imports: Imports) -> Result<()> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("it is a WIT package and not a component");
    };
    let world = &resolve.worlds[world];
    let imported: Vec<String> = world.imports.keys().map(|key| resolve.name_world_key(key)).collect();
    match imports {
        Imports::None if !imported.is_empty() => bail!(
            "it imports {}, but a guest imports nothing: what it wants done it returns as an effect, \
             and the time it is told",
            imported.join(", ")
        ),
        Imports::Any if imported.is_empty() => bail!("it imports nothing, but was built to import something"),
        Imports::None | Imports::Any => {}
    }
    if !world.exports.keys().any(|key| resolve.name_world_key(key).starts_with(EXPORT)) {
        bail!("it does not export an interface {EXPORT}…: is its `export!` compiled in?");
    }
    Ok(())
}

/// Writes the component to `file`, unless just that is there already: a build
/// script that watches the file would run again for nothing.
pub(crate) fn write(component: &[u8], file: &Path) -> Result<()> {
    let digest: String = Sha256::digest(component).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let unchanged = match fs::read(file) {
        Ok(present) => present == component,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    if !unchanged {
        replace(file, component)?;
    }
    let note = if unchanged { ", unchanged" } else { "" };
    println!("{}: {} bytes, sha256 {digest}…{note}", file.display(), component.len());
    Ok(())
}

/// Replaces a file in one step, so that nobody who reads it meanwhile sees half of it.
fn replace(file: &Path, bytes: &[u8]) -> Result<()> {
    let purpose = || format!("cannot write {}", file.display());
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(purpose)?;
    }
    let partial = file.with_extension("partial");
    fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, file)).with_context(purpose)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with one import of an empty interface and no export.
    fn importing() -> Vec<u8> {
        // Preamble of a component; type section: one instance type without members; import section: that instance.
        let mut bytes = vec![0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
        bytes.extend([0x07, 0x03, 0x01, 0x42, 0x00]);
        bytes.extend([0x0a, 0x0b, 0x01, 0x00, 0x06]);
        bytes.extend(*b"a:b/cd");
        bytes.extend([0x05, 0x00]);
        bytes
    }

    #[test]
    fn an_import_is_refused_by_name() {
        let error = check_world(&importing(), Imports::None).expect_err("it is refused");

        assert!(error.to_string().contains("it imports a:b/cd"), "{error}");
    }

    #[test]
    fn a_component_that_exports_no_client_is_refused() {
        let error = check_world(&importing(), Imports::Any).expect_err("it is refused");

        assert!(error.to_string().contains("innkeeper:guest/client"), "{error}");
    }
}
