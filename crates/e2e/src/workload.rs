//! Work that counts itself: every activity carries a mark of its own, so that what was produced
//! and what is stored are compared as sets, never as totals.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Result, bail};
use metsuke_event::Timestamp;
use metsuke_testkit::{Api, Cgroup};

/// Processes started in a control group, each with a mark on its command line.
#[derive(Clone, Debug)]
pub struct Marks {
    word: String,
    count: usize,
    started: Timestamp,
}

impl Marks {
    /// Starts `count` processes in `group`, one after the other, and waits for them.
    ///
    /// # Errors
    /// When the workload fails.
    pub fn run(group: &Cgroup, word: &str, count: usize) -> Result<Self> {
        let started = metsuke_demo::truth::now();
        let status = Self::command(group, word, count).status()?;
        if !status.success() {
            bail!("the workload ended with {status}");
        }
        Ok(Self { word: word.to_owned(), count, started })
    }

    /// The command that does it, for a test that works meanwhile; tell [`Marks::of`] afterwards.
    pub fn command(group: &Cgroup, word: &str, count: usize) -> Command {
        let mut command = group.command("/bin/sh");
        command.args([
            "-c",
            "i=0; while [ $i -lt $2 ]; do i=$((i+1)); /bin/true $1-$i.; done",
            "sh",
        ]);
        command.arg(word).arg(count.to_string());
        command
    }

    /// What such a command did that was started at `started`.
    pub fn of(word: &str, count: usize, started: Timestamp) -> Self {
        Self { word: word.to_owned(), count, started }
    }

    /// What the server has: how often each mark's start stands in the store.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn stored(&self, api: &Api) -> Result<BTreeMap<String, usize>> {
        let from = self.started.plus_nanos(-1_000_000_000).to_string();
        let to = metsuke_demo::truth::now().plus_nanos(60_000_000_000).to_string();
        let query = format!("class:process.exec AND process.cmd_line:*{}-*", self.word);
        let mut stored = BTreeMap::new();
        for row in api.search_all(&query, &from, &to)? {
            let cmd_line = row["fields"]["process.cmd_line"].as_str().unwrap_or_default();
            if let Some(mark) = cmd_line.strip_prefix("/bin/true ") {
                *stored.entry(mark.to_owned()).or_insert(0) += 1;
            }
        }
        Ok(stored)
    }

    /// Marks that are missing, and marks that are there more than once.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn compare(&self, api: &Api) -> Result<Difference> {
        let stored = self.stored(api)?;
        let produced = (1..=self.count).map(|number| format!("{}-{number}.", self.word));
        let lost = produced.filter(|mark| !stored.contains_key(mark)).collect();
        let doubled = stored.into_iter().filter(|(_, times)| *times > 1).map(|(mark, _)| mark);
        Ok(Difference { lost, doubled: doubled.collect() })
    }
}

/// What does not agree between what was produced and what is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Produced, not stored.
    pub lost: Vec<String>,
    /// Stored more than once.
    pub doubled: Vec<String>,
}
