//! Taking over documents of others: as a list, or as a zip of a collection.

use std::io::{Cursor, Read};
use std::path::Path;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use metsuke_control::library::{DOCUMENT_MAX, Import, Imported, Intent, Left, Taken};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zip::ZipArchive;

use super::problems;
use super::shape::TextProblem;
use crate::App;
use crate::auth::Admin;
use crate::body::{Body, Params};
use crate::problem::Problem;
use crate::shape::DetectionRef;

/// Largest body: the public Sigma rules take 12 MiB, and 3 as a zip.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
/// Most documents of one import; the public Sigma rules are under 4,000.
const MAX_DOCUMENTS: usize = 20_000;
/// Most entries of a zip that are looked at: collections carry other files too.
const MAX_ENTRIES: usize = 100_000;
/// Most bytes of documents taken out of a zip.
const MAX_UNPACKED_BYTES: usize = 64 * 1024 * 1024;
/// Longest path, author or licence, in bytes.
const MAX_NAME_BYTES: usize = 500;

/// A document of others.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ImportDocument {
    /// Where it stands in its collection.
    pub path: String,
    /// Its text, YAML.
    pub text: String,
}

/// Imports documents of others.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ImportRequest {
    /// The documents.
    pub documents: Vec<ImportDocument>,
    /// Who wrote those whose text does not say.
    pub author: Option<String>,
    /// Under which licence those are given whose text does not say.
    pub licence: Option<String>,
    /// Only say what would come of it.
    #[serde(default)]
    pub preview: bool,
}

/// How to import a zip.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Who wrote documents whose text does not say.
    pub author: Option<String>,
    /// Under which licence documents are given whose text does not say.
    pub licence: Option<String>,
    /// Only say what would come of it.
    pub preview: Option<bool>,
}

/// A document that is taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportTaken {
    /// Where it stands in its collection.
    pub path: String,
    /// Its id.
    pub id: String,
    /// The detection it holds; null of a document that only changes others.
    pub detection: Option<DetectionRef>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Under which licence.
    pub licence: Option<String>,
    /// Whether it takes the place of one that was imported before.
    pub replaces: bool,
}

/// A document that is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportRefusal {
    /// Where it stands in its collection.
    pub path: String,
    /// Why, and where in it.
    pub problem: TextProblem,
}

/// What came of an import, or would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportAnswer {
    /// Whether it was only a preview.
    pub preview: bool,
    /// Taken over.
    pub taken: Vec<ImportTaken>,
    /// Left out.
    pub refused: Vec<ImportRefusal>,
}

/// Imports documents of others, as a list; with `preview` it says what that would do. What does not
/// compile, or has the id of another's detection, is left out and named with the reason and place.
#[utoipa::path(post, path = "/api/v1/detections/import", operation_id = "import_detections", tag = "detections",
    request_body = ImportRequest,
    responses((status = 200, body = ImportAnswer), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 503, body = Problem)))]
async fn import_detections(
    State(app): State<App>,
    Admin(account): Admin,
    Body(request): Body<ImportRequest>,
) -> Result<Json<ImportAnswer>, Problem> {
    let documents = request.documents.into_iter().map(|one| (one.path, one.text)).collect();
    let defaults = (request.author, request.licence);
    import(&app, account.name(), documents, (defaults, request.preview)).await
}

/// The same for a zip: its `.yml` and `.yaml` files are the documents.
#[utoipa::path(post, path = "/api/v1/detections/import/zip", operation_id = "import_detections_zip", tag = "detections",
    params(ImportQuery), request_body(content = Vec<u8>, content_type = "application/zip"),
    responses((status = 200, body = ImportAnswer), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 413, body = Problem), (status = 503, body = Problem)))]
async fn import_detections_zip(
    State(app): State<App>,
    Admin(account): Admin,
    Params(query): Params<ImportQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ImportAnswer>, Problem> {
    let body = body.map_err(|rejection| match rejection.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(status, "too_large", format!("a zip has at most {MAX_BODY_BYTES} bytes"))
        }
        _ => Problem::invalid(rejection.body_text()),
    })?;
    let unpacked = tokio::task::spawn_blocking(move || unpacked(&body)).await;
    let documents = unpacked.map_err(|error| Problem::internal("reading a zip", &error))??;
    let preview = query.preview.unwrap_or_default();
    import(&app, account.name(), documents, ((query.author, query.licence), preview)).await
}

