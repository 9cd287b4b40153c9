//! The steps, their order and their hysteresis.

use metsuke_event::Kind;
use proptest::prelude::*;

use super::{
    Budgets, CALM_PERCENT, CALM_SECONDS, Governor, OVER_SECONDS, Resource, Step, Treatment, Usage,
};

const BUDGETS: Budgets =
    Budgets { cpu_permille: 100, memory_bytes: 100, disk_bytes: 100, day_bytes: 86_400 };

fn cpu(cpu_permille: u64) -> Usage {
    Usage { cpu_permille, ..Usage::default() }
}

#[test]
fn it_goes_down_step_by_step_and_comes_back_the_same_way() {
    let mut governor = Governor::new(BUDGETS);
    let mut seconds = 0;
    let mut down = vec![governor.step()];
    while governor.step() != Step::FilesOff {
        seconds += 1;
        if let Some(change) = governor.observe(&cpu(101)) {
            assert_eq!((change.resource, change.used, change.budget), (Resource::Cpu, 101, 100));
            down.push(change.to);
        }
        assert!(seconds < 1_000);
    }
    assert_eq!(down, Step::ALL);
    assert_eq!(seconds, OVER_SECONDS * 6);
    for _ in 0..100 {
        assert_eq!(governor.observe(&cpu(101)), None, "there is nothing more to leave out");
    }
    // Below the budget, yet not calm.
    for _ in 0..1_000 {
        assert_eq!(governor.observe(&cpu(CALM_PERCENT)), None);
    }
    let mut up = vec![governor.step()];
    for _ in 0..CALM_SECONDS * 6 {
        up.extend(governor.observe(&cpu(CALM_PERCENT - 1)).map(|change| change.to));
    }
    up.reverse();
    assert_eq!(up, Step::ALL);
}

#[test]
fn the_days_bytes_are_a_pace_with_room_for_a_burst() {
    let sent = |sent_bytes| Usage { sent_bytes, ..Usage::default() };
    let mut governor = Governor::new(BUDGETS);
    // One byte a second is the pace: for ever.
    for _ in 0..200_000 {
        assert_eq!(governor.observe(&sent(1)), None);
    }
    // A quarter of the day at once is a burst that is allowed; one byte more is not.
    assert_eq!(governor.observe(&sent(86_400 / 4 + 1)), None);
    for _ in 0..OVER_SECONDS * 2 {
        assert_eq!(governor.observe(&sent(1)), None);
    }
    assert_eq!(governor.observe(&sent(2)), None);
    let change = (0..OVER_SECONDS).find_map(|_| governor.observe(&sent(1)));
    assert_eq!(change.map(|change| change.resource), Some(Resource::Wire));
}

#[test]
fn what_an_intrusion_cannot_do_without_is_never_left_out() {
    for kind in [
        Kind::ProcessExec,
        Kind::ProcessExit,
        Kind::ProcessInject,
        Kind::NetworkConnect,
        Kind::PersistenceCreate,
        Kind::UserLogon,
        Kind::SensorHealth,
        Kind::SensorTamper,
        Kind::Denial,
        Kind::ModuleLoad,
        Kind::BpfLoad,
    ] {
        assert_eq!(Step::FilesOff.treatment(kind), Treatment::Keep, "{}", kind.name());
    }
    assert_eq!(Step::ImagesOff.treatment(Kind::FileRead), Treatment::Sample);
    assert_eq!(Step::ImagesOff.treatment(Kind::ImageLoad), Treatment::Drop);
    assert_eq!(Step::ReadsSampled.treatment(Kind::ImageLoad), Treatment::Keep);
}

fn usage() -> impl Strategy<Value = Usage> {
    let amount = || prop_oneof![0_u64..80, 80_u64..=100, 101_u64..1_000];
    (amount(), amount(), amount(), 0_u64..3).prop_map(
        |(cpu_permille, memory_bytes, disk_bytes, sent_bytes)| Usage {
            cpu_permille,
            memory_bytes,
            disk_bytes,
            sent_bytes,
        },
    )
}

/// Stretches of the same usage, so that the counters come to their ends.
fn history() -> impl Strategy<Value = Vec<Usage>> {
    proptest::collection::vec((usage(), 1_usize..90), 1..30)
        .prop_map(|runs| runs.iter().flat_map(|(usage, n)| vec![*usage; *n]).collect())
}

/// Over a budget, of those that need no memory of what was before.
fn is_over(usage: &Usage) -> bool {
    usage.cpu_permille > 100 || usage.memory_bytes > 100 || usage.disk_bytes > 100
}

fn is_calm(usage: &Usage) -> bool {
    usage.cpu_permille < 80 && usage.memory_bytes < 80 && usage.disk_bytes < 80
}

proptest! {
    #[test]
    fn every_change_is_one_step_and_has_its_reason(history in history()) {
        let budgets = Budgets { day_bytes: 86_400 * 1_000, ..BUDGETS };
        let mut governor = Governor::new(budgets);
        for second in 0..history.len() {
            let before = governor.step();
            let Some(change) = governor.observe(&history[second]) else {
                prop_assert_eq!(before, governor.step());
                continue;
            };
            prop_assert_eq!((change.from, change.to), (before, governor.step()));
            let distance = (change.from as i32 - change.to as i32).abs();
            prop_assert_eq!(distance, 1);
            let went_down = change.to > change.from;
            let needed = usize::try_from(if went_down { OVER_SECONDS } else { CALM_SECONDS })?;
            prop_assert!(second + 1 >= needed);
            let reason = &history[second + 1 - needed..=second];
            let fits = if went_down { is_over } else { is_calm };
            prop_assert!(reason.iter().all(fits));
            if went_down {
                prop_assert!(change.used > change.budget);
            }
        }
    }

    #[test]
    fn a_budget_that_is_kept_changes_nothing(history in proptest::collection::vec(usage(), 1..300)) {
        let mut governor = Governor::new(Budgets { day_bytes: 86_400 * 1_000, ..BUDGETS });
        for usage in history {
            let usage = Usage {
                cpu_permille: usage.cpu_permille.min(100),
                memory_bytes: usage.memory_bytes.min(100),
                disk_bytes: usage.disk_bytes.min(100),
                ..usage
            };
            prop_assert_eq!(governor.observe(&usage), None);
        }
    }
}
