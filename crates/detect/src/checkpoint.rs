//! State that survives a restart: an engine's windows, values, kinship and storylines as bytes.
//!
//! Layout, version 3: magic, version, then as [`crate::codec`] writes it the ids of detections and
//! models, the rules with their digests, windows, first-seen values, kinship, storylines, alerts that others may be
//! like, hosts of the fleet, what is waited for (each sorted
//! by key, so that equal state gives equal bytes), and eight bytes of digest over all of it.
//! Bounds are those of the state ([`crate::bounds`]); whatever exceeds them is damaged.

mod awaited;
mod fleet;
mod inherit;
mod storylines;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use metsuke_event::{BootId, EndpointId, EventId, TenantId, Timestamp};

use crate::bounds;
use crate::codec::{Damaged, Reader, Writer};
use crate::correlate::{Correlator, Key, Rule, Seen, Window};
use crate::engine::Engine;
use crate::first_seen::{Known, Learned};
use crate::kin::Kin;
use crate::question::Question;
use crate::ruleset::RuleSet;
use crate::yaml::{SEED, mix};

const MAGIC: &[u8] = b"MTKSTATE";
const VERSION: u16 = 3;
/// Detections of a rule set, as a bound on what a checkpoint may name.
const MOST_IDS: usize = 1_000_000;

/// What was taken from a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Windows, keys of first-seen rules, processes, and hits of storylines that were taken.
    pub taken: u64,
    /// Those that were not, because their detection is gone or has changed.
    pub dropped: u64,
}

/// Why a checkpoint cannot be restored. An engine without state is then the way to go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It is something else.
    #[error("these bytes are no checkpoint of an engine; give those of `Engine::checkpoint`")]
    Foreign,
    /// It was written by another version of the program.
    #[error("this checkpoint has version {0}, and {VERSION} can be read; begin without state")]
    Version(u16),
    /// It was cut or changed.
    #[error("this checkpoint is damaged; begin without state, or restore an older one")]
    Damaged,
}

impl From<Damaged> for RestoreError {
    fn from(_: Damaged) -> Self {
        Self::Damaged
    }
}

impl Engine {
    /// The state as bytes; equal state gives equal bytes. Counters are not part of it.
    pub fn checkpoint(&self) -> Vec<u8> {
        let rules = self.rules();
        let mut out = Writer(MAGIC.to_vec());
        out.0.extend_from_slice(&VERSION.to_be_bytes());
        out.texts(ids(rules).collect::<Vec<_>>().into_iter());
        out.texts(rules.models.iter().map(|meta| &meta.detection.id));
        out.count(rules.correlations.len());
        for rule in &rules.correlations {
            out.number(u128::from(rule.digest));
        }
        write_windows(&mut out, &self.correlator.windows);
        write_learned(&mut out, &self.correlator.learned);
        out.count(self.kin.entries().len());
        for (child, parent) in self.kin.entries() {
            out.text(child);
            out.text(parent);
        }
        storylines::write(&mut out, &self.weigher);
        fleet::write(&mut out, &self.fleet);
        awaited::write(&mut out, &self.awaited);
        let digest = mix(SEED, &out.0);
        out.0.extend_from_slice(&digest.to_be_bytes());
        out.0
    }

    /// An engine that goes on where the one that wrote `bytes` was. State of detections that are
    /// gone, and of rules that now say something else, is left and counted.
    ///
    /// # Errors
    /// When the bytes are no checkpoint, of another version, or damaged.
    pub fn restore(rules: &Arc<RuleSet>, bytes: &[u8]) -> Result<(Self, Restored), RestoreError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(RestoreError::Foreign)?;
        let (version, rest) = rest.split_at_checked(2).ok_or(RestoreError::Damaged)?;
        let version = u16::from_be_bytes([version[0], version[1]]);
        if version != VERSION {
            return Err(RestoreError::Version(version));
        }
        let length = rest.len().checked_sub(8).ok_or(RestoreError::Damaged)?;
        let (rest, digest) = rest.split_at(length);
        if mix(SEED, &bytes[..bytes.len() - 8]).to_be_bytes() != *digest {
            return Err(RestoreError::Damaged);
        }
        let mut input = Reader(rest);
        let names = Names::read(&mut input, rules)?;
        let mut engine = Self::new(Arc::clone(rules));
        let mut restored = Restored::default();
        engine.correlator = Correlator {
            windows: read_windows(&mut input, &names, &mut restored)?,
            learned: read_learned(&mut input, &names, &mut restored)?,
            ..Correlator::default()
        };
        engine.kin = read_kin(&mut input, names.rules, &mut restored)?;
        engine.weigher = storylines::read(&mut input, &names, &mut restored)?;
        engine.fleet = fleet::read(&mut input, &names, &mut restored)?;
        engine.awaited = awaited::read(&mut input, &names, &mut restored)?;
        if input.0.is_empty() { Ok((engine, restored)) } else { Err(RestoreError::Damaged) }
    }
}

