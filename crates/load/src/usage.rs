//! What the sensor uses: memory and CPU of its process and those it started.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes in a page, as this program's architecture has it.
const PAGE: u64 = 4_096;
/// Clock ticks a second in `/proc` (`USER_HZ`).
const TICKS: f64 = 100.0;

/// One look.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Seconds since the first look.
    pub(crate) at: f64,
    /// Resident bytes.
    pub(crate) rss: u64,
    /// CPU seconds used since its start.
    pub(crate) cpu: f64,
}

/// Looks on a thread until it is stopped.
#[derive(Debug)]
pub(crate) struct Meter {
    looks: Arc<Mutex<Vec<Look>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Meter {
    /// Looks at `pid` and its children every `every`.
    pub(crate) fn start(pid: u32, every: Duration) -> Self {
        let looks = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, told) = (Arc::clone(&looks), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let begun = Instant::now();
            while !told.load(Ordering::Relaxed) {
                let mut look = look(pid);
                look.at = begun.elapsed().as_secs_f64();
                if let Ok(mut kept) = kept.lock() {
                    kept.push(look);
                }
                std::thread::sleep(every);
            }
        });
        Self { looks, stop, thread: Some(thread) }
    }

    /// Everything seen.
    pub(crate) fn stop(mut self) -> Vec<Look> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.looks.lock().map(|looks| looks.clone()).unwrap_or_default()
    }
}

/// Memory and CPU of `pid` and its children now.
pub(crate) fn look(pid: u32) -> Look {
    let mut sum = Look::default();
    for pid in std::iter::once(pid).chain(children(pid)) {
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
        let pages = statm.split(' ').nth(1).and_then(|text| text.parse::<u64>().ok());
        sum.rss += pages.unwrap_or(0) * PAGE;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        // utime and stime: the 14th and 15th field; the state after the name is the third.
        let ticks = after.split_ascii_whitespace().skip(11).take(2);
        sum.cpu += ticks.filter_map(|text| text.parse::<f64>().ok()).sum::<f64>() / TICKS;
    }
    sum
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}

/// Bytes that TCP sockets of `pid` and its children have sent and had acknowledged, by `ss`.
pub(crate) fn bytes_sent(pid: u32) -> anyhow::Result<u64> {
    let output = std::process::Command::new("ss").args(["-tinpH"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let pids: Vec<String> =
        std::iter::once(pid).chain(children(pid)).map(|pid| format!("pid={pid},")).collect();
    let mut lines = text.lines();
    let mut sum = 0;
    while let (Some(socket), Some(facts)) = (lines.next(), lines.next()) {
        if pids.iter().any(|pid| socket.contains(pid.as_str())) {
            let sent = facts.split_whitespace().find_map(|fact| fact.strip_prefix("bytes_acked:"));
            sum += sent.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(sum)
}
