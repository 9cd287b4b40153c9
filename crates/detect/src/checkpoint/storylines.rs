//! The part of a checkpoint that models have: storylines with their highlights.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use metsuke_event::finding::{Highlight, Level, Matched};
use metsuke_event::{AlertId, EndpointId, TenantId};

use super::{Names, Restored, read_event, read_time, write_event, write_time};
use crate::bounds;
use crate::codec::{Damaged, Reader, Writer};
use crate::weigh::{Held, Like, Raised, Standing, Storyline, Suppressed, Weigher};

/// Levels by their number.
pub(super) const LEVELS: [Level; 5] =
    [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];

pub(super) fn write(out: &mut Writer, weigher: &Weigher) {
    let mut sorted: Vec<_> = weigher.storylines.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    out.count(sorted.len());
    for ((tenant, endpoint, name), storyline) in sorted {
        out.number(u128::from(tenant.0));
        out.number(endpoint.as_u128());
        out.text(name);
        write_time(out, storyline.newest);
        out.count(storyline.standing.len());
        for alert in &storyline.standing {
            out.number(alert.id.as_u128());
            out.number(u128::from(alert.revision));
            out.count(alert.models.len());
            for model in &alert.models {
                out.count(*model);
            }
        }
        out.count(storyline.stands_for.len());
        for (model, more) in &storyline.stands_for {
            out.count(*model);
            out.number(u128::from(*more));
        }
        out.count(storyline.suppressed.len());
        for model in &storyline.suppressed {
            out.count(*model);
        }
        out.count(storyline.held.len());
        for held in &storyline.held {
            write_held(out, held);
        }
    }
    let mut sorted: Vec<_> = weigher.suppressed.raised.iter().collect();
    sorted.sort_by_key(|(like, _)| *like);
    out.count(sorted.len());
    for ((tenant, endpoint, model, digest), raised) in sorted {
        out.number(u128::from(tenant.0));
        out.number(endpoint.as_u128());
        out.count(*model);
        out.number(u128::from(*digest));
        write_time(out, raised.time);
        out.text(&raised.storyline);
    }
}

fn write_held(out: &mut Writer, held: &Held) {
    let highlight = &held.highlight;
    out.count(held.detection);
    out.count(highlight.detection.level as usize);
    out.count(held.withheld.len());
    for model in &held.withheld {
        out.count(*model);
    }
    for time in [held.first, held.newest, held.last] {
        write_time(out, time);
    }
    write_time(out, highlight.time);
    out.text(&highlight.process);
    out.number(u128::from(highlight.count));
    out.count(highlight.events.len());
    for event in &highlight.events {
        write_event(out, event);
    }
    out.count(highlight.matched.len());
    for matched in &highlight.matched {
        out.text(&matched.field);
        out.text(&matched.value);
        out.text(&matched.clause);
    }
}

pub(super) fn read(
    input: &mut Reader<'_>,
    names: &Names<'_>,
    restored: &mut Restored,
) -> Result<Weigher, Damaged> {
    let mut storylines = HashMap::new();
    for _ in 0..input.count(bounds::STORYLINES)? {
        let tenant = TenantId(input.number()?);
        let key = (tenant, EndpointId::from_u128(input.number()?), input.text()?);
        let newest = read_time(input)?;
        let standing = read_standing(input, names)?;
        let stands_for = read_models(input, names)?;
        let mut suppressed = BTreeSet::new();
        for _ in 0..input.count(names.models.len())? {
            suppressed.extend(*names.models.get(input.number::<usize>()?).ok_or(Damaged)?);
        }
        let mut held = Vec::new();
        for _ in 0..input.count(bounds::HIGHLIGHTS)? {
            match read_held(input, names)? {
                Some(one) => held.push(one),
                None => restored.dropped += 1,
            }
        }
        restored.taken += held.len() as u64;
        let storyline = Storyline { held, standing, stands_for, suppressed, newest };
        storylines.insert(key, storyline);
    }
    let raised = read_raised(input, names)?;
    let suppressed = Suppressed { raised, ..Suppressed::default() };
    Ok(Weigher { storylines, suppressed, ..Weigher::default() })
}

/// Alerts; those none of whose models is there any more are left.
fn read_standing(input: &mut Reader<'_>, names: &Names<'_>) -> Result<Vec<Standing>, Damaged> {
    let mut found = Vec::new();
    for _ in 0..input.count(names.models.len())? {
        let id = AlertId::from_u128(input.number()?);
        let revision = input.number()?;
        let mut models = BTreeSet::new();
        for _ in 0..input.count(names.models.len())? {
            models.extend(*names.models.get(input.number::<usize>()?).ok_or(Damaged)?);
        }
        if !models.is_empty() {
            found.push(Standing { id, revision, models });
        }
    }
    Ok(found)
}

/// Numbers of models; those of models that are gone are left.
fn read_models(input: &mut Reader<'_>, names: &Names<'_>) -> Result<BTreeMap<usize, u32>, Damaged> {
    let mut found = BTreeMap::new();
    for _ in 0..input.count(names.models.len())? {
        let model = *names.models.get(input.number::<usize>()?).ok_or(Damaged)?;
        let number = input.number()?;
        found.extend(model.map(|model| (model, number)));
    }
    Ok(found)
}

fn read_raised(
    input: &mut Reader<'_>,
    names: &Names<'_>,
) -> Result<HashMap<Like, Raised>, Damaged> {
    let mut found = HashMap::new();
    for _ in 0..input.count(bounds::RAISED)? {
        let (tenant, endpoint) = (TenantId(input.number()?), input.number()?);
        let model = *names.models.get(input.number::<usize>()?).ok_or(Damaged)?;
        let digest = input.number()?;
        let raised = Raised { time: read_time(input)?, storyline: input.text()? };
        let like = model.map(|model| (tenant, EndpointId::from_u128(endpoint), model, digest));
        found.extend(like.map(|like| (like, raised)));
    }
    Ok(found)
}

/// One highlight; nothing when its detection is gone.
fn read_held(input: &mut Reader<'_>, names: &Names<'_>) -> Result<Option<Held>, Damaged> {
    let detection = *names.detections.get(input.number::<usize>()?).ok_or(Damaged)?;
    let level = *LEVELS.get(input.number::<usize>()?).ok_or(Damaged)?;
    let mut withheld = Vec::new();
    for _ in 0..input.count(names.models.len())? {
        withheld.extend(*names.models.get(input.number::<usize>()?).ok_or(Damaged)?);
    }
    withheld.sort_unstable();
    let [first, newest, last] = [read_time(input)?, read_time(input)?, read_time(input)?];
    let time = read_time(input)?;
    let process = input.text()?;
    let count = input.number()?;
    let events = input.count(bounds::HIGHLIGHT_EVENTS)?;
    let events = (0..events).map(|_| read_event(input)).collect::<Result<_, _>>()?;
    let mut matched = Vec::new();
    for _ in 0..input.count(bounds::MATCHED_CLAUSES)? {
        let (field, value, clause) = (input.text()?, input.text()?, input.text()?);
        matched.push(Matched { field, value, clause });
    }
    Ok(detection.map(|detection| {
        let mut meta = names.rules.hit_meta(detection).detection.clone();
        meta.level = level;
        let highlight = Highlight { detection: meta, events, time, process, matched, count };
        Held { detection, withheld, highlight, first, newest, last }
    }))
}
