//! A container, started by runc as Docker starts one under systemd.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use metsuke_event::{Event, Kind};
use metsuke_testkit::table::{Outcome, Table, row};
use serde_json::{Value, json};

use super::run;
use super::watch::{GUEST, World};

const ID: &str = "6d657473756b65006d657473756b65006d657473756b65006d657473756b6500";
const BUNDLE: &str = "/run/metsuke-bundle";

/// `config.json` of the OCI runtime specification: what runc proposes, with our program.
fn bundle() -> Result<()> {
    let root = Path::new(BUNDLE).join("rootfs");
    fs::create_dir_all(&root)?;
    fs::copy(GUEST, root.join("guest"))?;
    run("runc", &["spec", "--bundle", BUNDLE])?;
    let path = Path::new(BUNDLE).join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/guest", "role", "open", "/guest"]);
    config["linux"]["cgroupsPath"] = json!(format!("system.slice:docker:{ID}"));
    fs::write(&path, serde_json::to_vec(&config)?)?;
    Ok(())
}

pub(crate) fn of_runc(world: &mut World) -> Result<()> {
    bundle()?;
    world.done("/usr/bin/runc", &["--systemd-cgroup", "run", "--bundle", BUNDLE, ID])?;
    let inside =
        |event: &Event| event.process.cmd_line.as_deref() == Some("/guest role open /guest");
    for kind in [Kind::ProcessExec, Kind::ProcessExit] {
        let event = world.find(kind, "the container's program", inside)?;
        let process = &event.process;
        ensure!(process.container_id.as_deref() == Some(ID), "{process:?}");
        let group = process.cgroup.as_deref().unwrap_or_default();
        ensure!(group == format!("/system.slice/docker-{ID}.scope"), "{group}");
        for (name, told, own) in [
            ("pid", process.pid_namespace, "pid"),
            ("mount", process.mount_namespace, "mnt"),
            ("network", process.network_namespace, "net"),
            ("uts", process.uts_namespace, "uts"),
            ("ipc", process.ipc_namespace, "ipc"),
        ] {
            let told = told.with_context(|| format!("no {name} namespace"))?;
            let link = fs::read_link(format!("/proc/self/ns/{own}"))?;
            let ours = link.to_string_lossy().contains(&format!("[{told}]"));
            ensure!(!ours, "the {name} namespace is the host's");
        }
    }
    let reason = "process.exec in a container of runc: container id, namespaces, control group";
    row(Table::Coverage, "Process Creation", Outcome::Seen, reason);
    Ok(())
}
