//! Components: loading, checking, compiling.
//!
//! Nothing is taken on trust: a component that imports anything is refused by the name of the import, and every other one is
//! instantiated once and asked what it is before a session gets it.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use wasmtime::{Store, component::Linker};

use super::{
    GuestFault,
    bindings::Linked,
    boundary::GuestInfo,
    codes::check_code,
    engine::GuestEngine,
    instance::{self, State},
    runner::Runner,
    standing::Standing,
};
use crate::Error;

/// The default guest, as `cargo xtask guest` built it; none if it had not been built when this crate was.
const EMBEDDED: Option<&[u8]> = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Bytes of a component. The default guest has 0.2 MB; compiling takes time and memory in proportion.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Entries of a list, and bytes of a text, with which a guest describes itself.
const MOST_NAMES: usize = 256;
const LONGEST_NAME: usize = 256;

/// Where a component comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ComponentSource {
    /// The default guest, which is part of this crate.
    Embedded,
    /// A file.
    File(PathBuf),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A guest component, compiled for one runtime, from which sessions get their instances. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    code: Arc<Code>,
    info: Arc<GuestInfo>,
}

/// Compiled and linked code, before anybody asked it what it is.
pub(super) struct Code {
    pub(super) linked: Linked<State>,
    pub(super) engine: Arc<GuestEngine>,
    digest: String,
}

impl Component {
    pub(crate) async fn load(engine: &Arc<GuestEngine>, source: ComponentSource) -> Result<Self, Error> {
        // Reading takes as long as the disk does, and compiling a tenth of a second of CPU time: not on the embedder's workers.
        let failed = |error| refused(format!("loading it failed: {error}"));
        let (bytes, digest) = tokio::task::spawn_blocking(move || {
            let bytes = read(source)?;
            let digest = digest(&bytes);
            Ok::<_, Error>((bytes, digest))
        })
        .await
        .map_err(failed)??;
        let compile = async |turn| {
            let (engine, digest) = (engine.clone(), digest.clone());
            let compiling = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                let linked = compile(&engine, &bytes)?;
                Ok(Arc::new(Code { linked, digest, engine }))
            });
            compiling.await.map_err(failed)?
        };
        let code = engine.codes.get(&digest, compile).await?;

        let info = describe(&code).await.map_err(|fault| refused(format!("its trial run failed: {fault}")))?;
        check_info(&info)?;
        Ok(Self { code, info: Arc::new(info) })
    }

    /// What the guest says of itself.
    pub fn info(&self) -> &GuestInfo {
        &self.info
    }

    /// SHA-256 of the component's bytes, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.code.digest
    }

    pub(super) fn code(&self) -> &Arc<Code> {
        &self.code
    }
}

async fn describe(code: &Arc<Code>) -> Result<GuestInfo, GuestFault> {
    Runner::start(code, Standing::default()).await?.describe().await
}

impl Code {
    /// A store for one instance.
    pub(super) fn store(&self) -> Store<State> {
        instance::store(&self.engine.engine, &self.engine.limits)
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.digest().get(..12).unwrap_or_default();
        write!(f, "{} {} ({digest})", self.info.name, self.info.version)
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component").field("info", &self.info).field("digest", &self.digest()).finish()
    }
}

/// What a guest says of itself stands in logs, errors and tables, so it must be short and do nothing to a terminal.
fn check_info(info: &GuestInfo) -> Result<(), Error> {
    let lists = [&info.revisions, &info.snapshot_formats, &info.restorable_formats, &info.headers, &info.extensions];
    let texts = [&info.name, &info.version];
    if lists.iter().any(|list| list.len() > MOST_NAMES) {
        return Err(refused(format!("it describes itself with a list of more than {MOST_NAMES} entries")));
    }
    let plain = |text: &String| text.len() <= LONGEST_NAME && !text.chars().any(char::is_control);
    if texts.into_iter().chain(lists.into_iter().flatten()).all(plain) {
        return Ok(());
    }
    Err(refused(format!(
        "it describes itself with a text that has control characters or more than {LONGEST_NAME} bytes"
    )))
}

fn read(source: ComponentSource) -> Result<Vec<u8>, Error> {
    match source {
        ComponentSource::Embedded => EMBEDDED.map(<[u8]>::to_vec).ok_or_else(|| {
            refused(
                "this build embeds no guest; run `cargo xtask guest` and build again, or give a component file".into(),
            )
        }),
        ComponentSource::Bytes(bytes) => {
            check_size(bytes.len() as u64, "the given bytes")?;
            Ok(bytes)
        }
        ComponentSource::File(path) => read_file(&path),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |error: std::io::Error| refused(format!("{}: {error}", path.display()));
    check_size(std::fs::metadata(path).map_err(unreadable)?.len(), &path.display().to_string())?;
    std::fs::read(path).map_err(unreadable)
}

fn check_size(size: u64, what: &str) -> Result<(), Error> {
    if size > MOST_BYTES {
        return Err(refused(format!("{what} has {size} bytes; a component has at most {MOST_BYTES}")));
    }
    Ok(())
}

fn compile(engine: &GuestEngine, bytes: &[u8]) -> Result<Linked<State>, Error> {
    match bytes.get(..8) {
        Some([0, b'a', b's', b'm', 0x01, 0, 0, 0]) => {
            return Err(refused(
                "it is a core wasm module, not a component; `wasm-tools component new` makes one of it".into(),
            ));
        }
        Some([0, b'a', b's', b'm', ..]) => {}
        _ => return Err(refused("it is not WebAssembly in binary form".into())),
    }
    check_code(bytes).map_err(refused)?;
    let engine = &engine.engine;
    let component = wasmtime::component::Component::from_binary(engine, bytes)
        .map_err(|error| refused(format!("it does not compile: {error:#}")))?;

    let imports: Vec<String> =
        component.component_type().imports(engine).map(|(name, _)| format!("`{name}`")).collect();
    if !imports.is_empty() {
        return Err(refused(format!("it imports {}; a guest imports nothing", imports.join(", "))));
    }
    Linker::new(engine)
        .instantiate_pre(&component)
        .and_then(Linked::new)
        .map_err(|error| refused(format!("it does not export `innkeeper:guest/client`: {error:#}")))
}

fn refused(reason: String) -> Error {
    Error::Component { reason }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
