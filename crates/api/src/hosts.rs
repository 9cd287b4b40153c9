//! Host names by endpoint, and loss with host names.

use std::collections::HashMap;

use metsuke_event::{EndpointId, LossInterval};

use crate::App;
use crate::problem::Problem;
use crate::shape::Loss;

/// Loss intervals sent with one answer. Beyond it the newest stay as they are and the others become
/// one, which covers them all: a widened interval is honest, a forgotten one is not.
const MAX_LOSS: usize = 500;

/// Host names by endpoint.
pub(crate) struct Hosts(HashMap<EndpointId, String>);

impl Hosts {
    pub(crate) async fn load(app: &App) -> Result<Self, Problem> {
        let endpoints = app.catalog.endpoints().await?;
        Ok(Self(endpoints.into_iter().map(|endpoint| (endpoint.id, endpoint.host)).collect()))
    }

    pub(crate) fn of(&self, endpoint: EndpointId) -> Option<String> {
        self.0.get(&endpoint).cloned()
    }

    pub(crate) fn loss(&self, loss: Vec<LossInterval>) -> Vec<Loss> {
        bounded(loss)
            .into_iter()
            .map(|interval| {
                let host = self.of(interval.endpoint);
                Loss::new(interval, host)
            })
            .collect()
    }
}

/// At most `MAX_LOSS` intervals, the newest first, which cover every instant of `loss`. One that
/// stands for several endpoints has endpoint zero, and says so in its reason.
fn bounded(mut loss: Vec<LossInterval>) -> Vec<LossInterval> {
    loss.sort_by_key(|interval| std::cmp::Reverse(interval.to));
    if loss.len() <= MAX_LOSS {
        return loss;
    }
    let rest = loss.split_off(MAX_LOSS - 1);
    let count = rest.len();
    let several = rest.windows(2).any(|pair| pair[0].endpoint != pair[1].endpoint);
    let joined = rest.into_iter().reduce(|mut whole, other| {
        whole.from = whole.from.min(other.from);
        whole.to = whole.to.max(other.to);
        whole.lost = whole.lost.zip(other.lost).map(|(one, more)| one.saturating_add(more));
        if whole.endpoint != other.endpoint {
            whole.endpoint = EndpointId::default();
        }
        if whole.part != other.part {
            "several".clone_into(&mut whole.part);
        }
        if whole.reason != other.reason {
            "several".clone_into(&mut whole.reason);
        }
        whole
    });
    // Endpoint zero is the store as a whole otherwise.
    let of = if several { " of several endpoints" } else { "" };
    loss.extend(joined.map(|mut whole| {
        whole.reason = format!("{} ({count} intervals{of} joined)", whole.reason);
        whole
    }));
    loss
}

/// Loss of one endpoint, that of the store as a whole (endpoint zero) included.
pub(crate) fn loss_of(loss: Vec<LossInterval>, endpoint: EndpointId) -> Vec<LossInterval> {
    loss.into_iter()
        .filter(|interval| {
            interval.endpoint == endpoint || interval.endpoint == EndpointId::default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use metsuke_event::{EndpointId, LossInterval, Timestamp};

    use super::{MAX_LOSS, bounded};

    fn interval(second: i64, reason: &str) -> LossInterval {
        LossInterval {
            endpoint: EndpointId::default(),
            from: Timestamp::from_nanos(second * 1_000_000_000),
            to: Timestamp::from_nanos(second * 1_000_000_000 + 10),
            part: "spool".to_owned(),
            reason: reason.to_owned(),
            lost: Some(2),
        }
    }

    #[test]
    fn more_intervals_than_an_answer_holds_are_joined_not_forgotten() {
        let count = MAX_LOSS + 7;
        let told: Vec<_> = (0..count)
            .map(|second| interval(i64::try_from(second).unwrap(), "queue_full"))
            .collect();
        let shown = bounded(told.clone());
        assert_eq!(shown.len(), MAX_LOSS);
        assert!(
            told.iter().all(|one| {
                shown.iter().any(|other| other.from <= one.from && one.to <= other.to)
            })
        );
        let last = shown.last().unwrap();
        assert_eq!(last.reason, "queue_full (8 intervals joined)");
        assert_eq!(last.lost, Some(16));
        let mut two = told.clone();
        two[0].endpoint = EndpointId::from_u128(7);
        let joined = bounded(two).pop().unwrap();
        assert_eq!(joined.reason, "queue_full (8 intervals of several endpoints joined)");
        assert_eq!(joined.endpoint, EndpointId::default());
        assert_eq!(bounded(told[..MAX_LOSS].to_vec()).len(), MAX_LOSS);
        assert_eq!(bounded(told[..MAX_LOSS].to_vec())[0], told[MAX_LOSS - 1]);
    }
}
