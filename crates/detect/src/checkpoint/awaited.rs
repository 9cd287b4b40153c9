//! The part of a checkpoint that tells what is waited for.

use metsuke_event::EndpointId;
use metsuke_event::finding::{Hit, Matched};

use super::storylines::LEVELS;
use super::{Names, Restored, read_event, read_key, read_time, write_event, write_key, write_time};
use crate::awaited::{Awaited, Pending};
use crate::bounds;
use crate::codec::{Damaged, Reader, Writer};

pub(super) fn write(out: &mut Writer, awaited: &Awaited) {
    out.count(awaited.len());
    for ((endpoint, time, key), pending) in awaited.all() {
        out.number(endpoint.as_u128());
        write_time(out, *time);
        write_key(out, key);
        write_time(out, pending.since);
        let hit = &pending.hit;
        out.count(hit.detection.level as usize);
        write_event(out, &hit.event);
        out.text(&hit.process);
        out.text(&hit.storyline);
        out.count(hit.matched.len());
        for matched in &hit.matched {
            out.text(&matched.field);
            out.text(&matched.value);
            out.text(&matched.clause);
        }
        out.perhaps(hit.excepted.as_ref(), |out, id| out.text(id));
        out.count(pending.events.len());
        for event in &pending.events {
            write_event(out, event);
        }
        out.count(pending.withheld.len());
        for model in &pending.withheld {
            out.count(*model);
        }
    }
}

pub(super) fn read(
    input: &mut Reader<'_>,
    names: &Names<'_>,
    restored: &mut Restored,
) -> Result<Awaited, Damaged> {
    let mut awaited = Awaited::default();
    for _ in 0..input.count(bounds::AWAITED)? {
        let endpoint = EndpointId::from_u128(input.number()?);
        let time = read_time(input)?;
        let (number, tenant, parts) = read_key(input)?;
        let since = read_time(input)?;
        let level = *LEVELS.get(input.number::<usize>()?).ok_or(Damaged)?;
        let event = read_event(input)?;
        let (process, storyline) = (input.text()?, input.text()?);
        let mut matched = Vec::new();
        for _ in 0..input.count(bounds::MATCHED_CLAUSES)? {
            let (field, value, clause) = (input.text()?, input.text()?, input.text()?);
            matched.push(Matched { field, value, clause });
        }
        let excepted = input.perhaps(Reader::text)?;
        let events = input.count(bounds::HIGHLIGHT_EVENTS)?;
        let events = (0..events).map(|_| read_event(input)).collect::<Result<_, _>>()?;
        let mut withheld = Vec::new();
        for _ in 0..input.count(names.models.len())? {
            withheld.extend(*names.models.get(input.number::<usize>()?).ok_or(Damaged)?);
        }
        let Some((rule, _)) = names.rule(number)? else {
            restored.dropped += 1;
            continue;
        };
        restored.taken += 1;
        let mut detection = names.rules.rules[rule].detection.clone();
        detection.level = level;
        let hit = Hit { detection, event, time, process, storyline, matched, excepted };
        let pending = Pending { since, hit, events, withheld };
        awaited.arm((endpoint, time, (rule, tenant, parts)), pending);
    }
    Ok(awaited)
}
