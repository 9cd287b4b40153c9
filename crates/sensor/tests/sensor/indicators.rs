//! Indicators on a host: what the filter perhaps holds is told at once, what people decided is exact,
//! and both outlive the server and the sensor.

use std::path::Path;
use std::sync::Arc;

use metsuke_event::Timestamp;
use metsuke_intel::filter::Filter;
use metsuke_intel::packs::{Decided, Entry};
use metsuke_intel::{Context, Indicator, Kind, Pack, Set};
use metsuke_link::message::{Downstream, Heartbeat, PackKind, PackPart, PackVersions};
use metsuke_testkit::{needs, wait};

use crate::world::{LIMIT, World};

fn filter(path: &Path) -> Pack {
    let mut set = Set::builder(7);
    let indicator = Indicator {
        kind: Kind::Path,
        value: path.to_string_lossy().as_ref().into(),
        context: Arc::new(Context { source: "feed".into(), ..Context::default() }),
        object: None,
        first_seen: None,
        last_seen: None,
        expires: None,
    };
    set.add(&indicator).expect("canonical");
    let filter = Filter::of(&set.build(), Timestamp::from_millis(1)).expect("one key");
    Pack::new(filter.to_bytes().into())
}

fn decided(path: &Path) -> Pack {
    let entry = Entry {
        kind: Kind::Path as u8,
        value: path.to_string_lossy().into_owned(),
        source: "ours".to_owned(),
        allow: false,
        expires: None,
    };
    Decided { left_out: 0, entries: vec![entry] }.pack()
}

fn send(world: &World, pack: PackKind, content: &Pack) {
    let part = PackPart::cut(pack, content.version, &content.bytes, 0).expect("small");
    assert_eq!(part.count, 1);
    world.memory.order(Downstream::Indicators(part));
}

/// Runs the programs in the group, one after the other.
fn run(world: &World, programs: &[&Path]) -> anyhow::Result<()> {
    for program in programs {
        let ended = world.group.command(program).status()?;
        anyhow::ensure!(ended.success(), "{}: {ended}", program.display());
    }
    Ok(())
}

/// What the newest heartbeat says.
fn said(world: &World) -> Heartbeat {
    world.memory.heartbeats.lock().expect("no panic").last().cloned().unwrap_or_default()
}

#[test]
fn what_is_perhaps_bad_is_told_and_a_block_list_holds_without_a_server() -> anyhow::Result<()> {
    needs!("what_is_perhaps_bad_is_told_and_a_block_list_holds_without_a_server", Root, Cgroup);
    let mut world = World::with_sensor()?;
    let folder = world.dir.path().join("programs");
    std::fs::create_dir(&folder)?;
    let [perhaps, blocked, plain] = ["perhaps", "blocked", "plain"].map(|name| folder.join(name));
    for program in [&perhaps, &blocked, &plain] {
        std::fs::copy("/bin/true", program)?;
    }
    let (filter, decided) = (filter(&perhaps), decided(&blocked));
    send(&world, PackKind::Filter, &filter);
    send(&world, PackKind::Decided, &decided);
    // Orders are followed one after the other; whether they are in force shows by what is met.
    wait::until("the indicators in force", LIMIT, || {
        run(&world, &[&perhaps, &blocked])?;
        let said = said(&world);
        Ok((said.indicator_candidates >= 2 && said.indicator_blocked >= 1).then_some(()))
    })?;
    let before = said(&world);
    assert!(before.indicator_blocked < before.indicator_candidates, "{before:?}");

    // Killed, and started anew by itself: the server sends nothing, and keeps nothing.
    world.memory.forget_orders();
    world.sensor().kill9()?;
    world.run()?;
    let hello = world.memory.hellos.lock().expect("no panic").last().cloned().expect("one");
    let held = PackVersions { decided: decided.version, filter: filter.version };
    assert_eq!(hello.packs, held, "it says what it holds, and is not sent it again");
    run(&world, &[&plain, &blocked, &perhaps])?;
    wait::until("both met", LIMIT, || {
        let said = said(&world);
        Ok((said.indicator_candidates >= 2 && said.indicator_blocked >= 1).then_some(()))
    })?;
    let told = said(&world);
    assert_eq!(
        (told.indicator_candidates, told.indicator_blocked),
        (2, 1),
        "and the third program is none of either: {told:?}"
    );

    // What the server did not sign is not believed.
    world.sensor().kill9()?;
    let kept = world.state().join("indicators-decided.signed");
    let mut bytes = std::fs::read(&kept)?;
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    std::fs::write(&kept, bytes)?;
    world.run()?;
    let hello = world.memory.hellos.lock().expect("no panic").last().cloned().expect("one");
    assert_eq!(hello.packs, PackVersions { decided: 0, filter: filter.version });
    wait::until_true("the refusal", LIMIT, || {
        Ok(said(&world)
            .degraded
            .iter()
            .any(|why| why.contains("indicators-decided.signed is refused")))
    })?;
    Ok(())
}
