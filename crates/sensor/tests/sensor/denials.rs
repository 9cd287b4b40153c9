//! What the configuration denies is denied in the scope, and told with the process it met.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use metsuke_enforce::deny::Subject;
use metsuke_event::Event;
use metsuke_event::activity::Activity;
use metsuke_event::coverage::{Outcome, Tier};
use metsuke_event::inventory::Item;
use metsuke_testkit::not_run::not_run;
use metsuke_testkit::{needs, small_disk};
use sha2::{Digest, Sha256};

use crate::selfcare::tampered;
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

/// The id of the link by which the process `pid` denies connections over IPv4.
fn connect_link(pid: u32) -> Option<String> {
    /// `BPF_CGROUP_INET4_CONNECT`.
    const CONNECT4: &str = "attach_type:\t10";
    let entries = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).ok()?.flatten();
    let texts = entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    let mut links = texts.filter(|text| text.lines().any(|line| line == CONNECT4));
    let text = links.next()?;
    let id = text.lines().find_map(|line| line.strip_prefix("link_id:"))?;
    Some(id.trim().to_owned())
}

#[test]
fn a_hook_that_somebody_detached_is_told_and_denies_again() -> anyhow::Result<()> {
    let test = "a_hook_that_somebody_detached_is_told_and_denies_again";
    needs!(test, Root, Cgroup);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = listener.local_addr()?;
    let mut world = World::start()?;
    assert!(world.enrol("good")?.status.success());
    world.run_configured(&format!(
        r#"{{"deny": [{{"destination": "{to}", "operations": ["connect"]}}]}}"#
    ))?;
    let pid = world.sensor().pid();
    let Some(link) = connect_link(pid).filter(|_| works(&world, "cgroup/connect4")) else {
        not_run(test, "no tier 2 here, or a kernel that does not tell of its links");
        return Ok(());
    };
    let mut connect = world.group.command("bash");
    connect.args(["-c", &format!("exec 3<>/dev/tcp/127.0.0.1/{}", to.port())]);
    connect.stderr(Stdio::null());
    assert!(!connect.status()?.success(), "it is denied");
    let detach = Command::new("bpftool").args(["link", "detach", "id", &link]).status();
    if !detach.is_ok_and(|status| status.success()) {
        not_run(test, "there is no bpftool, or the kernel detaches no links");
        return Ok(());
    }
    let memory = Arc::clone(&world.memory);
    let found = || tampered(&memory, "hook_detached", "on_connect4");
    world.wait("the tampering", || Ok(found().is_some()))?;
    let Activity::Sensor(_, health) = found().expect("told").activity else { unreachable!() };
    assert_eq!(health.object.as_deref(), Some("bpf_link"));
    world.wait("it to be denied again", || Ok(!connect.status()?.success()))
}

/// A copy of true(1) that nobody else has, and its hash.
fn copy(path: &Path) -> anyhow::Result<String> {
    let mut bytes = std::fs::read("/bin/true")?;
    bytes.extend(format!("\n{} {}\n", path.display(), std::process::id()).as_bytes());
    std::fs::write(path, &bytes)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    Ok(Subject::Sha256(hash).to_string())
}

fn works(world: &World, wanted: &str) -> bool {
    let hello = world.memory.hellos.lock().unwrap().last().cloned();
    let hooks = hello.and_then(|hello| hello.coverage).map(|coverage| coverage.hooks);
    hooks.unwrap_or_default().iter().any(|h| h.hook == wanted && h.outcome == Outcome::Works)
}

