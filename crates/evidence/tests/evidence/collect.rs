//! Files.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use metsuke_enforce::EnforceScope;
use metsuke_event::Timestamp;
use metsuke_evidence::Reach;
use metsuke_evidence::collect::{CollectError, Reading, collect};
use metsuke_evidence::files::FileError;
use metsuke_evidence::live;
use metsuke_respond::LiveList;
use metsuke_testkit::cgroup::Cgroup;
use metsuke_testkit::needs;

use crate::world::{LIMIT, boot, keeper, key, reach};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const READING: Reading = Reading { max_bytes: 64 << 20, cpu_percent: 100, limit: LIMIT };

fn everywhere() -> Reach {
    Reach { scope: EnforceScope::Host, boot: boot(), roots: None, private: Vec::new() }
}

fn below(root: &Path) -> Reach {
    Reach { roots: Some(vec![root.to_owned()]), ..everywhere() }
}

#[test]
fn a_file_is_copied_whole_with_what_is_known_of_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (path, to) = (dir.path().join("file"), dir.path().join("artifact"));
    let content: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(&path, &content)?;
    let (evidence, facts) = collect(&everywhere(), &path, &to, READING, NOW)?;
    assert!(fs::read(&to)? == content);
    assert_eq!(facts.sha256, *metsuke_scan::of_bytes(&content).sha256());
    assert_eq!(
        (facts.sha256.as_str(), facts.size),
        (&*evidence.artifact.sha256, content.len() as u64)
    );
    assert_eq!((evidence.gaps_total, facts.changed_while_read, facts.cut), (0, false, false));

    fs::remove_file(&to)?;
    let little = Reading { max_bytes: 1_000, ..READING };
    let (evidence, facts) = collect(&everywhere(), &path, &to, little, NOW)?;
    assert!(fs::read(&to)? == content[..1_000]);
    assert!(facts.cut && evidence.gaps_total == 1, "{evidence:?}");
    Ok(())
}

#[test]
fn a_file_that_changes_while_it_is_read_is_told_as_one() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (path, to) = (dir.path().join("file"), dir.path().join("artifact"));
    fs::write(&path, vec![7; 8 << 20])?;
    let done = AtomicBool::new(false);
    let (evidence, facts) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| -> std::io::Result<()> {
            let mut file = File::options().write(true).open(&path)?;
            while !done.load(Ordering::Relaxed) {
                file.rewind()?;
                file.write_all(b"changed")?;
            }
            Ok(())
        });
        let collected = collect(&everywhere(), &path, &to, READING, NOW);
        done.store(true, Ordering::Relaxed);
        writer.join().expect("no panic")?;
        anyhow::Ok(collected?)
    })?;
    assert!(facts.changed_while_read);
    assert!(evidence.gaps[0].contains("changed while it was read"), "{evidence:?}");
    assert_eq!(facts.sha256, *metsuke_scan::of_bytes(&fs::read(&to)?).sha256(), "of what was read");
    Ok(())
}

#[test]
fn links_pipes_and_what_programs_answer_for_are_not_read() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (inside, outside) = (dir.path().join("inside"), dir.path().join("outside"));
    fs::create_dir_all(inside.join("folder"))?;
    fs::create_dir_all(&outside)?;
    fs::write(outside.join("file"), "out")?;
    fs::write(inside.join("folder/file"), "in")?;
    symlink(&outside, inside.join("way-out"))?;
    symlink("folder", inside.join("way-in"))?;
    symlink(outside.join("file"), inside.join("link"))?;
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, inside.join("pipe"), fifo, rustix::fs::Mode::RUSR, 0)?;
    let to = dir.path().join("artifact");
    let take = |reach: &Reach, path: &Path| {
        let _ = fs::remove_file(&to);
        collect(reach, path, &to, READING, NOW).map(drop)
    };
    let scoped = below(&inside);
    take(&scoped, &inside.join("folder/file"))?;
    take(&scoped, &inside.join("way-in/file"))?;
    take(&everywhere(), &inside.join("way-out/file"))?;
    let refused = |reach: &Reach, path: &Path| match take(reach, path) {
        Err(CollectError::File(error)) => error,
        other => panic!("{}: {other:?}", path.display()),
    };
    assert!(matches!(refused(&scoped, &inside.join("way-out/file")), FileError::Reach(_)));
    assert!(matches!(refused(&scoped, &outside.join("file")), FileError::Reach(_)));
    assert!(matches!(refused(&scoped, &inside.join("link")), FileError::Link { .. }));
    assert!(matches!(refused(&scoped, &inside.join("pipe")), FileError::NoFile { .. }));
    assert!(matches!(refused(&scoped, &inside), FileError::NoFile { .. }));
    let proc = refused(&everywhere(), Path::new("/proc/self/environ"));
    assert!(matches!(proc, FileError::FileSystem { .. } | FileError::Open { .. }), "{proc}");
    let device = refused(&everywhere(), Path::new("/dev/null"));
    assert!(matches!(device, FileError::NoFile { .. }), "{device}");
    assert!(!to.exists(), "nothing is left of what was refused");
    Ok(())
}

#[test]
fn the_sensors_keys_are_read_by_no_name() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [key, other] = ["key", "other"].map(|name| dir.path().join(name));
    fs::write(&key, "secret")?;
    fs::hard_link(&key, &other)?;
    let reach = Reach { private: vec![key.clone()], ..everywhere() };
    let to = dir.path().join("artifact");
    for path in [&key, &other] {
        let taken = collect(&reach, path, &to, READING, NOW);
        assert!(matches!(taken, Err(CollectError::File(FileError::Reach(_)))), "{taken:?}");
    }
    assert!(!to.exists());
    collect(&everywhere(), &other, &to, READING, NOW)?;
    assert_eq!(fs::read(&to)?, b"secret", "another's file of that name is read");
    Ok(())
}

#[test]
fn lists_name_what_is_there_and_who_holds_it() -> Result<()> {
    needs!("lists_name_what_is_there_and_who_holds_it", Root, Cgroup);
    let dir = tempfile::tempdir()?;
    let group = Cgroup::create("evidence")?;
    let running = keeper(&group, dir.path(), "x")?;
    let to = dir.path().join("list");
    live::list(&reach(&group), LiveList::Processes, &to, NOW)?;
    let list: serde_json::Value = serde_json::from_slice(&fs::read(&to)?)?;
    let items = list["items"].as_array().expect("items");
    assert_eq!(items.len(), 1, "only of the scope: {list}");
    assert_eq!(items[0]["process"], key(running.pid()).to_string());

    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let to = dir.path().join("sockets");
    live::list(&everywhere(), LiveList::Sockets, &to, NOW)?;
    let list: serde_json::Value = serde_json::from_slice(&fs::read(&to)?)?;
    let local = listener.local_addr()?.to_string();
    let items = list["items"].as_array().expect("items");
    let own = items.iter().find(|one| one["local"] == local.as_str()).expect("the listener");
    assert_eq!(own["state"], "listening");
    assert_eq!(own["processes"][0], key(std::process::id()).to_string());
    Ok(())
}
