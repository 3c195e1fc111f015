//! A sign of life on the terminal while something takes long.
//!
//! It appears after a second, because what is shown sooner flickers, and goes without a trace. It is drawn on standard
//! error, and only on a terminal: a log file has no use for it.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget};
use tokio::task::AbortHandle;

use crate::page::harmless;

/// What takes less than this needs no sign.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two pictures: fast enough to look alive, slow enough to cost nothing.
const TICK: Duration = Duration::from_millis(120);

/// A spinner with a message. Dropping it removes it.
pub(crate) struct Spinner {
    bar: ProgressBar,
    appearance: Option<AbortHandle>,
}

impl Spinner {
    /// A spinner that appears when the work has taken a second, if `shown`, on a terminal.
    ///
    /// Needs a tokio runtime.
    pub(crate) fn start(message: String, shown: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_message(message);
        let appearance = (shown && io::stderr().is_terminal()).then(|| {
            let bar = bar.clone();
            let appear = async move {
                tokio::time::sleep(PATIENCE).await;
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(TICK);
            };
            tokio::spawn(appear).abort_handle()
        });
        Self { bar, appearance }
    }

    /// Says how far the work is.
    pub(crate) fn report(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        let message = message.map(harmless).unwrap_or_default();
        match total.filter(|total| *total > 0.0) {
            Some(total) => {
                let percent = (progress / total * 100.0).clamp(0.0, 100.0);
                self.bar.set_message(format!("{percent:3.0} % {message}"));
            }
            None => self.bar.set_message(format!("{progress} {message}")),
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(appearance) = &self.appearance {
            appearance.abort();
        }
        self.bar.finish_and_clear();
    }
}
