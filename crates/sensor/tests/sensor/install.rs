//! Installing into a root of the test's own, and removing.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use anyhow::Result;
use metsuke_event::EndpointId;
use metsuke_event::activity::Activity;
use metsuke_link::message::Downstream;
use metsuke_respond::{PlanId, ScanTarget, State, Verb};
use metsuke_testkit::needs;

use crate::world::{World, now, plan};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").permissions().mode() & 0o7777
}

fn text(output: &Output) -> String {
    let streams = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&streams).into_owned()
}

#[test]
fn what_is_installed_is_complete_private_and_installed_once() -> Result<()> {
    needs!("what_is_installed_is_complete_private_and_installed_once", Root, Cgroup);
    let world = World::start()?;
    let (root, token) = (world.dir.path().join("root"), world.dir.path().join("token"));
    fs::write(&token, "good\n")?;
    fs::create_dir_all(root.join("usr/lib/systemd"))?;
    fs::write(root.join("usr/lib/systemd/systemd"), "")?;
    let sensor = |command: &str, more: &[&str]| {
        World::command().arg(command).arg("--root").arg(&root).args(more).output()
    };
    let unenrolled = sensor("install", &[])?;
    assert!(unenrolled.status.success() && text(&unenrolled).contains("not enrolled"));
    let token = token.to_str().expect("plain");
    let (address, fingerprint) = (&world.address, &world.fingerprint);
    let enrol = ["--server", address, "--ca-fingerprint", fingerprint, "--token-file", token];
    let installed = sensor("install", &enrol)?;
    assert!(installed.status.success(), "{}", text(&installed));
    let state = root.join("var/lib/metsuke");
    assert_eq!((mode(&state), mode(&state.join("identity.json"))), (0o700, 0o600));
    assert_eq!(mode(&root.join("usr/bin/metsuke-sensor")), 0o755);
    assert_eq!(mode(&root.join("etc/metsuke/sensor.json")), 0o600);
    let unit = fs::read_to_string(root.join("etc/systemd/system/metsuke-sensor.service"))?;
    let lines =
        ["Restart=always", "WatchdogSec=", "OOMScoreAdjust=-900", "MemoryMax=", "Delegate=yes"];
    for line in lines {
        assert!(unit.contains(line), "{line}");
    }
    let wanted = root.join("etc/systemd/system/multi-user.target.wants/metsuke-sensor.service");
    assert_eq!(fs::read_link(wanted)?, Path::new("/etc/systemd/system/metsuke-sensor.service"));
    // What an administrator wrote stays.
    let config = root.join("etc/metsuke/sensor.json");
    fs::write(&config, r#"{"scope": "host"}"#)?;
    let again = sensor("install", &enrol)?;
    assert!(text(&again).contains("in its place already"), "{}", text(&again));
    assert!(fs::read_to_string(&config)?.contains("host"));

    let without = sensor("uninstall", &[])?;
    assert!(!without.status.success() && text(&without).contains("--token-file"));
    let leave = world.dir.path().join("leave");
    fs::write(&leave, "99999999999.00")?;
    let forged = sensor("uninstall", &["--token-file", leave.to_str().expect("plain")])?;
    assert!(!forged.status.success() && text(&forged).contains("not signed"), "{}", text(&forged));
    assert!(state.exists(), "nothing was removed");
    let forced = sensor("uninstall", &["--force-offline"])?;
    assert!(forced.status.success() && text(&forced).contains("by force"), "{}", text(&forced));
    for gone in ["usr/bin/metsuke-sensor", "etc/metsuke", "var/lib/metsuke"] {
        assert!(!root.join(gone).exists(), "{gone}");
    }
    Ok(())
}

/// The root belongs to somebody else, who put links where the sensor's files are to go.
#[test]
fn links_inside_a_root_lead_nowhere_outside_of_it() -> Result<()> {
    needs!("links_inside_a_root_lead_nowhere_outside_of_it", Root, Cgroup);
    let dir = tempfile::tempdir()?;
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    for folder in ["etc", "usr/bin", "var/lib"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::create_dir_all(outside.join("kept"))?;
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o755))?;
    fs::write(outside.join("kept/file"), "as it was")?;
    // A program, a folder on the way, and leftovers of another attempt.
    symlink(outside.join("kept/file"), root.join("usr/bin/metsuke-sensor"))?;
    symlink(&outside, root.join("etc/init.d"))?;
    fs::create_dir(root.join("etc/metsuke"))?;
    symlink(outside.join("kept/file"), root.join("etc/metsuke/sensor.json.metsuke-new"))?;
    let sensor = |command: &str, more: &[&str]| {
        World::command().arg(command).arg("--root").arg(&root).args(more).output()
    };
    let refused = sensor("install", &["--manager", "init"])?;
    assert!(!refused.status.success(), "etc/init.d leads out: {}", text(&refused));
    assert!(text(&refused).contains("etc/init.d/metsuke-sensor"), "{}", text(&refused));
    let program = fs::symlink_metadata(root.join("usr/bin/metsuke-sensor"))?;
    assert!(program.is_file() && program.len() > 1 << 20, "the link was replaced");
    assert_eq!(mode(&root.join("etc/metsuke/sensor.json")), 0o600);

    // An absolute link means the root's own folder of that name.
    fs::remove_file(root.join("etc/init.d"))?;
    fs::create_dir_all(root.join("opt/init"))?;
    symlink("/opt/init", root.join("etc/init.d"))?;
    let installed = sensor("install", &["--manager", "init"])?;
    assert!(installed.status.success(), "{}", text(&installed));
    assert!(root.join("opt/init/metsuke-sensor").is_file());

    // The state folder as a link: neither made private, nor written, nor emptied.
    fs::remove_dir(root.join("var/lib/metsuke"))?;
    symlink(&outside, root.join("var/lib/metsuke"))?;
    let refused = sensor("install", &["--manager", "init"])?;
    assert!(!refused.status.success(), "{}", text(&refused));
    let removed = sensor("uninstall", &["--force-offline"])?;
    assert!(removed.status.success(), "{}", text(&removed));
    assert!(fs::symlink_metadata(root.join("var/lib/metsuke")).is_err(), "the link is gone");
    let there: Vec<_> = fs::read_dir(&outside)?.collect::<Result<_, _>>()?;
    assert_eq!(there.len(), 1, "{there:?}");
    assert_eq!(fs::read_to_string(outside.join("kept/file"))?, "as it was");
    assert_eq!(mode(&outside), 0o755);
    Ok(())
}

