//! Asks the lake how common values are that alerts of several hosts share, for incidents.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use metsuke_catalog::clock::now;
use metsuke_catalog::{Catalog, Spread};
use metsuke_event::field::{by_name, meta};
use metsuke_event::{EndpointId, Timestamp, Value};
use metsuke_hunt::{Pattern, Predicate, Query, Test};
use metsuke_incident::{Question, ReasonKind};
use metsuke_lake::{Lake, SearchRequest, TimeRange};
use tokio_util::sync::CancellationToken;

/// Between two looks for something to ask: an incident is as it should be that soon.
const EVERY: Duration = Duration::from_secs(5);
/// Values asked for in one look; each costs two look-ups of some ten milliseconds.
const AT_ONCE: usize = 50;

/// How long a question that the lake could not answer waits, so that others come first.
const AGAIN: Duration = Duration::from_secs(60);

/// Asks until `stop`. What the lake cannot answer now is asked again.
pub(crate) async fn until(catalog: Catalog, lake: Lake, stop: CancellationToken) {
    let mut failed = Failed::default();
    while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        let asked = stop.run_until_cancelled(ask(&catalog, &lake, &mut failed)).await;
        if let Some(Err(error)) = asked {
            tracing::warn!("how common values are is not known, incidents may be apart: {error:#}");
        }
    }
}

/// Questions that were not answered, with when they are asked again.
#[derive(Debug, Default)]
pub(crate) struct Failed(BTreeMap<Question, Instant>);

impl Failed {
    /// Whether `question` waits.
    fn waits(&self, question: &Question) -> bool {
        self.0.contains_key(question)
    }

    /// Lets those go whose time has come.
    fn release(&mut self, now: Instant) {
        self.0.retain(|_, again| *again > now);
    }
}

/// Asks what there is to ask now; returns how much was answered.
///
/// # Errors
/// The first, after all others were asked.
pub(crate) async fn ask(catalog: &Catalog, lake: &Lake, failed: &mut Failed) -> Result<usize> {
    failed.release(Instant::now());
    let mut wanted = catalog.reach_wanted(now(), AT_ONCE + failed.0.len()).await?;
    wanted.retain(|question| !failed.waits(question));
    let mut answers = Vec::new();
    let mut error = None;
    for question in wanted.into_iter().take(AT_ONCE) {
        match spread(lake, &question).await {
            Ok(spread) => answers.push((question, spread)),
            Err(first) => {
                failed.0.insert(question, Instant::now() + AGAIN);
                error.get_or_insert(first);
            }
        }
    }
    let count = answers.len();
    catalog.note_reach(now(), answers).await?;
    error.map_or(Ok(count), Err)
}

async fn spread(lake: &Lake, question: &Question) -> Result<Spread> {
    let had = predicate(question);
    Ok(Spread {
        before: endpoints(lake, &had, question.before()).await?,
        during: endpoints(lake, &had, question.spread()).await?,
    })
}

/// The endpoints on which something fulfils `had`; as many as the lake names, which are enough to know
/// that it is common.
async fn endpoints(
    lake: &Lake,
    had: &Predicate,
    (from, to): (Timestamp, Timestamp),
) -> Result<BTreeSet<EndpointId>> {
    let request = SearchRequest {
        range: TimeRange { from, to },
        limit: 0,
        facets: vec![meta::ENDPOINT],
        ..SearchRequest::new(Query::from_predicate(had.clone()))
    };
    let answer = lake.search(request).await.context("the lake did not answer")?;
    let named = answer.facets.into_iter().flat_map(|facet| facet.values);
    Ok(named.filter_map(|one| one.value.parse().ok()).collect())
}

/// What every activity fulfils that has the value, in the fields that observables are read from.
fn predicate(question: &Question) -> Predicate {
    let value = question.value.as_str();
    let exact = || Test::Equals(Value::Text(value.into()));
    let (fields, test): (&[&str], Test) = match question.kind {
        ReasonKind::Hash => (&["process.file.hash.sha256", "file.hash.sha256"], exact()),
        ReasonKind::Domain => (&["query.hostname", "dst_endpoint.hostname"], exact()),
        ReasonKind::Address => {
            let address = value.parse().map_or_else(|_| exact(), |ip| Test::Equals(Value::Ip(ip)));
            (&["dst_endpoint.ip", "src_endpoint.ip", "logon.src_ip"], address)
        }
        // Accounts are written in upper and lower case.
        _ => (&["process.user.name"], Pattern::whole(value).map_or_else(exact, Test::Like)),
    };
    let tests = fields.iter().filter_map(|name| by_name(name));
    Predicate::Or(tests.map(|spec| Predicate::Field(spec.id, test.clone())).collect())
}

#[cfg(test)]
mod tests;