#[test]
fn a_listed_content_is_met_once_the_probe_has_hashed_it() -> anyhow::Result<()> {
    let test = "a_listed_content_is_met_once_the_probe_has_hashed_it";
    needs!(test, Root, Cgroup);
    let mut world = World::start()?;
    assert!(world.enrol("good")?.status.success());
    let path = world.dir.path().join("copy");
    let hash = copy(&path)?;
    let config = format!(r#"{{"deny": [{{"sha256": "{hash}", "operations": ["exec"]}}]}}"#);
    world.run_configured(&config)?;
    if !works(&world, "tp_btf/sched_process_exec") {
        eprintln!("NOT RUN: {test}: no tier 2 here");
        return Ok(());
    }
    let mut command = world.group.command(&path);
    let mut execute = move || command.status();
    // Hashed because of its first execution, which is done or met, as it lasts.
    let first = execute()?;
    assert!(first.success() || first.signal() == Some(9), "{first}");
    world.wait("the execution to be met", || Ok(execute()?.signal() == Some(9)))
}

#[test]
fn a_listed_content_that_the_inventory_found_is_met_at_its_first_execution() -> anyhow::Result<()> {
    let test = "a_listed_content_that_the_inventory_found_is_met_at_its_first_execution";
    needs!(test, Root, Cgroup);
    let mut world = World::start()?;
    assert!(world.enrol("good")?.status.success());
    let place = world.dir.path().join("programs");
    std::fs::create_dir(&place)?;
    let path = place.join("copy");
    let hash = copy(&path)?;
    let config = format!(
        r#"{{"deny": [{{"sha256": "{hash}", "operations": ["exec"]}}],
             "inventory": {{"places": ["{}"], "cpu_percent": 100}}}}"#,
        place.display()
    );
    world.run_configured(&config)?;
    if !works(&world, "tp_btf/sched_process_exec") {
        eprintln!("NOT RUN: {test}: no tier 2 here");
        return Ok(());
    }
    let memory = Arc::clone(&world.memory);
    let name = path.to_string_lossy().into_owned();
    world.wait("the inventory", || {
        let items = memory.inventory.lock().unwrap();
        Ok(items.iter().any(|item| matches!(item, Item::Executable(file) if file.path == name)))
    })?;
    assert_eq!(world.group.command(&path).status()?.signal(), Some(9), "its first execution");
    Ok(())
}

#[test]
fn a_copy_never_seen_is_not_executed_from_a_gated_mount() -> anyhow::Result<()> {
    let test = "a_copy_never_seen_is_not_executed_from_a_gated_mount";
    needs!(test, Root, Cgroup, PrivateMounts);
    let mut world = World::start()?;
    assert!(world.enrol("good")?.status.success());
    let outside = world.dir.path().join("copy");
    let (hash, place) = (copy(&outside)?, world.dir.path().join("gated"));
    std::fs::create_dir(&place)?;
    let config = format!(
        r#"{{"deny": [{{"sha256": "{hash}", "operations": ["exec"]}}],
             "gate": {{"mounts": ["{}"], "wait_ms": 5000}}}}"#,
        place.display()
    );
    world.run_with_disk(&place, &config)?;
    if !works(&world, "fanotify/open_exec_perm") {
        eprintln!("NOT RUN: {test}: the kernel does not ask before executions");
        return Ok(());
    }
    let inside = small_disk::seen_by(world.sensor().pid(), &place);
    let (first, second) = (inside.join("first"), inside.join("second"));
    std::fs::copy(&outside, &first)?;
    // What sh(1) ends with when it may not execute a program.
    let mut command = world.group.command(&first);
    command.stderr(Stdio::null());
    world.wait("the gate", || Ok(command.status()?.code() == Some(126)))?;
    std::fs::copy(&outside, &second)?;
    let status = world.group.command(&second).stderr(Stdio::null()).status()?;
    assert_eq!(status.code(), Some(126), "its first execution");
    let memory = Arc::clone(&world.memory);
    world.wait("the denial", || {
        let events = memory.events.lock().unwrap();
        Ok(events.iter().any(|event| match &event.activity {
            Activity::Denial(denial) => {
                denial.hook.as_deref() == Some("fanotify/open_exec_perm")
                    && denial.disposition.as_deref() == Some("denied")
                    && denial.sha256.as_deref() == Some(&hash)
                    && denial.object.as_deref().is_some_and(|path| path.ends_with("/second"))
                    && event.process.pid.is_some()
            }
            _ => false,
        }))
    })
}

#[test]
fn a_mount_that_may_not_be_gated_is_told() -> anyhow::Result<()> {
    needs!("a_mount_that_may_not_be_gated_is_told", Root, Cgroup);
    let mut world = World::start()?;
    assert!(world.enrol("good")?.status.success());
    let config = r#"{"deny": [{"any": "memfd", "operations": ["exec"]}],
                     "gate": {"mounts": ["/"]}}"#;
    world.run_configured(config)?;
    let memory = Arc::clone(&world.memory);
    world.wait("the reason", || {
        let events = memory.events.lock().unwrap();
        Ok(events.iter().any(|event| match &event.activity {
            Activity::Health(health) => {
                health.part.as_deref() == Some("enforce.gate")
                    && health.reason.as_deref() == Some("refused")
                    && health.detail.as_deref().is_some_and(|why| why.contains("root file system"))
            }
            _ => false,
        }))
    })
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