/// The server signs and is never asked: its leave is good for one endpoint and for a time.
#[test]
fn the_servers_leave_uninstalls_without_the_server() -> Result<()> {
    needs!("the_servers_leave_uninstalls_without_the_server", Root, Cgroup);
    let world = World::start()?;
    let (root, file) = (world.dir.path().join("root"), world.dir.path().join("file"));
    fs::write(&file, "good\n")?;
    let mut install = World::command();
    install.args(["install", "--manager", "init", "--root"]).arg(&root);
    install.args(["--server", &world.address, "--ca-fingerprint", &world.fingerprint]);
    let installed = install.arg("--token-file").arg(&file).output()?;
    assert!(installed.status.success(), "{}", text(&installed));
    let key = world.authority.signing();
    let now = u64::try_from(now().as_nanos() / 1_000_000_000)?;
    let uninstall = |endpoint: u128, expires: u64| -> Result<Output> {
        let leave = key.uninstall_token(EndpointId::from_u128(endpoint), expires);
        fs::write(&file, format!("{leave}\n"))?;
        let mut command = World::command();
        command.args(["uninstall", "--root"]).arg(&root).arg("--token-file").arg(&file);
        Ok(command.output()?)
    };
    for (endpoint, expires, why) in [(2, now + 600, "not signed"), (1, now - 1, "expired")] {
        let refused = uninstall(endpoint, expires)?;
        assert!(!refused.status.success() && text(&refused).contains(why), "{}", text(&refused));
    }
    assert!(root.join("usr/bin/metsuke-sensor").exists(), "nothing was removed");
    let done = uninstall(1, now + 600)?;
    assert!(done.status.success() && text(&done).contains("server's leave"), "{}", text(&done));
    for gone in ["usr/bin/metsuke-sensor", "etc/metsuke", "var/lib/metsuke"] {
        assert!(!root.join(gone).exists(), "{gone}");
    }
    Ok(())
}

