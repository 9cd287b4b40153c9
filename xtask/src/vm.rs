//! `./x test --vm`: the sensor on kernels that this machine does not run, in virtual machines.
//!
//! A machine is QEMU without hardware help (TCG), one of Debian's cloud kernels and an initramfs of
//! a few static programs; nothing of this host is in it. What it says on the serial console is
//! counted, its rows go where the tables are made, and `docs/reference/support.md` is written from
//! them: rows of what really ran, and nothing else.

mod image;
mod kernels;
mod machine;
mod page;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use metsuke_testkit::table::{FOLDER_VARIABLE, Row};

use crate::tally::Tally;
use crate::{build, place, steps};

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

/// Runs everything on each kernel; what cannot run here is counted as such.
///
/// # Errors
/// The programs do not build, or the page cannot be written.
pub(crate) fn main() -> Result<Tally> {
    let mut tally = Tally::default();
    if !Command::new("qemu-system-x86_64")
        .arg("--version")
        .output()
        .is_ok_and(|o| o.status.success())
    {
        tally.not_run("virtual machines", "QEMU is not installed (Debian package qemu-system-x86)");
        return Ok(tally);
    }
    let kernels = match kernels::fetch() {
        Ok(kernels) => kernels,
        Err(error) => {
            tally.not_run("virtual machines", &format!("no kernels for them: {error:#}"));
            return Ok(tally);
        }
    };
    let built = build::static_binaries(&[
        ("metsuke-sensor", "metsuke-sensor"),
        ("metsuke-vm", "metsuke-vm-guest"),
    ])?;
    let [sensor, guest] = built.as_slice() else { bail!("cargo built something else") };
    let mut all = Vec::new();
    for kernel in kernels {
        let image = place::target().join(format!("metsuke-vm-{}.cpio", kernel.name));
        image::write(&image, &kernel, guest, sensor)?;
        let told = machine::run(&kernel, &image)?;
        count(&mut tally, &kernel.name, &told);
        all.push((kernel, told));
    }
    keep_rows(&all)?;
    let whole = all.iter().all(|(_, told)| told.ended);
    if whole {
        let path = place::root().join("docs/reference/support.md");
        std::fs::write(&path, page::of(&all))
            .with_context(|| format!("cannot write {}", path.display()))?;
        steps::say(&format!("written: {}", path.display()));
    }
    Ok(tally)
}

fn count(tally: &mut Tally, kernel: &str, told: &Told) {
    for (name, failed) in &told.cases {
        let outcome = failed.as_ref().map_or(Ok(()), |why| Err(anyhow::anyhow!("{why}")));
        tally.record(&format!("Linux {kernel}: {name}"), &outcome);
    }
    if !told.ended {
        tally.fail(&format!("Linux {kernel}: the machine did not come to its end"));
    }
    if told.probe.is_none() {
        tally.fail(&format!("Linux {kernel}: the static sensor's report"));
    }
    if !told.ended || told.cases.iter().any(|(_, failed)| failed.is_some()) {
        for line in told.other.iter().rev().take(machine::SHOWN).rev() {
            eprintln!("    | {line}");
        }
    }
}

/// Puts the rows where the generated tables are made from.
fn keep_rows(all: &[(kernels::Kernel, Told)]) -> Result<()> {
    let folder = std::env::var_os(FOLDER_VARIABLE)
        .map_or_else(|| place::target().join("metsuke-tables"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    for (kernel, told) in all {
        let mut text = String::new();
        for row in &told.rows {
            text.push_str(&serde_json::to_string(row)?);
            text.push('\n');
        }
        std::fs::write(folder.join(format!("vm-{}.jsonl", kernel.name)), text)?;
    }
    Ok(())
}
