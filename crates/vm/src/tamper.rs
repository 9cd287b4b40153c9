//! Tier 1's hooks taken from the one who holds them: found out, attached again, told.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use metsuke_enforce::deny::{Mode, Operations, Subject};
use metsuke_event::Timestamp;
use metsuke_event::coverage::Tier;
use metsuke_testkit::table::{Outcome, Table, row};

use crate::tiny::{program, put};
use crate::world::{Deed, Went, World, act};

/// How long the kernel may take to let go of a hook: the emulated machine is slow.
const GONE: Duration = Duration::from_secs(60);

/// The descriptors of this process that are BPF links.
fn links() -> Result<Vec<i32>> {
    let entries = fs::read_dir("/proc/self/fd")?.flatten();
    let links = entries.filter(|entry| {
        fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().contains("bpf_link"))
    });
    Ok(links.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

fn now() -> Result<Timestamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(Timestamp::from_nanos(i64::try_from(since.as_nanos())?))
}

/// Every link is taken away; the next look puts each back.
pub(crate) fn taken() -> Result<()> {
    let path = Path::new("/tmp/hooks-taken");
    put(path, &program())?;
    let before = links()?;
    let mut world = World::new(Tier::Lsm)?;
    ensure!(world.guard.tier() == Some(Tier::Lsm), "{:?}", world.guard.trials());
    let mut own = links()?;
    own.retain(|link| !before.contains(link));
    ensure!(own.len() == world.guard.hooks(), "{own:?}");
    world.list(&Subject::Everything, Operations::EXEC, Mode::Deny)?;
    let deed = Deed::Exec(path.to_owned());
    ensure!(act(&world.inside, &deed)? == Went::Refused(libc::EPERM), "it is denied");
    let found = world.guard.look(now()?);
    ensure!(found.is_empty(), "all is well: {found:?}");
    let null = File::open("/dev/null")?;
    for link in &own {
        // SAFETY: both are open; who reaches into a sensor can do no less.
        ensure!(unsafe { libc::dup2(null.as_raw_fd(), *link) } == *link, "{link}");
    }
    let end = Instant::now() + GONE;
    while act(&world.inside, &deed)? != Went::Done {
        ensure!(Instant::now() < end, "still denied without a hook");
    }
    let found = world.guard.look(now()?);
    let all =
        found.iter().all(|one| one.tampered == Some("bpf_link") && one.reason == "hook_detached");
    ensure!(all && found.len() == own.len(), "{} of {found:?}", own.len());
    ensure!(world.guard.off().is_empty(), "{:?}", world.guard.off());
    ensure!(act(&world.inside, &deed)? == Went::Refused(libc::EPERM), "it is denied again");
    let name = "hooks of BPF LSM taken from the sensor";
    row(Table::Support, name, Outcome::Seen, "told, each by its name, and attached again");
    Ok(())
}