/// Sensor and scanner put beside each other, installed, and the installed ones used.
#[test]
fn an_installed_sensor_scans_with_the_scanner_installed_beside_it() -> Result<()> {
    let test = "an_installed_sensor_scans_with_the_scanner_installed_beside_it";
    needs!(test, Root, Cgroup);
    let scanner = match metsuke_testkit::binaries::binary("metsuke-yara") {
        Ok(scanner) => scanner,
        Err(error) => {
            eprintln!("NOT RUN: {test}: {error:#}");
            return Ok(());
        }
    };
    let mut world = World::start()?;
    let (unpacked, root) = (world.dir.path().join("unpacked"), world.dir.path().join("root"));
    let (token, target) = (world.dir.path().join("token"), world.dir.path().join("target"));
    fs::create_dir(&unpacked)?;
    fs::copy(env!("CARGO_BIN_EXE_metsuke-sensor"), unpacked.join("metsuke-sensor"))?;
    fs::copy(scanner, unpacked.join("metsuke-yara"))?;
    fs::write(&token, "good\n")?;
    fs::create_dir(&target)?;
    fs::write(target.join("file"), "with a needle-to-be-found in it")?;
    let mut install = Command::new(unpacked.join("metsuke-sensor"));
    install.args(["install", "--manager", "init", "--root"]).arg(&root);
    install.args(["--server", &world.address, "--ca-fingerprint", &world.fingerprint]);
    let installed = install.arg("--token-file").arg(&token).output()?;
    assert!(installed.status.success(), "{}", text(&installed));
    assert_eq!(mode(&root.join("usr/bin/metsuke-yara")), 0o755);
    // Nothing of what was unpacked is used from here on.
    fs::remove_dir_all(&unpacked)?;

    let config = root.join("etc/metsuke/sensor.json");
    fs::write(&config, serde_json::json!({ "evidence_roots": [target] }).to_string())?;
    world.run_installed(&root)?;
    let rules = "rule hit { strings: $a = \"needle-to-be-found\" condition: $a }".to_owned();
    let what = ScanTarget::Path { path: target.display().to_string() };
    let scan = plan(1, Verb::Scan { what, rules });
    world.memory.order(Downstream::Plan(scan));
    let end = world.ended(PlanId::from_u128(1))?;
    assert_eq!(end.update.state, State::Done, "{end:?}");
    let (_, matches) = world.memory.artifacts.lock().unwrap()[&PlanId::from_u128(1)].clone();
    let matches = String::from_utf8(matches)?;
    assert!(matches.contains(r#""rule":"hit""#), "{matches}");
    let memory = Arc::clone(&world.memory);
    world.wait("what the scan cost, told", || {
        let events = memory.events.lock().unwrap();
        Ok(events.iter().any(|event| match &event.activity {
            Activity::Health(health) => {
                health.part.as_deref() == Some("scanner")
                    && health.detail.as_deref().is_some_and(|said| said.contains("ms of CPU"))
            }
            _ => false,
        }))
    })
}

#[test]
fn a_host_without_systemd_gets_an_init_script() -> Result<()> {
    needs!("a_host_without_systemd_gets_an_init_script", Root, Cgroup);
    let dir = tempfile::tempdir()?;
    let output = World::command().args(["install", "--root"]).arg(dir.path()).output()?;
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(mode(&dir.path().join("etc/init.d/metsuke-sensor")), 0o755);
    assert!(dir.path().join("etc/rc3.d/S20metsuke-sensor").exists());
    assert!(!dir.path().join("etc/systemd").exists());
    let wrong = dir.path().join("wrong.json");
    fs::write(&wrong, r#"{"scope": ""}"#)?;
    let refused = World::command()
        .args(["install", "--root"])
        .arg(dir.path())
        .arg("--config")
        .arg(&wrong)
        .output()?;
    assert!(!refused.status.success() && text(&refused).contains("scope"), "{}", text(&refused));
    Ok(())
}