type Defaults = (Option<String>, Option<String>);

async fn import(
    app: &App,
    actor: &str,
    documents: Vec<(String, String)>,
    ((author, licence), preview): (Defaults, bool),
) -> Result<Json<ImportAnswer>, Problem> {
    if documents.is_empty() || documents.len() > MAX_DOCUMENTS {
        let why = format!("an import has 1 to {MAX_DOCUMENTS} documents");
        return Err(Problem::invalid(why));
    }
    let named = |text: Option<String>| text.map(|text| text.trim().to_owned());
    let (author, licence) = (named(author), named(licence));
    let names = documents.iter().map(|(path, _)| path).chain(&author).chain(&licence);
    if names
        .into_iter()
        .any(|name| name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control))
    {
        return Err(Problem::invalid(format!(
            "paths, author and licence have at most {MAX_NAME_BYTES} bytes, none of them a control \
             character"
        )));
    }
    let full = |text: &String| !text.is_empty();
    let (author, licence) = (author.filter(full), licence.filter(full));
    let one = |(path, text): (String, String)| Import {
        path,
        text,
        author: author.clone(),
        licence: licence.clone(),
    };
    let documents = documents.into_iter().map(one).collect();
    let intent = if preview { Intent::Preview } else { Intent::Put };
    let Imported { taken, left } = app.library.import(actor, documents, intent).await?;
    Ok(Json(ImportAnswer {
        preview,
        taken: taken.into_iter().map(ImportTaken::from).collect(),
        refused: left.into_iter().flat_map(refusals).collect(),
    }))
}

impl From<Taken> for ImportTaken {
    fn from(taken: Taken) -> Self {
        let Taken { path, id, detection, author, licence, replaces } = taken;
        Self { path, id, detection: detection.map(Into::into), author, licence, replaces }
    }
}

fn refusals(Left { path, fault }: Left) -> impl Iterator<Item = ImportRefusal> {
    let of = move |problem| ImportRefusal { path: path.clone(), problem };
    problems(vec![fault]).into_iter().map(of)
}

/// The documents of a zip, by path.
fn unpacked(bytes: &[u8]) -> Result<Vec<(String, String)>, Problem> {
    let broken = |error: &dyn std::error::Error| Problem::invalid(format!("it is no zip: {error}"));
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
    if archive.len() > MAX_ENTRIES {
        return Err(Problem::invalid(format!("a zip has at most {MAX_ENTRIES} entries")));
    }
    let (mut documents, mut room) = (Vec::new(), MAX_UNPACKED_BYTES);
    for number in 0..archive.len() {
        let mut entry = archive.by_index(number).map_err(|error| broken(&error))?;
        let path = entry.name().map_err(|error| broken(&error))?.into_owned();
        let end = Path::new(&path).extension().unwrap_or_default();
        let is_document = end.eq_ignore_ascii_case("yml") || end.eq_ignore_ascii_case("yaml");
        if entry.is_dir() || !is_document {
            continue;
        }
        let mut text = Vec::new();
        let most = DOCUMENT_MAX.min(room) as u64 + 1;
        let read = entry.by_ref().take(most).read_to_end(&mut text);
        read.map_err(|error| Problem::invalid(format!("`{path}`: {error}")))?;
        if text.len() > DOCUMENT_MAX {
            let why = format!("`{path}` has more than {DOCUMENT_MAX} bytes; leave it out");
            return Err(Problem::invalid(why));
        }
        if text.len() > room || documents.len() >= MAX_DOCUMENTS {
            return Err(Problem::invalid(format!(
                "a zip holds at most {MAX_DOCUMENTS} documents of {MAX_UNPACKED_BYTES} bytes in all; \
                 import it in parts"
            )));
        }
        room -= text.len();
        let text = String::from_utf8(text);
        let text = text.map_err(|_| Problem::invalid(format!("`{path}` is not UTF-8")))?;
        documents.push((path, text));
    }
    Ok(documents)
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(import_detections))
        .routes(routes!(import_detections_zip))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}
