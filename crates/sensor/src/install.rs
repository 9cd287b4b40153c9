//! Where an installed sensor's things lie, and putting them there or taking them away.
//!
//! Invariant: done twice is done once; what an administrator wrote (the configuration) and what the
//! server gave (the identity) is never overwritten. Nothing outside of the root is touched
//! ([`Rooted`]).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::rooted::{Folder, Rooted};

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

/// Where things lie below a root.
const PROGRAM: &str = "usr/bin/metsuke-sensor";
const SCANNER: &str = "usr/bin/metsuke-yara";
const STATE: &str = "var/lib/metsuke";
const CONFIG_FILE: &str = "etc/metsuke/sensor.json";
const CONFIG_FOLDER: &str = "etc/metsuke";
const UNITS: &str = "etc/systemd/system";
const PACKAGED_UNITS: &str = "lib/systemd/system";
const WANTS: &str = "etc/systemd/system/multi-user.target.wants";
const INIT_FILE: &str = "etc/init.d/metsuke-sensor";
const INIT_LINKS: [&str; 5] = [
    "etc/rc2.d/S20metsuke-sensor",
    "etc/rc3.d/S20metsuke-sensor",
    "etc/rc5.d/S20metsuke-sensor",
    "etc/rc0.d/K20metsuke-sensor",
    "etc/rc6.d/K20metsuke-sensor",
];

/// The places below a root.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    rooted: Rooted,
}

/// The programs to install.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Programs<'a> {
    pub(crate) sensor: &'a Path,
    /// The YARA scanner, where there is one.
    pub(crate) scanner: Option<&'a Path>,
}

impl Layout {
    /// # Errors
    /// When there is no such folder.
    pub(crate) fn open(root: &Path) -> anyhow::Result<Self> {
        let rooted = Rooted::open(root).with_context(|| {
            format!("{} is no folder to look for a sensor in or to install one to", root.display())
        })?;
        Ok(Self { root: root.to_owned(), rooted })
    }

    /// The state folder, held; `None` when there is none.
    pub(crate) fn state(&self) -> Option<Folder> {
        self.rooted.folder(Path::new(STATE)).ok()
    }

    /// Leaves `why` for the sensor that runs, as its last word.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn leave_word(&self, name: &str, why: &str) -> anyhow::Result<()> {
        let path = Path::new(STATE).join(name);
        self.rooted.put(&path, why.as_bytes(), 0o600).context("the state cannot be written")?;
        Ok(())
    }

    /// Who starts services here: systemd where it runs, or, in another root, where it is installed.
    pub(crate) fn manager(&self) -> Manager {
        let signs = ["run/systemd/system", "lib/systemd/systemd", "usr/lib/systemd/systemd"];
        let signs = if self.root == Path::new("/") { &signs[..1] } else { &signs[..] };
        let is_systemd = signs.iter().any(|sign| self.rooted.exists(Path::new(sign)));
        if is_systemd { Manager::Systemd } else { Manager::Init }
    }

    /// Puts programs, folders, configuration and service in their places, and lets the service start
    /// with the host. Says what it did.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub(crate) fn install(
        &self,
        programs: Programs<'_>,
        config: Option<&Path>,
        manager: Manager,
    ) -> anyhow::Result<Vec<String>> {
        let mut done = Vec::new();
        let own = fs::read(programs.sensor).context("this program cannot be read")?;
        self.put(PROGRAM, &own, 0o755, &mut done)?;
        if let Some(path) = programs.scanner {
            let scanner = fs::read(path)
                .with_context(|| format!("the scanner {} cannot be read", path.display()))?;
            self.put(SCANNER, &scanner, 0o755, &mut done)?;
        }
        self.private(STATE, &mut done)?;
        self.private(CONFIG_FOLDER, &mut done)?;
        match config {
            Some(path) => {
                // A wrong one is refused before anything is started with it.
                crate::config::Config::load(Some(path))?;
                self.put(CONFIG_FILE, &fs::read(path)?, 0o600, &mut done)?;
            }
            None if self.rooted.exists(Path::new(CONFIG_FILE)) => {}
            None => self.put(CONFIG_FILE, CONFIG.as_bytes(), 0o600, &mut done)?,
        }
        self.service(manager, &mut done)?;
        Ok(done)
    }

    fn service(&self, manager: Manager, done: &mut Vec<String>) -> anyhow::Result<()> {
        match manager {
            Manager::Systemd => {
                let packaged = Path::new(PACKAGED_UNITS).join(SERVICE);
                let unit = if self.rooted.exists(&packaged) {
                    packaged
                } else {
                    let unit = format!("{UNITS}/{SERVICE}");
                    self.put(&unit, UNIT.as_bytes(), 0o644, done)?;
                    PathBuf::from(unit)
                };
                self.link(&Path::new("/").join(unit), &format!("{WANTS}/{SERVICE}"), done)
            }
            Manager::Init => {
                self.put(INIT_FILE, INIT.as_bytes(), 0o755, done)?;
                let target = Path::new("../init.d/metsuke-sensor");
                INIT_LINKS.iter().try_for_each(|path| self.link(target, path, done))
            }
        }
    }

    /// Takes everything away, the state last. Says what it did.
    ///
    /// # Errors
    /// Names what cannot be removed.
    pub(crate) fn remove(&self) -> anyhow::Result<Vec<String>> {
        let mut done = Vec::new();
        let (wanted, unit) = (format!("{WANTS}/{SERVICE}"), format!("{UNITS}/{SERVICE}"));
        let mut files = vec![wanted.as_str(), &unit, INIT_FILE];
        files.extend(INIT_LINKS);
        files.extend([PROGRAM, SCANNER, CONFIG_FILE]);
        for path in files {
            self.gone(path, self.rooted.remove(Path::new(path)), &mut done)?;
        }
        for path in [CONFIG_FOLDER, STATE] {
            self.gone(path, self.rooted.remove_all(Path::new(path)), &mut done)?;
        }
        Ok(done)
    }

    /// For people; what is written goes through the held root.
    fn name(&self, path: &str) -> String {
        self.root.join(path).display().to_string()
    }

    fn gone(
        &self,
        path: &str,
        removed: io::Result<bool>,
        done: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let path = self.name(path);
        if removed.with_context(|| format!("{path} cannot be removed"))? {
            done.push(format!("removed {path}"));
        }
        Ok(())
    }

    fn put(
        &self,
        path: &str,
        content: &[u8],
        mode: u32,
        done: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let put = self.rooted.put(Path::new(path), content, mode);
        self.made(path, put, "wrote", done)
    }

    fn private(&self, path: &str, done: &mut Vec<String>) -> anyhow::Result<()> {
        let put = self.rooted.put_private(Path::new(path));
        self.made(path, put, "made for its owner only:", done)
    }

    fn link(&self, target: &Path, path: &str, done: &mut Vec<String>) -> anyhow::Result<()> {
        let put = self.rooted.put_link(target, Path::new(path));
        self.made(path, put, "linked", done)
    }

    fn made(
        &self,
        path: &str,
        made: io::Result<bool>,
        what: &str,
        done: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let path = self.name(path);
        let failed = || {
            format!("{path} cannot be made; run this as root, and look for links in its folders")
        };
        if made.with_context(failed)? {
            done.push(format!("{what} {path}"));
        }
        Ok(())
    }
}
