//! Installing into a root of the test's own, and removing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use anyhow::Result;
use metsuke_testkit::needs;

use crate::world::World;

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
