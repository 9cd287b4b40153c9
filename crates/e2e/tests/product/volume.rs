//! 300,000 activities while the server is killed five times: none lost, none doubled, compared by
//! identity.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use metsuke_demo::truth::now;
use metsuke_e2e::stage::Stage;
use metsuke_e2e::synthetic::Synthetic;
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
    let query = format!("device.uid:{} AND file.path:/synthetic/*", sensor.endpoint());
    let (from, to) = (begun.plus_nanos(-1_000_000_000), now().plus_nanos(1_000_000_000));
    let rows = stage.api().search_all(&query, &from.to_string(), &to.to_string())?;
    let mut stored: BTreeMap<String, usize> = BTreeMap::new();
    for row in &rows {
        *stored.entry(row["id"].as_str().unwrap_or_default().to_owned()).or_insert(0) += 1;
    }
    let lost = sensor.produced.iter().filter(|id| !stored.contains_key(*id)).count();
    let foreign = stored.keys().filter(|id| !sensor.produced.contains(*id)).count();
    let doubled = stored.values().filter(|times| **times > 1).count();
    assert_eq!((lost, foreign, doubled), (0, 0, 0), "of {} stored", rows.len());
    Ok(())
}
