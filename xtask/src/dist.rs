//! `./x dist`: the static sensor and its YARA scanner as programs, a `.deb` and an `.rpm`.
//!
//! The packages hold what `packaging/` says and are made by the distributions' own tools
//! (`dpkg-deb`, `rpmbuild`), with the newest commit's time, so that the same sources give the same
//! bytes. What was made is looked at and tried ([`trial`]) before it is called good; a tool that is
//! not installed is said, and its package left out.

mod trial;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::tally::Tally;
use crate::{build, place, steps};

/// The files of the `.deb`: from `packaging/`, to where, with which mode.
const FILES: [(&str, &str, u32); 4] = [
    ("metsuke-sensor.service", "lib/systemd/system/metsuke-sensor.service", 0o644),
    ("metsuke-sensor.init", "etc/init.d/metsuke-sensor", 0o755),
    ("sensor.json", "etc/metsuke/sensor.json", 0o600),
    ("copyright", "usr/share/doc/metsuke-sensor/copyright", 0o644),
];
/// What is an administrator's own once installed.
const CONFFILES: [&str; 2] = ["/etc/init.d/metsuke-sensor", "/etc/metsuke/sensor.json"];
/// The programs of a package.
pub(crate) struct Programs {
    pub(crate) sensor: PathBuf,
    /// Beside the sensor, which looks for it there.
    pub(crate) scanner: PathBuf,
}

const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Builds everything into `dist/` of the target folder, and tries it.
///
/// # Errors
/// Something does not build, or is not what it is to be.
pub(crate) fn main() -> Result<ExitCode> {
    let (sensor, scanner) = (build::static_sensor()?, build::static_scanner()?);
    let out = place::target().join("dist");
    fs::create_dir_all(&out)?;
    let programs =
        Programs { sensor: out.join("metsuke-sensor"), scanner: out.join("metsuke-yara") };
    for (built, program) in [(sensor, &programs.sensor), (scanner, &programs.scanner)] {
        fs::copy(&built, program)
            .with_context(|| format!("{} cannot be copied", built.display()))?;
        // Symbols are four fifths of it; backtraces then name no lines, the log does.
        steps::step("strip the program", Command::new("strip").arg(program))?;
        trial::stands_alone(program)?;
    }
    let mut tally = Tally::default();
    let (mut packages, mut package) = (Vec::new(), None);
    if has("dpkg-deb") {
        let deb = deb(&programs, &out)?;
        tally.record("contents of the .deb", &trial::deb_holds(&deb));
        package = Some(deb.clone());
        packages.push(deb);
    } else {
        tally.not_run("the .deb", "dpkg-deb is not installed (package dpkg)");
    }
    if has("rpmbuild") {
        let rpm = rpm(&programs, &out)?;
        tally.record("contents of the .rpm", &trial::rpm_holds(&rpm));
        packages.push(rpm);
    } else {
        tally.not_run("the .rpm", "rpmbuild is not installed (package rpm)");
    }
    let tried = trial::run(&out, package.as_deref());
    match tried {
        Ok(tried) => tally.add(tried),
        Err(error) => {
            eprintln!("x: {error:#}");
            tally.fail("trial of what is packaged");
        }
    }
    if tally.is_good() {
        for path in [programs.sensor, programs.scanner].iter().chain(&packages) {
            println!("{:>9} KiB  {}", fs::metadata(path)?.len().div_ceil(1_024), path.display());
        }
    } else {
        // So that nobody installs them.
        for path in packages {
            fs::remove_file(&path)?;
            println!("removed again: {}", path.display());
        }
    }
    println!("{}", tally.closing());
    Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn has(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok()
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Seconds since 1970 of the newest commit.
fn epoch() -> String {
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(place::root());
    let out = git.output().map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    out.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "0".to_owned())
}

fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).with_context(|| format!("{} cannot be copied", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// `folder` and every one below it.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(folder) = all.get(next) {
        let inner: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
        all.extend(inner.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()));
        next += 1;
    }
    Ok(all)
}

