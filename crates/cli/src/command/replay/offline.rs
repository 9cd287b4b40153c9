//! A replay here, without a server.
//!
//! Records of all files are put in the order of their time, as far as memory is allowed to hold them;
//! a larger recording is taken file after file, and the report says how much was out of order.

use std::collections::HashMap;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use metsuke_detect::{Ends, Engine, RuleSet};
use metsuke_event::finding::{Alert, DetectionRef, Level};
use metsuke_event::{BootId, EndpointId, Text, Timestamp};
use metsuke_incident::course::{Course, Stops};
use metsuke_intake::Record;
use metsuke_lineage::Recorded;
use sha2::{Digest, Sha256};

use crate::arguments::Arguments;
use crate::arguments::replay::{Replay, StopAt};
use crate::command::BAD_NEWS;
use crate::command::detect::content;
use crate::command::detect::files::{Files, Sink};
use crate::command::detect::summary::{Clock, Numbers, Summary};
use crate::command::detect::time;
use crate::failure::Failure;

/// Records held to be put in order: some 1 to 2 KB each.
const HELD: usize = 400_000;

pub(super) fn run(arguments: &Arguments, replay: &Replay) -> Result<ExitCode, Failure> {
    let json = super::is_json(arguments, replay);
    let span = (time(replay.since.as_deref())?, time(replay.until.as_deref())?);
    if replay.rules.is_empty() && !replay.shipped {
        return Err(Failure::Usage("name detections with --rules, or --shipped".to_owned()));
    }
    let clock = Clock::start();
    let content = content::load(&replay.rules, replay.shipped)?;
    let files = Files::below(&replay.input)?;
    let mut summary = Summary::of(&content, clock);
    let mut player = Player::new(&content.rules, span, replay.stop_at);
    files.read(replay.format.intake(), &mut player, &mut summary)?;
    player.play();
    player.end();
    summary.finish(player.numbers);
    summary.tell(json)?;
    super::tell(&player.course.report(&replay.name, player.stop_at), json)?;
    Ok(if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::from(BAD_NEWS) })
}

/// Plays records to the engine and the course.
struct Player {
    engine: Engine,
    course: Course,
    recorded: Recorded,
    span: (Option<Timestamp>, Option<Timestamp>),
    stop_at: Option<Level>,
    stops: HashMap<String, Stops>,
    held: Vec<Record>,
    hosts: HashMap<Text, EndpointId>,
    file: u64,
    seq: u64,
    /// How far the records of each host go.
    ends: Ends,
    numbers: Numbers,
}

impl Player {
    fn new(
        rules: &Arc<RuleSet>,
        span: (Option<Timestamp>, Option<Timestamp>),
        stop_at: Option<StopAt>,
    ) -> Self {
        let stop_at = stop_at.map(|level| match level {
            StopAt::Medium => Level::Medium,
            StopAt::High => Level::High,
            StopAt::Critical => Level::Critical,
        });
        Self {
            engine: Engine::new(Arc::clone(rules)),
            course: Course::new(),
            recorded: Recorded::default(),
            span,
            stop_at,
            stops: carried(rules),
            held: Vec::new(),
            hosts: HashMap::new(),
            file: 0,
            seq: 0,
            ends: Ends::default(),
            numbers: Numbers::default(),
        }
    }

    /// Plays what is held, in order of time; of one time in the order of files and records.
    fn play(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        held.sort_by_key(|record| (record.event.time, record.event.id.boot, record.event.id.seq));
        for record in held {
            self.one(record);
        }
        let evicted = self.engine.counters().evicted;
        self.numbers.evicted = evicted.keys + evicted.storylines + self.recorded.forgotten();
    }

    fn one(&mut self, mut record: Record) {
        self.recorded.identify(&mut record.event);
        if record.event.process.storyline.is_none() {
            // Where nothing is known of the process, the host stands for a storyline.
            let host = record.event.host.as_deref().unwrap_or("unknown");
            let line: Text = format!("host:{host}").into();
            Arc::make_mut(&mut record.event.process).storyline = Some(line);
        }
        let event = &record.event;
        self.ends.note(event);
        let findings = self.engine.observe_as(event, &record.sources);
        self.course.event(event);
        for hit in findings.hits.iter().filter(|hit| hit.excepted.is_none()) {
            self.numbers.matches += 1;
            self.course.hit(event, hit, self.stops(&hit.detection));
        }
        for alert in &findings.alerts {
            self.numbers.matches += u64::from(alert.revision == 1);
            self.course.alert(event, alert, self.stops_of(alert));
        }
    }

    /// What waited for something not to come, as far as the recording goes.
    fn end(&mut self) {
        let findings = self.engine.close_each(&self.ends);
        for hit in findings.hits.iter().filter(|hit| hit.excepted.is_none()) {
            self.numbers.matches += 1;
            self.course.late_hit(hit, self.stops(&hit.detection));
        }
        for alert in &findings.alerts {
            self.numbers.matches += u64::from(alert.revision == 1);
            self.course.late_alert(alert, self.stops_of(alert));
        }
    }

    /// What any of the models would have stopped: one that yields calls for what it calls for.
    fn stops_of(&self, alert: &Alert) -> Stops {
        alert.models().map(|model| self.stops(model)).max().unwrap_or(Stops::Nothing)
    }

    fn stops(&self, detection: &DetectionRef) -> Stops {
        let thought = self.stop_at.is_some_and(|level| detection.level >= level);
        let carried = self.stops.get(&detection.id).copied().unwrap_or(Stops::Nothing);
        carried.max(if thought { Stops::Process } else { Stops::Nothing })
    }

    fn endpoint(&mut self, host: Text) -> EndpointId {
        if let Some(known) = self.hosts.get(&host) {
            return *known;
        }
        let digest = Sha256::digest(host.to_ascii_lowercase().as_bytes());
        let (first, _) = digest.split_at(16);
        let id = first.iter().fold(0_u128, |id, byte| id << 8 | u128::from(*byte));
        let id = EndpointId::from_u128(id);
        self.hosts.insert(host, id);
        id
    }
}

impl Sink for Player {
    fn begin(&mut self, _path: &str) -> io::Result<()> {
        self.file += 1;
        Ok(())
    }

    fn take(&mut self, _path: &str, mut record: Record) -> io::Result<()> {
        let time = record.event.time;
        if self.span.0.is_some_and(|since| time < since)
            || self.span.1.is_some_and(|until| time >= until)
        {
            self.numbers.outside += 1;
            return Ok(());
        }
        self.numbers.events += 1;
        self.seq += 1;
        let id = &record.event.id;
        if id.endpoint == EndpointId::default() {
            let host = record.event.host.clone().unwrap_or_default();
            record.event.id.endpoint = self.endpoint(host);
        }
        if record.event.id.boot == BootId::default() {
            record.event.id.boot = BootId::from_u128(u128::from(self.file));
            record.event.id.seq = self.seq;
        }
        self.held.push(record);
        if self.held.len() >= HELD {
            self.play();
        }
        Ok(())
    }
}

/// What detections stop in block mode, of those that stop something.
fn carried(rules: &RuleSet) -> HashMap<String, Stops> {
    let all = rules.all().map(|meta| {
        let responses = meta.responses.block.iter().map(|response| response.name());
        (meta.detection.id.clone(), Stops::of(meta.detection.layer, responses))
    });
    all.filter(|(_, stops)| *stops > Stops::Nothing).collect()
}
