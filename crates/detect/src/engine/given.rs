//! What an engine gives: a hit with what it is of, and why a rule struck.

use metsuke_event::Event;
use metsuke_event::finding::{Hit, Layer, Matched};

use crate::bounds;
use crate::correlate::Struck;
use crate::indicator::Sighted;
use crate::lowering::cut;
use crate::question::Question;
use crate::ruleset::RuleSet;

/// A hit of detection number `detection` on `event`.
pub(super) fn hit(rules: &RuleSet, detection: usize, event: &Event, matched: Vec<Matched>) -> Hit {
    let process = event.process.uid.as_deref().unwrap_or_default();
    // A process of unknown storyline is a storyline of its own.
    let storyline = event.process.storyline.as_deref().unwrap_or(process);
    Hit {
        detection: rules.hit_meta(detection).detection.clone(),
        event: event.id,
        time: event.time,
        process: process.to_owned(),
        storyline: storyline.to_owned(),
        matched,
        excepted: None,
    }
}

/// A hit of each indicator rule that one of `sightings` meets, with its number.
pub(super) fn sighted(rules: &RuleSet, event: &Event, sightings: &[Sighted]) -> Vec<(usize, Hit)> {
    let mut hits = Vec::new();
    for rule in &rules.indicators {
        let Question::Indicator(asked) = &rules.correlations[*rule].question else { continue };
        let met = sightings.iter().filter(|sighted| asked.means(sighted));
        let matched: Vec<Matched> = met
            .take(bounds::MATCHED_CLAUSES)
            .map(|sighted| Matched {
                field: sighted.field.clone(),
                value: cut(&sighted.value, bounds::MATCHED_VALUE_BYTES).to_owned(),
                clause: sighted.shown(),
            })
            .collect();
        if !matched.is_empty() {
            let detection = rules.filters.len() + rule;
            hits.push((detection, hit(rules, detection, event, matched)));
        }
    }
    hits
}

/// Why a rule struck: what was asked, then the detections that answered, each once.
pub(super) fn explain(rules: &RuleSet, rule: usize, struck: &Struck) -> Vec<Matched> {
    let correlation = &rules.correlations[rule];
    let millis = match (struck.hits.first(), struck.hits.last()) {
        (Some(first), Some(last)) => last.time.nanos_since(first.time) / 1_000_000,
        _ => 0,
    };
    let mut matched = vec![Matched {
        field: "correlation".to_owned(),
        value: format!("{} hits in {millis} ms", struck.hits.len()),
        clause: correlation.shown.clone(),
    }];
    if let (Question::FirstSeen(_), Some(value)) =
        (&correlation.question, struck.hits.last().and_then(|hit| hit.value(0)))
    {
        let value = value.replace('\u{1f}', " + ");
        let value = cut(&value, bounds::MATCHED_VALUE_BYTES).to_owned();
        matched.push(Matched { field: "value".to_owned(), value, clause: "first-seen".to_owned() });
    }
    for (reference, (layer, index)) in correlation.stands_on.iter().enumerate() {
        let count = struck.hits.iter().filter(|hit| hit.reference == reference).count();
        if count > 0 {
            let meta = match layer {
                Layer::Rule => &rules.rules[*index],
                _ => &rules.filters[*index],
            };
            matched.push(Matched {
                field: "hits".to_owned(),
                value: format!("{count} × {}", meta.detection.title),
                clause: format!("rules: {}", meta.detection.id),
            });
        }
    }
    matched
}
