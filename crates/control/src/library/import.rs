//! Taking over documents of others, as far as they compile, with author and licence.

use std::collections::HashMap;

use metsuke_catalog::clock::now;
use metsuke_catalog::{DocumentOrigin, DocumentRecord};
use metsuke_detect::{Document, Refused};
use metsuke_event::finding::DetectionRef;

use super::{ChangeError, Fault, InForce, Origin, Shared, Site, force};
use crate::content::ContentError;

/// A document of others.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// Where it stands in its collection.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Who wrote it, when its text does not say.
    pub author: Option<String>,
    /// Under which licence it is given, when its text does not say.
    pub licence: Option<String>,
}

/// Whether to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Only say what would come of it.
    Preview,
    /// Do it.
    Put,
}

/// A document that is taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Where it stands in its collection.
    pub path: String,
    /// Its id.
    pub id: String,
    /// The detection it holds; none of a filter document, which changes others.
    pub detection: Option<DetectionRef>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Under which licence.
    pub licence: Option<String>,
    /// Whether it takes the place of one that was imported before.
    pub replaces: bool,
}

/// A document that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Where it stands in its collection.
    pub path: String,
    /// Why.
    pub fault: Fault,
}

/// What came of an import, or would.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// Taken over.
    pub taken: Vec<Taken>,
    /// Left out.
    pub left: Vec<Left>,
}

impl Shared {
    pub(super) async fn import(
        &self,
        actor: &str,
        documents: Vec<Import>,
        intent: Intent,
    ) -> Result<Imported, ChangeError> {
        // Nothing is changed by a preview, so nobody waits for it.
        let _changing = match intent {
            Intent::Put => Some(self.changing.lock().await),
            Intent::Preview => None,
        };
        let named = tokio::task::spawn_blocking(move || named(documents)).await;
        let (mut found, mut left) = named.map_err(ContentError::from)?;
        let force = self.in_force();
        let mut site = Site::load(&self.catalog).await?;
        found.retain(|one| match clash(one, &site, &force) {
            None => true,
            Some(why) => {
                left.push(Left { path: one.path.clone(), fault: Fault::of_whole(why) });
                false
            }
        });
        let now = now();
        let before: Vec<DocumentRecord> = site.documents.clone();
        let record = |one: &Named| DocumentRecord {
            id: one.id.clone(),
            origin: DocumentOrigin::Imported,
            path: place(&one.path),
            text: one.text.clone(),
            author: one.author.clone(),
            licence: one.licence.clone(),
            actor: actor.to_owned(),
            created: now,
            updated: now,
        };
        site.documents.retain(|known| found.iter().all(|one| one.id != known.id));
        site.documents.extend(found.iter().map(record));
        let tried = force::compile(self.shipped.clone(), site.clone()).await?;
        found.retain(|one| {
            let path = place(&one.path);
            let wrong = tried.refused.iter().filter(|refused| refused.path == path);
            let faults: Vec<Left> = wrong.map(|refused| one.left(refused)).collect();
            let good = faults.is_empty();
            left.extend(faults);
            good
        });
        // What is refused leaves what it would have replaced as it was.
        let is_found = |id: &str| found.iter().any(|one| one.id == id);
        site.documents = before.iter().filter(|known| !is_found(&known.id)).cloned().collect();
        site.documents.extend(found.iter().map(record));
        let next = self.compiled(site, &[]).await?;
        let replaces = |id: &str| before.iter().any(|known| known.id == id);
        let taken = found.iter().map(|one| Taken {
            path: one.path.clone(),
            id: one.id.clone(),
            detection: next.meta(&one.id).map(|meta| meta.detection.clone()),
            author: one.author.clone(),
            licence: one.licence.clone(),
            replaces: replaces(&one.id),
        });
        let imported = Imported { taken: taken.collect(), left };
        if intent == Intent::Put && !found.is_empty() {
            let records: Vec<DocumentRecord> = found.iter().map(record).collect();
            self.catalog.put_documents(actor, &records).await?;
            self.take_over(next).await?;
        }
        Ok(imported)
    }
}

/// A document of which the id is known.
struct Named {
    id: String,
    path: String,
    text: String,
    author: Option<String>,
    licence: Option<String>,
}

impl Named {
    fn left(&self, refused: &Refused) -> Left {
        Left { path: self.path.clone(), fault: Fault::of(refused, &self.text) }
    }
}

/// Where an imported document stands among all.
fn place(path: &str) -> String {
    format!("imported/{path}")
}

/// The documents by their ids, and those that have none or somebody else's.
fn named(documents: Vec<Import>) -> (Vec<Named>, Vec<Left>) {
    let mut found: Vec<Named> = Vec::new();
    let mut left = Vec::new();
    let mut known: HashMap<String, String> = HashMap::new();
    let mut paths: HashMap<String, String> = HashMap::new();
    for Import { path, text, author, licence } in documents {
        let whole = |why: String| Left { path: path.clone(), fault: Fault::of_whole(why) };
        let document = Document { path: path.clone(), text: text.clone() };
        let (rules, wrong) = metsuke_detect::compile([document]);
        // What stands on others compiles only with them; its id is in the refusal, or in the text.
        let id = rules.all().map(|meta| meta.detection.id.clone()).next();
        let id = id.or_else(|| wrong.iter().find_map(|one| one.id.clone()));
        let Some(id) = id.or_else(|| attribute(&text, "id")) else {
            if wrong.is_empty() {
                left.push(whole("it holds no detection".to_owned()));
            }
            left.extend(
                wrong.iter().map(|one| Left { path: path.clone(), fault: Fault::of(one, &text) }),
            );
            continue;
        };
        if let Some(other) = known.get(&id) {
            left.push(whole(format!("its id `{id}` is that of `{other}`")));
            continue;
        }
        if paths.contains_key(&path) {
            left.push(whole("another document has the same path".to_owned()));
            continue;
        }
        known.insert(id.clone(), path.clone());
        paths.insert(path.clone(), id.clone());
        let author = attribute(&text, "author").or(author);
        let said = attribute(&text, "license").or_else(|| attribute(&text, "licence"));
        let licence = said.or(licence);
        found.push(Named { id, path, text, author, licence });
    }
    (found, left)
}

/// Why a document cannot come beside what is there.
fn clash(one: &Named, site: &Site, force: &InForce) -> Option<String> {
    let shipped = force.known(&one.id).is_some_and(|known| known.origin == Origin::Shipped);
    let of_site = site.documents.iter().find(|known| known.id == one.id);
    let own = of_site.is_some_and(|known| known.origin == DocumentOrigin::Own);
    if shipped || own {
        let whose = if shipped { "shipped" } else { "one of the site's own" };
        return Some(format!("its id `{}` is that of a detection that is {whose}", one.id));
    }
    let path = place(&one.path);
    let other = site.documents.iter().find(|known| known.path == path && known.id != one.id)?;
    Some(format!("`{}` was imported from this path; remove it first", other.id))
}

/// A plain attribute at the top of a document, with lines that go on.
fn attribute(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines();
    let first = lines.by_ref().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let more = lines.take_while(|line| line.starts_with([' ', '\t']));
    let whole: Vec<&str> = std::iter::once(first).chain(more).map(str::trim).collect();
    let whole = whole.join(" ");
    let bare = whole.trim_start_matches(['>', '|', '-']).trim().trim_matches(['\'', '"']);
    (!bare.is_empty()).then(|| bare.to_owned())
}