/// Ids of filters, then of rules.
fn ids(rules: &RuleSet) -> impl Iterator<Item = &String> {
    rules.filters.iter().chain(&rules.rules).map(|meta| &meta.detection.id)
}

/// What the numbers of a checkpoint mean in the rule set at hand.
struct Names<'r> {
    rules: &'r RuleSet,
    /// Filters and rules.
    detections: Vec<Option<usize>>,
    models: Vec<Option<usize>>,
    /// Rules that say the same as they did.
    same: Vec<Option<usize>>,
}

impl<'r> Names<'r> {
    fn read(input: &mut Reader<'_>, rules: &'r RuleSet) -> Result<Self, Damaged> {
        let detections = input.texts(MOST_IDS)?;
        let models = input.texts(MOST_IDS)?;
        let count = input.count(detections.len())?;
        let digests = (0..count).map(|_| input.number()).collect::<Result<Vec<u64>, _>>()?;
        Ok(Self::of(rules, &detections, &models, &digests))
    }

    /// Of what was written for the rules `digests`, which are the last of `detections`.
    fn of(rules: &'r RuleSet, detections: &[String], models: &[String], digests: &[u64]) -> Self {
        let known: HashMap<&String, usize> = ids(rules).zip(0..).collect();
        let written = detections;
        let detections: Vec<_> = written.iter().map(|id| known.get(id).copied()).collect();
        let known = rules.models.iter().map(|meta| &meta.detection.id).zip(0..);
        let known: HashMap<&String, usize> = known.collect();
        let models = models.iter().map(|id| known.get(id).copied()).collect();
        let first = written.len().saturating_sub(digests.len());
        let says_the_same = |(written, digest): (&Option<usize>, &u64)| {
            let rule = written.and_then(|index| index.checked_sub(rules.filters.len()))?;
            (rules.correlations[rule].digest == *digest).then_some(rule)
        };
        let same = detections[first..].iter().zip(digests).map(says_the_same).collect();
        Self { rules, detections, models, same }
    }

    /// The rule, when it is still there and says the same.
    fn rule(&self, number: usize) -> Result<Option<(usize, &'r Rule)>, Damaged> {
        let index = self.same.get(number).ok_or(Damaged)?;
        Ok(index.map(|index| (index, &self.rules.correlations[index])))
    }
}

fn write_key(out: &mut Writer, (rule, tenant, parts): &Key) {
    out.count(*rule);
    out.number(u128::from(*tenant));
    out.texts(parts.iter());
}

fn read_key(input: &mut Reader<'_>) -> Result<Key, Damaged> {
    Ok((input.number()?, input.number()?, input.texts(bounds::YAML_NODES)?))
}

fn write_event(out: &mut Writer, event: &EventId) {
    out.number(u128::from(event.tenant.0));
    out.number(event.endpoint.as_u128());
    out.number(event.boot.as_u128());
    out.number(u128::from(event.seq));
}

fn read_event(input: &mut Reader<'_>) -> Result<EventId, Damaged> {
    Ok(EventId {
        tenant: TenantId(input.number()?),
        endpoint: EndpointId::from_u128(input.number()?),
        boot: BootId::from_u128(input.number()?),
        seq: input.number()?,
    })
}

fn write_time(out: &mut Writer, time: Timestamp) {
    out.signed(time.as_nanos());
}

fn read_time(input: &mut Reader<'_>) -> Result<Timestamp, Damaged> {
    input.signed().map(Timestamp::from_nanos)
}