/// The `.deb` of `programs`, in `out`.
pub(crate) fn deb(programs: &Programs, out: &Path) -> Result<PathBuf> {
    let packaging = place::root().join("packaging");
    let tree = out.join("deb");
    // Left from an earlier run.
    let _ = fs::remove_dir_all(&tree);
    put(&programs.sensor, &tree.join("usr/bin/metsuke-sensor"), 0o755)?;
    put(&programs.scanner, &tree.join("usr/bin/metsuke-yara"), 0o755)?;
    for (from, to, mode) in FILES {
        put(&packaging.join(from), &tree.join(to), mode)?;
    }
    let control = tree.join("DEBIAN");
    fs::create_dir_all(&control)?;
    // Whatever the umask made of them.
    for folder in folders(&tree)? {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    fs::set_permissions(tree.join("etc/metsuke"), fs::Permissions::from_mode(0o700))?;
    for script in SCRIPTS {
        put(&packaging.join("deb").join(script), &control.join(script), 0o755)?;
    }
    fs::write(control.join("conffiles"), CONFFILES.map(|path| format!("{path}\n")).concat())?;
    let bytes = fs::metadata(&programs.sensor)?.len() + fs::metadata(&programs.scanner)?.len();
    let size = bytes.div_ceil(1_024) + 16;
    let text = fs::read_to_string(packaging.join("deb/control"))?;
    let text = text.replace("@VERSION@", version()).replace("@SIZE_KIB@", &size.to_string());
    ensure!(!text.contains('@'), "packaging/deb/control holds a name that nothing replaces");
    fs::write(control.join("control"), text)?;
    let package = out.join(format!("metsuke-sensor_{}_amd64.deb", version()));
    let mut command = Command::new("dpkg-deb");
    command.env("SOURCE_DATE_EPOCH", epoch());
    command.args(["--root-owner-group", "-Zgzip", "--build"]).arg(&tree).arg(&package);
    steps::step("build the .deb", &mut command)?;
    Ok(package)
}

/// The `.rpm` of `programs`, in `out`.
fn rpm(programs: &Programs, out: &Path) -> Result<PathBuf> {
    let packaging = place::root().join("packaging");
    let top = out.join("rpm");
    let mut command = Command::new("rpmbuild");
    command.env("SOURCE_DATE_EPOCH", epoch()).arg("-bb");
    for (name, value) in [
        ("_topdir", top.display().to_string()),
        ("_build_id_links", "none".to_owned()),
        ("use_source_date_epoch_as_buildtime", "1".to_owned()),
        ("sensor_version", version().to_owned()),
        ("sensor", programs.sensor.display().to_string()),
        ("scanner", programs.scanner.display().to_string()),
        ("packaging", packaging.display().to_string()),
    ] {
        command.arg("--define").arg(format!("{name} {value}"));
    }
    command.args(["--target", "x86_64"]).arg(packaging.join("rpm/metsuke-sensor.spec"));
    steps::step("build the .rpm", &mut command)?;
    let name = format!("metsuke-sensor-{}-1.x86_64.rpm", version());
    let package = out.join(&name);
    fs::copy(top.join("RPMS/x86_64").join(&name), &package).context("rpmbuild left no package")?;
    Ok(package)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Command;

    use super::{CONFFILES, Programs, deb, has, rpm, trial};

    /// Stand-ins, each with its own text.
    fn programs(dir: &Path) -> Programs {
        let program = |name: &str| {
            let path = dir.join(name);
            fs::write(&path, format!("#!/bin/sh\necho {name}\n")).expect("written");
            path
        };
        Programs { sensor: program("a-sensor"), scanner: program("a-scanner") }
    }

    fn run(command: &mut Command) -> String {
        let out = command.output().expect("starts");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("is there").permissions().mode() & 0o7777
    }

    #[test]
    fn the_deb_unpacks_to_what_it_says() {
        if !has("dpkg-deb") {
            eprintln!("NOT RUN: the_deb_unpacks_to_what_it_says: dpkg-deb is not installed");
            return;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let package = deb(&programs(dir.path()), dir.path()).expect("builds");
        trial::deb_holds(&package).expect("what it is to hold");
        let (root, control) = (dir.path().join("root"), dir.path().join("control"));
        run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&root));
        run(Command::new("dpkg-deb").arg("-e").arg(&package).arg(&control));
        for (file, said) in [("metsuke-sensor", "a-sensor"), ("metsuke-yara", "a-scanner")] {
            let file = root.join("usr/bin").join(file);
            assert_eq!(mode(&file), 0o755);
            assert_eq!(run(&mut Command::new(&file)).trim(), said);
        }
        assert_eq!(mode(&root.join("etc/metsuke")), 0o700);
        assert_eq!(mode(&root.join("etc/metsuke/sensor.json")), 0o600);
        let unit = fs::read_to_string(root.join("lib/systemd/system/metsuke-sensor.service"));
        assert!(unit.expect("the unit").contains("ExecStart=/usr/bin/metsuke-sensor supervise"));
        let conffiles = fs::read_to_string(control.join("conffiles")).expect("is there");
        assert!(conffiles.lines().eq(CONFFILES));
        for file in CONFFILES {
            assert!(root.join(&file[1..]).is_file(), "{file}");
        }
        for script in super::SCRIPTS {
            assert_eq!(mode(&control.join(script)), 0o755);
            run(Command::new("sh").arg("-n").arg(control.join(script)));
        }
        run(Command::new("sh").arg("-n").arg(root.join("etc/init.d/metsuke-sensor")));
        let name = run(Command::new("dpkg-deb").arg("-f").arg(&package).arg("Package"));
        assert_eq!(name.trim(), "metsuke-sensor");
    }

    /// Installed and purged by dpkg itself, in a root of its own.
    #[test]
    fn dpkg_installs_and_purges_the_deb() {
        let is_root = run(Command::new("id").arg("-u")).trim() == "0";
        if !has("dpkg-deb") || !has("dpkg") || !is_root {
            eprintln!("NOT RUN: dpkg_installs_and_purges_the_deb: needs dpkg and root");
            return;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let package = deb(&programs(dir.path()), dir.path()).expect("builds");
        let root = dir.path().join("root");
        for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log"] {
            fs::create_dir_all(root.join(folder)).expect("made");
        }
        fs::write(root.join("var/lib/dpkg/status"), "").expect("written");
        let dpkg = |what: &str, of: &Path| {
            let mut command = Command::new("dpkg");
            command.arg("--root").arg(&root).args(["--force-script-chrootless", what]).arg(of);
            run(&mut command);
        };
        dpkg("--install", &package);
        assert_eq!(mode(&root.join("var/lib/metsuke")), 0o700, "made by postinst");
        let config = root.join("etc/metsuke/sensor.json");
        fs::write(&config, "{\"scope\": \"host\"}\n").expect("written");
        dpkg("--install", &package);
        let kept = fs::read_to_string(&config).expect("is there");
        assert!(kept.contains("host"), "an administrator's own file is kept");
        dpkg("--purge", Path::new("metsuke-sensor"));
        for gone in
            ["usr/bin/metsuke-sensor", "usr/bin/metsuke-yara", "var/lib/metsuke", "etc/metsuke"]
        {
            assert!(!root.join(gone).exists(), "{gone}");
        }
    }

    #[test]
    fn the_rpm_holds_the_same() {
        if !has("rpmbuild") || !has("rpm") {
            eprintln!("NOT RUN: the_rpm_holds_the_same: rpmbuild is not installed");
            return;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let package = rpm(&programs(dir.path()), dir.path()).expect("builds");
        trial::rpm_holds(&package).expect("what it is to hold");
        let config = run(Command::new("rpm").arg("-qcp").arg(&package));
        assert_eq!(config.trim(), "/etc/metsuke/sensor.json");
        if run(Command::new("id").arg("-u")).trim() == "0" {
            rpm_installs_and_erases(&package, &dir.path().join("root"));
        }
    }

    /// By rpm itself, in a root of its own, in which no shell is for the package's scripts.
    fn rpm_installs_and_erases(package: &Path, root: &Path) {
        let rpm = |words: &[&str], of: &Path| {
            let mut command = Command::new("rpm");
            command.arg("--root").arg(root).args(["--nodeps", "--noscripts"]).args(words).arg(of);
            run(&mut command);
        };
        rpm(&["--install"], package);
        for (file, said) in [("metsuke-sensor", "a-sensor"), ("metsuke-yara", "a-scanner")] {
            assert_eq!(run(&mut Command::new(root.join("usr/bin").join(file))).trim(), said);
        }
        let config = root.join("etc/metsuke/sensor.json");
        fs::write(&config, "{\"scope\": \"host\"}\n").expect("written");
        rpm(&["--install", "--replacepkgs"], package);
        let kept = fs::read_to_string(&config).expect("is there");
        assert!(kept.contains("host"), "an administrator's own file is kept");
        rpm(&["--erase"], Path::new("metsuke-sensor"));
        assert!(!root.join("usr/bin/metsuke-sensor").exists());
    }
}
