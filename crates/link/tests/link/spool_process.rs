//! The spool in processes that are killed, and on a disk that fills up.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use metsuke_event::{BootId, Timestamp};
use metsuke_link::codec::Encoded;
use metsuke_link::spool::{Sequence, Spool, SpoolConfig};
use metsuke_testkit::process::Running;
use metsuke_testkit::{needs, small_disk, wait};

/// Tells the test binary that it is the writer, and where.
const DIR: &str = "METSUKE_TEST_SPOOL";
const LIMIT: Duration = Duration::from_secs(60);
const PAYLOAD: usize = 2_000;

fn boot() -> BootId {
    BootId::from_u128(1)
}

fn batch(seq: u64) -> Encoded {
    let time = Timestamp::from_millis(seq.cast_signed());
    Encoded {
        boot: boot(),
        first_seq: seq,
        last_seq: seq,
        count: 1,
        from: time,
        to: time,
        payload: vec![7; PAYLOAD].into(),
    }
}

fn config(dir: &Path) -> SpoolConfig {
    SpoolConfig {
        segment_bytes: 64 << 10,
        memory_bytes: 100 << 10,
        ..SpoolConfig::new(dir.join("spool"))
    }
}

fn sequences(spool: &mut Spool) -> Vec<u64> {
    let mut found = Vec::new();
    let mut at = spool.start();
    while let Some((batch, behind)) = spool.next(at) {
        found.push(batch.first_seq);
        at = behind;
    }
    found
}

/// This test binary as a writer in `dir`.
fn writer(test: &str) -> anyhow::Result<(std::path::PathBuf, [String; 4])> {
    let arguments = ["--exact", test, "--nocapture", "--quiet"].map(str::to_owned);
    Ok((std::env::current_exe()?, arguments))
}

/// Not a test by itself: appends and says each number once it is kept, until it is killed.
#[test]
fn killed_writer() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let mut spool = Spool::open(config(dir.as_ref())).expect("opens");
    let mut sequence = Sequence::open(&Path::new(&dir).join("spool"), boot()).expect("opens");
    let mut out = std::io::stdout().lock();
    loop {
        let seq = sequence.take_next().expect("numbers");
        spool.append(&batch(seq));
        writeln!(out, "\n{seq}").expect("a reader");
    }
}

#[test]
fn what_was_appended_survives_kill_9_and_no_number_comes_twice() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (program, arguments) = writer("spool_process::killed_writer")?;
    let mut said: Vec<u64> = Vec::new();
    for _ in 0..4 {
        let mut child = Command::new(&program)
            .args(&arguments)
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut numbers = lines.map_while(Result::ok).filter_map(|line| line.parse::<u64>().ok());
        said.extend(numbers.by_ref().take(300));
        child.kill()?;
        // What it said between our last look and its end counts too.
        said.extend(numbers);
        child.wait()?;
    }
    assert!(said.len() >= 1_200);
    assert!(said.is_sorted_by(|a, b| a < b), "a number came twice");
    let mut spool = Spool::open(config(dir.path()))?;
    let kept = sequences(&mut spool);
    assert!(kept.is_sorted_by(|a, b| a < b));
    let missing: Vec<_> = said.iter().filter(|seq| kept.binary_search(seq).is_err()).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(kept.len() <= said.len() + 4, "at most one per kill was kept and not yet said");
    assert!(spool.take_losses().is_empty());
    Ok(())
}

/// Not a test by itself: appends and says how it is, until a file `stop` appears; then says what
/// it has kept and what it gave up.
#[test]
fn writer_on_a_small_disk() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let dir = Path::new(&dir);
    let mut spool = Spool::open(config(dir)).expect("opens");
    let mut sequence = Sequence::open(&dir.join("spool"), boot()).expect("opens");
    let (mut appended, mut lost, mut earliest) = (0_u64, 0, None);
    let mut out = std::io::stdout().lock();
    while !dir.join("stop").exists() {
        appended += 1;
        spool.append(&batch(sequence.take_next().expect("numbers, on a full disk too")));
        spool.settle();
        for loss in spool.take_losses() {
            assert_eq!(loss.reason, "disk_full");
            earliest.get_or_insert(loss.from);
            lost += loss.lost.expect("counted").activities();
        }
        let memory = spool.depth().memory_bytes;
        writeln!(out, "\nappended={appended} memory={memory} lost={lost}").expect("a reader");
        std::thread::sleep(Duration::from_millis(2));
    }
    spool.settle();
    let kept = sequences(&mut spool);
    assert!(kept.is_sorted_by(|a, b| a < b), "in order, whatever happened");
    assert_eq!(kept.len() as u64 + lost, appended, "kept or counted");
    drop(spool);
    let mut again = Spool::open(config(dir)).expect("opens again");
    assert_eq!(sequences(&mut again), kept, "all of it on disk again");
    writeln!(out, "\nend lost={lost} earliest={earliest:?}").expect("a reader");
}

#[test]
fn a_full_disk_is_counted_and_heals_by_itself() -> anyhow::Result<()> {
    needs!("a_full_disk_is_counted_and_heals_by_itself", Root, PrivateMounts);
    let dir = tempfile::tempdir()?;
    let place = dir.path().join("disk");
    std::fs::create_dir(&place)?;
    let (program, arguments) = writer("spool_process::writer_on_a_small_disk")?;
    let mut command = small_disk::command(&place, 64 << 20, None, program);
    command.args(arguments).env(DIR, &place);
    let log = dir.path().join("log");
    let mut running = Running::start("writer", &mut command, &log)?;
    let inside = small_disk::seen_by(running.pid(), &place);
    let state = |name: &str| -> Option<u64> {
        let text = std::fs::read_to_string(&log).ok()?;
        let line = text.lines().rev().find(|line| line.contains("lost="))?;
        line.split(' ').find_map(|part| part.strip_prefix(name)?.parse().ok())
    };
    let mut wait_for = |what: &str, look: &dyn Fn() -> bool| {
        wait::until_true(what, LIMIT, || {
            running.must_run()?;
            Ok(look())
        })
    };
    wait_for("a beginning", &|| state("appended=").is_some_and(|count| count > 20))?;
    let filler = small_disk::fill(&inside)?;
    wait_for("memory to be used", &|| state("memory=").is_some_and(|bytes| bytes > 0))?;
    wait_for("a loss to be counted", &|| state("lost=").is_some_and(|lost| lost > 5))?;
    std::fs::remove_file(filler)?;
    wait_for("memory to be empty again", &|| state("memory=") == Some(0))?;
    let lost = state("lost=");
    std::fs::write(inside.join("stop"), "")?;
    let status = wait::until("the writer to end", LIMIT, || running.ended())?;
    assert!(status.success(), "{}", running.log_tail());
    assert!(running.log_tail().contains("end lost="), "{}", running.log_tail());
    assert_eq!(state("lost="), lost, "no more after there was room");
    Ok(())
}
