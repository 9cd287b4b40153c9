//! What the tests said: how many passed, failed and were skipped, and what did not run, and why.
//!
//! A test that cannot run on a machine prints `NOT RUN: <test>: <reason>` and returns. It is
//! counted as skipped, not as passed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The mark of a test that could not run.
const MARK: &str = "NOT RUN: ";

/// Sums over all test runners of one command.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Tests that passed, those counted in `not_run` included until [`Tally::closing`].
    pub(crate) passed: usize,
    /// Tests that failed, and steps that failed.
    pub(crate) failed: usize,
    /// Tests that a runner itself skipped.
    pub(crate) skipped: usize,
    /// What did not run: test and reason; each once.
    not_run: BTreeSet<String>,
    /// What failed, by name.
    failures: BTreeSet<String>,
    /// What failed first and passed when tried again.
    second_try: BTreeSet<String>,
}

impl Tally {
    /// Takes note of one line that a test printed.
    pub(crate) fn heard(&mut self, line: &str) {
        if let Some((_, what)) = line.split_once(MARK) {
            self.not_run.insert(what.trim().to_owned());
        }
    }

    /// Counts something of our own that was not run.
    pub(crate) fn not_run(&mut self, what: &str, reason: &str) {
        // Balanced by the subtraction in `counts`.
        self.passed += 1;
        self.not_run.insert(format!("{what}: {reason}"));
    }

    /// Counts one check of our own.
    pub(crate) fn record(&mut self, what: &str, outcome: &anyhow::Result<()>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(error) => {
                eprintln!("x: {what}: {error:#}");
                self.fail(what);
            }
        }
    }

    /// Counts the failure of `what`.
    pub(crate) fn fail(&mut self, what: &str) {
        self.failed += 1;
        self.failures.insert(what.to_owned());
    }

    /// Takes note of a test that passed only when tried again.
    pub(crate) fn second_try(&mut self, what: &str) {
        self.second_try.insert(what.to_owned());
    }

    /// Adds what another command counted.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.not_run.extend(other.not_run);
        self.failures.extend(other.failures);
        self.second_try.extend(other.second_try);
    }

    /// (passed, failed, skipped). A test that printed the mark came back as passed from its
    /// runner; it counts as skipped.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let not_run = self.not_run.len().min(self.passed);
        (self.passed - not_run, self.failed, self.skipped + not_run)
    }

    /// The closing lines: what was not run and why, what needed a second try, what failed, and the
    /// counts in a line of their own.
    pub(crate) fn closing(&self) -> String {
        // Writing to a String cannot fail.
        let mut text = String::new();
        for (title, list) in [
            ("not run here", &self.not_run),
            ("passed only when tried again; find out why", &self.second_try),
            ("failed", &self.failures),
        ] {
            if list.is_empty() {
                continue;
            }
            let _ = writeln!(text, "\n{title}:");
            for line in list {
                let _ = writeln!(text, "    {line}");
            }
        }
        let (passed, failed, skipped) = self.counts();
        let _ = writeln!(text, "\n{passed} passed, {failed} failed, {skipped} skipped");
        text
    }

    /// Whether something ran and nothing failed.
    pub(crate) fn is_good(&self) -> bool {
        self.failed == 0 && self.counts().0 > 0
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn a_test_that_could_not_run_is_skipped_and_not_passed() {
        let mut tally = Tally { passed: 3, ..Tally::default() };
        tally.heard("    NOT RUN: exec_is_seen: no permission to load BPF");
        tally.heard("    NOT RUN: exec_is_seen: no permission to load BPF");
        tally.heard("an ordinary line");
        assert_eq!(tally.counts(), (2, 0, 1));
        let closing = tally.closing();
        assert!(closing.contains("exec_is_seen: no permission"), "{closing}");
        assert!(closing.ends_with("\n2 passed, 0 failed, 1 skipped\n"), "{closing}");
        assert!(tally.is_good());
    }

    #[test]
    fn nothing_run_or_something_failed_is_not_good() {
        assert!(!Tally::default().is_good());
        let mut tally = Tally { passed: 5, ..Tally::default() };
        tally.second_try("metsuke-e2e::product volume");
        assert!(tally.is_good());
        assert!(tally.closing().contains("find out why:\n    metsuke-e2e::product volume\n"));
        tally.fail("layers");
        assert!(!tally.is_good());
        assert!(tally.closing().contains("failed:\n    layers\n"));
    }
}
