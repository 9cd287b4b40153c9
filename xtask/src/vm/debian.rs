//! A Debian with systemd as process 1, on a disk: what no initramfs of a few programs can show.
//!
//! Made once by debootstrap for each list of packages and kept in the cache; a machine writes to a
//! copy that ends with it. What is tested is on a second disk, made anew each time.
//!
//! Invariant: nothing of this host is on the disk but the name of its package archive.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::kernels;
use crate::{place, steps};

/// What is installed beside the smallest Debian; a change makes a new disk.
const PACKAGES: &str = include_str!("packages.txt");

/// Debian 12, as what is built here is built on.
const SUITE: &str = "bookworm";

/// Says what a disk was made with.
const MARK: &str = "recipe";

/// Size of the disk; it is sparse.
const DISK: &str = "3G";

/// Where the second disk is mounted in the machine.
const PAYLOAD: &str = "payload";

/// What a machine boots.
#[derive(Debug)]
pub(super) struct Debian {
    pub(super) disk: PathBuf,
    pub(super) kernel: PathBuf,
    pub(super) initrd: PathBuf,
}

impl Debian {
    fn at(folder: &Path) -> Self {
        let at = |name: &str| folder.join(name);
        Self { disk: at("disk.ext4"), kernel: at("vmlinuz"), initrd: at("initrd") }
    }

    fn is_there(&self) -> bool {
        [&self.disk, &self.kernel, &self.initrd].iter().all(|path| path.is_file())
    }
}

/// The disk; makes it when there is none of this list and recipe.
///
/// # Errors
/// debootstrap or `mke2fs` is not installed or fails; without root they do.
pub(super) fn fetch() -> Result<Debian> {
    let parent = place::cache().join("vm");
    let folder = parent.join("debian");
    let made = Debian::at(&folder);
    let recipe = recipe();
    if made.is_there() && fs::read_to_string(folder.join(MARK)).is_ok_and(|mark| mark == recipe) {
        return Ok(made);
    }
    fs::create_dir_all(&parent)?;
    // Beside it, so that a run that was ended leaves nothing that looks whole.
    let work = tempfile::Builder::new().prefix("debian-").tempdir_in(&parent)?;
    let root = work.path().join("root");
    let packages: Vec<&str> = PACKAGES.split_whitespace().collect();
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", &format!("--include={}", packages.join(","))]);
    command.arg(SUITE).arg(&root).arg(kernels::archive()?);
    steps::step("make a Debian with systemd for virtual machines (once)", &mut command)?;
    furnish(&root)?;
    let fresh = Debian::at(work.path());
    for (start, to) in [("vmlinuz-", &fresh.kernel), ("initrd.img-", &fresh.initrd)] {
        let found = kernels::find(&root.join("boot"), &|name| name.starts_with(start));
        fs::copy(found.with_context(|| format!("no {start}… was installed"))?, to)?;
    }
    disk_of(&root, &fresh.disk, Some(DISK))?;
    fs::remove_dir_all(&root)?;
    fs::write(work.path().join(MARK), recipe)?;
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::rename(work.path(), &folder)?;
    ensure!(made.is_there(), "{} is not whole", folder.display());
    Ok(made)
}

/// A file system of its own with what `folder` holds; as large as is needed without a size.
pub(super) fn disk_of(folder: &Path, disk: &Path, size: Option<&str>) -> Result<()> {
    // Left from another run.
    let _ = fs::remove_file(disk);
    let mut command = Command::new("mke2fs");
    command.args(["-q", "-t", "ext4", "-d"]).arg(folder).arg(disk);
    let megabytes = match size {
        Some(size) => size.to_owned(),
        None => format!("{}M", bytes_below(folder)? * 5 / 4 / (1 << 20) + 16),
    };
    steps::step("put it on a disk", command.arg(megabytes))
}

fn bytes_below(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}

/// The suite as a unit, and less of what a machine without hardware help spends its time with.
fn furnish(root: &Path) -> Result<()> {
    for (name, text) in FILES {
        fs::write(root.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    fs::set_permissions(root.join("etc/sudoers.d/metsuke"), fs::Permissions::from_mode(0o440))?;
    fs::create_dir_all(root.join(PAYLOAD))?;
    let units = root.join("etc/systemd/system");
    let wants = units.join("multi-user.target.wants");
    fs::create_dir_all(&wants)?;
    symlink("../metsuke-suite.service", wants.join("metsuke-suite.service"))?;
    for masked in MASKED {
        let at = units.join(masked);
        let _ = fs::remove_file(&at);
        symlink("/dev/null", at)?;
    }
    Ok(())
}

/// Files of the disk. The machine's id keeps it from taking each boot for its first.
const FILES: [(&str, &str); 7] = [
    ("etc/fstab", "/dev/vda / ext4 rw 0 0\n/dev/vdb /payload ext4 ro,nofail 0 0\n"),
    ("etc/hostname", "metsuke-vm\n"),
    ("etc/hosts", "127.0.0.1 localhost metsuke-vm\n::1 localhost\n"),
    ("etc/machine-id", "6d657473756b652d6d657473756b652d\n"),
    ("etc/sudoers.d/metsuke", "metsuke-a ALL=(ALL) NOPASSWD: ALL\nmetsuke-b ALL=(ALL) ALL\n"),
    ("etc/systemd/system/metsuke-suite.service", SUITE_UNIT),
    ("etc/systemd/system/metsuke.slice", "[Slice]\n"),
];

/// Started last; what it says is read outside. Its own slice, for it is no part of what is watched.
const SUITE_UNIT: &str = "[Unit]
Description=Metsuke's suite
RequiresMountsFor=/payload
After=ssh.service auditd.service cron.service dbus.service systemd-logind.service

[Service]
Slice=metsuke.slice
Environment=METSUKE_TABLE_DIR=/run/metsuke-rows METSUKE_TABLE_PLACE=vm RUST_BACKTRACE=1
ExecStart=/payload/guest systemd
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
TTYReset=no
";

/// Fetches from the network, or waits for a person.
const MASKED: [&str; 7] = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "serial-getty@ttyS0.service",
    "getty@tty1.service",
    "systemd-timesyncd.service",
    "systemd-networkd-wait-online.service",
    "e2scrub_reap.service",
];

/// All that a disk is made of: another one is made when it changes.
fn recipe() -> String {
    format!("{SUITE} {DISK}\n{PACKAGES}{FILES:?}\n{MASKED:?}\n")
}

#[cfg(test)]
mod tests {
    use super::{MASKED, PACKAGES};

    #[test]
    fn what_the_suite_needs_is_installed_and_not_masked() {
        for package in ["auditd", "openssh-server", "sudo", "cron", "runc", "systemd-sysv"] {
            assert!(PACKAGES.lines().any(|line| line == package), "{package}");
        }
        assert!(!MASKED.contains(&"ssh.service"));
    }
}
