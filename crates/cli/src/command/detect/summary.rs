//! What a run came to: numbers, what was refused, what could not be read.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use metsuke_intake::Problem;
use serde_json::{Value as Json, json};

use crate::command::detect::content::Content;
use crate::output::clean;

/// Problems that are listed for one file; the rest is counted.
const PROBLEMS_OF_FILE: usize = 20;
/// Problems and skipped files that are listed in all.
const LISTED: usize = 1_000;

/// When the run began, by the wall and by this process's CPU time.
pub(crate) struct Clock {
    wall: Instant,
    cpu: Duration,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu() }
    }
}

/// CPU time of this process.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// What whoever took the records counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) events: u64,
    pub(crate) outside: u64,
    pub(crate) matches: u64,
    pub(crate) evicted: u64,
}

/// A run in numbers.
pub(crate) struct Summary {
    clock: Clock,
    rules_loaded: usize,
    rules_refused: Vec<(String, String)>,
    pub(super) files: u64,
    problems: Vec<Json>,
    problem_count: u64,
    of_file: (String, usize),
    skipped: Vec<Json>,
    skipped_count: u64,
    events: u64,
    outside: u64,
    matches: u64,
    evicted: u64,
    seconds: f64,
    cpu_seconds: f64,
    loading: f64,
}

impl Summary {
    pub(crate) fn of(content: &Content, clock: Clock) -> Self {
        let loading = cpu().saturating_sub(clock.cpu).as_secs_f64();
        Self {
            clock,
            rules_loaded: content.rules.all().count(),
            rules_refused: content.refused.clone(),
            files: 0,
            problems: Vec::new(),
            problem_count: 0,
            of_file: (String::new(), 0),
            skipped: Vec::new(),
            skipped_count: 0,
            events: 0,
            outside: 0,
            matches: 0,
            evicted: 0,
            seconds: 0.0,
            cpu_seconds: 0.0,
            loading,
        }
    }

    /// Something of `path` could not be read.
    pub(super) fn problem(&mut self, path: &str, problem: &Problem) {
        self.problem_count += 1;
        if self.of_file.0 != path {
            self.of_file = (path.to_owned(), 0);
        }
        self.of_file.1 += 1;
        if self.of_file.1 <= PROBLEMS_OF_FILE && self.problems.len() < LISTED {
            self.problems.push(json!({
                "path": path,
                "place": problem.place.to_string(),
                "reason": problem.reason,
            }));
        }
    }

    /// A file below a named folder is of no format that is known.
    pub(super) fn skip(&mut self, path: &str, reason: &str) {
        self.skipped_count += 1;
        if self.skipped.len() < LISTED {
            self.skipped.push(json!({ "path": path, "reason": reason }));
        }
    }

    /// Takes the last numbers.
    pub(crate) fn finish(&mut self, numbers: Numbers) {
        let Numbers { events, outside, matches, evicted } = numbers;
        self.events = events;
        self.outside = outside;
        self.matches = matches;
        self.evicted = evicted;
        self.seconds = self.clock.wall.elapsed().as_secs_f64();
        self.cpu_seconds = cpu().saturating_sub(self.clock.cpu).as_secs_f64();
    }

    /// Whether every detection was loaded and everything was read.
    pub(crate) fn is_good(&self) -> bool {
        self.rules_refused.is_empty() && self.problem_count == 0
    }

    /// Writes it to standard error: one JSON object in a line, or lines for people.
    pub(crate) fn tell(&self, json: bool) -> io::Result<()> {
        if json {
            let mut err = io::stderr().lock();
            serde_json::to_writer(&mut err, &self.json())?;
            return writeln!(err);
        }
        self.tell_problems()?;
        writeln!(
            io::stderr(),
            "{} matches in {} events of {} files; {} detections, {} refused; {:.1} s, {:.1} CPU-s, \
             {:.0} events per CPU-second",
            self.matches,
            self.events,
            self.files,
            self.rules_loaded,
            self.rules_refused.len(),
            self.seconds,
            self.cpu_seconds,
            self.rate()
        )
    }

    /// Writes what was refused, damaged and skipped to standard error, for people.
    pub(crate) fn tell_problems(&self) -> io::Result<()> {
        let mut err = io::stderr().lock();
        for (path, reason) in &self.rules_refused {
            writeln!(err, "refused  {}: {}", clean(path), clean(reason))?;
        }
        let cell = |one: &Json, name: &str| clean(one[name].as_str().unwrap_or_default());
        for one in &self.problems {
            let (path, place) = (cell(one, "path"), cell(one, "place"));
            writeln!(err, "damaged  {path}: {place}: {}", cell(one, "reason"))?;
        }
        for one in &self.skipped {
            writeln!(err, "skipped  {}: {}", cell(one, "path"), cell(one, "reason"))?;
        }
        let unlisted = self.problem_count - self.problems.len() as u64;
        if unlisted > 0 {
            writeln!(err, "damaged  and {unlisted} more places")?;
        }
        Ok(())
    }

    fn json(&self) -> Json {
        let refused: Vec<Json> = self
            .rules_refused
            .iter()
            .map(|(path, reason)| json!({ "path": path, "reason": reason }))
            .collect();
        json!({
            "events": self.events,
            "rules_loaded": self.rules_loaded,
            "rules_refused": refused,
            "seconds": round(self.seconds),
            "cpu_seconds": round(self.cpu_seconds),
            "events_per_cpu_second": self.rate().round(),
            "matches": self.matches,
            "files": self.files,
            "events_outside_span": self.outside,
            "rules_cpu_seconds": round(self.loading),
            "state_evicted": self.evicted,
            "problems": self.problems,
            "problems_found": self.problem_count,
            "skipped": self.skipped,
            "skipped_found": self.skipped_count,
        })
    }

    /// Events per second of CPU time, loading the detections included.
    #[expect(clippy::cast_precision_loss, reason = "numbers of events are far below 2^52")]
    fn rate(&self) -> f64 {
        (self.events + self.outside) as f64 / self.cpu_seconds.max(0.001)
    }
}

/// To the millisecond.
fn round(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}
