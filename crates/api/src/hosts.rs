//! Host names by endpoint, and loss with host names.

use std::collections::HashMap;

use metsuke_event::{EndpointId, LossInterval};

use crate::App;
use crate::problem::Problem;
use crate::shape::Loss;

/// Loss intervals sent with one answer; the newest are kept.
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
        let mut loss = loss;
        loss.sort_by_key(|interval| std::cmp::Reverse(interval.to));
        loss.truncate(MAX_LOSS);
        loss.into_iter()
            .map(|interval| {
                let host = self.of(interval.endpoint);
                Loss::new(interval, host)
            })
            .collect()
    }
}

/// Loss of one endpoint, that of the store as a whole (endpoint zero) included.
pub(crate) fn loss_of(loss: Vec<LossInterval>, endpoint: EndpointId) -> Vec<LossInterval> {
    loss.into_iter()
        .filter(|interval| {
            interval.endpoint == endpoint || interval.endpoint == EndpointId::default()
        })
        .collect()
}
