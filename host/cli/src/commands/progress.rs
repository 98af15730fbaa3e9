//! How far long work has come: on stderr, and only where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar where the end is known (in bytes), otherwise a running count.
pub(crate) struct Progress {
    bar: ProgressBar,
    known: bool,
}

impl Progress {
    pub(crate) fn new(bytes: Option<u64>) -> Self {
        // indicatif draws nothing where stderr is no terminal.
        let bar = match bytes {
            Some(bytes) => ProgressBar::new(bytes),
            None => ProgressBar::new_spinner(),
        };
        let template = match bytes {
            Some(_) => "{bar:30} {bytes}/{total_bytes} {msg} {eta}",
            None => "{spinner} {msg} {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress { bar, known: bytes.is_some() }
    }

    /// So many entries are done, and so many bytes of the input.
    pub(crate) fn update(&self, entries: u64, bytes: u64) {
        if self.known {
            self.bar.set_position(bytes);
        }
        self.bar.set_message(format!("{entries} entries"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
