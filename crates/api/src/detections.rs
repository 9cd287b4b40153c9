//! The detections in force, and the documents that were refused with the reason.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::problem::Problem;
use crate::shape::DetectionRef;

/// One detection with its page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Detection {
    /// Identity and class.
    #[serde(flatten)]
    pub detection: DetectionRef,
    /// Its page, as markdown; empty when it has none.
    pub page: String,
}

/// A document that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedDocument {
    /// Where it stands.
    pub path: String,
    /// Why, and where in it.
    pub reason: String,
}

/// The detections in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DetectionList {
    /// In force.
    pub items: Vec<Detection>,
    /// Refused.
    pub refused: Vec<RefusedDocument>,
}

/// The detections in force on the server.
#[utoipa::path(get, path = "/api/v1/detections", operation_id = "list_detections", tag = "detections",
    responses((status = 200, body = DetectionList), (status = 401, body = Problem)))]
async fn list_detections(State(app): State<App>, _account: Account) -> Json<DetectionList> {
    Json(app.facts.detections.clone())
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_detections))
}
