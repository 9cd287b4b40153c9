//! `metsuke rules profile`: what detections cost on these events.
//!
//! CPU time of the thread, around single evaluations of events chosen at uneven gaps; see
//! `metsuke_detect::Profile` for what is counted to whom.

use std::process::ExitCode;

use metsuke_detect::{Cost, Profile as Measured};
use serde_json::{Value as Json, json};

use crate::arguments::Arguments;
use crate::arguments::rules::Profile;
use crate::command::BAD_NEWS;
use crate::command::detect::content;
use crate::command::detect::files::Files;
use crate::command::detect::lookout::Lookout;
use crate::command::detect::summary::{Clock, Summary};
use crate::failure::Failure;
use crate::output::{self, clean};

pub(super) fn run(arguments: &Arguments, profile: &Profile) -> Result<ExitCode, Failure> {
    let clock = Clock::start();
    let content = content::load(&profile.content.rules, profile.content.shipped)?;
    let files = Files::below(&profile.input)?;
    let mut summary = Summary::of(&content, clock);
    let mut lookout = Lookout::silent(&content.rules);
    lookout.measure(thread_nanos, profile.every);
    files.read(profile.format.intake(), &mut lookout, &mut summary)?;
    summary.finish(lookout.numbers());
    let Some(measured) = lookout.profile().filter(|measured| measured.measured > 0) else {
        summary.tell_problems()?;
        return Err(Failure::NotFound("no event in what --input names".to_owned()));
    };
    let figures = Figures::of(&measured, profile.bound);
    if arguments.json {
        output::json(&figures.json(&measured))?;
    } else {
        figures.print(&measured, profile.top)?;
        summary.tell_problems()?;
    }
    let good = figures.dear == 0 && summary.is_good();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(BAD_NEWS) })
}

/// CPU time of this thread.
fn thread_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
}

/// What is derived from the measuring.
struct Figures {
    /// Nanoseconds on measured events, of everything.
    total: u64,
    bound: Option<u64>,
    /// Detections above the bound.
    dear: usize,
}

impl Figures {
    fn of(measured: &Measured, bound: Option<u64>) -> Self {
        let of_each: u64 = measured.costs.iter().map(|cost| cost.nanos).sum();
        let total = of_each + measured.shared_nanos + measured.models_nanos;
        let mut figures = Self { total, bound, dear: 0 };
        figures.dear = measured.costs.iter().filter(|cost| figures.dear(measured, cost)).count();
        figures
    }

    /// Whether a detection costs more per event than the bound.
    fn dear(&self, measured: &Measured, cost: &Cost) -> bool {
        self.bound.is_some_and(|bound| per_event(measured, cost.nanos) > number(bound))
    }

    /// The part of all, in hundredths.
    fn share(&self, nanos: u64) -> f64 {
        if self.total == 0 { 0.0 } else { number(nanos) * 100.0 / number(self.total) }
    }

    fn json(&self, measured: &Measured) -> Json {
        let cost = |cost: &Cost| {
            json!({
                "id": cost.detection.id,
                "title": cost.detection.title,
                "layer": cost.detection.layer,
                "nanos_per_event": per_event(measured, cost.nanos),
                "share": self.share(cost.nanos) / 100.0,
                "tries": cost.tries,
                "hits": cost.hits,
                "dear": self.dear(measured, cost),
            })
        };
        json!({
            "events": measured.events,
            "measured": measured.measured,
            "nanos_per_event": per_event(measured, self.total),
            "shared_nanos_per_event": per_event(measured, measured.shared_nanos),
            "models_nanos_per_event": per_event(measured, measured.models_nanos),
            "bound": self.bound,
            "dear": self.dear,
            "rules": measured.costs.iter().map(cost).collect::<Vec<_>>(),
        })
    }

    fn print(&self, measured: &Measured, top: usize) -> std::io::Result<()> {
        let row = |nanos: u64, rest: [String; 4]| {
            let [tries, hits, dear, name] = rest;
            let each = format!("{:.0}", per_event(measured, nanos));
            vec![each, format!("{:.1} %", self.share(nanos)), tries, hits, dear, name]
        };
        let none = String::new;
        let of_all = |name: &str| [none(), none(), none(), name.to_owned()];
        let mut rows = vec![
            row(measured.shared_nanos, of_all("(for all: reading fields, looking for witnesses)")),
            row(measured.models_nanos, of_all("(all models)")),
        ];
        for cost in measured.costs.iter().filter(|cost| cost.tries > 0).take(top) {
            let dear = if self.dear(measured, cost) { "too dear" } else { "" };
            let name = format!("{} [{}]", clean(&cost.detection.title), clean(&cost.detection.id));
            let (tries, hits) = (cost.tries.to_string(), cost.hits.to_string());
            rows.push(row(cost.nanos, [tries, hits, dear.to_owned(), name]));
        }
        output::table(&["ns/event", "share", "tries", "hits", "", "detection"], &rows)?;
        let asked = measured.costs.iter().filter(|cost| cost.tries > 0).count();
        output::say(&format!(
            "{:.0} ns per event, measured on {} of {} events; {asked} of {} detections were asked{}",
            per_event(measured, self.total),
            measured.measured,
            measured.events,
            measured.costs.len(),
            self.bound.map_or(String::new(), |bound| {
                format!("; {} cost more than {bound} ns per event", self.dear)
            })
        ))
    }
}

fn per_event(measured: &Measured, nanos: u64) -> f64 {
    number(nanos) / number(measured.measured.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "figures for people: 52 bits are enough")]
fn number(count: u64) -> f64 {
    count as f64
}
