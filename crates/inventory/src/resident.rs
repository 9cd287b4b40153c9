//! The thread that keeps the inventory: looks, walks, and tells the link that there is news.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use metsuke_event::Timestamp;
use metsuke_event::inventory::{Item, ItemKind, LeftOut};

use crate::config::Config;
use crate::files::Files;
use crate::held::Inventory;
use crate::known::Known;
use crate::pace::Pace;
use crate::processes::{self, Pass};
use crate::products::{Marks, products};
use crate::surveys::Left;
use crate::{dpkg, rpm, sockets, system, users};

/// How long the thread rests between two looks at what was touched: gathers a burst.
const TICK: Duration = Duration::from_millis(250);
/// How often what is known is kept on disk; what a crash loses is read, and told, again.
const KEEP_EVERY: Duration = Duration::from_mins(10);

/// Why there is no inventory.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its folder cannot be made.
    #[error("the folder {folder} of the inventory cannot be made; check the state folder")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No thread.
    #[error("the thread of the inventory cannot be started")]
    Thread(#[source] std::io::Error),
}

/// The running thread.
#[derive(Debug)]
pub struct Resident {
    inventory: Arc<Inventory>,
    thread: Option<JoinHandle<()>>,
}

impl Resident {
    /// Starts it. `clock` is the host's; `news` is called, often, when the link should ask
    /// [`Inventory::next`]; `known` with each executable whose content is known, of those from before
    /// at the start. Neither may wait.
    ///
    /// # Errors
    /// When its folder cannot be made, or no thread started.
    pub fn start(
        config: Config,
        clock: fn() -> Timestamp,
        news: impl Fn() + Send + Sync + 'static,
        known: impl Fn(&Known) + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let folder = config.state.clone();
        fs::create_dir_all(&folder).map_err(|source| StartError::Folder { folder, source })?;
        let inventory = Arc::new(Inventory::open(config, clock, Box::new(news), Box::new(known)));
        let own = Arc::clone(&inventory);
        let thread = std::thread::Builder::new()
            .name("metsuke-invent".to_owned())
            .spawn(move || run(&own))
            .map_err(StartError::Thread)?;
        Ok(Self { inventory, thread: Some(thread) })
    }

    /// What it keeps.
    pub fn inventory(&self) -> Arc<Inventory> {
        Arc::clone(&self.inventory)
    }

    /// Whether it works.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Resident {
    /// Ends it; what is known is kept.
    fn drop(&mut self) {
        self.inventory.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread of the inventory broke down; the log says where");
            }
        }
    }
}

fn run(inventory: &Inventory) {
    let config = &inventory.config;
    let mut pace =
        Pace::new(config.cpu_percent, config.bytes_per_second, Arc::clone(&inventory.stop));
    let mut files = Files::default();
    let mut looked: Option<Instant> = None;
    let mut walked: Option<Instant> = None;
    let mut kept = Instant::now();
    let is_due = |last: Option<Instant>, every| last.is_none_or(|last| last.elapsed() >= every);
    inventory.tell_known();
    while !inventory.stopped() {
        if is_due(looked, config.look_every) {
            look(inventory, &mut pace);
            looked = Some(Instant::now());
        }
        if is_due(walked, config.walk_every) || files.walk_again {
            files.walk_all(inventory, &mut pace);
            if walked.is_none() {
                // Services name the hash of what they run, which is known only now.
                looked = None;
            }
            walked = Some(Instant::now());
            inventory.keep();
            kept = Instant::now();
        }
        files.look_at_touched(inventory, &mut pace);
        files.find_owners(inventory, &mut pace, false);
        inventory.announce();
        if kept.elapsed() >= KEEP_EVERY {
            inventory.keep();
            kept = Instant::now();
        }
        std::thread::park_timeout(TICK);
    }
    inventory.keep();
}

