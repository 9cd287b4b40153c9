//! Building: the product's binaries, the console's assets, the tests.
//!
//! Invariant: one profile (dev), one feature set (the whole workspace is always selected), and
//! clippy as the compiler's wrapper in every build. So `run`, `test`, `check` and `ci` share every
//! artefact, the heavy store crates are compiled once, and what is linted is what runs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{node, place, steps};

/// A cargo command in the workspace, set up as all of them are.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .arg(subcommand)
        .current_dir(place::root())
        .env("CARGO_TARGET_DIR", place::target())
        .env("CONSOLE_DIST", place::root().join("console/dist"))
        .env("CARGO_TERM_COLOR", "never");
    // Cargo sets these for xtask itself; build scripts of other crates must not see them: ring's
    // asks to run again when one changes, and with it all of the store crates are built anew.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    if let Some(driver) = clippy_driver() {
        command.env("RUSTC_WORKSPACE_WRAPPER", driver);
    }
    command
}

/// In CI the committed lock file must be the one that is used.
pub(crate) fn locked() -> Option<&'static str> {
    std::env::var_os("CI").map(|_| "--locked")
}

fn clippy_driver() -> Option<PathBuf> {
    let out = Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(place::root())
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8_lossy(&out.stdout).trim()).join("bin/clippy-driver");
    path.is_file().then_some(path)
}

/// Builds the console's assets and then every binary of the product into `place::binary`.
///
/// # Errors
/// Something does not build; the log is named.
pub(crate) fn product() -> Result<()> {
    console()?;
    // One test beside them, so that features are those of the tests' build; the test says more.
    let mut command = cargo("build");
    command.args(["--workspace", "--bins", "--test", "one_build"]).args(locked());
    steps::step("build the binaries", &mut command)?;
    scanner()
}

/// Builds `metsuke-yara` beside the others. It is a workspace of its own, with a lock file and a
/// folder of its own, for what it asks of shared crates must not reach the rest.
fn scanner() -> Result<()> {
    steps::step("build the YARA scanner", scanner_cargo("build").args(locked()))?;
    let built = place::target().join("yara/debug/metsuke-yara");
    let beside = place::binaries().join("metsuke-yara");
    // Another name first: the old one may be running.
    let fresh = beside.with_extension("new");
    std::fs::copy(&built, &fresh)
        .and_then(|_| std::fs::rename(&fresh, &beside))
        .with_context(|| format!("the scanner cannot be put to {}", beside.display()))
}

/// A cargo command in the scanner's workspace.
pub(crate) fn scanner_cargo(subcommand: &str) -> Command {
    let mut command = cargo(subcommand);
    command
        .env("CARGO_TARGET_DIR", place::target().join("yara"))
        .arg("--manifest-path")
        .arg(place::root().join("crates/yara/Cargo.toml"));
    command
}

/// The only target of static builds: the BPF programs are written for it.
const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where Debian keeps `libelf.a` and `libz.a`, which a static binary holds.
const STATIC_LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";

/// How static binaries are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As everything that is tested.
    Dev,
    /// Optimised: for the packages.
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// Lets `command` compile without any shared library, by plain rustc: linting is for the build that
/// is tested, and clippy's driver holds back optimisations.
fn make_static(command: &mut Command, profile: Profile) {
    let mut flags = vec!["-C".to_owned(), "target-feature=+crt-static".to_owned()];
    if profile == Profile::Release {
        command.arg("--release");
        // What goes to others does not say in which folders it was built.
        let kept = [(place::root().to_owned(), "/metsuke"), (place::cargo_home(), "/cargo")];
        flags.extend(kept.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())));
    }
    command
        // An explicit target, so that build scripts and macros are not linked statically.
        .args(["--target", STATIC_TARGET])
        // Cargo's own separator, so that a folder's name may hold a space.
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .args(locked());
}

/// Builds binaries without any shared library, so that they run on any Linux, also where there is
/// nothing else: the sensor, and the programs that test it in virtual machines. Each is named by
/// package and binary; the packages must include one that depends on libbpf-rs. They lie apart from
/// those of [`product`], since everything in them is compiled anew.
///
/// # Errors
/// Something does not build; the log is named.
pub(crate) fn static_binaries(wanted: &[(&str, &str)], profile: Profile) -> Result<Vec<PathBuf>> {
    let mut command = cargo("build");
    command
        .args(["--features", "libbpf-rs/static"])
        // The package whose dependency the feature belongs to.
        .args(["--package", "metsuke-probe"])
        .env("LIBBPF_SYS_LIBRARY_PATH", STATIC_LIBRARIES);
    make_static(&mut command, profile);
    for (package, binary) in wanted {
        command.args(["--package", package, "--bin", binary]);
    }
    steps::step("build the static binaries", &mut command)?;
    let folder = place::target().join(STATIC_TARGET).join(profile.folder());
    Ok(wanted.iter().map(|(_, binary)| folder.join(binary)).collect())
}

/// Builds the static sensor as the packages hold it; returns its path.
///
/// # Errors
/// As [`static_binaries`].
pub(crate) fn static_sensor() -> Result<PathBuf> {
    let built = static_binaries(&[("metsuke-sensor", "metsuke-sensor")], Profile::Release)?;
    built.into_iter().next().context("cargo built no sensor")
}

/// Builds the static YARA scanner as the packages hold it; returns its path.
///
/// # Errors
/// It does not build; the log is named.
pub(crate) fn static_scanner() -> Result<PathBuf> {
    let mut command = scanner_cargo("build");
    make_static(&mut command, Profile::Release);
    steps::step("build the static YARA scanner", &mut command)?;
    let folder = place::target().join("yara").join(STATIC_TARGET);
    Ok(folder.join(Profile::Release.folder()).join("metsuke-yara"))
}

/// Builds `console/dist` when its sources changed. Without a Node.js to be had the server embeds
/// a page that says so, and everything else works.
///
/// # Errors
/// The console's build fails.
pub(crate) fn console() -> Result<()> {
    let folder = place::root().join("console");
    if !folder.join("package.json").is_file() {
        return Ok(());
    }
    if let Err(error) = node::npm() {
        steps::say(&format!("the console is left out, for there is no Node.js for it: {error:#}"));
        return Ok(());
    }
    node::ensure_modules()?;
    let stamp = node::fingerprint(&[
        "src",
        "public",
        "index.html",
        "package-lock.json",
        "vite.config.ts",
        "tsconfig.json",
    ])?;
    // Not in `dist`, which is embedded whole.
    let stamp_file = folder.join("node_modules/.dist-stamp");
    let built = folder.join("dist/index.html").is_file();
    if built && std::fs::read_to_string(&stamp_file).is_ok_and(|old| old == stamp) {
        return Ok(());
    }
    steps::step("build the console", node::npm()?.args(["run", "--silent", "build"]))?;
    std::fs::write(stamp_file, stamp)?;
    Ok(())
}
