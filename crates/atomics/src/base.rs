//! The small Debian root below every room: made once with debootstrap, never written to by a test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The packages the tests call for that can be had; a change makes a new root.
const PACKAGES: &str = include_str!("packages.txt");
/// Debian 12, as the product's own build machine.
const SUITE: &str = "bookworm";
/// Says which packages a root was made with.
const MARK: &str = ".metsuke-base";

/// Makes sure that `base` holds the root.
///
/// # Errors
/// When it cannot be made; without root privileges or debootstrap it never can.
pub(crate) fn ensure_base(base: &Path) -> Result<()> {
    if fs::read_to_string(base.join(MARK)).is_ok_and(|made| made == PACKAGES) {
        return Ok(());
    }
    ensure!(
        !base.exists() || fs::read_dir(base)?.next().is_none() || base.join(MARK).exists(),
        "{} holds something else; name an empty or new folder with --base",
        base.display()
    );
    if base.exists() {
        fs::remove_dir_all(base).context("the old root cannot be removed")?;
    }
    fs::create_dir_all(base)?;
    eprintln!("making the root file system below the rooms; this takes some minutes once");
    let packages: Vec<&str> = PACKAGES.split_whitespace().collect();
    let include = format!("--include={}", packages.join(","));
    let output = Command::new("debootstrap")
        .args(["--variant=minbase", &include, SUITE])
        .arg(base)
        .output()
        .context("debootstrap cannot be started; install it (apt-get install debootstrap)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last: Vec<&str> = text.lines().rev().take(5).collect();
    ensure!(output.status.success(), "debootstrap failed: {}", last.join(" / "));
    furnish(base)?;
    fs::write(base.join(MARK), PACKAGES)?;
    Ok(())
}

/// What a lived-in host has and a fresh root lacks.
fn furnish(base: &Path) -> Result<()> {
    let files = [
        ("root/.bash_history", "ls\nid\n"),
        ("root/.shrc", "# shrc\n"),
        ("root/.bash_profile", "# profile\n"),
        ("var/log/messages", "a line\n"),
        ("var/log/security", "a line\n"),
        ("var/log/syslog", "a line\n"),
        ("var/log/secure", "a line\n"),
        ("var/spool/mail/root", "From nobody\n"),
        ("etc/hosts", "127.0.0.1 localhost atomic\n::1 localhost\n"),
        ("etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"),
        ("etc/audisp/audispd.conf", "q_depth = 150\n"),
        ("etc/audit/auditd.conf", "log_file = /var/log/audit/audit.log\n"),
    ];
    for (name, text) in files {
        let path = base.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)?;
    }
    let ssh = base.join("root/.ssh");
    fs::create_dir_all(&ssh)?;
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o700))?;
    Ok(())
}
