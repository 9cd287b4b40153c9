//! What a document would bring, before it does.

use std::collections::{BTreeMap, HashMap};

use metsuke_event::Timestamp;
use metsuke_intel::observe::Said;
use metsuke_intel::problem::Weight;
use metsuke_intel::{Action, Kind, Matcher, Problem, Set, read};

/// Values shown.
const SAMPLE: usize = 50;
/// Conflicts shown.
const CONFLICTS: usize = 200;

/// Codes of conflicts.
const KNOWN_GOOD: &str = "known-good";
const BELIEVED_BAD: &str = "believed-bad";

/// One value of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its kind.
    pub kind: Kind,
    /// Its canonical form.
    pub value: String,
    /// How it stands in the document, where that is another form.
    pub defanged_from: Option<String>,
}

/// A value that people should look at twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The value.
    pub value: String,
    /// Its kind.
    pub kind: Kind,
    /// Why.
    pub why: String,
    /// Why, as a name that does not change: `known-good`, `believed-bad`, `caution`.
    pub code: &'static str,
    /// Who says otherwise, or what to be careful of.
    pub by: Option<String>,
}

/// What a document would bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// How it was read.
    pub format: &'static str,
    /// Indicators by kind.
    pub counts: BTreeMap<&'static str, u64>,
    /// Indicators.
    pub total: u64,
    /// Those nobody speaks of yet.
    pub new: u64,
    /// Those somebody speaks of.
    pub known: u64,
    /// Those that are known good: they would be met by nothing.
    pub allowed: u64,
    /// Values to look at twice; at most 200.
    pub conflicts: Vec<Conflict>,
    /// What would be left out, and what was decided.
    pub problems: Vec<Problem>,
    /// The first values; at most 50.
    pub sample: Vec<Sample>,
}

/// Reads `bytes` and compares what they say with `set`. Takes as long as reading them: seconds for the
/// largest.
pub(crate) fn preview(
    (bytes, format): (&[u8], Option<read::Format>),
    origin: &read::Origin,
    (set, now): (&Set, Timestamp),
) -> Preview {
    let format = format.unwrap_or_else(|| read::Format::guess(bytes));
    let (indicators, problems) = format.read(bytes, origin);
    let written = written(bytes, format);
    let matcher = Matcher::new(set, now);
    let name = read::Format::ALL.iter().find(|(_, known)| *known == format);
    let mut preview = Preview {
        format: name.map_or("", |(name, _)| name),
        counts: BTreeMap::new(),
        total: indicators.len() as u64,
        new: 0,
        known: 0,
        allowed: 0,
        conflicts: Vec::new(),
        problems,
        sample: Vec::new(),
    };
    for one in &indicators {
        *preview.counts.entry(one.kind.name()).or_default() += 1;
        if preview.sample.len() < SAMPLE {
            let from = written.get(&(one.kind, one.value.to_string()));
            preview.sample.push(Sample {
                kind: one.kind,
                value: one.value.to_string(),
                defanged_from: from.cloned(),
            });
        }
        let said = match one.kind {
            // A network is no value that is seen; the same network is looked for.
            Kind::Cidr => said_of_network(&matcher, &one.value),
            kind => matcher.said(kind, &one.value),
        };
        let Some((action, said)) = said else {
            preview.new += 1;
            continue;
        };
        let same = said.iter().any(|said| said.kind == one.kind && *said.indicator == *one.value);
        preview.known += u64::from(same);
        preview.new += u64::from(!same);
        let mut conflict = |code, by: Option<&Said>, end: &str| {
            if preview.conflicts.len() < CONFLICTS {
                let value = one.value.to_string();
                let by = by.map(|said| said.context.source.to_string());
                let who = by.as_deref().unwrap_or("another source");
                let why = format!(
                    "{} by {who}: {end}",
                    if code == KNOWN_GOOD { "known good" } else { "believed bad" }
                );
                preview.conflicts.push(Conflict { value, kind: one.kind, why, code, by });
            }
        };
        if action == Action::Allow {
            let by = said.iter().find(|said| said.context.action == Action::Allow);
            if one.context.action != Action::Allow {
                conflict(KNOWN_GOOD, by, "it will not be told");
                preview.allowed += 1;
            }
        } else if one.context.action == Action::Allow {
            conflict(BELIEVED_BAD, said.first(), "that will no longer be told");
        }
    }
    caution(&mut preview);
    preview
}

/// Notes of the reader about values are things to look at twice.
fn caution(preview: &mut Preview) {
    for note in preview.problems.iter().filter(|one| one.weight == Weight::Note) {
        let Some(value) = note.reason.split('`').nth(1) else { continue };
        let Ok((kind, value)) = read::guess(value) else { continue };
        if preview.conflicts.len() < CONFLICTS {
            let by = note.values.get(1).cloned();
            let why = note.reason.clone();
            preview.conflicts.push(Conflict { value, kind, why, code: note.code, by });
        }
    }
}

fn said_of_network(matcher: &Matcher<'_>, network: &str) -> Option<(Action, Vec<Said>)> {
    let first = network.split('/').next()?;
    let kind = if first.contains(':') { Kind::Ipv6 } else { Kind::Ipv4 };
    matcher.said(kind, first)
}

/// How the values of a report are written in it, where they are written defanged.
fn written(bytes: &[u8], format: read::Format) -> HashMap<(Kind, String), String> {
    if format != read::Format::Report {
        return HashMap::new();
    }
    let text = String::from_utf8_lossy(bytes);
    let defanged = read::findings(&text).into_iter().filter(|found| found.defanged);
    let as_written = defanged.take(SAMPLE).filter_map(|found| {
        let rest = text.get(found.offset..)?;
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | ','));
        let word = rest[..end.unwrap_or(rest.len())].trim_end_matches(['.', ';', ')']);
        Some(((found.kind, found.value), word.to_owned()))
    });
    as_written.collect()
}