/// Looks at every kind but executables.
fn look(inventory: &Inventory, pace: &mut Pace) {
    let root = &inventory.config.root;
    let place = |path: &str| vec![path.to_owned()];
    inventory.apply(ItemKind::User, place("/etc/passwd"), users::take(root));
    let system = system::take(root).map(|item| (vec![item], Vec::new()));
    inventory.apply(ItemKind::System, place("/etc/os-release"), system);
    let packages = packages(root);
    let names = packages.as_ref().map(|(items, _)| names(items)).unwrap_or_default();
    inventory.apply(ItemKind::Package, place("dpkg, rpm"), packages);
    let mut pass = processes::pass(pace);
    if inventory.stopped() {
        return;
    }
    let spaces = place(&format!("{} network namespaces", pass.namespaces.len()));
    let mut left = std::mem::take(&mut pass.left);
    let services = services(inventory, &pass, &mut left);
    inventory.apply(ItemKind::Service, spaces, Ok((services, left.list())));
    let mut left = Left::default();
    let holders = sockets::holders(&pass, &mut left).into_iter().map(Item::Holder).collect();
    inventory.apply(ItemKind::Holder, place("/proc/*/fd"), Ok((holders, left.list())));
    let marks = marks(root, &pass, names);
    let found = products(&marks).into_iter().map(Item::Product).collect();
    let places = place("processes, packages, units, modules");
    inventory.apply(ItemKind::Product, places, Ok((found, Vec::new())));
}

fn names(items: &[Item]) -> BTreeSet<String> {
    items.iter().map(|item| item.name().to_owned()).collect()
}

/// Packages of dpkg and of rpm; an error only when there is neither.
fn packages(root: &Path) -> Result<(Vec<Item>, Vec<LeftOut>), String> {
    let mut left = Left::default();
    let (has_dpkg, has_rpm) = (dpkg::status_file(root).exists(), rpm::is_there(root));
    if !has_dpkg && !has_rpm {
        return Err("there is neither a database of dpkg nor one of rpm".to_owned());
    }
    let mut packages = Vec::new();
    if has_dpkg {
        match dpkg::status(root, |_| false) {
            Ok(status) => packages = status.packages,
            Err(error) => return Err(format!("{}: {error}", dpkg::status_file(root).display())),
        }
    }
    if has_rpm {
        match rpm::packages(root) {
            Ok(found) => packages.extend(found),
            Err(why) => left.add("unreadable", || why),
        }
    }
    if packages.len() >= dpkg::PACKAGES_MAX {
        left.add("limit", || "packages".to_owned());
    }
    Ok((packages.into_iter().map(Item::Package).collect(), left.list()))
}

/// Services with hash and package of what they run, as far as the index has it.
fn services(inventory: &Inventory, pass: &Pass, left: &mut Left) -> Vec<Item> {
    let services = sockets::services(pass, left);
    let state = inventory.state();
    let with_facts = services.into_iter().map(|mut service| {
        let entry = service.exe.as_ref().and_then(|exe| state.index.get(exe));
        if let Some(entry) = entry {
            service.sha256.clone_from(&entry.file.sha256);
            service.package.clone_from(&entry.file.package);
        }
        Item::Service(service)
    });
    with_facts.collect()
}

fn marks(root: &Path, pass: &Pass, packages: BTreeSet<String>) -> Marks {
    let last = |path: &String| path.rsplit('/').next().map(str::to_owned);
    let exes = pass.processes.iter().filter_map(|seen| seen.exe.as_ref().and_then(last));
    let processes = pass.processes.iter().map(|seen| seen.name.clone()).chain(exes).collect();
    let folders = ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];
    let units = folders.iter().flat_map(|folder| fs::read_dir(root.join(folder)).into_iter());
    let units = units.flatten().flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_suffix(".service").map(str::to_owned)
    });
    let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
    let modules = modules.lines().filter_map(|line| line.split(' ').next());
    Marks {
        processes,
        packages,
        units: units.collect(),
        modules: modules.map(str::to_owned).collect(),
    }
}
