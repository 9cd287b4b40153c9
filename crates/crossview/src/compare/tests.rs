//! The comparison against a model: sets of small numbers.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{RULES, differences, lasting};
use crate::view::{Pass, ProcessRef, Subject, SubjectType, View};

const KNOWS: &str = "bpf_iter_task";
const OWES: &str = "readdir_proc";

fn view(name: &'static str, pids: &BTreeSet<u8>, start: u64) -> View {
    let mut view = View::new(name, SubjectType::Process);
    for pid in pids {
        let process =
            ProcessRef { pid: u32::from(*pid), start_ticks: Some(start), ..ProcessRef::default() };
        view.show(pid.to_string(), Subject { label: format!("{pid}"), process: Some(process) });
    }
    view
}

fn pass(knows: &BTreeSet<u8>, owes: &BTreeSet<u8>, start: u64) -> Pass {
    Pass { views: vec![view(KNOWS, knows, start), view(OWES, owes, start)], ..Pass::default() }
}

fn pids(found: &[super::Difference]) -> BTreeSet<u8> {
    found.iter().map(|difference| difference.id.parse().expect("a number")).collect()
}

proptest! {
    /// What is told was seen by a view and owed by another, both times, and nothing else is.
    #[test]
    fn only_what_stays_is_told(
        knows in proptest::array::uniform2(any::<BTreeSet<u8>>()),
        owes in proptest::array::uniform2(any::<BTreeSet<u8>>()),
        restarted in any::<bool>(),
    ) {
        let [first, second] = [0, 1].map(|n| {
            let start = if restarted { n as u64 } else { 7 };
            differences(&pass(&knows[n], &owes[n], start), RULES)
        });
        let told = lasting(&first, second);
        let hidden = |n: usize| -> BTreeSet<u8> { knows[n].difference(&owes[n]).copied().collect() };
        // The other direction is a rule too: listed, but not known to the iterator.
        let feigned = |n: usize| -> BTreeSet<u8> { owes[n].difference(&knows[n]).copied().collect() };
        let mut expect: BTreeSet<u8> = hidden(0).intersection(&hidden(1)).copied().collect();
        expect.extend(feigned(0).intersection(&feigned(1)));
        if restarted {
            expect.clear();
        }
        prop_assert_eq!(pids(&told), expect);
        for difference in &told {
            let pid: u8 = difference.id.parse().expect("a number");
            let feigned = feigned(0).contains(&pid);
            let technique = if feigned { "hidden_from_iterator" } else { "hidden_from_proc" };
            prop_assert_eq!(difference.technique, technique);
        }
    }

    /// A view that could not look, or was cut off, never makes anything missing.
    #[test]
    fn nothing_is_missing_from_a_view_that_did_not_look(
        knows in any::<BTreeSet<u8>>(),
        owes in any::<BTreeSet<u8>>(),
        cut in any::<bool>(),
    ) {
        let mut pass = pass(&knows, &owes, 1);
        if cut {
            pass.views[1].cut = 1;
        } else {
            pass.views[1] = View::refused(OWES, SubjectType::Process, "not here");
        }
        let told = differences(&pass, RULES);
        prop_assert!(told.values().all(|difference| !difference.missing_from.contains(OWES)));
    }
}

#[test]
fn a_closer_look_names_the_technique_and_views_of_one_subject_come_together() {
    let mut one = pass(&BTreeSet::from([3]), &BTreeSet::new(), 1);
    one.views.push(view("pidfd_open", &BTreeSet::from([3]), 1));
    one.views.push(View::new("proc_entry", SubjectType::Process));
    one.clue(SubjectType::Process, "3", "tmpfs_over_proc", "a tmpfs lies over it".to_owned());
    let first = differences(&one, RULES);
    let told = lasting(&first.clone(), first);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].technique, "tmpfs_over_proc");
    assert_eq!(told[0].detail, "a tmpfs lies over it");
    assert_eq!(told[0].seen_by, BTreeSet::from(["bpf_iter_task", "pidfd_open"]));
    assert_eq!(told[0].missing_from, BTreeSet::from(["readdir_proc", "proc_entry"]));
}
