//! The inventory through its public door, over roots made up for each test.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metsuke_event::Timestamp;
use metsuke_event::inventory::{
    Delta, Executable, Integrity, Item, ItemKind, LeftOut, Password, Service, Stage, Survey,
};
use metsuke_inventory::{Config, Inventory, Known, Resident};
use sha2::Digest as _;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).expect("before 2262"))
}

/// A root of its own, and a state folder beside it.
struct World {
    dir: tempfile::TempDir,
    config: Config,
}

impl World {
    fn new(places: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().join("root");
        fs::create_dir(&root).expect("a root");
        let places = places.iter().map(PathBuf::from).collect();
        let mut config = Config::new(root, places, dir.path().join("state"));
        config.cpu_percent = 100;
        config.tell_every = Duration::ZERO;
        Self { dir, config }
    }

    fn write(&self, path: &str, content: &[u8]) -> PathBuf {
        let real = self.config.root.join(path.trim_start_matches('/'));
        fs::create_dir_all(real.parent().expect("a folder")).expect("made");
        fs::write(&real, content).expect("written");
        real
    }

    fn start(&self) -> Resident {
        self.start_told(|_| {})
    }

    fn start_told(&self, known: impl Fn(&Known) + Send + Sync + 'static) -> Resident {
        Resident::start(self.config.clone(), clock, || {}, known).expect("starts")
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

fn survey(inventory: &Inventory, kind: ItemKind) -> Survey {
    until("a survey", || {
        let found = inventory.surveys().into_iter().find(|survey| survey.kind == kind);
        found.filter(|survey| survey.taken.is_some() || survey.missing.is_some())
    })
}

fn executables(inventory: &Inventory) -> Vec<Executable> {
    let items = inventory.items().into_iter();
    let files = items.filter_map(|item| match item {
        Item::Executable(file) => Some(file),
        _ => None,
    });
    files.collect()
}

fn executable(inventory: &Inventory, path: &str) -> Option<Executable> {
    executables(inventory).into_iter().find(|file| file.path == path)
}

fn left(survey: &Survey, reason: &str) -> Option<LeftOut> {
    survey.left_out.iter().find(|left| left.reason == reason).cloned()
}

#[test]
fn executables_are_known_by_their_first_bytes_wherever_they_are() {
    let world = World::new(&["/usr/bin", "/bin", "/tmp", "/missing"]);
    world.write("/usr/bin/prog", b"\x7fELF and more");
    world.write("/tmp/not executable bit/run", b"#!/bin/sh\n");
    world.write("/tmp/a.exe", b"MZ");
    world.write("/tmp/plain", b"text");
    world.write("/tmp/empty", b"");
    world.write("/var/elsewhere", b"\x7fELF");
    symlink("usr/bin", world.config.root.join("bin")).expect("a link");
    symlink("/usr/bin/prog", world.config.root.join("tmp/link")).expect("a link");
    let resident = world.start();
    let inventory = resident.inventory();
    let survey = survey(&inventory, ItemKind::Executable);
    let paths: BTreeSet<String> = executables(&inventory).into_iter().map(|f| f.path).collect();
    let expected = ["/tmp/a.exe", "/tmp/not executable bit/run", "/usr/bin/prog"];
    assert_eq!(paths, expected.map(str::to_owned).into(), "and each once, though /bin is a link");
    assert_eq!((survey.items, survey.places), (3, vec!["/tmp".to_owned(), "/usr/bin".to_owned()]));
}

#[test]
fn each_content_that_is_known_is_told_also_after_a_restart() {
    use std::os::unix::fs::MetadataExt;
    let world = World::new(&["/usr/bin"]);
    let path = world.write("/usr/bin/prog", b"\x7fELF and more");
    let meta = fs::metadata(&path).expect("there");
    let expected = (meta.dev(), meta.ino(), (meta.ctime(), meta.ctime_nsec()), meta.len());
    // What changed within a tick of the kernel's clock may change again without a sign of it.
    until("the change to be long enough ago", || {
        let age = meta.modified().ok()?.elapsed().ok()?;
        (age > Duration::from_millis(100)).then_some(())
    });
    for start in ["the first", "the next"] {
        let (sender, told) = std::sync::mpsc::channel();
        let resident = world.start_told(move |known| sender.send(*known).expect("heard"));
        survey(&resident.inventory(), ItemKind::Executable);
        drop(resident);
        let told: Vec<Known> = told.try_iter().collect();
        let known = told.first().unwrap_or_else(|| panic!("{start}: nothing was told"));
        let Known { device, inode, changed, size, sha256 } = *known;
        assert_eq!((device, inode, changed, size), expected, "{start}");
        let hash: [u8; 32] = sha2::Sha256::digest(b"\x7fELF and more").into();
        assert_eq!(sha256, hash, "{start}");
    }
}

#[test]
fn hashes_are_right_and_what_cannot_be_hashed_says_why() {
    let mut world = World::new(&["/opt"]);
    world.config.file_bytes_max = 64;
    world.write("/opt/large", &[b"\x7fELF".as_slice(), &[0; 100]].concat());
    let path = world.write("/opt/a", b"#!abc");
    let expected = {
        let output = std::process::Command::new("sha256sum").arg(&path).output().expect("runs");
        String::from_utf8_lossy(&output.stdout).split(' ').next().expect("a hash").to_owned()
    };
    let resident = world.start();
    let inventory = resident.inventory();
    let survey = survey(&inventory, ItemKind::Executable);
    assert_eq!(executable(&inventory, "/opt/a").expect("there").sha256, Some(expected));
    let large = executable(&inventory, "/opt/large").expect("there");
    assert_eq!((large.sha256, large.hash_missing.as_deref()), (None, Some("too_large")));
    assert_eq!(left(&survey, "not_hashed").expect("counted").count, 1);
}

#[test]
fn more_than_there_is_room_for_is_counted_not_silent() {
    let mut world = World::new(&["/opt"]);
    world.config.files_max = 3;
    for number in 0..5 {
        world.write(&format!("/opt/{number}"), b"#!/bin/sh");
    }
    world.write("/opt/text", b"nothing to run");
    let resident = world.start();
    let survey = survey(&resident.inventory(), ItemKind::Executable);
    assert_eq!(survey.items, 3);
    assert_eq!(left(&survey, "limit").expect("counted").count, 2);
}

#[test]
fn a_touched_path_is_looked_at_at_once_also_when_it_is_a_folder_that_went() {
    let world = World::new(&["/tmp"]);
    world.write("/tmp/old/run", b"#!/bin/sh");
    let resident = world.start();
    let inventory = resident.inventory();
    survey(&inventory, ItemKind::Executable);
    world.write("/tmp/new", b"#!/bin/sh\n");
    inventory.touched("/tmp/new");
    until("the new one", || executable(&inventory, "/tmp/new"));
    fs::remove_file(world.config.root.join("tmp/new")).expect("removed");
    fs::rename(world.config.root.join("tmp/old"), world.config.root.join("tmp/moved"))
        .expect("moved");
    for path in ["/tmp/new", "/tmp/old", "/tmp/moved", "/tmp/../etc/never", "/elsewhere"] {
        inventory.touched(path);
    }
    until("both changes", || {
        let paths: Vec<String> = executables(&inventory).into_iter().map(|f| f.path).collect();
        (paths == ["/tmp/moved/run"]).then_some(())
    });
}

#[test]
fn a_restart_reads_no_file_again_and_notices_what_changed_meanwhile() {
    let world = World::new(&["/tmp"]);
    let same = world.write("/tmp/same", b"#!abc");
    world.write("/tmp/changes", b"#!one");
    world.write("/tmp/goes", b"#!gone");
    // A content is remembered once its change time lies a little back.
    until("the time to pass", || {
        let age = fs::metadata(&same).expect("there").modified().expect("known").elapsed();
        age.is_ok_and(|age| age > Duration::from_millis(100)).then_some(())
    });
    let resident = world.start();
    survey(&resident.inventory(), ItemKind::Executable);
    let before = executable(&resident.inventory(), "/tmp/changes").expect("there").sha256;
    drop(resident);
    world.write("/tmp/changes", b"#!two");
    fs::remove_file(world.config.root.join("tmp/goes")).expect("removed");
    let accessed = || {
        use std::os::unix::fs::MetadataExt;
        let meta = fs::metadata(&same).expect("there");
        (meta.atime(), meta.atime_nsec())
    };
    let then = accessed();
    // The first look may find what was kept: wait for a younger survey.
    let resident = world.start();
    let inventory = resident.inventory();
    assert!(executable(&inventory, "/tmp/same").is_some(), "known before any walk");
    until("the change", || {
        let now = executable(&inventory, "/tmp/changes").and_then(|file| file.sha256);
        (now.is_some() && now != before).then_some(())
    });
    until("the removal", || executable(&inventory, "/tmp/goes").is_none().then_some(()));
    assert_eq!(accessed(), then, "an unchanged file is not opened");
}

#[test]
fn packages_own_files_over_merged_folders_and_diversions() {
    let world = World::new(&["/usr/bin", "/etc"]);
    symlink("usr/bin", world.config.root.join("bin")).expect("a link");
    world.write("/usr/bin/intact", b"#!abc");
    world.write("/usr/bin/altered", b"#!other");
    world.write("/usr/bin/foreign", b"#!/bin/sh");
    world.write("/usr/bin/tool.real", b"#!abc");
    world.write("/usr/bin/tool", b"#!abc");
    world.write("/etc/init.d/conf", b"#!abc");
    let md5 = {
        let path = world.config.root.join("usr/bin/intact");
        let output = std::process::Command::new("md5sum").arg(path).output().expect("runs");
        String::from_utf8_lossy(&output.stdout).split(' ').next().expect("a sum").to_owned()
    };
    let status = format!(
        "Package: base\nStatus: install ok installed\nVersion: 1:2-3\nArchitecture: amd64\n\
         Conffiles:\n /etc/init.d/conf {md5}\n /etc/gone {md5} obsolete\nDescription: x\n more\n\n\
         Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n\n\
         Package: divert\nStatus: install ok installed\nVersion: 9\nArchitecture: all\n"
    );
    world.write("/var/lib/dpkg/status", status.as_bytes());
    let list = "/.\n/bin\n/bin/intact\n/bin/altered\n/usr/bin/tool\n/etc/init.d/conf\n";
    world.write("/var/lib/dpkg/info/base:amd64.list", list.as_bytes());
    let sums = format!("{md5}  bin/intact\n{md5}  bin/altered\n{md5}  usr/bin/tool\n");
    world.write("/var/lib/dpkg/info/base:amd64.md5sums", sums.as_bytes());
    world.write("/var/lib/dpkg/info/divert.list", b"/usr/bin/tool\n");
    world.write("/var/lib/dpkg/diversions", b"/usr/bin/tool\n/usr/bin/tool.real\ndivert\n");
    let resident = world.start();
    let inventory = resident.inventory();
    survey(&inventory, ItemKind::Executable);
    let of = |path: &str| {
        let file = executable(&inventory, path).expect(path);
        (file.package, file.integrity)
    };
    let owned = |package: &str, integrity| (Some(package.to_owned()), Some(integrity));
    assert_eq!(of("/usr/bin/intact"), owned("base", Integrity::Unmodified));
    assert_eq!(of("/usr/bin/altered"), owned("base", Integrity::Modified));
    assert_eq!(of("/usr/bin/foreign"), (None, None));
    assert_eq!(of("/usr/bin/tool.real"), owned("base", Integrity::Unmodified));
    assert_eq!(of("/usr/bin/tool"), owned("divert", Integrity::Unknown), "it has no sums");
    assert_eq!(of("/etc/init.d/conf"), owned("base", Integrity::Unmodified));
    let items = inventory.items();
    let packages: Vec<String> = items
        .iter()
        .filter_map(|item| match item {
            Item::Package(package) => Some(format!("{} {}", package.name, package.version)),
            _ => None,
        })
        .collect();
    assert_eq!(packages, ["base 1:2-3", "divert 9"], "what is not installed is none");
}

#[test]
fn users_and_system_are_those_of_the_root() {
    let world = World::new(&[]);
    world.write("/etc/passwd", b"root:x:0:0:r:/root:/bin/sh\nann:x:5:5:a:/home/ann:/bin/sh\n");
    world.write("/etc/group", b"root:x:0:\nstaff:x:5:\nsudo:x:27:ann\n");
    world.write("/etc/shadow", b"root:!:1\nann:$y$j$h:1\n");
    world.write("/etc/os-release", b"PRETTY_NAME=\"Some OS\"\nID=debian\nVERSION_ID=\"12\"\n");
    let resident = world.start();
    let inventory = resident.inventory();
    survey(&inventory, ItemKind::System);
    let missing = survey(&inventory, ItemKind::Package).missing.expect("no package manager");
    assert!(missing.contains("dpkg"), "{missing}");
    let items = inventory.items();
    let user = |name: &str| {
        let found = items.iter().find_map(|item| match item {
            Item::User(user) if user.name == name => Some(user.clone()),
            _ => None,
        });
        found.expect(name)
    };
    assert_eq!(user("ann").groups, ["staff", "sudo"]);
    assert_eq!((user("ann").password, user("root").password), (Password::Set, Password::Disabled));
    let system = items.iter().find_map(|item| match item {
        Item::System(system) => Some(system.clone()),
        _ => None,
    });
    let system = system.expect("one");
    assert_eq!((system.name.as_str(), system.id.as_str()), ("Some OS", "debian"));
    assert_eq!(system.support.ends.as_deref(), Some("2028-06-30"));
}

#[test]
fn a_listening_socket_is_told_with_who_holds_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let exe = std::env::current_exe().expect("known");
    let mut world = World::new(&[]);
    world.config.root = PathBuf::from("/");
    world.config.places = vec![exe.parent().expect("a folder").to_owned()];
    world.config.files_max = 2_000;
    let resident = world.start();
    let inventory = resident.inventory();
    survey(&inventory, ItemKind::Service);
    let service = |wanted: u16| -> Option<Service> {
        inventory.items().into_iter().find_map(|item| match item {
            Item::Service(service) if service.port == wanted => Some(service),
            _ => None,
        })
    };
    let found = service(port).expect("found");
    assert_eq!((found.protocol.as_str(), found.address.as_str()), ("tcp", "127.0.0.1"));
    assert_eq!(found.exe.as_deref().map(Path::new), Some(exe.as_path()));
    let lsm = Path::new("/sys/kernel/security/lsm").exists();
    let holders = survey(&inventory, ItemKind::Holder);
    assert_eq!(left(&holders, "not_readable").is_none(), lsm, "what cannot be had is said");
}

/// Tells a server that is the ledger's own model: what it holds is what there is.
fn tell(inventory: &Inventory, held: &mut Vec<(ItemKind, String)>) -> Vec<Delta> {
    let mut told = Vec::new();
    while let Some(delta) = inventory.next() {
        for item in &delta.set {
            held.push((item.kind(), item.key()));
        }
        held.retain(|name| !delta.removed.contains(name));
        inventory.seen(delta.generation, None);
        told.push(delta);
    }
    held.sort();
    held.dedup();
    told
}

#[test]
fn the_server_is_told_everything_once_and_then_only_changes() {
    let world = World::new(&["/tmp"]);
    world.write("/tmp/a", b"#!abc");
    world.write("/tmp/b", b"#!abc");
    world.write("/etc/passwd", b"root:x:0:0:r:/root:/bin/sh\n");
    let resident = world.start();
    let inventory = resident.inventory();
    survey(&inventory, ItemKind::Executable);
    let mut held = Vec::new();
    let first = tell(&inventory, &mut held);
    assert!(first[0].stage.begins());
    let names = |inventory: &Inventory| {
        let mut names: Vec<_> =
            inventory.items().iter().map(|item| (item.kind(), item.key())).collect();
        names.sort();
        names
    };
    until("all to be told", || {
        tell(&inventory, &mut held);
        (held == names(&inventory)).then_some(())
    });
    fs::remove_file(world.config.root.join("tmp/a")).expect("removed");
    inventory.touched("/tmp/a");
    let change = until("the removal", || {
        tell(&inventory, &mut held).into_iter().find(|delta| !delta.removed.is_empty())
    });
    assert_eq!(change.stage, Stage::Change);
    assert_eq!(change.removed, [(ItemKind::Executable, "/tmp/a".to_owned())]);
    // The server was set back: it is told everything anew.
    world.write("/tmp/c", b"#!abc");
    inventory.touched("/tmp/c");
    until("the change", || inventory.next());
    inventory.seen(1, None);
    held.clear();
    let again = tell(&inventory, &mut held);
    assert!(again[0].stage.begins() && again[0].generation > change.generation);
    until("all to be told", || {
        tell(&inventory, &mut held);
        (held == names(&inventory)).then_some(())
    });
}

#[test]
fn a_restart_tells_no_more_than_what_changed() {
    let world = World::new(&["/tmp"]);
    world.write("/tmp/a", b"#!abc");
    world.write("/etc/passwd", b"root:x:0:0:r:/root:/bin/sh\n");
    let mut held = Vec::new();
    let resident = world.start();
    survey(&resident.inventory(), ItemKind::Executable);
    tell(&resident.inventory(), &mut held);
    drop(resident);
    world.write("/tmp/b", b"#!abc");
    let resident = world.start();
    let inventory = resident.inventory();
    let told = until("the new file", || {
        let told = tell(&inventory, &mut held);
        let new = told.iter().flat_map(|delta| &delta.set).any(|item| item.name() == "/tmp/b");
        new.then_some(told)
    });
    assert!(told.iter().all(|delta| delta.stage == Stage::Change), "not everything again");
    let repeated = told.iter().flat_map(|delta| &delta.set).any(|item| item.name() == "/tmp/a");
    assert!(!repeated, "what the server holds is not told again");
}

#[test]
fn the_days_budget_of_items_is_kept_and_what_waits_is_said() {
    let mut world = World::new(&["/tmp"]);
    world.config.items_per_day = 3;
    for number in 0..6 {
        world.write(&format!("/tmp/{number}"), b"#!/bin/sh");
    }
    let resident = world.start();
    let inventory = resident.inventory();
    survey(&inventory, ItemKind::Executable);
    let mut held = Vec::new();
    let told: usize = tell(&inventory, &mut held).iter().map(|delta| delta.set.len()).sum();
    assert_eq!(told, 3);
    let trouble = inventory.trouble().expect("said").to_string();
    assert!(trouble.contains("budget"), "{trouble}");
}

/// The real system this test runs on, with its own package lists: read only.
#[test]
fn a_real_debian_is_taken_and_its_files_belong_to_packages() {
    if !Path::new("/var/lib/dpkg/status").exists() {
        eprintln!("NOT RUN: a_real_debian_is_taken_and_its_files_belong_to_packages: no dpkg here");
        return;
    }
    let mut world = World::new(&[]);
    world.config.root = PathBuf::from("/");
    world.config.places = ["/bin", "/usr/sbin"].map(PathBuf::from).into();
    let resident = world.start();
    let inventory = resident.inventory();
    survey(&inventory, ItemKind::Executable);
    let files = executables(&inventory);
    let sh = files.iter().find(|file| file.path == "/usr/bin/env").expect("env is there");
    assert_eq!(
        (sh.package.as_deref(), sh.integrity),
        (Some("coreutils"), Some(Integrity::Unmodified))
    );
    let owned = files.iter().filter(|file| file.package.is_some()).count();
    assert!(owned * 10 > files.len() * 8, "{owned} of {} belong to a package", files.len());
    let modes = files.iter().all(|file| file.mode <= 0o7777);
    assert!(
        modes
            && fs::metadata("/usr/bin/env").expect("there").permissions().mode() & 0o7777
                == sh.mode
    );
    let mut bytes = 0;
    let mut items = 0;
    while let Some(delta) = inventory.next() {
        items += delta.set.len();
        let text = format!("{delta:?}");
        bytes += text.len();
        inventory.seen(delta.generation, None);
    }
    assert!(items >= files.len() && bytes > 0);
    drop(world.dir);
}