fn write_windows(out: &mut Writer, windows: &HashMap<Key, Window>) {
    let mut sorted: Vec<_> = windows.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    out.count(sorted.len());
    for (key, window) in sorted {
        write_key(out, key);
        out.perhaps(window.struck, write_time);
        write_time(out, window.newest);
        out.count(window.hits.len());
        for hit in &window.hits {
            write_time(out, hit.time);
            write_event(out, &hit.event);
            out.count(hit.reference);
            out.count(hit.values.len());
            for value in &hit.values {
                out.perhaps(value.as_ref(), |out, value| out.text(value));
            }
            out.texts(hit.line.iter());
        }
    }
}

fn read_windows(
    input: &mut Reader<'_>,
    names: &Names<'_>,
    restored: &mut Restored,
) -> Result<HashMap<Key, Window>, Damaged> {
    let mut windows = HashMap::new();
    for _ in 0..input.count(bounds::CORRELATION_KEYS)? {
        let (number, tenant, parts) = read_key(input)?;
        let struck = input.perhaps(read_time)?;
        let newest = read_time(input)?;
        let count = input.count(bounds::CORRELATION_HITS)?;
        let hits = (0..count).map(|_| read_seen(input)).collect::<Result<VecDeque<Seen>, _>>()?;
        let Some((index, rule)) = names.rule(number)? else {
            restored.dropped += 1;
            continue;
        };
        let fits =
            |hit: &Seen| hit.reference < rule.references && hit.values.len() == rule.measures.len();
        if !hits.iter().all(fits) {
            return Err(Damaged);
        }
        restored.taken += 1;
        windows.insert((index, tenant, parts), Window { hits, struck, newest });
    }
    Ok(windows)
}

fn read_seen(input: &mut Reader<'_>) -> Result<Seen, Damaged> {
    let time = read_time(input)?;
    let event = read_event(input)?;
    let reference = input.number()?;
    let count = input.count(bounds::VALUE_FIELDS)?;
    let values = (0..count).map(|_| input.perhaps(Reader::text)).collect::<Result<_, _>>()?;
    Ok(Seen { time, event, reference, values, line: input.texts(bounds::KIN_DEPTH)? })
}

fn write_learned(out: &mut Writer, learned: &Learned) {
    let mut sorted: Vec<_> = learned.keys.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    out.count(sorted.len());
    for (key, known) in sorted {
        write_key(out, key);
        write_time(out, known.since);
        let mut values: Vec<_> = known.values.iter().collect();
        values.sort_unstable();
        out.count(values.len());
        for (value, last) in values {
            out.number(u128::from(*value));
            write_time(out, *last);
        }
    }
}

fn read_learned(
    input: &mut Reader<'_>,
    names: &Names<'_>,
    restored: &mut Restored,
) -> Result<Learned, Damaged> {
    let mut learned = Learned::default();
    for _ in 0..input.count(bounds::FIRST_SEEN_VALUES)? {
        let (number, tenant, parts) = read_key(input)?;
        let since = read_time(input)?;
        let mut values = HashMap::new();
        for _ in 0..input.count(bounds::FIRST_SEEN_VALUES)? {
            values.insert(input.number()?, read_time(input)?);
        }
        let rule = names.rule(number)?;
        let Some((index, Question::FirstSeen(asked))) =
            rule.map(|(index, rule)| (index, &rule.question))
        else {
            restored.dropped += 1;
            continue;
        };
        restored.taken += 1;
        learned.values += values.len();
        let known = Known { since, within_nanos: asked.within_nanos, values };
        learned.keys.insert((index, tenant, parts), known);
    }
    if learned.values > bounds::FIRST_SEEN_VALUES { Err(Damaged) } else { Ok(learned) }
}

fn read_kin(
    input: &mut Reader<'_>,
    rules: &RuleSet,
    restored: &mut Restored,
) -> Result<Kin, Damaged> {
    let mut kin = Kin::default();
    for _ in 0..input.count(bounds::KIN)? {
        let (child, parent) = (input.text()?, input.text()?);
        if rules.asks_kinship {
            kin.add(&child.into(), &parent.into());
            restored.taken += 1;
        } else {
            restored.dropped += 1;
        }
    }
    Ok(kin)
}
