//! Indicators on the host: the filter of everything, asked of each activity, and what people decided,
//! exactly; kept with the server's signatures for the next start, so that both work without a server.
//!
//! Nothing is done about what they say here but to count it, to keep the activity when others are left
//! out, and to send it at once: the server confirms, and what is not confirmed alerts nobody.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metsuke_event::{Event, Timestamp};
use metsuke_intel::Watchlist;
use metsuke_intel::packs::{PackError, Seen};
use metsuke_link::Identity;
use metsuke_link::message::{Downstream, PackKind, PackPart, PackVersions};
use metsuke_link::sealed::{Purpose, Sealed};

/// Largest kept file read back, in bytes: the largest pack with its signatures.
const FILE_MAX: u64 = 32 << 20;
/// Activities a second that are kept although their kind is left out: a value that is met again and
/// again does not take the governor's decision away.
const KEPT_PER_SECOND: u32 = 200;

/// What is held: the lists, and which versions they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    list: Watchlist,
    versions: PackVersions,
}

/// A pack that is coming.
#[derive(Debug)]
struct Coming {
    pack: PackKind,
    version: u64,
    count: u32,
    bytes: Vec<u8>,
    next: u32,
    /// The parts as they were signed, each behind its length; empty when they came without.
    sealed: Vec<u8>,
}

/// The indicators of this host.
#[derive(Debug)]
pub(crate) struct Lists {
    state: PathBuf,
    held: Mutex<Arc<Held>>,
    coming: Mutex<Vec<Coming>>,
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under these locks leaves a value half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn file(state: &Path, pack: PackKind) -> PathBuf {
    state.join(match pack {
        PackKind::Decided => "indicators-decided.signed",
        PackKind::Filter => "indicators-filter.signed",
    })
}

impl Held {
    /// Looks the values of `event` up.
    pub(crate) fn see(&self, event: &Event, now: Timestamp) -> Seen {
        self.list.see(event, now)
    }

    fn with(&self, pack: PackKind, version: u64, bytes: &[u8]) -> Result<Self, PackError> {
        let list = match pack {
            PackKind::Decided => self.list.with_decided(bytes)?,
            PackKind::Filter => self.list.with_filter(bytes)?,
        };
        let mut versions = self.versions;
        *versions.of(pack) = version;
        Ok(Self { list, versions })
    }
}

impl Lists {
    /// What was kept, as far as it is what the server signed; and the problem with what is not.
    pub(crate) fn load(state: &Path, identity: &Identity) -> (Self, Option<String>) {
        let (mut held, mut problem) = (Held::default(), None);
        for pack in PackKind::ALL {
            match read(&file(state, pack), identity, &held, pack) {
                Ok(Some(with)) => held = with,
                Ok(None) => {}
                Err(why) => problem = Some(why),
            }
        }
        let lists = Self {
            state: state.to_owned(),
            held: Mutex::new(Arc::new(held)),
            coming: Mutex::default(),
        };
        (lists, problem)
    }

    /// What is held now.
    pub(crate) fn held(&self) -> Arc<Held> {
        Arc::clone(&hold(&self.held))
    }

    /// Which packs are held.
    pub(crate) fn versions(&self) -> PackVersions {
        self.held().versions
    }

    /// What is not as it should be.
    pub(crate) fn trouble(&self) -> Option<String> {
        let left_out = self.held().list.left_out();
        (left_out > 0).then(|| {
            format!("{left_out} entries of block and allow lists are too many for a sensor")
        })
    }

    /// Takes a part; with the last one the pack is in force, and kept.
    pub(crate) fn take(&self, part: &PackPart, sealed: Option<&Sealed>) {
        let Some(whole) = self.put(part, sealed) else { return };
        match self.held().with(part.pack, part.version, &whole.bytes) {
            Ok(held) => {
                tracing::info!(pack = ?part.pack, bytes = whole.bytes.len(), "new indicators");
                *hold(&self.held) = Arc::new(held);
            }
            Err(error) => {
                tracing::error!(%error, "the indicators that are held stay");
                return;
            }
        }
        if !whole.sealed.is_empty()
            && let Err(error) = crate::plans::replace(&file(&self.state, part.pack), &whole.sealed)
        {
            tracing::warn!(%error, "the indicators are not kept for the next start");
        }
    }

