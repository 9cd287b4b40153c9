//! Debian's cloud kernels, fetched by apt with a configuration of our own and unpacked, never
//! installed. They lie in the cache, beside the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{place, steps};

/// Beginnings of the versions that are tested: Debian 12's own, and that of its backports.
const VERSIONS: [&str; 2] = ["6.1", "6.12"];

/// The package that depends on the newest kernel of each.
const META: &str = "linux-image-cloud-amd64";

/// Modules that the guest loads: one to be seen, one for overlays.
pub(super) const MODULES: [&str; 2] = ["dummy", "overlay"];

/// Debian's own keyring, which signs all it publishes.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A kernel, unpacked.
#[derive(Debug)]
pub(super) struct Kernel {
    /// First two numbers of its version.
    pub(super) name: String,
    /// The compressed kernel.
    pub(super) image: PathBuf,
    /// Folder with its modules, decompressed.
    pub(super) modules: PathBuf,
}

impl Kernel {
    fn at(name: &str) -> Self {
        let folder = folder().join(name);
        Self { name: name.to_owned(), image: folder.join("vmlinuz"), modules: folder }
    }

    fn is_there(&self) -> bool {
        let module = |name: &&str| self.modules.join(format!("{name}.ko")).is_file();
        self.image.is_file() && MODULES.iter().all(module)
    }
}

fn folder() -> PathBuf {
    place::cache().join("vm")
}

/// The kernels; fetches those that are not there yet.
///
/// # Errors
/// apt cannot be run or has no such package.
pub(super) fn fetch() -> Result<Vec<Kernel>> {
    let kernels: Vec<Kernel> = VERSIONS.iter().map(|name| Kernel::at(name)).collect();
    if kernels.iter().all(Kernel::is_there) {
        return Ok(kernels);
    }
    let apt = Apt::new()?;
    steps::step("ask Debian for its kernels", apt.command("apt-get").args(["-qq", "update"]))?;
    let listed = steps::output(apt.command("apt-cache").args(["show", META]))?;
    for kernel in kernels.iter().filter(|kernel| !kernel.is_there()) {
        let package = package(&listed, &kernel.name)
            .with_context(|| format!("Debian lists no kernel {} by {META}", kernel.name))?;
        unpack(&apt, package, kernel)?;
        ensure!(kernel.is_there(), "{package} lacks the kernel or a module of {MODULES:?}");
    }
    Ok(kernels)
}

/// Where packages come from: where this host's own do, with the backports beside them.
///
/// # Errors
/// apt cannot be run, or knows no Debian archive.
fn sources() -> Result<String> {
    let main = archive()?;
    let line = |site: &str, suite: &str| format!("deb [signed-by={KEYRING}] {site} {suite} main\n");
    let security = site("/debian-security")?.map(|site| line(&site, "bookworm-security"));
    let main = line(&main, "bookworm") + &line(&main, "bookworm-backports");
    Ok(main + &security.unwrap_or_default())
}

/// Debian's archive, as this host's own apt names it.
///
/// # Errors
/// As [`sources`].
pub(super) fn archive() -> Result<String> {
    site("/debian")?.context("apt on this host names no Debian archive")
}

fn site(end: &str) -> Result<Option<String>> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(SITE)", "Created-By: Packages"]);
    let listed = steps::output(&mut command)?;
    let found = listed.lines().find(|site| site.trim_end_matches('/').ends_with(end));
    Ok(found.map(str::to_owned))
}

/// The newest package of a version in what `apt-cache show` lists, the newest first.
fn package<'a>(listed: &'a str, version: &str) -> Option<&'a str> {
    let start = format!("linux-image-{version}.");
    let dependencies = listed.lines().filter_map(|line| line.strip_prefix("Depends: "));
    dependencies
        .filter_map(|line| line.split([' ', ',']).next())
        .find(|package| package.starts_with(&start))
}

fn unpack(apt: &Apt, package: &str, kernel: &Kernel) -> Result<()> {
    let work = tempfile::Builder::new().prefix("metsuke-kernel-").tempdir()?;
    let title = format!("fetch {package}");
    steps::step(
        &title,
        apt.command("apt-get").args(["-qq", "download", package]).current_dir(work.path()),
    )?;
    let archive =
        find(work.path(), &|name| name.starts_with(package)).context("apt fetched nothing")?;
    let tree = work.path().join("tree");
    let mut command = Command::new("dpkg-deb");
    steps::step("unpack the kernel", command.arg("-x").arg(archive).arg(&tree))?;
    fs::create_dir_all(&kernel.modules)?;
    for name in MODULES {
        let is_it = |file: &str| file == format!("{name}.ko") || file == format!("{name}.ko.xz");
        let found = find(&tree, &is_it).with_context(|| format!("{package} has no {name}.ko"))?;
        let target = kernel.modules.join(format!("{name}.ko"));
        if found.extension().is_some_and(|ending| ending == "xz") {
            steps::step("decompress a module", Command::new("xz").arg("-d").arg(&found))?;
            fs::copy(found.with_extension(""), target)?;
        } else {
            fs::copy(found, target)?;
        }
    }
    let image = find(&tree.join("boot"), &|name| name.starts_with("vmlinuz-"));
    fs::copy(image.with_context(|| format!("{package} has no kernel"))?, &kernel.image)?;
    Ok(())
}

/// The first file below `folder` whose name `wanted` likes.
pub(super) fn find(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).ok()?.flatten() {
            let kind = entry.file_type().ok()?;
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if kind.is_file() && wanted(&entry.file_name().to_string_lossy()) {
                return Some(entry.path());
            }
        }
    }
    None
}

/// apt with lists and sources of its own, so that this host's are neither needed nor changed.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new() -> Result<Self> {
        let folder = folder().join("apt");
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        fs::write(folder.join("sources.list"), sources()?)?;
        Ok(Self { folder })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let at = |part: &str| self.folder.join(part).display().to_string();
        for option in [
            format!("Dir::Etc::sourcelist={}", at("sources.list")),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::Cache={}", at("cache")),
            // The folder is this user's, which apt's own user may not enter.
            "APT::Sandbox::User=".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::package;

    #[test]
    fn a_version_is_not_taken_for_a_longer_one() {
        let listed = "Depends: linux-image-6.12.95+deb12-cloud-amd64 (= 6.12.95-1)\nPackage: x\n\
                      Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)\n";
        assert_eq!(package(listed, "6.1"), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(package(listed, "6.12"), Some("linux-image-6.12.95+deb12-cloud-amd64"));
        assert_eq!(package(listed, "6.9"), None);
    }
}
