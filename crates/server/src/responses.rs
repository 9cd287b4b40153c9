//! The control plane as the API's responses.

use async_trait::async_trait;
use metsuke_api::ports::{Action, ResponseError, ResponseOrder, Responses};
use metsuke_catalog::PlanRecord;
use metsuke_control::{Control, Order, OrderError, Target};
use metsuke_event::id::PlanId;
use metsuke_respond::Scope;

/// The control plane behind the API's trait.
#[derive(Clone, Debug)]
pub(crate) struct ControlResponses(pub(crate) Control);

fn error(error: OrderError) -> ResponseError {
    match error {
        OrderError::UnknownEndpoint => ResponseError::NotFound("endpoint"),
        OrderError::UnknownPlan => ResponseError::NotFound("plan"),
        OrderError::Plan(error) => ResponseError::Invalid(error.to_string()),
        OrderError::State(why) => ResponseError::Conflict(why),
        error @ (OrderError::Corrupt(_) | OrderError::Catalog(_)) => {
            ResponseError::Failed(Box::new(error))
        }
    }
}

#[async_trait]
impl Responses for ControlResponses {
    async fn order(&self, order: ResponseOrder) -> Result<PlanRecord, ResponseError> {
        let target = match order.action {
            Action::TerminateProcess(process) => {
                Target::Terminate { process, scope: Scope::Process }
            }
            Action::TerminateStoryline(process) => {
                Target::Terminate { process, scope: Scope::Storyline }
            }
            Action::Poc => Target::Poc,
            Action::PocCleanup(poc) => Target::PocCleanup { poc },
            Action::Take(verb) => Target::Take(verb),
        };
        let order = Order {
            target,
            endpoint: order.endpoint,
            reason: order.reason,
            actor: order.actor,
            alert: order.alert,
            ttl_s: order.ttl_s,
        };
        self.0.order(order).await.map_err(error)
    }

    async fn cancel(&self, id: PlanId, actor: &str) -> Result<PlanRecord, ResponseError> {
        self.0.cancel(id, actor).await.map_err(error)
    }
}
