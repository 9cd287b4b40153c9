//! The OpenAPI document, made from the same handlers that answer.
//!
//! Invariant: in every shape the server sends, every property is required (and `null` when
//! unknown), so clients never ask "missing or null?". Requests and queries keep optional ones.
//! Invariant: every operation that changes something names 507 `disk_full`; no handler has to.

use utoipa::openapi::schema::Schema;
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder,
};
use utoipa_axum::router::OpenApiRouter;

use crate::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(crate::session::routes())
        .merge(crate::tokens::routes())
        .merge(crate::overview::routes())
        .merge(crate::status::routes())
        .merge(crate::alerts::routes())
        .merge(crate::incidents::routes())
        .merge(crate::tree::routes())
        .merge(crate::endpoints::routes())
        .merge(crate::health::routes())
        .merge(crate::inventory::routes())
        .merge(crate::search::routes())
        .merge(crate::techniques::routes())
        .merge(crate::detections::routes())
        .merge(crate::groups::routes())
        .merge(crate::indicators::routes())
        .merge(crate::exceptions::routes())
        .merge(crate::backtests::routes())
        .merge(crate::responses::routes())
        .merge(crate::recordings::routes())
        .merge(crate::artifacts::routes())
        .merge(crate::audit::routes())
        .merge(crate::enrolment::routes())
        .merge(crate::uninstall::routes())
        .merge(crate::users::routes())
        .merge(crate::stream::routes())
}

/// The document, as it is committed under `openapi/openapi.json`.
pub fn document() -> OpenApi {
    let base = OpenApiBuilder::new()
        .info(InfoBuilder::new().title("Metsuke").version(env!("CARGO_PKG_VERSION")).description(
            Some(
                "Endpoint detection and response. Errors are application/problem+json with a \
                     stable code; times are RFC 3339; lists page by cursor.",
            ),
        ))
        .build();
    let (_, mut document) = OpenApiRouter::with_openapi(base).merge(routes()).split_for_parts();
    if let Some(components) = document.components.as_mut() {
        for (name, schema) in &mut components.schemas {
            let sent = !(name.ends_with("Request") || name.ends_with("Patch"));
            if let (true, RefOr::T(schema)) = (sent, schema) {
                require_all(schema);
            }
        }
    }
    for path in document.paths.paths.values_mut() {
        let writes = [&mut path.post, &mut path.put, &mut path.patch, &mut path.delete];
        for operation in writes.into_iter().flatten() {
            let full = ResponseBuilder::new()
                .description("`disk_full`: nothing can be changed until there is room")
                .content(
                    "application/json",
                    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build(),
                );
            operation.responses.responses.insert("507".to_owned(), RefOr::T(full.build()));
        }
    }
    document
}

fn require_all(schema: &mut Schema) {
    match schema {
        Schema::Object(object) => object.required = object.properties.keys().cloned().collect(),
        Schema::AllOf(all) => {
            for part in &mut all.items {
                if let RefOr::T(part) = part {
                    require_all(part);
                }
            }
        }
        _ => {}
    }
}
