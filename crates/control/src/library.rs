//! The content in force: what ships, what the site wrote or imported, and what it says about them.
//!
//! Every change makes a whole new [`InForce`] beside the one in force, and only when all of it
//! compiles is it stored and takes the other's place; detection and sensors hear of it at once.
//!
//! Invariant: a change that does not compile, or keeps other documents from compiling, changes
//! nothing and says why. Invariant: changes come one after another.

mod check;
mod force;

use std::sync::Arc;

use metsuke_catalog::clock::now;
use metsuke_catalog::{
    Catalog, CatalogError, DocumentOrigin, DocumentRecord, ExceptionRecord, TuningRecord,
};
use metsuke_detect::{Document, Refused};
use metsuke_event::EndpointId;
use metsuke_link::limits::{BUNDLE_DECOMPRESSED_MAX, BUNDLE_DOCUMENTS_MAX};
use tokio::sync::watch;

use crate::content::{ContentError, numbered};

pub use check::{Checked, Fault, Severity};
pub(crate) use force::overlay;
pub use force::{InForce, Known, Origin, Sample, Shipped};

/// Largest document that a person may put, in bytes; the engine's own bound.
pub const DOCUMENT_MAX: usize = metsuke_detect::bounds::DOCUMENT_BYTES;
/// Most bytes of documents, half of what a bundle may have: JSON makes text longer.
const BYTES_MAX: usize = BUNDLE_DECOMPRESSED_MAX / 2;

/// Why the content was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It is not the site's to change.
    #[error("{0}")]
    NotOwn(String),
    /// It is not what it should be.
    #[error("{0}")]
    Invalid(String),
    /// It, or others with it, would not compile.
    #[error("{}", told(.0))]
    Refused(Vec<Fault>),
    /// It could not be made ready.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl From<CatalogError> for ChangeError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::NotFound(what) => Self::NotFound(what),
            CatalogError::Invalid(why) => Self::Invalid(why),
            other => Self::Content(other.into()),
        }
    }
}

fn told(faults: &[Fault]) -> String {
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    told.join("\n")
}

/// The content, and the only door to changing it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Library {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    catalog: Catalog,
    shipped: Vec<Shipped>,
    /// Held while something is changed.
    changing: tokio::sync::Mutex<()>,
    feed: watch::Sender<Arc<InForce>>,
}

/// What the catalog holds of the site.
#[derive(Clone, Debug, Default)]
struct Site {
    documents: Vec<DocumentRecord>,
    tunings: Vec<TuningRecord>,
    exceptions: Vec<ExceptionRecord>,
    groups: std::collections::BTreeMap<EndpointId, String>,
    findings: std::collections::HashMap<String, metsuke_catalog::Findings>,
}

impl Site {
    async fn load(catalog: &Catalog) -> Result<Self, CatalogError> {
        Ok(Self {
            documents: catalog.documents().await?,
            tunings: catalog.tunings().await?,
            exceptions: catalog.exceptions().await?,
            groups: catalog.groups().await?,
            findings: catalog.findings().await?,
        })
    }
}

impl Library {
    /// The content of `shipped` and of what the catalog holds. What is refused is named in it.
    ///
    /// # Errors
    /// When the catalog cannot be read or written.
    pub async fn open(catalog: Catalog, shipped: Vec<Shipped>) -> Result<Self, ContentError> {
        let site = Site::load(&catalog).await?;
        let mut force = force::compile(shipped.clone(), site).await?;
        let (serial, version) =
            numbered(&catalog, force.parts().iter().map(String::as_str)).await?;
        (force.serial, force.version) = (serial, version);
        for refused in &force.refused {
            tracing::warn!(document = %refused, "a detection was refused");
        }
        let (feed, _) = watch::channel(Arc::new(force));
        let changing = tokio::sync::Mutex::default();
        Ok(Self { shared: Arc::new(Shared { catalog, shipped, changing, feed }) })
    }

