//! A report as lines for people.

use std::io::{self, Write};

use metsuke_incident::course::{Moment, ProcessPart, Report, Stopped};

use crate::output::clean;

/// Steps shown; JSON has all.
const STEPS: usize = 40;

pub(super) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(out, "{}", clean(&report.name))?;
    for host in &report.hosts {
        let name = if host.host.is_empty() { "(no name)" } else { &host.host };
        let first = host.first.map(|time| time.to_string()).unwrap_or_default();
        let last = host.last.map(|time| time.to_string()).unwrap_or_default();
        writeln!(out, "  {}  {} events  {first} to {last}", clean(name), host.events)?;
    }
    if report.out_of_order > 0 {
        writeln!(
            out,
            "  {} events came out of order; what was first is not certain",
            report.out_of_order
        )?;
    }
    writeln!(out, "\nby layer")?;
    for name in ["filter", "rule", "model"] {
        let Some(part) = report.layers.get(name) else {
            writeln!(out, "  {name:<7} nothing")?;
            continue;
        };
        let levels: Vec<String> =
            part.by_level.iter().map(|(level, count)| format!("{count} {level}")).collect();
        let first = part.first.as_ref().map(|first| first.time.to_string()).unwrap_or_default();
        writeln!(out, "  {name:<7} {:>6}  first {first}  ({})", part.count, levels.join(", "))?;
    }
    writeln!(out, "\nsteps")?;
    for step in report.steps.iter().filter(|step| step.level != "informational").take(STEPS) {
        moment(out, "  ", step)?;
    }
    writeln!(out)?;
    match &report.earliest_detected {
        None => writeln!(out, "nothing would have been detected")?,
        Some(step) => {
            writeln!(out, "earliest step that would have been detected")?;
            stopped(out, step)?;
        }
    }
    match &report.earliest_stopped {
        None => {
            let struck = report
                .stop_at
                .as_ref()
                .map(|level| format!("nothing of {level} or above struck, and "));
            writeln!(
                out,
                "nothing would have been stopped in block mode: {}no detection that struck carries a \
                 response that ends or isolates something",
                struck.unwrap_or_default()
            )
        }
        Some(step) => {
            writeln!(out, "earliest step that would have been stopped in block mode")?;
            stopped(out, step)
        }
    }
}

fn moment(out: &mut impl Write, indent: &str, step: &Moment) -> io::Result<()> {
    writeln!(
        out,
        "{indent}{}  {:<13}  {:<6}  {}  [{}]  {}",
        step.time,
        step.level,
        step.layer,
        clean(&step.title),
        step.techniques.join(","),
        clean(&step.host)
    )
}

fn process(out: &mut impl Write, indent: &str, part: &ProcessPart) -> io::Result<()> {
    let shown = part.command_line.as_deref().or(part.executable.as_deref()).unwrap_or(&part.uid);
    let pid = part.pid.map(|pid| pid.to_string()).unwrap_or_default();
    writeln!(out, "{indent}{pid:>7}  {}", clean(shown).replace('\n', " "))
}

fn stopped(out: &mut impl Write, step: &Stopped) -> io::Result<()> {
    moment(out, "  ", &step.moment)?;
    let before = &step.before;
    writeln!(
        out,
        "  before it: {} events of its storyline in {} s, {} on its host, {} in all",
        before.events_of_storyline,
        before.seconds_of_storyline,
        before.events_on_host,
        before.events
    )?;
    for part in &before.line {
        process(out, "    ", part)?;
    }
    let Some(after) = &step.after else { return writeln!(out) };
    writeln!(
        out,
        "  it ends the {}; not happened would have: {} events, {} processes, {} alerts",
        step.stops.as_deref().unwrap_or("process"),
        after.events,
        after.processes,
        after.alerts
    )?;
    for part in &after.first_processes {
        process(out, "    ", part)?;
    }
    for (_, title, count) in &after.detections {
        writeln!(out, "    {count:>7}  {}", clean(title))?;
    }
    writeln!(out)
}
