//! `./x doctor`: what this machine has, lacks and allows; and the cache's size limit.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::SystemTime;

use anyhow::Result;
use clap::Args;

use crate::{build, node, place, steps};

/// The target directory is cut down when it is larger than this many GiB, unless
/// `METSUKE_CACHE_GIB` says otherwise. A whole build takes about half.
const CACHE_LIMIT_GIB: u64 = 20;

#[derive(Args)]
pub(crate) struct Options {
    /// Install what is missing and build once, so that plain `cargo check` works afterwards.
    #[arg(long)]
    install: bool,
}

/// Prints the report; with `--install` brings what is missing (`./x` has installed the packages).
pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    if options.install {
        build::product()?;
    }
    let tool = |name: &str, argument: &str| {
        Command::new(name)
            .arg(argument)
            .output()
            .ok()
            .filter(|output| output.status.success())
            .and_then(|output| {
                Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
            })
            .unwrap_or_else(|| "not here".to_owned())
    };
    println!("tools");
    for (name, argument) in [
        ("rustc", "--version"),
        ("clang", "--version"),
        ("cargo-nextest", "--version"),
        ("cargo-deny", "--version"),
        ("typos", "--version"),
        ("chromium", "--version"),
    ] {
        println!("    {name:14} {}", tool(name, argument));
    }
    println!("    {:14} {}", "node", node::describe());
    println!("host");
    for (name, value) in host_facts() {
        println!("    {name:14} {value}");
    }
    let target = place::target();
    println!("cache");
    println!(
        "    {:14} {} ({:.1} GiB, limit {} GiB)",
        "target",
        target.display(),
        gib(size_of(&target)),
        limit_gib()
    );
    let shared = place::shared_data().map_or_else(
        || "none (some tests and benches will not run)".to_owned(),
        |path| path.display().to_string(),
    );
    println!("    {:14} {shared}", "shared data");
    Ok(ExitCode::SUCCESS)
}

fn host_facts() -> Vec<(&'static str, String)> {
    let read = |path: &str| {
        fs::read_to_string(path)
            .map_or_else(|_| "unknown: not readable here".to_owned(), |text| text.trim().to_owned())
    };
    let root =
        fs::read_to_string("/proc/self/status").is_ok_and(|text| text.contains("\nUid:\t0\t0"));
    let cgroup2 = fs::read_to_string("/proc/self/mountinfo").ok().and_then(|mounts| {
        let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
        line.split(' ').nth(4).map(str::to_owned)
    });
    let btf = Path::new("/sys/kernel/btf/vmlinux").exists();
    vec![
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("lsm", read("/sys/kernel/security/lsm")),
        ("kernel types", if btf { "yes: tier 2 may work" } else { "no: tier 3 only" }.to_owned()),
        ("cgroup v2", cgroup2.unwrap_or_else(|| "not mounted: no scope can be set".to_owned())),
        (
            "root",
            if root { "yes" } else { "no: the sensor gets tier 3, and sees only part" }.to_owned(),
        ),
    ]
}

/// Keeps the target directory under its limit: first what is only there to build faster, then,
/// when that is not enough, all of it. Says what it did.
///
/// # Errors
/// A folder cannot be removed.
pub(crate) fn keep_cache_small() -> Result<()> {
    let target = place::target();
    let limit = limit_gib() * (1 << 30);
    let mut size = size_of(&target);
    if size <= limit {
        return Ok(());
    }
    let mut folders: Vec<_> = ["debug/incremental", "release", "fuzz", "debug/examples"]
        .map(|name| target.join(name))
        .into_iter()
        .filter(|path| path.is_dir())
        .collect();
    folders.sort_by_key(|path| {
        path.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    });
    folders.push(target.join("debug"));
    for folder in folders {
        if size <= limit {
            break;
        }
        let freed = size_of(&folder);
        fs::remove_dir_all(&folder)?;
        size = size.saturating_sub(freed);
        steps::say(&format!(
            "the cache was over its limit: removed {} ({:.1} GiB)",
            folder.display(),
            gib(freed)
        ));
    }
    Ok(())
}

fn limit_gib() -> u64 {
    std::env::var("METSUKE_CACHE_GIB")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(CACHE_LIMIT_GIB)
}

#[expect(clippy::cast_precision_loss, reason = "for people, with one digit")]
fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// Bytes on disk under `folder`; files with several names (cargo links its outputs) count once.
fn size_of(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut waiting = vec![folder.to_owned()];
    let mut seen = std::collections::HashSet::new();
    let mut bytes = 0;
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(data) = entry.metadata() else { continue };
            if data.is_dir() {
                waiting.push(entry.path());
            } else if data.nlink() == 1 || seen.insert(data.ino()) {
                bytes += data.blocks() * 512;
            }
        }
    }
    bytes
}
