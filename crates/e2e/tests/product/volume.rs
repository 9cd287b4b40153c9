//! 300,000 activities while the server is killed five times: none lost, none doubled, compared by
//! identity.

use std::time::Duration;

use anyhow::Result;
use metsuke_demo::truth::now;
use metsuke_e2e::stage::Stage;
use metsuke_e2e::synthetic::{Comparison, Synthetic};
use metsuke_testkit::wait;

/// What the promise is about.
const ACTIVITIES: usize = 300_000;
/// How often the server is killed meanwhile.
const KILLS: usize = 5;
/// How long a part of it may take on a busy machine.
const PART: Duration = Duration::from_secs(240);

#[test]
fn a_server_killed_five_times_neither_loses_nor_doubles() -> Result<()> {
    let mut stage = Stage::new()?;
    let begun = now();
    let mut sensor = Synthetic::start(&stage.server, &stage.folder("synthetic")?)?;
    for round in 0..=KILLS {
        sensor.produce(ACTIVITIES / (KILLS + 1))?;
        let waiting = sensor.waiting();
        if round == KILLS {
            break;
        }
        wait::until_true("the server to take a part", PART, || {
            stage.server.process().must_run()?;
            Ok(sensor.waiting() < waiting.max(1))
        })?;
        assert!(sensor.waiting() > 0, "killed while it has some and not all (round {round})");
        stage.server.kill9()?;
        stage.server.restart()?;
    }
    wait::until_true("everything to be acknowledged", PART, || Ok(sensor.waiting() == 0))?;
    assert_eq!(sensor.lost(), 0, "nothing was given up on the way");
    assert_eq!(sensor.produced.len(), ACTIVITIES);
    let (from, to) = (begun.plus_nanos(-1_000_000_000), now().plus_nanos(1_000_000_000));
    assert_eq!(sensor.compare(&stage.api(), from, to)?, Comparison::default());
    Ok(())
}

#[test]
fn bad_batches_are_refused_and_what_stands_around_them_is_kept() -> Result<()> {
    let mut stage = Stage::new()?;
    let begun = now();
    let mut sensor = Synthetic::start(&stage.server, &stage.folder("synthetic")?)?;
    sensor.produce(100)?;
    sensor.send_garbage(10, b"this is no zstd frame".to_vec())?;
    sensor.produce(100)?;
    // Small on the way, one byte too large when unpacked.
    let large = vec![0; metsuke_link::limits::BATCH_DECOMPRESSED_MAX + 1];
    sensor.send_garbage(1, zstd::bulk::compress(&large, 3)?)?;
    sensor.produce(100)?;
    wait::until_true("everything to be settled", PART, || {
        stage.server.process().must_run()?;
        Ok(sensor.waiting() == 0)
    })?;
    let refused = sensor.refused();
    assert_eq!(refused.len(), 2, "{refused:#?}");
    assert!(refused.iter().all(|batch| !batch.reason.is_empty()), "{refused:#?}");
    let (from, to) = (begun.plus_nanos(-1_000_000_000), now().plus_nanos(1_000_000_000));
    assert_eq!(sensor.compare(&stage.api(), from, to)?, Comparison::default());
    Ok(())
}

#[test]
fn a_clock_that_is_set_back_costs_nothing() -> Result<()> {
    const HOUR: i64 = 3_600_000_000_000;
    let stage = Stage::new()?;
    let begun = now();
    let mut sensor = Synthetic::start(&stage.server, &stage.folder("synthetic")?)?;
    sensor.produce(1_000)?;
    sensor.set_back(2 * HOUR);
    sensor.produce(1_000)?;
    sensor.set_back(-HOUR);
    sensor.produce(1_000)?;
    wait::until_true("everything to be acknowledged", PART, || Ok(sensor.waiting() == 0))?;
    let to = now().plus_nanos(1_000_000_000);
    let all = sensor.compare(&stage.api(), begun.plus_nanos(-3 * HOUR), to)?;
    assert_eq!(all, Comparison::default());
    let present = sensor.compare(&stage.api(), begun.plus_nanos(-1_000_000_000), to)?;
    assert_eq!((present.lost, present.doubled), (2_000, 0), "each stands at its own time");
    Ok(())
}
