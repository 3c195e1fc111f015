//! A session as the supervisor is asked for it.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path, time::Duration};

use zeroize::Zeroizing;

use super::protocol::{CORE_FILES, GUARDED, Header, MOST_BYTES, PRIVILEGES, UNLIMITED, VERSION};
use crate::{Isolation, isolation::Confinement, transport::ConnectError};

/// What beside strings is in a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) confinement: Confinement,
    pub(super) close_input: Duration,
    pub(super) close_terminate: Duration,
}

/// The bytes of a request. `arguments` begin with the name of the program. Variables may be secrets, so the memory of it is
/// overwritten when it is dropped.
pub(super) fn encode<'a>(
    program: &Path,
    folder: &Path,
    arguments: impl Iterator<Item = &'a OsStr>,
    variables: impl Iterator<Item = (&'a OsStr, &'a OsStr)>,
    terms: Terms,
) -> Result<Zeroizing<Vec<u8>>, ConnectError> {
    let mut strings = Strings::new();
    strings.push(&[program.as_os_str()])?;
    strings.push(&[folder.as_os_str()])?;
    let (mut argument_count, mut variable_count) = (0, 0);
    for argument in arguments {
        strings.push(&[argument])?;
        argument_count += 1;
    }
    for (name, value) in variables {
        strings.push(&[name, OsStr::new("="), value])?;
        variable_count += 1;
    }
    let mut request = strings.0;
    let bytes = (request.len() - Header::SIZE) as u64;
    if bytes > MOST_BYTES {
        return Err(ConnectError::new(format!(
            "its arguments and environment have {bytes} bytes, more than the {MOST_BYTES} that any system takes"
        )));
    }
    let Confinement { isolation, allow_privileges, limits } = terms.confinement;
    let guarded = if isolation == Isolation::Guarded { GUARDED } else { 0 };
    let core_files = if limits.core_files { CORE_FILES } else { 0 };
    let privileges = if allow_privileges { PRIVILEGES } else { 0 };
    let header = Header {
        version: VERSION,
        bytes,
        arguments: argument_count,
        variables: variable_count,
        flags: guarded | core_files | privileges,
        close_input: nanoseconds(terms.close_input),
        close_terminate: nanoseconds(terms.close_terminate),
        address_space: limits.address_space.unwrap_or(UNLIMITED),
        open_files: limits.open_files.unwrap_or(UNLIMITED),
        cpu_seconds: limits.cpu_seconds.unwrap_or(UNLIMITED),
    };
    request[..Header::SIZE].copy_from_slice(&header.to_bytes());
    Ok(request)
}

struct Strings(Zeroizing<Vec<u8>>);

impl Strings {
    fn new() -> Self {
        Self(Zeroizing::new(vec![0; Header::SIZE]))
    }

    fn push(&mut self, parts: &[&OsStr]) -> Result<(), ConnectError> {
        for part in parts {
            if part.as_bytes().contains(&0) {
                // Which one is not said: values may be secrets.
                return Err(ConnectError::new(
                    "its command or environment contains a NUL character, which no process can be given",
                ));
            }
            self.make_room(part.len() + 1);
            self.0.extend_from_slice(part.as_bytes());
        }
        self.make_room(1);
        self.0.push(0);
        Ok(())
    }

    /// A vector that grows by itself leaves its old memory as it is.
    fn make_room(&mut self, bytes: usize) {
        if self.0.capacity() - self.0.len() < bytes {
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * (self.0.len() + bytes)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProcessLimits;

    fn terms() -> Terms {
        Terms {
            confinement: Confinement {
                isolation: Isolation::Guarded,
                allow_privileges: false,
                limits: ProcessLimits { open_files: Some(64), ..ProcessLimits::default() },
            },
            close_input: Duration::from_secs(2),
            close_terminate: Duration::from_millis(1),
        }
    }

    fn encode_echo(argument: &str) -> Result<Zeroizing<Vec<u8>>, ConnectError> {
        let arguments = ["echo", argument];
        let arguments = arguments.iter().map(OsStr::new);
        let variables = [(OsStr::new("A"), OsStr::new("b=c"))];
        encode("/bin/echo".as_ref(), "/".as_ref(), arguments, variables.into_iter(), terms())
    }

    #[test]
    fn a_request_is_a_header_and_its_strings() {
        let request = encode_echo("hi").expect("a small request");

        let (header, strings) = request.split_first_chunk().expect("a header");
        let header = Header::from_bytes(header);
        assert_eq!(strings, b"/bin/echo\0/\0echo\0hi\0A=b=c\0");
        assert_eq!(header.bytes, strings.len() as u64);
        assert_eq!((header.arguments, header.variables, header.flags), (2, 1, GUARDED));
        assert_eq!((header.close_input, header.close_terminate), (2_000_000_000, 1_000_000));
        assert_eq!((header.open_files, header.cpu_seconds), (64, UNLIMITED));
    }

    #[test]
    fn what_no_process_can_be_given_is_refused_and_not_repeated() {
        let nul = encode_echo("s3cret\0").expect_err("a NUL").to_string();
        let large = encode_echo(&"x".repeat(5 << 20)).expect_err("too large").to_string();

        assert!(!nul.contains("s3cret"), "{nul}");
        assert!(large.starts_with("its arguments and environment have 5242"), "{large}");
    }
}
