//! Process 1: mounts, starts the suite and the sensor's own report, says how it went, and turns
//! the machine off.

use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use metsuke_testkit::table::{FOLDER_VARIABLE, PLACE_VARIABLE};

/// Where rows of tables are written before they are told.
const ROWS: &str = "/rows";

pub(crate) fn main() -> ExitCode {
    for (kind, target) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("securityfs", "/sys/kernel/security"),
        ("tracefs", "/sys/kernel/tracing"),
        ("cgroup2", "/sys/fs/cgroup"),
        ("tmpfs", "/tmp"),
    ] {
        if let Err(error) = mount(kind, target) {
            println!("vm: {kind} on {target}: {error}");
        }
    }
    run(Command::new("/guest").arg("suite"), "suite");
    tell_rows(Path::new(ROWS));
    report(Path::new("/sensor"));
    off()
}

/// The machine has come to its end.
pub(crate) fn off() -> ExitCode {
    println!("METSUKE-END");
    // SAFETY: plain system calls; the first waits for what is written, the second does not return.
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_POWER_OFF);
    }
    ExitCode::SUCCESS
}

fn run(command: &mut Command, name: &str) {
    let status = command
        .env_clear()
        .env(FOLDER_VARIABLE, ROWS)
        .env(PLACE_VARIABLE, "vm")
        .env("RUST_BACKTRACE", "1")
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => println!("vm: {name} ended with {status}"),
        Err(error) => println!("vm: {name} cannot be started: {error}"),
    }
}

/// Mounts a file system that needs no device, on a folder that is made.
pub(crate) fn mount(kind: &str, target: &str) -> std::io::Result<()> {
    fs::create_dir_all(target)?;
    let (kind, target) = (CString::new(kind)?, CString::new(target)?);
    // SAFETY: three strings that end with NUL and outlive the call; no data.
    let result =
        unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Tells the rows in a folder.
pub(crate) fn tell_rows(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        for line in fs::read_to_string(entry.path()).unwrap_or_default().lines() {
            println!("METSUKE-ROW {line}");
        }
    }
}

/// The static sensor's own report of what it can see and stop here.
pub(crate) fn report(sensor: &Path) {
    if !sensor.exists() {
        return;
    }
    match Command::new(sensor).args(["probe", "--json"]).env_clear().output() {
        Ok(output) if output.status.success() => {
            let report: Result<serde_json::Value, _> = serde_json::from_slice(&output.stdout);
            match report {
                Ok(report) => println!("METSUKE-PROBE {report}"),
                Err(error) => println!("vm: the sensor's report is no JSON: {error}"),
            }
        }
        Ok(output) => {
            println!(
                "vm: the sensor: {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Err(error) => println!("vm: the sensor cannot be started: {error}"),
    }
}
