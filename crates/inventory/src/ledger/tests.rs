//! The ledger against a model of the server, over a link that loses answers and a server that is
//! set back.

use std::collections::{BTreeMap, VecDeque};

use metsuke_event::Timestamp;
use metsuke_event::inventory::{Delta, Item, ItemKind, Package, Survey};
use proptest::prelude::*;

use super::{ITEMS_MAX, Ledger, Name};

fn package(name: u8, version: u8) -> Item {
    Item::Package(Package {
        name: name.to_string(),
        version: version.to_string(),
        arch: "all".to_owned(),
        manager: "dpkg".to_owned(),
    })
}

fn key(name: u8) -> Name {
    (ItemKind::Package, package(name, 0).key())
}

/// The server, as docs/spec/link.md has it.
#[derive(Clone, Debug, Default)]
struct Server {
    generation: u64,
    items: BTreeMap<Name, (Item, u64)>,
    whole_since: Option<u64>,
}

impl Server {
    fn take(&mut self, delta: &Delta) -> u64 {
        if delta.stage.begins() {
            self.whole_since = Some(delta.generation);
        } else if delta.generation == self.generation || delta.base != self.generation {
            return self.generation;
        }
        self.generation = delta.generation;
        for item in &delta.set {
            let name = (item.kind(), item.key());
            self.items.insert(name, (item.clone(), delta.generation));
        }
        for name in &delta.removed {
            self.items.remove(name);
        }
        if delta.stage.ends()
            && let Some(since) = self.whole_since.take()
        {
            self.items.retain(|_, (_, generation)| *generation >= since);
        }
        self.generation
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, u8),
    Remove(u8),
    /// Said and answered.
    Say(usize),
    /// Said; the answer is lost.
    Unanswered(usize),
    /// The sensor starts again with what it kept.
    Restart,
    /// The sensor starts again and its state is gone.
    Forget,
    /// The server is set back to what it was.
    SetBack,
    /// What the server is is remembered.
    Backup,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..20_u8, 0..3_u8).prop_map(|(name, version)| Step::Set(name, version)),
        3 => (0..20_u8).prop_map(Step::Remove),
        8 => (1..6_usize).prop_map(Step::Say),
        2 => (1..6_usize).prop_map(Step::Unanswered),
        1 => Just(Step::Restart),
        1 => Just(Step::Forget),
        1 => Just(Step::SetBack),
        1 => Just(Step::Backup),
    ]
}

struct World {
    ledger: Ledger,
    items: BTreeMap<Name, Item>,
    server: Server,
    backup: Server,
    clock: u64,
}

impl World {
    fn next(&mut self, most: usize) -> Option<Delta> {
        self.clock += 1;
        let items = &self.items;
        let names = || items.keys().cloned().collect::<VecDeque<_>>();
        self.ledger
            .next((self.clock, most), &BTreeMap::new(), names, |name| items.get(name).cloned())
    }

    fn say(&mut self, most: usize) -> bool {
        let Some(delta) = self.next(most) else { return false };
        let held = self.server.take(&delta);
        self.ledger.seen(held);
        true
    }

    fn restart(&mut self, kept: Option<super::Kept>) {
        self.ledger = Ledger::new(kept);
        self.ledger.touch_all(ItemKind::Package);
        for name in self.items.keys() {
            self.ledger.touch(name.0, &name.1);
        }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Set(name, version) => {
                self.items.insert(key(*name), package(*name, *version));
                self.ledger.touch(ItemKind::Package, &key(*name).1);
            }
            Step::Remove(name) => {
                self.items.remove(&key(*name));
                self.ledger.touch(ItemKind::Package, &key(*name).1);
            }
            Step::Say(most) => {
                self.say(*most);
            }
            Step::Unanswered(most) => {
                if let Some(delta) = self.next(*most) {
                    self.server.take(&delta);
                }
            }
            Step::Restart => self.restart(Some(self.ledger.kept())),
            Step::Forget => self.restart(None),
            Step::SetBack => self.server = self.backup.clone(),
            Step::Backup => self.backup = self.server.clone(),
        }
    }
}

proptest! {
    #[test]
    fn in_the_end_the_server_holds_what_there_is(steps in proptest::collection::vec(step(), 0..60)) {
        let mut world = World {
            ledger: Ledger::new(None),
            items: BTreeMap::new(),
            server: Server::default(),
            backup: Server::default(),
            clock: 0,
        };
        for step in &steps {
            world.apply(step);
        }
        // A change makes it notice whatever went wrong.
        world.apply(&Step::Set(0, 9));
        let mut rounds = 0;
        while world.say(3) {
            rounds += 1;
            prop_assert!(rounds < 100, "it comes to an end");
        }
        let held: BTreeMap<_, _> =
            world.server.items.iter().map(|(name, (item, _))| (name.clone(), item.clone())).collect();
        prop_assert_eq!(held, world.items);
    }
}

#[test]
fn a_message_holds_no_more_than_the_link_takes() {
    let mut ledger = Ledger::new(None);
    let names = || (0..=ITEMS_MAX).map(|n| (ItemKind::Package, n.to_string())).collect();
    let delta = ledger.next((1, usize::MAX), &BTreeMap::new(), names, |_| Some(package(1, 1)));
    assert_eq!(delta.expect("something").set.len(), ITEMS_MAX);
}

#[test]
fn a_survey_that_found_the_same_is_told_only_when_it_is_much_younger() {
    let survey = |minute: i64, items| Survey {
        kind: ItemKind::User,
        taken: Some(Timestamp::from_nanos(minute * 60_000_000_000)),
        items,
        places: Vec::new(),
        left_out: Vec::new(),
        missing: None,
    };
    let mut ledger = Ledger::new(None);
    let mut told = |minute, items| {
        let surveys = BTreeMap::from([(ItemKind::User, survey(minute, items))]);
        let delta = ledger.next((1, 9), &surveys, VecDeque::new, |_| None);
        if let Some(delta) = &delta {
            ledger.seen(delta.generation);
        }
        delta.is_some_and(|delta| !delta.surveys.is_empty())
    };
    assert!(told(1, 5));
    assert!(!told(6, 5), "the same, a little later");
    assert!(told(7, 6), "another count");
    assert!(told(30, 6), "the same, much later");
}
