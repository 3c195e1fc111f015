//! The compiled components of a runtime: equal bytes are compiled once, however many tenants bring them, and few at a time.
//!
//! Compiling is the one thing that a guest makes the host do which no tick interrupts. So what a component may have is bounded
//! before: bytes, functions, and the size of one function, in which the compiler is slower than linear. And it is done by two
//! threads at most, so that a tenant who brings one component after another delays others who bring theirs, and no call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};
use wasmparser::{Parser, Payload};

use super::component::Code;
use crate::Error;

/// Components that are compiled at a time.
const AT_A_TIME: usize = 2;

/// Functions of a component. The default guest has some 1,500; a guest with a language's runtime in it has ten thousand.
const MOST_FUNCTIONS: u32 = 50_000;

/// Bytes of one function. The largest of the default guest has 20 KiB; compiling one of a megabyte takes seconds.
const LARGEST_FUNCTION: usize = 512 * 1024;

pub(super) struct Codes {
    known: Mutex<HashMap<String, Arc<Slot>>>,
    compiling: Arc<Semaphore>,
}

/// The code for some bytes, while somebody has it; locked by whoever compiles it.
type Slot = AsyncMutex<Weak<Code>>;

impl Default for Codes {
    fn default() -> Self {
        Self { known: Mutex::default(), compiling: Arc::new(Semaphore::new(AT_A_TIME)) }
    }
}

impl Codes {
    /// The code for the bytes with this digest, from whoever has it or by `compile`, which holds its turn for as long as it works.
    ///
    /// Cancellation safe: whoever comes next compiles.
    pub(super) async fn get(
        &self,
        digest: &str,
        compile: impl AsyncFnOnce(OwnedSemaphorePermit) -> Result<Arc<Code>, Error>,
    ) -> Result<Arc<Code>, Error> {
        let slot = self.slot(digest);
        let mut known = slot.lock().await;
        if let Some(code) = known.upgrade() {
            return Ok(code);
        }
        // It goes to where the work is done, which goes on where whoever waits for it gives up.
        let turn = self
            .compiling
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| Error::Component { reason: "the runtime compiles nothing any more".to_owned() })?;
        let code = compile(turn).await?;
        *known = Arc::downgrade(&code);
        Ok(code)
    }

    fn slot(&self, digest: &str) -> Arc<Slot> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // What nobody has or waits for any more goes with the next that is new.
        known
            .retain(|_, slot| Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|code| code.strong_count() > 0));
        known.entry(digest.to_owned()).or_default().clone()
    }
}

/// Whether a component, or a module, is not too much to compile.
pub(super) fn check_code(bytes: &[u8]) -> Result<(), String> {
    let mut functions: u32 = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        // What is not well-formed is for the compiler to say, which reads it in the same way.
        let Ok(payload) = payload else { return Ok(()) };
        match payload {
            Payload::CodeSectionStart { count, .. } => functions = functions.saturating_add(count),
            Payload::CodeSectionEntry(body) => {
                let size = body.range().len();
                if size > LARGEST_FUNCTION {
                    return Err(format!("one of its functions has {size} bytes; the most is {LARGEST_FUNCTION}"));
                }
            }
            _ => {}
        }
        if functions > MOST_FUNCTIONS {
            return Err(format!("it has more than {MOST_FUNCTIONS} functions"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Limits,
        guest::{Component, ComponentSource, GuestEngine},
    };

    /// A module with so many functions of so many bytes that do nothing.
    fn module(functions: u32, bytes: u32) -> Vec<u8> {
        fn number(mut value: u32, to: &mut Vec<u8>) {
            while value >= 0x80 {
                to.push(value.to_le_bytes()[0] | 0x80);
                value >>= 7;
            }
            to.push(value.to_le_bytes()[0]);
        }
        fn section(id: u8, content: &[u8], to: &mut Vec<u8>) {
            to.push(id);
            number(content.len().try_into().unwrap(), to);
            to.extend(content);
        }
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        section(1, &[1, 0x60, 0, 0], &mut module);
        let mut types = Vec::new();
        number(functions, &mut types);
        types.extend((0..functions).map(|_| 0));
        section(3, &types, &mut module);
        let mut code = Vec::new();
        number(functions, &mut code);
        for _ in 0..functions {
            number(bytes, &mut code);
            // No locals, then `nop` to the end.
            code.push(0);
            code.extend((0..bytes - 2).map(|_| 1));
            code.push(0x0b);
        }
        section(10, &code, &mut module);
        module
    }

    #[test]
    fn what_has_too_many_functions_or_too_large_a_one_is_not_compiled() {
        let size = u32::try_from(LARGEST_FUNCTION).unwrap();

        assert_eq!(check_code(&module(1_000, 100)), Ok(()));
        assert_eq!(check_code(&module(MOST_FUNCTIONS, 2)), Ok(()));
        assert!(check_code(&module(MOST_FUNCTIONS + 1, 2)).unwrap_err().contains("functions"));
        assert_eq!(check_code(&module(1, size)), Ok(()));
        assert!(check_code(&module(1, size + 1)).unwrap_err().contains("one of its functions"));
    }

    #[tokio::test]
    async fn equal_bytes_are_compiled_once_for_all_who_have_them_and_anew_when_nobody_has() {
        let engine = GuestEngine::new(Arc::new(Limits::default())).unwrap();
        let load = || Component::load(&engine, ComponentSource::Embedded);

        let (one, other) = tokio::join!(load(), load());
        let (one, other) = (one.unwrap(), other.unwrap());
        assert!(Arc::ptr_eq(one.code(), other.code()));
        let first = Arc::downgrade(one.code());
        drop((one, other));
        let again = load().await.unwrap();

        assert!(first.upgrade().is_none(), "it was kept for nobody");
        assert_eq!(again.digest().len(), 64);
    }
}
