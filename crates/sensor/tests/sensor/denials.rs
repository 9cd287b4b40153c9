//! What the configuration denies is denied in the scope, and told with the process it met.

use std::net::TcpListener;
use std::sync::Arc;

use metsuke_event::Event;
use metsuke_event::activity::Activity;
use metsuke_event::coverage::{Outcome, Tier};
use metsuke_testkit::needs;

use crate::world::World;

#[test]
fn a_destination_is_denied_and_told_with_its_process() -> anyhow::Result<()> {
    let test = "a_destination_is_denied_and_told_with_its_process";
    needs!(test, Root, Cgroup);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = listener.local_addr()?;
    let mut world = World::start()?;
    assert!(world.enrol("good")?.status.success());
    world.run_configured(&format!(
        r#"{{"deny": [{{"destination": "{to}", "operations": ["connect"]}}]}}"#
    ))?;
    let hello = world.memory.hellos.lock().unwrap().last().cloned();
    let coverage = hello.and_then(|hello| hello.coverage).expect("a report");
    let hook = |name: &str| coverage.hooks.iter().find(|trial| trial.hook == name);
    if coverage.tier != Tier::Tracing
        || hook("cgroup/connect4").is_none_or(|trial| trial.outcome != Outcome::Works)
    {
        eprintln!("NOT RUN: {test}: no tier 2 here");
        return Ok(());
    }
    assert!(coverage.sees.iter().any(|kind| kind == "prevention.deny"));
    assert!(coverage.detections.iter().any(|one| one.can_fire));

    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{}", to.port());
    let tries = || world.group.command("bash").args(["-c", &script]).output();
    let denied = tries()?;
    assert!(!denied.status.success());
    let said = String::from_utf8_lossy(&denied.stderr).into_owned();
    assert!(said.contains("Operation not permitted"), "{said}");
    let memory = Arc::clone(&world.memory);
    let found = || -> Option<Event> {
        let events = memory.events.lock().unwrap();
        events.iter().find(|event| matches!(event.activity, Activity::Denial(_))).cloned()
    };
    world.wait("the denial", || Ok(found().is_some()))?;
    let event = found().expect("it was there");
    let Activity::Denial(denial) = &event.activity else { unreachable!() };
    assert_eq!(denial.operation.as_deref(), Some("connect"));
    assert_eq!(denial.disposition.as_deref(), Some("denied"));
    assert_eq!(denial.subject_type.as_deref(), Some("destination"));
    assert_eq!(denial.object.as_deref(), Some(to.to_string().as_str()));
    assert_eq!(event.process.name.as_deref(), Some("bash"));
    assert!(event.process.storyline.is_some() && event.process.cmd_line.is_some());
    Ok(())
}

#[test]
fn a_wrong_entry_is_an_error_that_names_it() -> anyhow::Result<()> {
    needs!("a_wrong_entry_is_an_error_that_names_it", Root, Cgroup);
    let mut world = World::start()?;
    assert!(world.enrol("good")?.status.success());
    let wrong = r#"{"deny": [{"path": "/bin/x", "operations": ["ptrace"]}]}"#;
    let error = format!("{:#}", world.run_configured(wrong).expect_err("it is refused"));
    assert!(error.contains("entry 1 of `deny`"), "{error}");
    Ok(())
}
