//! Whether what was made is what it is to be: programs that need nothing of the host, packages that
//! hold the right files for the right owners, a scanner that works below its filter of system calls
//! (a static C library makes other calls than the one the tests are linked with), and a package
//! that is installed, used and removed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::tally::Tally;
use crate::{build, place, steps, test};

/// Files and folders of both packages that are not the distribution's own: mode and owner, path.
const BOTH: [(&str, &str); 6] = [
    ("-rwxr-xr-x root/root", "/usr/bin/metsuke-sensor"),
    ("-rwxr-xr-x root/root", "/usr/bin/metsuke-yara"),
    ("drwx------ root/root", "/etc/metsuke"),
    ("-rw------- root/root", "/etc/metsuke/sensor.json"),
    ("drwxr-xr-x root/root", "/usr/share/doc/metsuke-sensor"),
    ("-rw-r--r-- root/root", "/usr/share/doc/metsuke-sensor/copyright"),
];
/// Those of the `.deb` alone; it makes its state folder when it is configured.
const DEB: [(&str, &str); 2] = [
    ("-rw-r--r-- root/root", "/lib/systemd/system/metsuke-sensor.service"),
    ("-rwxr-xr-x root/root", "/etc/init.d/metsuke-sensor"),
];
/// Folders that are the distribution's own, or for everything of their kind.
const SHARED: [&str; 10] = [
    "/",
    "/etc",
    "/etc/init.d",
    "/lib",
    "/lib/systemd",
    "/lib/systemd/system",
    "/usr",
    "/usr/bin",
    "/usr/share",
    "/usr/share/doc",
];
/// Those of the `.rpm` alone.
const RPM: [(&str, &str); 2] = [
    ("-rw-r--r-- root/root", "/usr/lib/systemd/system/metsuke-sensor.service"),
    ("drwx------ root/root", "/var/lib/metsuke"),
];

/// That `program` is linked with nothing of the host, and says in which folders it was built nowhere.
///
/// # Errors
/// It asks for a loader or a library, or names a folder.
pub(super) fn stands_alone(program: &Path) -> Result<()> {
    let said = steps::output(Command::new("readelf").args(["-l", "-d", "-W"]).arg(program))?;
    for word in ["INTERP", "(NEEDED)"] {
        let line = said.lines().find(|line| line.contains(word));
        ensure!(
            line.is_none(),
            "{} is not static: {}",
            program.display(),
            line.unwrap_or_default()
        );
    }
    let bytes = fs::read(program)?;
    for folder in [place::cargo_home(), place::root().to_owned()] {
        let folder = format!("{}/", folder.display());
        let at = bytes.windows(folder.len()).position(|window| window == folder.as_bytes());
        let Some(at) = at else { continue };
        let rest = &bytes[at..bytes.len().min(at + 120)];
        bail!("{} names a folder: {}", program.display(), String::from_utf8_lossy(rest));
    }
    Ok(())
}

/// That the `.deb` holds its files and no others, each with its mode and owner.
///
/// # Errors
/// It does not.
pub(super) fn deb_holds(package: &Path) -> Result<()> {
    let said = steps::output(Command::new("dpkg-deb").arg("--contents").arg(package))?;
    let line = |line: &str| {
        // Mode, owner, size, day, time, path.
        let words: Vec<&str> = line.split_whitespace().collect();
        let [mode, owner, .., path] = words[..] else { return line.to_owned() };
        let path = path.trim_start_matches('.').trim_end_matches('/');
        format!("{mode} {owner} {}", if path.is_empty() { "/" } else { path })
    };
    same(&DEB, said.lines().map(line))
}

/// The same of the `.rpm`.
///
/// # Errors
/// It does not.
pub(super) fn rpm_holds(package: &Path) -> Result<()> {
    const FORMAT: &str = "[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\\n]";
    let mut rpm = Command::new("rpm");
    let said = steps::output(rpm.args(["-q", "--qf", FORMAT, "-p"]).arg(package))?;
    same(&RPM, said.lines().map(str::to_owned))
}

fn same(own: &[(&str, &str)], found: impl Iterator<Item = String>) -> Result<()> {
    let is_shared =
        |line: &String| SHARED.iter().any(|path| *line == format!("drwxr-xr-x root/root {path}"));
    let mut found: Vec<String> = found.filter(|line| !is_shared(line)).collect();
    let mut wanted: Vec<String> =
        BOTH.iter().chain(own).map(|(mode, path)| format!("{mode} {path}")).collect();
    found.sort_unstable();
    wanted.sort_unstable();
    ensure!(found == wanted, "it holds {found:#?} and is to hold {wanted:#?}");
    Ok(())
}

/// Tries the programs of `folder`: the tests of scans with the scanner that lies there, and one that
/// installs, uses and removes `package`.
///
/// # Errors
/// The tests do not build.
pub(super) fn run(folder: &Path, package: Option<&Path>) -> Result<Tally> {
    let mut command = build::cargo("test");
    command
        // The whole workspace, for its features; of its tests these two programs.
        .args(["--workspace", "--no-fail-fast", "--test", "evidence", "--test", "sensor"])
        .args(build::locked())
        .args(["--", "--show-output", "scan::", "packaged::"])
        .env("METSUKE_BINARIES", folder);
    if let Some(package) = package {
        command.env("METSUKE_PACKAGE", package);
    }
    let tally = test::libtest("try what is packaged", &mut command)?;
    ensure!(tally.passed + tally.failed > 0, "no test tried what is packaged");
    Ok(tally)
}
