//! Signals that ask the program to end.
//!
//! The first one ends the work and closes everything that was opened, in order, within the deadlines that closing has. The
//! second one says that the user does not want to wait for servers to end by themselves: they are ended by force. The third
//! one ends the program, whatever is left.

use crate::exit::Failure;

pub(crate) use system::Interrupts;

#[cfg(unix)]
mod system {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::Failure;

    /// Waits for a signal. Once this exists, none of them ends the process by itself any more.
    pub(crate) struct Interrupts {
        interrupt: Signal,
        terminate: Signal,
        hangup: Signal,
    }

    impl Interrupts {
        /// Begins to listen: to the keyboard, to other programs, and for the end of the terminal.
        pub(crate) fn listen() -> Result<Self, Failure> {
            let listen = |kind| signal(kind).map_err(|error| Failure::system("listening to signals", error));
            Ok(Self {
                interrupt: listen(SignalKind::interrupt())?,
                terminate: listen(SignalKind::terminate())?,
                hangup: listen(SignalKind::hangup())?,
            })
        }

        /// The number of the next signal. Cancelling this loses none.
        pub(crate) async fn next(&mut self) -> u8 {
            let kind = tokio::select! {
                _ = self.interrupt.recv() => SignalKind::interrupt(),
                _ = self.terminate.recv() => SignalKind::terminate(),
                _ = self.hangup.recv() => SignalKind::hangup(),
            };
            // Numbers of signals are small and positive (signal(7)).
            u8::try_from(kind.as_raw_value()).unwrap_or(u8::MAX)
        }
    }
}

#[cfg(windows)]
mod system {
    use tokio::signal::windows::{CtrlC, CtrlClose, ctrl_c, ctrl_close};

    use super::Failure;

    /// The numbers that the signals have elsewhere, which exit statuses are made of.
    const INTERRUPT: u8 = 2;
    const HANGUP: u8 = 1;

    /// Waits for the keyboard, and for the end of the console. Once this exists, neither ends the process by itself any more.
    pub(crate) struct Interrupts {
        interrupt: CtrlC,
        close: CtrlClose,
    }

    impl Interrupts {
        /// Begins to listen.
        pub(crate) fn listen() -> Result<Self, Failure> {
            let failed = |error| Failure::system("listening to the console", error);
            Ok(Self { interrupt: ctrl_c().map_err(failed)?, close: ctrl_close().map_err(failed)? })
        }

        /// The number of the next signal. Cancelling this loses none.
        pub(crate) async fn next(&mut self) -> u8 {
            tokio::select! {
                _ = self.interrupt.recv() => INTERRUPT,
                _ = self.close.recv() => HANGUP,
            }
        }
    }
}
