//! The memory of a process.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use anyhow::Result;
use metsuke_event::{ProcessKey, Timestamp};
use metsuke_evidence::dump::{Reader, Record, Trailer, dump};
use metsuke_evidence::memory::{self, Sink};
use metsuke_evidence::{Reach, ReachError};
use metsuke_respond::Regions;
use metsuke_testkit::cgroup::Cgroup;
use metsuke_testkit::{needs, wait};

use crate::world::{LIMIT, keeper, key, reach, subject, walk};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn contains(bytes: &[u8], what: &str) -> bool {
    bytes.windows(what.len()).any(|window| window == what.as_bytes())
}

fn records(path: &std::path::Path) -> Result<(Vec<Record>, Trailer)> {
    let mut records = Reader::open(File::open(path)?)?.collect::<io::Result<Vec<_>>>()?;
    let Some(Record::End(trailer)) = records.pop() else { anyhow::bail!("no trailer") };
    Ok((records, trailer))
}

#[test]
fn a_dump_holds_what_the_process_keeps_byte_for_byte() -> Result<()> {
    needs!("a_dump_holds_what_the_process_keeps_byte_for_byte", Root, Cgroup);
    let dir = tempfile::tempdir()?;
    let group = Cgroup::create("evidence")?;
    let secret = format!("only-in-memory-{}", std::process::id());
    let mut running = keeper(&group, dir.path(), &secret)?;
    let path = dir.path().join("dump");
    let subject = subject(&group, &running)?;
    let evidence = dump(&subject, &path, walk(Regions::Anonymous, 1 << 30), NOW)?;
    assert_eq!(evidence.artifact.size, std::fs::metadata(&path)?.len());
    let content = metsuke_scan::of_bytes(&std::fs::read(&path)?);
    assert_eq!(evidence.artifact.sha256, *content.sha256());

    let header = Reader::open(File::open(&path)?)?.header;
    assert_eq!((header.process, header.taken), (key(running.pid()), NOW));
    assert!(header.cmd_line.contains("keeper") && header.cgroup.contains("evidence"));
    let listed = |name: &str| header.mappings.iter().find(|one| one.mapping.backing == name);
    assert!(listed("[heap]").is_some_and(|one| one.chosen));
    assert!(header.mappings.iter().any(|one| !one.chosen), "files are not chosen");

    let (records, trailer) = records(&path)?;
    let mut bytes_in_all = 0;
    let mut found = false;
    let memory = File::open(format!("/proc/{}/mem", running.pid()))?;
    for record in &records {
        let Record::Data { address, bytes } = record else { continue };
        bytes_in_all += bytes.len() as u64;
        found |= contains(bytes, &secret);
        // It waits, so its memory is still what it was.
        let mut now = vec![0; bytes.len()];
        memory.read_exact_at(&mut now, *address)?;
        assert!(*bytes == now, "{address:#x} differs");
    }
    assert!(found, "the secret is not in the dump");
    assert_eq!(trailer.bytes, bytes_in_all);
    assert!(!trailer.ended && !trailer.cut, "{trailer:?}");
    running.must_run()?;
    Ok(())
}

#[test]
fn other_choices_leave_it_out_and_bounds_are_told() -> Result<()> {
    needs!("other_choices_leave_it_out_and_bounds_are_told", Root, Cgroup);
    let dir = tempfile::tempdir()?;
    let group = Cgroup::create("evidence")?;
    let secret = format!("only-in-heap-{}", std::process::id());
    let running = keeper(&group, dir.path(), &secret)?;
    let subject = subject(&group, &running)?;
    let path = dir.path().join("code");
    dump(&subject, &path, walk(Regions::Executable, 1 << 30), NOW)?;
    let (code, _) = records(&path)?;
    assert!(code.iter().any(|record| matches!(record, Record::Data { .. })));
    let holds =
        |record: &Record| matches!(record, Record::Data { bytes, .. } if contains(bytes, &secret));
    assert!(!code.iter().any(holds));

    let path = dir.path().join("little");
    let evidence = dump(&subject, &path, walk(Regions::All, 10_000), NOW)?;
    let (little, trailer) = records(&path)?;
    assert_eq!((trailer.bytes, trailer.cut), (10_000, true));
    let over = little.iter().filter(
        |record| matches!(record, Record::Hole { reason, .. } if reason.contains("bound of bytes")),
    );
    assert_eq!(over.count() as u64, trailer.holes, "every mapping that is missing is named");
    assert_eq!(evidence.gaps_total, trailer.holes);
    Ok(())
}

/// Ends the process when the first bytes come.
struct Ender<'a> {
    end: &'a dyn Fn() -> Result<()>,
    data: u64,
    holes: Vec<String>,
}

impl Sink for Ender<'_> {
    fn data(&mut self, _address: u64, _bytes: &[u8]) -> io::Result<()> {
        if self.data == 0 {
            (self.end)().map_err(io::Error::other)?;
        }
        self.data += 1;
        Ok(())
    }

    fn hole(&mut self, _address: u64, _length: u64, reason: &str) -> io::Result<()> {
        self.holes.push(reason.to_owned());
        Ok(())
    }
}

#[test]
fn a_process_that_ends_meanwhile_is_told_as_one() -> Result<()> {
    needs!("a_process_that_ends_meanwhile_is_told_as_one", Root, Cgroup);
    let dir = tempfile::tempdir()?;
    let group = Cgroup::create("evidence")?;
    let running = keeper(&group, dir.path(), "x")?;
    let subject = subject(&group, &running)?;
    let (mappings, _) = memory::mappings(&subject)?;
    let pid = rustix::process::Pid::from_raw(running.pid().try_into()?);
    let end = || {
        rustix::process::kill_process(pid.expect("a pid"), rustix::process::Signal::KILL)?;
        wait::until_true("its end", LIMIT, || Ok(!subject.is_alive()))?;
        Ok(())
    };
    let mut ender = Ender { end: &end, data: 0, holes: Vec::new() };
    let walked = memory::walk(&subject, &mappings, walk(Regions::All, 1 << 30), &mut ender)?;
    assert!(walked.ended, "{walked:?}");
    assert!(ender.holes.iter().any(|reason| reason.contains("ended")), "{:?}", ender.holes);

    let path = dir.path().join("dump");
    assert!(dump(&subject, &path, walk(Regions::All, 1 << 30), NOW).is_err());
    assert!(!path.exists(), "nothing is left of a dump that was not made");
    Ok(())
}

#[test]
fn another_process_with_the_pid_or_outside_the_scope_is_refused() -> Result<()> {
    needs!("another_process_with_the_pid_or_outside_the_scope_is_refused", Root, Cgroup);
    let dir = tempfile::tempdir()?;
    let (group, other) = (Cgroup::create("evidence")?, Cgroup::create("evidence")?);
    let running = keeper(&group, dir.path(), "x")?;
    let right = key(running.pid());
    let older = ProcessKey { start_ticks: right.start_ticks - 1, ..right };
    let refused = |reach: Reach, key| reach.process(key).expect_err("refused");
    assert!(matches!(refused(reach(&group), older), ReachError::Reused { .. }));
    assert!(matches!(refused(reach(&other), right), ReachError::OutsideScope { .. }));
    let own = key(std::process::id());
    assert!(matches!(refused(reach(&group), own), ReachError::Protected(_)));
    drop(running);
    assert!(matches!(refused(reach(&group), right), ReachError::Gone));
    Ok(())
}
