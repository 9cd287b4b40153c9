//! `./x test --vm`: the sensor on kernels that this machine does not run, in virtual machines.
//!
//! A machine is QEMU without hardware help (TCG), one of Debian's cloud kernels and an initramfs of
//! a few static programs; or, for what needs a whole system, a Debian with systemd on a disk.
//! Nothing of this host is in either. What it says on the serial console is
//! counted, its rows go where the tables are made, and `docs/reference/support.md` is written from
//! them: rows of what really ran, and nothing else.

mod debian;
mod image;
mod kernels;
mod machine;
mod page;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use metsuke_testkit::table::{FOLDER_VARIABLE, Row};

use crate::tally::Tally;
use crate::{build, dist, place, steps};

/// Names a `.deb` that `./x dist` made, to be installed instead of one made on the way.
const PACKAGE_VARIABLE: &str = "METSUKE_VM_PACKAGE";

/// What one machine told.
#[derive(Debug, Default)]
struct Told {
    /// What ran: name, and why it failed.
    cases: Vec<(String, Option<String>)>,
    /// Rows of tables.
    rows: Vec<Row>,
    /// The static sensor's own report.
    probe: Option<serde_json::Value>,
    /// Whether it came to its end.
    ended: bool,
    /// Lines that are none of these: the last of them are shown when something failed.
    other: Vec<String>,
}

/// Which machines are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lanes<'a> {
    /// All.
    All,
    /// Only the Debian with systemd.
    Systemd {
        /// Only cases whose names hold this word.
        only: Option<&'a str>,
    },
}

/// Runs everything on each kernel; what cannot run here is counted as such.
///
/// # Errors
/// The programs do not build, or the page cannot be written.
pub(crate) fn main(lanes: Lanes<'_>) -> Result<Tally> {
    let mut tally = Tally::default();
    if !Command::new("qemu-system-x86_64")
        .arg("--version")
        .output()
        .is_ok_and(|o| o.status.success())
    {
        tally.not_run("virtual machines", "QEMU is not installed (Debian package qemu-system-x86)");
        return Ok(tally);
    }
    let wanted = [("metsuke-sensor", "metsuke-sensor"), ("metsuke-vm", "metsuke-vm-guest")];
    let built = build::static_binaries(&wanted, build::Profile::Dev)?;
    let [sensor, guest] = built.as_slice() else { bail!("cargo built something else") };
    let only = match lanes {
        Lanes::All => {
            small(&mut tally, sensor, guest)?;
            None
        }
        Lanes::Systemd { only } => only,
    };
    systemd(&mut tally, (sensor, guest), only)?;
    Ok(tally)
}

/// The sensor and the suite alone, on each kernel.
fn small(tally: &mut Tally, sensor: &Path, guest: &Path) -> Result<()> {
    let kernels = match kernels::fetch() {
        Ok(kernels) => kernels,
        Err(error) => {
            tally.not_run("virtual machines", &format!("no kernels for them: {error:#}"));
            return Ok(());
        }
    };
    let mut all = Vec::new();
    for kernel in kernels {
        let image = place::target().join(format!("metsuke-vm-{}.cpio", kernel.name));
        image::write(&image, &kernel, guest, sensor)?;
        let told = machine::run(&kernel, &image)?;
        count(tally, &format!("Linux {}", kernel.name), &told);
        all.push((kernel, told));
    }
    for (kernel, told) in &all {
        keep_rows(&kernel.name, &told.rows)?;
    }
    let whole = all.iter().all(|(_, told)| told.ended);
    if whole {
        let path = place::root().join("docs/reference/support.md");
        std::fs::write(&path, page::of(&all))
            .with_context(|| format!("cannot write {}", path.display()))?;
        steps::say(&format!("written: {}", path.display()));
    }
    Ok(())
}

/// What needs a whole system around it.
fn systemd(tally: &mut Tally, (sensor, guest): (&Path, &Path), only: Option<&str>) -> Result<()> {
    let debian = match debian::fetch() {
        Ok(debian) => debian,
        Err(error) => {
            tally.not_run("a Debian with systemd", &format!("no disk for it: {error:#}"));
            return Ok(());
        }
    };
    let payload = payload(sensor, guest)?;
    let told = machine::run_debian(&debian, &payload, only)?;
    count(tally, "Debian with systemd", &told);
    keep_rows("debian", &told.rows)
}

/// The second disk: what is tested, and what tests it.
fn payload(sensor: &Path, guest: &Path) -> Result<PathBuf> {
    let folder = place::target().join("metsuke-vm-payload");
    std::fs::create_dir_all(&folder)?;
    for (from, name) in [(sensor, "sensor"), (guest, "guest")] {
        image::strip(from, &folder.join(name))?;
    }
    let package = match std::env::var_os(PACKAGE_VARIABLE) {
        Some(made) => PathBuf::from(made),
        None => package(folder.join("sensor"))?,
    };
    std::fs::copy(package, folder.join("metsuke-sensor.deb"))?;
    let disk = place::target().join("metsuke-vm-payload.ext4");
    debian::disk_of(&folder, &disk, None)?;
    Ok(disk)
}

/// A package of this sensor. Its other program takes long to build and is not looked at here.
fn package(sensor: PathBuf) -> Result<PathBuf> {
    let out = place::target().join("metsuke-vm");
    std::fs::create_dir_all(&out)?;
    let scanner = out.join("scanner");
    std::fs::write(&scanner, "#!/bin/sh\nexit 1\n")?;
    dist::deb(&dist::Programs { sensor, scanner }, &out)
}

fn count(tally: &mut Tally, machine: &str, told: &Told) {
    for (name, failed) in &told.cases {
        let outcome = failed.as_ref().map_or(Ok(()), |why| Err(anyhow::anyhow!("{why}")));
        tally.record(&format!("{machine}: {name}"), &outcome);
    }
    if !told.ended {
        tally.fail(&format!("{machine}: the machine did not come to its end"));
    }
    if told.probe.is_none() {
        tally.fail(&format!("{machine}: the static sensor's report"));
    }
    if !told.ended || told.cases.iter().any(|(_, failed)| failed.is_some()) {
        for line in told.other.iter().rev().take(machine::SHOWN).rev() {
            eprintln!("    | {line}");
        }
    }
}

/// Puts the rows where the generated tables are made from.
fn keep_rows(name: &str, rows: &[Row]) -> Result<()> {
    let folder = std::env::var_os(FOLDER_VARIABLE)
        .map_or_else(|| place::target().join("metsuke-tables"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    let mut text = String::new();
    for row in rows {
        text.push_str(&serde_json::to_string(row)?);
        text.push('\n');
    }
    std::fs::write(folder.join(format!("vm-{name}.jsonl")), text)?;
    Ok(())
}