    /// Puts a part behind those before it; all of them when it was the last.
    fn put(&self, part: &PackPart, sealed: Option<&Sealed>) -> Option<Coming> {
        let mut coming = hold(&self.coming);
        let found = coming.iter().position(|one| one.pack == part.pack);
        let mut one = match found.map(|at| coming.swap_remove(at)) {
            Some(one)
                if one.version == part.version
                    && one.count == part.count
                    && one.next == part.index =>
            {
                one
            }
            // The first one begins anew; one without those before it waits for the next session.
            _ if part.index == 0 => Coming {
                pack: part.pack,
                version: part.version,
                count: part.count,
                bytes: Vec::new(),
                next: 0,
                sealed: Vec::new(),
            },
            _ => return None,
        };
        one.bytes.extend_from_slice(&part.bytes);
        if let Some(sealed) = sealed {
            let sealed = sealed.to_bytes();
            one.sealed.extend_from_slice(&u32::try_from(sealed.len()).unwrap_or(0).to_le_bytes());
            one.sealed.extend_from_slice(&sealed);
        }
        one.next += 1;
        if one.next == one.count {
            return Some(one);
        }
        coming.push(one);
        None
    }
}

/// What is kept in a file, on top of `held`; `None` when there is none.
fn read(
    path: &Path,
    identity: &Identity,
    held: &Held,
    pack: PackKind,
) -> Result<Option<Held>, String> {
    let Ok(facts) = std::fs::metadata(path) else { return Ok(None) };
    let wrong = |why: String| {
        format!(
            "{} is refused: {why}; there are no such indicators until the server sends them again",
            path.display()
        )
    };
    if facts.len() > FILE_MAX {
        return Err(wrong("it is too large".to_owned()));
    }
    let kept = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let (mut rest, mut bytes, mut last) = (&kept[..], Vec::new(), None);
    while let Some((length, more)) = rest.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let sealed =
            more.get(..length).ok_or_else(|| wrong("it ends too early".to_owned()))?.to_vec();
        rest = &more[length..];
        match Sealed::open(identity, Purpose::Indicators, sealed) {
            Ok(Downstream::Indicators(part)) if part.pack == pack => {
                bytes.extend_from_slice(&part.bytes);
                last = Some((part.version, part.index, part.count));
            }
            Ok(_) => return Err(wrong("it holds something else".to_owned())),
            Err(error) => return Err(wrong(error.to_string())),
        }
    }
    match last {
        Some((version, index, count)) if index + 1 == count => {
            held.with(pack, version, &bytes).map(Some).map_err(|error| wrong(error.to_string()))
        }
        _ => Err(wrong("it ends too early".to_owned())),
    }
}

/// How many activities may still be kept this second although their kind is left out.
#[derive(Debug)]
pub(crate) struct Allowance {
    since: Instant,
    left: u32,
}

impl Allowance {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), left: KEPT_PER_SECOND }
    }

    /// Whether one more may.
    pub(crate) fn take(&mut self) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            *self = Self::new();
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use metsuke_intel::packs::{Decided, Entry};
    use metsuke_intel::{Kind, Pack};
    use metsuke_link::Identity;
    use metsuke_link::message::{PackKind, PackPart};

    use super::Lists;

    pub(crate) fn identity() -> Identity {
        let key = "00".repeat(32);
        let text = format!(
            r#"{{"endpoint": "{}", "server": "", "certificate": "", "key": "", "authority": "", "signing_key": "{key}"}}"#,
            "0".repeat(32)
        );
        serde_json::from_str(&text).expect("an identity")
    }

    fn lists() -> (tempfile::TempDir, Lists) {
        let folder = tempfile::tempdir().expect("a folder");
        let (lists, problem) = Lists::load(folder.path(), &identity());
        assert_eq!(problem, None);
        (folder, lists)
    }

    /// A list so long that it has several parts.
    fn pack(first: &str) -> Pack {
        let entry = |value: String| Entry {
            kind: Kind::Path as u8,
            value,
            source: "ours".to_owned(),
            allow: false,
            expires: None,
        };
        let rest = (0..9_999).map(|n| entry(format!("/opt/blocked/{n}")));
        let entries = std::iter::once(entry(first.to_owned())).chain(rest).collect();
        Decided { left_out: 0, entries }.pack()
    }

    fn parts(pack: &Pack) -> Vec<PackPart> {
        let part = |index| PackPart::cut(PackKind::Decided, pack.version, &pack.bytes, index);
        (0..).map_while(part).collect()
    }

    #[test]
    fn a_pack_is_in_force_when_all_of_its_parts_came_in_order() {
        let (_folder, lists) = lists();
        let (one, other) = (pack("/one"), pack("/two"));
        let (first, second) = (parts(&one), parts(&other));
        assert!(first.len() > 2, "{}", first.len());
        // The one before it broke off; a part of it is lost; then it comes whole.
        lists.take(&first[0], None);
        for part in [&second[0], &second[2], &second[1]] {
            lists.take(part, None);
        }
        for part in &second[1..] {
            lists.take(part, None);
        }
        assert_eq!(lists.versions().decided, 0, "it is not whole");
        for part in &second {
            lists.take(part, None);
        }
        assert_eq!((lists.versions().decided, lists.versions().filter), (other.version, 0));
        let empty = Pack::default();
        for part in parts(&empty) {
            lists.take(&part, None);
        }
        assert_eq!(lists.versions().decided, 0);
    }
}
