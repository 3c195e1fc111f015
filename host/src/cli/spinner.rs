//! A sign of life on the terminal while something takes long.
//!
//! It appears after a second, because what is shown sooner flickers, and goes without a trace. It is drawn on standard
//! error, and only on a terminal: a log file has no use for it.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::AbortHandle;

use crate::page::harmless;

/// What takes less than this needs no sign.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two pictures: fast enough to look alive, slow enough to cost nothing.
const TICK: Duration = Duration::from_millis(120);

/// A spinner with a title. Dropping it removes it.
pub(crate) struct Spinner {
    bar: ProgressBar,
    title: String,
    appearance: Option<AbortHandle>,
}

impl Spinner {
    /// A spinner that appears when the work has taken a second, if `shown`, on a terminal.
    ///
    /// Needs a tokio runtime.
    pub(crate) fn start(title: impl Into<String>, shown: bool) -> Self {
        let title = title.into();
        // A message that is too long is cut: one that wraps could not be taken back.
        let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_style(style);
        bar.set_message(title.clone());
        let appearance = (shown && io::stderr().is_terminal()).then(|| {
            let bar = bar.clone();
            let appear = async move {
                tokio::time::sleep(PATIENCE).await;
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(TICK);
            };
            tokio::spawn(appear).abort_handle()
        });
        Self { bar, title, appearance }
    }

    /// Says how far the work is.
    pub(crate) fn report(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        let done = match total.filter(|total| *total > 0.0) {
            Some(total) => format!("{:.0} %", (progress / total * 100.0).clamp(0.0, 100.0)),
            None => progress.to_string(),
        };
        let message = message.map(harmless).unwrap_or_default();
        self.bar.set_message(format!("{} {done} {message}", self.title));
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
