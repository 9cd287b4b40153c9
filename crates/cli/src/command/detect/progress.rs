//! How far reading has come, on a terminal only.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line is drawn anew.
const BEAT: Duration = Duration::from_millis(200);
/// Characters of the bar.
const WIDTH: u64 = 40;

/// A bar on standard error.
pub(super) struct Progress {
    shown: bool,
    total: u64,
    done: u64,
    drawn: Option<Instant>,
}

impl Progress {
    pub(super) fn of(total: u64) -> Self {
        Self { shown: std::io::stderr().is_terminal(), total, done: 0, drawn: None }
    }

    /// So many bytes more were read.
    pub(super) fn advance(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
        if self.shown && self.drawn.is_none_or(|drawn| drawn.elapsed() >= BEAT) {
            self.draw();
        }
    }

    /// A file has ended.
    pub(super) fn settle(&mut self) {
        self.done = self.done.min(self.total);
    }

    fn draw(&mut self) {
        self.drawn = Some(Instant::now());
        let done = self.done.min(self.total);
        let part = |of: u64| done.saturating_mul(of).checked_div(self.total).unwrap_or(of);
        let filled = usize::try_from(part(WIDTH)).unwrap_or_default();
        let bar = "#".repeat(filled);
        let _ = write!(std::io::stderr(), "\r[{bar:<40}] {:>3} %", part(100));
    }

    /// Takes the line away.
    pub(super) fn end(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(std::io::stderr(), "\r{:60}\r", "");
        }
    }
}
