//! The request of a session, and what execve(2) needs of it.
//!
//! It is read into memory of its own, beside a table of addresses, before the fork: between fork and exec there is then
//! nothing to do but system calls. Both are given back when the server runs, so that an idle session keeps none of it.
//! Environment variables may be secrets: they are in memory that nobody of the same user can read (`root` says why), and not for
//! long.

use core::ffi::CStr;

use crate::{
    protocol::{Header, MOST_BYTES, VERSION},
    system::{self, Errno, Result},
};

/// A shell for scripts without a first line that names one, as execvp(3) has it.
const SHELL: &CStr = c"/bin/sh";

pub(crate) struct Request {
    pub(crate) header: Header,
    strings: &'static mut [u8],
    /// Addresses of strings: of the shell, of the arguments, null, of the variables, null.
    addresses: &'static mut [*const u8],
    folder: usize,
    arguments: usize,
}

impl Request {
    /// Reads a request. `fill` fills a slice, or says why not.
    pub(crate) fn read(mut fill: impl FnMut(&mut [u8]) -> Result<()>) -> Result<Self> {
        let mut header = [0; Header::SIZE];
        fill(&mut header)?;
        let header = Header::from_bytes(&header);
        // No more strings than bytes, so that the sum below cannot overflow.
        let counts = [header.arguments, header.variables];
        let is_ours = header.version == VERSION && header.bytes <= MOST_BYTES && header.arguments > 0;
        if !is_ours || counts.into_iter().any(|count| count > header.bytes) {
            return Err(Errno::PROTO);
        }
        let [arguments, variables] = counts.map(|count| usize::try_from(count).unwrap_or(0));
        let strings = system::map::<u8>(usize::try_from(header.bytes).unwrap_or(0))?;
        fill(strings)?;
        let addresses = system::map(arguments + variables + 3)?;
        let mut request = Self { header, strings, addresses, folder: 0, arguments };
        request.index(variables).ok_or(Errno::PROTO)?;
        Ok(request)
    }

    /// Finds the strings: as many as the header says, and not a byte more.
    fn index(&mut self, variables: usize) -> Option<()> {
        let mut at = 0;
        let mut next = || {
            let start = at;
            let length = self.strings.get(start..)?.iter().position(|byte| *byte == 0)?;
            at += length + 1;
            Some(start)
        };
        // The program is the first.
        next()?;
        self.folder = next()?;
        let (arguments, rest) = self.addresses.split_at_mut_checked(self.arguments + 2)?;
        *arguments.first_mut()? = SHELL.as_ptr().cast();
        for slot in arguments.iter_mut().skip(1).take(self.arguments).chain(rest.iter_mut().take(variables)) {
            *slot = self.strings.get(next()?..)?.as_ptr();
        }
        (at == self.strings.len()).then_some(())
    }

    fn string(&self, at: usize) -> &CStr {
        self.strings.get(at..).and_then(|rest| CStr::from_bytes_until_nul(rest).ok()).unwrap_or_default()
    }

    pub(crate) fn folder(&self) -> &CStr {
        self.string(self.folder)
    }

    /// Becomes the program. Returns why not.
    pub(crate) fn execute(&mut self) -> Errno {
        let Some((shell, rest)) = self.addresses.split_first_mut() else { return Errno::INVAL };
        let Some((arguments, environment)) = rest.split_at_checked(self.arguments + 1) else { return Errno::INVAL };
        let program = self.strings.as_ptr();
        // SAFETY: strings that end with NUL, and lists of such that end with null: `index` made them.
        let error = unsafe { system::execute(program, arguments.as_ptr(), environment.as_ptr()) };
        if error != Errno::NOEXEC {
            return error;
        }
        // As execvp(3): the shell, the script as its first argument, the other arguments.
        let shell = *shell;
        let Some(slot) = self.addresses.get_mut(1) else { return error };
        *slot = program;
        let environment = self.addresses.get(self.arguments + 2..).unwrap_or_default();
        // SAFETY: as above; the first string is the shell's path.
        unsafe { system::execute(shell, self.addresses.as_ptr(), environment.as_ptr()) }
    }

    pub(crate) fn release(self) {
        let Self { strings, addresses, .. } = self;
        let (strings, addresses): (*mut [u8], *mut [*const u8]) = (strings, addresses);
        // SAFETY: both come from `map`, and went with `self`.
        unsafe {
            system::unmap(strings);
            system::unmap(addresses);
        }
    }
}