    /// What is in force now.
    pub fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.shared.feed.borrow())
    }

    /// What is in force, and every change of it.
    pub fn follow(&self) -> watch::Receiver<Arc<InForce>> {
        self.shared.feed.subscribe()
    }

    /// Judges `text` as if it were put, without putting it.
    ///
    /// # Errors
    /// When compiling breaks down.
    pub async fn check(&self, text: String) -> Result<Checked, ContentError> {
        let (force, shipped) = (self.in_force(), self.shared.shipped.clone());
        let documents = force.own_documents();
        let checked =
            tokio::task::spawn_blocking(move || check::check(&force, &shipped, &documents, text));
        Ok(checked.await?)
    }

    /// Puts the site's own document of detection `id`, new or in place of the one it had.
    ///
    /// # Errors
    /// When `id` is not the document's or not the site's own, or something would not compile; then
    /// nothing is changed.
    pub async fn put(&self, actor: &str, id: &str, text: String) -> Result<(), ChangeError> {
        if text.len() > DOCUMENT_MAX {
            let why = format!("a document has at most {DOCUMENT_MAX} bytes; split it");
            return Err(ChangeError::Invalid(why));
        }
        let _changing = self.shared.changing.lock().await;
        let force = self.in_force();
        let before = force.known(id);
        if let Some(known) = before.filter(|known| known.origin != Origin::Own) {
            return Err(ChangeError::NotOwn(format!(
                "`{id}` is {}, and is not changed here; tune it, or put a copy under an id of its own",
                known.origin.name()
            )));
        }
        let path = format!("own/{}.yml", plain(id));
        let now = now();
        let created = force.record(id).map_or(now, |record| record.created);
        let record = DocumentRecord {
            id: id.to_owned(),
            origin: DocumentOrigin::Own,
            path: path.clone(),
            text,
            author: None,
            licence: None,
            actor: actor.to_owned(),
            created,
            updated: now,
        };
        let mut site = Site::load(&self.shared.catalog).await?;
        site.documents.retain(|known| known.id != id);
        site.documents.push(record.clone());
        let next = self.compiled(site, &[&path]).await?;
        let ids: Vec<&str> = next.ids_of(&path).collect();
        if ids != [id] {
            return Err(ChangeError::Invalid(format!(
                "the document holds {}, and is put as `{id}`; give it that id, and one document at a \
                 time",
                if ids.is_empty() {
                    "no detection".to_owned()
                } else {
                    format!("`{}`", ids.join("`, `"))
                }
            )));
        }
        self.shared.catalog.put_documents(actor, &[record]).await?;
        Ok(self.take_over(next).await?)
    }

    /// Imports documents of others; what is refused is named and left out, the rest is put.
    /// Returns how many were put.
    ///
    /// # Errors
    /// When other documents would not compile with them; then nothing is changed.
    pub async fn import(
        &self,
        actor: &str,
        documents: Vec<(Document, Option<String>, Option<String>)>,
    ) -> Result<(usize, Vec<Refused>), ChangeError> {
        let _changing = self.shared.changing.lock().await;
        let now = now();
        let mut site = Site::load(&self.shared.catalog).await?;
        let mut found: Vec<DocumentRecord> = Vec::new();
        let mut refused = Vec::new();
        for (document, author, licence) in documents {
            let (rules, wrong) = metsuke_detect::compile([document.clone()]);
            let ids: Vec<String> = rules.all().map(|meta| meta.detection.id.clone()).collect();
            // What refers to others compiles only with them; its id stands in the refusal.
            let id = ids.first().cloned().or_else(|| wrong.iter().find_map(|one| one.id.clone()));
            let Some(id) = id else {
                refused.extend(wrong);
                continue;
            };
            found.push(DocumentRecord {
                id,
                origin: DocumentOrigin::Imported,
                path: format!("imported/{}", document.path),
                text: document.text,
                author,
                licence,
                actor: actor.to_owned(),
                created: now,
                updated: now,
            });
        }
        let taken = |record: &DocumentRecord| {
            let other = |known: &DocumentRecord| {
                known.id == record.id && known.origin != DocumentOrigin::Imported
            };
            site.documents.iter().any(other)
        };
        found.retain(|record| !taken(record));
        site.documents.retain(|known| found.iter().all(|record| record.id != known.id));
        site.documents.extend(found.iter().cloned());
        let paths: Vec<&str> = found.iter().map(|record| record.path.as_str()).collect();
        let tried = force::compile(self.shared.shipped.clone(), site.clone()).await?;
        let is_found = |path: &str| paths.contains(&path);
        let bad: Vec<Refused> =
            tried.refused.iter().filter(|one| is_found(&one.path)).cloned().collect();
        found.retain(|record| bad.iter().all(|one| one.path != record.path));
        let wrong = |known: &DocumentRecord| bad.iter().any(|one| one.path == known.path);
        site.documents.retain(|known| !wrong(known));
        refused.extend(bad);
        let next = self.compiled(site, &[]).await?;
        self.shared.catalog.put_documents(actor, &found).await?;
        self.take_over(next).await?;
        Ok((found.len(), refused))
    }

    /// Removes a document of the site.
    ///
    /// # Errors
    /// When it ships, is not there, or others stand on it; then nothing is changed.
    pub async fn remove(&self, actor: &str, id: &str) -> Result<(), ChangeError> {
        let _changing = self.shared.changing.lock().await;
        let force = self.in_force();
        if force.known(id).is_some_and(|known| known.origin == Origin::Shipped) {
            return Err(ChangeError::NotOwn(format!(
                "`{id}` is shipped and cannot be removed; disable it instead"
            )));
        }
        let mut site = Site::load(&self.shared.catalog).await?;
        site.documents.retain(|known| known.id != id);
        let next = self.compiled(site, &[]).await?;
        self.shared.catalog.remove_document(now(), actor, id).await?;
        Ok(self.take_over(next).await?)
    }

    /// Says something about a detection.
    ///
    /// # Errors
    /// When there is no such detection.
    pub async fn tune(&self, record: TuningRecord) -> Result<(), ChangeError> {
        let _changing = self.shared.changing.lock().await;
        let force = self.in_force();
        let is_it = |meta: &metsuke_detect::Meta| meta.detection.id == record.detection;
        if !force.rules.all().any(is_it) {
            return Err(ChangeError::NotFound("detection"));
        }
        self.shared.catalog.tune(&record).await?;
        self.reload().await
    }

    /// Puts an endpoint into a group.
    ///
    /// # Errors
    /// When the endpoint is not enrolled, or the name is none.
    pub async fn set_group(
        &self,
        actor: &str,
        endpoint: EndpointId,
        name: &str,
    ) -> Result<(), ChangeError> {
        let _changing = self.shared.changing.lock().await;
        self.shared.catalog.set_group(now(), actor, endpoint, name).await?;
        self.reload().await
    }

    /// Adds an exception.
    ///
    /// # Errors
    /// When its condition does not compile, or it speaks of detections that are not there; then
    /// nothing is changed.
    pub async fn except(&self, record: ExceptionRecord) -> Result<(), ChangeError> {
        let _changing = self.shared.changing.lock().await;
        let faults = self.judge(&record);
        if !faults.is_empty() {
            return Err(ChangeError::Refused(faults));
        }
        let mut site = Site::load(&self.shared.catalog).await?;
        site.exceptions.push(record.clone());
        let next = self.compiled(site, &[]).await?;
        self.shared.catalog.create_exception(&record).await?;
        Ok(self.take_over(next).await?)
    }

    /// What is wrong with an exception: nothing when it may be added.
    pub fn judge(&self, record: &ExceptionRecord) -> Vec<Fault> {
        check::exception(&self.in_force(), record)
    }

    /// Removes an exception.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn unexcept(&self, actor: &str, id: &str) -> Result<(), ChangeError> {
        let _changing = self.shared.changing.lock().await;
        self.shared.catalog.remove_exception(now(), actor, id).await?;
        self.reload().await
    }

    /// The content that `site` would make.
    ///
    /// # Errors
    /// When a document at one of `paths` is refused, or one that is in force now would be.
    async fn compiled(&self, site: Site, paths: &[&str]) -> Result<InForce, ChangeError> {
        let bytes: usize = site.documents.iter().map(|record| record.text.len()).sum::<usize>()
            + self.shared.shipped.iter().map(|shipped| shipped.text.len()).sum::<usize>();
        let count = site.documents.len() + self.shared.shipped.len();
        if bytes > BYTES_MAX || count > BUNDLE_DOCUMENTS_MAX {
            return Err(ChangeError::Invalid(format!(
                "that would make {count} documents of {bytes} bytes in all, and sensors take \
                 {BUNDLE_DOCUMENTS_MAX} of {BYTES_MAX} bytes; remove some first"
            )));
        }
        let force = self.in_force();
        let next = force::compile(self.shared.shipped.clone(), site).await?;
        let mut wrong: Vec<Fault> = Vec::new();
        for refused in &next.refused {
            let text = next.documents.get(&refused.path).map_or("", |known| &known.text);
            if paths.contains(&refused.path.as_str()) {
                wrong.push(Fault::of(refused, text));
            } else if !force.refused.contains(refused) {
                wrong.push(Fault::with(refused));
            }
        }
        if wrong.is_empty() { Ok(next) } else { Err(ChangeError::Refused(wrong)) }
    }

    /// Takes over what people found alerts to be since: it weighs in scores.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn weigh_anew(&self) -> Result<(), ChangeError> {
        let _changing = self.shared.changing.lock().await;
        self.reload().await
    }

    async fn reload(&self) -> Result<(), ChangeError> {
        let site = Site::load(&self.shared.catalog).await?;
        let next = force::compile(self.shared.shipped.clone(), site).await?;
        Ok(self.take_over(next).await?)
    }

    /// Puts `next` in force.
    async fn take_over(&self, mut next: InForce) -> Result<(), ContentError> {
        let parts = next.parts();
        let parts = parts.iter().map(String::as_str);
        let (serial, version) = numbered(&self.shared.catalog, parts).await?;
        (next.serial, next.version) = (serial, version);
        tracing::info!(version = next.version, refused = next.refused.len(), "content changed");
        self.shared.feed.send_replace(Arc::new(next));
        Ok(())
    }
}

/// `id` as a part of a path, for people.
fn plain(id: &str) -> String {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    id.chars().map(|c| if fine(c) { c } else { '_' }).collect()
}
