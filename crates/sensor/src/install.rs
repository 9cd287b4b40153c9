//! Where an installed sensor's things lie, and putting them there or taking them away.
//!
//! Invariant: done twice is done once; what an administrator wrote (the configuration) and what the
//! server gave (the identity) is never overwritten.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The service of hosts with systemd …
const UNIT: &str = include_str!("../../../packaging/metsuke-sensor.service");
/// … and of the others.
const INIT: &str = include_str!("../../../packaging/metsuke-sensor.init");
/// A configuration in which everything has its default.
const CONFIG: &str = include_str!("../../../packaging/sensor.json");
/// The service's name.
pub(crate) const SERVICE: &str = "metsuke-sensor.service";

/// Who starts services on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Manager {
    /// systemd.
    Systemd,
    /// Scripts in `/etc/init.d`.
    Init,
}

/// The places below a root.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.at("usr/bin/metsuke-sensor")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.at("var/lib/metsuke")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.at("etc/metsuke/sensor.json")
    }

    fn unit(&self) -> PathBuf {
        self.at("etc/systemd/system").join(SERVICE)
    }

    fn packaged_unit(&self) -> PathBuf {
        self.at("lib/systemd/system").join(SERVICE)
    }

    fn wanted(&self) -> PathBuf {
        self.at("etc/systemd/system/multi-user.target.wants").join(SERVICE)
    }

    fn init(&self) -> PathBuf {
        self.at("etc/init.d/metsuke-sensor")
    }

    fn links(&self) -> [PathBuf; 5] {
        [
            self.at("etc/rc2.d/S20metsuke-sensor"),
            self.at("etc/rc3.d/S20metsuke-sensor"),
            self.at("etc/rc5.d/S20metsuke-sensor"),
            self.at("etc/rc0.d/K20metsuke-sensor"),
            self.at("etc/rc6.d/K20metsuke-sensor"),
        ]
    }

    /// Who starts services here: systemd where it runs, or, in another root, where it is installed.
    pub(crate) fn manager(&self) -> Manager {
        let signs = ["run/systemd/system", "lib/systemd/systemd", "usr/lib/systemd/systemd"];
        let signs = if self.root == Path::new("/") { &signs[..1] } else { &signs[..] };
        let is_systemd = signs.iter().any(|sign| self.at(sign).exists());
        if is_systemd { Manager::Systemd } else { Manager::Init }
    }

    /// Puts program, folders, configuration and service in their places, and lets the service start
    /// with the host. Says what it did.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub(crate) fn install(
        &self,
        program: &Path,
        config: Option<&Path>,
        manager: Manager,
    ) -> anyhow::Result<Vec<String>> {
        let mut done = Vec::new();
        let own = fs::read(program).context("this program cannot be read")?;
        put(&self.program(), &own, 0o755, &mut done)?;
        private(&self.state(), &mut done)?;
        private(self.config().parent().unwrap_or(&self.root), &mut done)?;
        match config {
            Some(path) => {
                // A wrong one is refused before anything is started with it.
                crate::config::Config::load(Some(path))?;
                put(&self.config(), &fs::read(path)?, 0o600, &mut done)?;
            }
            None if self.config().exists() => {}
            None => put(&self.config(), CONFIG.as_bytes(), 0o600, &mut done)?,
        }
        match manager {
            Manager::Systemd => {
                let unit = if self.packaged_unit().exists() {
                    self.packaged_unit()
                } else {
                    put(&self.unit(), UNIT.as_bytes(), 0o644, &mut done)?;
                    self.unit()
                };
                let target = Path::new("/").join(unit.strip_prefix(&self.root).unwrap_or(&unit));
                link(&target, &self.wanted(), &mut done)?;
            }
            Manager::Init => {
                put(&self.init(), INIT.as_bytes(), 0o755, &mut done)?;
                for path in self.links() {
                    link(Path::new("../init.d/metsuke-sensor"), &path, &mut done)?;
                }
            }
        }
        Ok(done)
    }

    /// Takes everything away, the state last. Says what it did.
    ///
    /// # Errors
    /// Names what cannot be removed.
    pub(crate) fn remove(&self) -> anyhow::Result<Vec<String>> {
        let mut done = Vec::new();
        let mut files = vec![self.wanted(), self.unit(), self.init()];
        files.extend(self.links());
        files.extend([self.program(), self.config()]);
        for path in files {
            gone(&path, fs::remove_file(&path), &mut done)?;
        }
        for path in [self.at("etc/metsuke"), self.state()] {
            gone(&path, fs::remove_dir_all(&path), &mut done)?;
        }
        Ok(done)
    }
}

fn gone(path: &Path, removed: io::Result<()>, done: &mut Vec<String>) -> anyhow::Result<()> {
    match removed {
        Ok(()) => done.push(format!("removed {}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be removed", path.display()));
        }
    }
    Ok(())
}

/// Writes `content` beside `path` and renames it, so that a running program keeps its own.
fn put(path: &Path, content: &[u8], mode: u32, done: &mut Vec<String>) -> anyhow::Result<()> {
    let has_mode = |facts: fs::Metadata| facts.permissions().mode() & 0o7777 == mode;
    if fs::read(path).is_ok_and(|old| old == content) && fs::metadata(path).is_ok_and(has_mode) {
        return Ok(());
    }
    let beside = path.with_extension("metsuke-new");
    let written = (|| {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&beside, content)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(mode))?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        // The error that counts is the first.
        let _ = fs::remove_file(&beside);
    }
    written.with_context(|| format!("{} cannot be written; run this as root", path.display()))?;
    done.push(format!("wrote {}", path.display()));
    Ok(())
}

fn private(folder: &Path, done: &mut Vec<String>) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be made; run this as root", folder.display());
    let mode = fs::metadata(folder).map(|facts| facts.permissions().mode() & 0o7777).ok();
    if mode == Some(0o700) {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(failed)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).with_context(failed)?;
    done.push(format!("made {} for its owner only", folder.display()));
    Ok(())
}

fn link(target: &Path, path: &Path, done: &mut Vec<String>) -> anyhow::Result<()> {
    if fs::read_link(path).is_ok_and(|old| old == target) {
        return Ok(());
    }
    let made = (|| {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        symlink(target, path)
    })();
    made.with_context(|| format!("{} cannot be made; run this as root", path.display()))?;
    done.push(format!("linked {}", path.display()));
    Ok(())
}
