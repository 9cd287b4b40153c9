//! What the work did against what the server was told: kind by kind.
//!
//! Invariant: a loss that was told excuses only what is missing of its own kind; nothing excuses
//! more told than done.

use metsuke_event::{Kind, Tally};

use crate::work::Done;

/// What the server was told of the work, and of losses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) execs: u64,
    pub(crate) creates: u64,
    pub(crate) deletes: u64,
    pub(crate) connects: u64,
    /// What `sensor.health` activities say was lost, by kind, whoever did it.
    pub(crate) lost: Tally,
}

/// One kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    kind: Kind,
    done: u64,
    told: u64,
    lost: u64,
}

impl Line {
    /// Missing, and told by nobody.
    const fn hidden(&self) -> u64 {
        self.done.saturating_sub(self.told.saturating_add(self.lost))
    }

    const fn foreign(&self) -> u64 {
        self.told.saturating_sub(self.done)
    }
}

fn lines(done: &Done, told: &Told) -> [Line; 4] {
    let line = |kind, done, told_of| Line { kind, done, told: told_of, lost: told.lost.get(kind) };
    [
        line(Kind::ProcessExec, done.execs, told.execs),
        line(Kind::FileCreate, done.creates, told.creates),
        line(Kind::FileDelete, done.deletes, told.deletes),
        line(Kind::NetworkConnect, done.connects, told.connects),
    ]
}

/// The account, for people, and whether it holds: of every kind, told and told as lost are all that
/// was done, and no more was told than done.
pub(crate) fn account(done: &Done, told: &Told) -> (Vec<String>, bool) {
    let lines = lines(done, told);
    let mut said = Vec::new();
    for line in lines.iter().filter(|line| line.done + line.told > 0) {
        let Line { kind, done, told, lost } = line;
        said.push(format!(
            "{}: {done} done, {told} told, {lost} told as lost, {} hidden, {} too many",
            kind.name(),
            line.hidden(),
            line.foreign()
        ));
    }
    let lost = if told.lost.is_empty() { "nothing".to_owned() } else { told.lost.to_string() };
    said.push(format!("told as lost, all kinds: {lost}"));
    (said, lines.iter().all(|line| line.hidden() == 0 && line.foreign() == 0))
}

#[cfg(test)]
mod tests {
    use metsuke_event::{Kind, Tally};

    use super::{Told, account};
    use crate::work::Done;

    fn holds(creates: u64, told: u64, lost: &[(Option<Kind>, u64)]) -> bool {
        let done = Done { execs: 10, creates, ..Done::default() };
        let lost: Tally = lost.iter().copied().collect();
        account(&done, &Told { execs: 10, creates: told, lost, ..Told::default() }).1
    }

    #[test]
    fn a_loss_of_one_kind_excuses_no_other() {
        let (create, delete) = (Some(Kind::FileCreate), Some(Kind::FileDelete));
        assert!(holds(100, 100, &[]));
        assert!(holds(100, 93, &[(create, 7)]));
        assert!(!holds(100, 93, &[(create, 6), (delete, 500), (None, 500)]), "one is hidden");
        assert!(!holds(100, 101, &[(create, 7)]), "one too many");
    }

    #[test]
    fn what_is_said_names_each_kind() {
        let done = Done { creates: 5, ..Done::default() };
        let lost = Tally::of(Kind::FileCreate, 1);
        let (said, holds) = account(&done, &Told { creates: 3, lost, ..Told::default() });
        let expected = "file.create: 5 done, 3 told, 1 told as lost, 1 hidden, 0 too many";
        assert_eq!(said, [expected, "told as lost, all kinds: file.create 1"]);
        assert!(!holds);
    }
}
