//! Changes of the content: compiled first, then stored, then in force.

use std::sync::Arc;

use metsuke_catalog::clock::now;
use metsuke_catalog::{
    DEFAULT_GROUP, DocumentOrigin, DocumentRecord, ExceptionRecord, TuningRecord,
};
use metsuke_event::EndpointId;
use metsuke_link::limits::BUNDLE_DOCUMENTS_MAX;

use super::{
    BYTES_MAX, ChangeError, DOCUMENT_MAX, Fault, InForce, Origin, Said, Shared, Site, TuningChange,
    check, force,
};
use crate::content::{ContentError, numbered};

impl Shared {
    pub(super) fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.feed.borrow())
    }

    pub(super) async fn put(&self, actor: &str, id: &str, text: String) -> Result<(), ChangeError> {
        if text.len() > DOCUMENT_MAX {
            let why = format!("a document has at most {DOCUMENT_MAX} bytes; split it");
            return Err(ChangeError::Invalid(why));
        }
        let _changing = self.changing.lock().await;
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
        let mut site = Site::load(&self.catalog).await?;
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
        self.catalog.put_documents(actor, &[record]).await?;
        Ok(self.take_over(next).await?)
    }

    pub(super) async fn remove(&self, actor: &str, id: &str) -> Result<(), ChangeError> {
        let _changing = self.changing.lock().await;
        let force = self.in_force();
        if force.known(id).is_some_and(|known| known.origin == Origin::Shipped) {
            return Err(ChangeError::NotOwn(format!(
                "`{id}` is shipped and cannot be removed; disable it instead"
            )));
        }
        let mut site = Site::load(&self.catalog).await?;
        site.documents.retain(|known| known.id != id);
        let next = self.compiled(site, &[]).await?;
        self.catalog.remove_document(now(), actor, id).await?;
        Ok(self.take_over(next).await?)
    }

    pub(super) async fn tune(&self, change: TuningChange) -> Result<(), ChangeError> {
        let _changing = self.changing.lock().await;
        let force = self.in_force();
        let TuningChange { detection, group, enabled, level, reason, actor } = change;
        if force.meta(&detection).is_none() {
            return Err(ChangeError::NotFound("detection"));
        }
        let mut said = Said::load(&self.catalog).await?;
        let is_it = |known: &TuningRecord| known.detection == detection && known.group == group;
        let known = said.tunings.iter().find(|known| is_it(known));
        let enabled = enabled.over(known.and_then(|known| known.enabled));
        let level = level.over(known.and_then(|known| known.level));
        let says = enabled.is_some() || level.is_some();
        if let Some(name) = group.as_ref().filter(|name| says && !is_group(&said, name)) {
            return Err(ChangeError::Invalid(no_group(name)));
        }
        said.tunings.retain(|known| !is_it(known));
        let record = TuningRecord { detection, group, enabled, level, reason, actor, time: now() };
        if says {
            said.tunings.push(record.clone());
            said.tunings.sort_by(|a, b| (&a.detection, &a.group).cmp(&(&b.detection, &b.group)));
        }
        let next = sound(&force, force::laid(&force, said).await?, &[])?;
        self.catalog.tune(&record).await?;
        Ok(self.take_over(next).await?)
    }

    pub(super) async fn set_group(
        &self,
        actor: &str,
        endpoint: EndpointId,
        name: &str,
    ) -> Result<(), ChangeError> {
        let _changing = self.changing.lock().await;
        let force = self.in_force();
        let mut said = Said::load(&self.catalog).await?;
        said.groups.insert(endpoint, name.to_owned());
        let next = sound(&force, force::laid(&force, said).await?, &[])?;
        self.catalog.set_group(now(), actor, endpoint, name).await?;
        Ok(self.take_over(next).await?)
    }

    pub(super) async fn set_importance(
        &self,
        actor: &str,
        group: &str,
        importance: f64,
    ) -> Result<(), ChangeError> {
        let (least, most) = metsuke_detect::bounds::IMPORTANCE;
        if !(least..=most).contains(&importance) {
            let why = format!(
                "`importance` is {least} to {most}; 1 is what hosts are worth that no \
                               group says anything of"
            );
            return Err(ChangeError::Invalid(why));
        }
        let _changing = self.changing.lock().await;
        let force = self.in_force();
        let mut said = Said::load(&self.catalog).await?;
        if group == DEFAULT_GROUP {
            let why = format!(
                "hosts of `{group}` are worth 1; put those that are worth another into \
                               a group of their own"
            );
            return Err(ChangeError::Invalid(why));
        }
        if !is_group(&said, group) {
            return Err(ChangeError::NotFound("group"));
        }
        said.importance.insert(group.to_owned(), importance);
        let importances = said.importance.clone();
        let next = sound(&force, force::laid(&force, said).await?, &[])?;
        self.catalog.set_importance(now(), actor, (group, importance), &importances).await?;
        Ok(self.take_over(next).await?)
    }

    pub(super) async fn except(&self, record: ExceptionRecord) -> Result<(), ChangeError> {
        let _changing = self.changing.lock().await;
        let force = self.in_force();
        let faults = check::exception(&force, &record);
        if !faults.is_empty() {
            return Err(ChangeError::Refused(faults));
        }
        let mut said = Said::load(&self.catalog).await?;
        said.exceptions.insert(0, record.clone());
        let next = sound(&force, force::laid(&force, said).await?, &[])?;
        self.catalog.create_exception(&record).await?;
        Ok(self.take_over(next).await?)
    }

    pub(super) async fn unexcept(&self, actor: &str, id: &str) -> Result<(), ChangeError> {
        let _changing = self.changing.lock().await;
        let force = self.in_force();
        let mut said = Said::load(&self.catalog).await?;
        said.exceptions.retain(|known| known.id != id);
        let next = sound(&force, force::laid(&force, said).await?, &[])?;
        self.catalog.remove_exception(now(), actor, id).await?;
        Ok(self.take_over(next).await?)
    }

    pub(super) async fn weigh_anew(&self) -> Result<(), ChangeError> {
        let _changing = self.changing.lock().await;
        let said = Said::load(&self.catalog).await?;
        let next = force::laid(&self.in_force(), said).await?;
        Ok(self.take_over(next).await?)
    }

    /// The content that `site` would make.
    ///
    /// # Errors
    /// When a document at one of `paths` is refused, or one that is in force now would be.
    pub(super) async fn compiled(
        &self,
        site: Site,
        paths: &[&str],
    ) -> Result<InForce, ChangeError> {
        let bytes: usize = site.documents.iter().map(|record| record.text.len()).sum::<usize>()
            + self.shipped.iter().map(|shipped| shipped.text.len()).sum::<usize>();
        let count = site.documents.len() + self.shipped.len();
        if bytes > BYTES_MAX || count > BUNDLE_DOCUMENTS_MAX {
            return Err(ChangeError::Invalid(format!(
                "that would make {count} documents of {bytes} bytes in all, and sensors take \
                 {BUNDLE_DOCUMENTS_MAX} of {BYTES_MAX} bytes; remove some first"
            )));
        }
        let force = self.in_force();
        let next = force::compile(Arc::clone(&self.shipped), site).await?;
        sound(&force, next, paths)
    }

    /// Puts `next` in force.
    pub(super) async fn take_over(&self, mut next: InForce) -> Result<(), ContentError> {
        let parts = next.parts();
        let numbered = numbered(&self.catalog, parts.iter().map(AsRef::as_ref)).await;
        drop(parts);
        (next.serial, next.version) = numbered?;
        tracing::info!(version = next.version, refused = next.refused.len(), "content changed");
        self.feed.send_replace(Arc::new(next));
        Ok(())
    }
}

/// `next` when nothing is refused in it that is not in `force`, and no document at one of `paths`.
fn sound(force: &InForce, next: InForce, paths: &[&str]) -> Result<InForce, ChangeError> {
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

/// Whether there is a group called `name`: one with an endpoint in it, or that of all others.
pub(super) fn is_group(said: &Said, name: &str) -> bool {
    name == DEFAULT_GROUP || said.groups.values().any(|known| known == name)
}

/// What is said when there is none.
pub(super) fn no_group(name: &str) -> String {
    format!("there is no group `{name}`; put an endpoint into it first")
}

/// `id` as a part of a path, for people.
fn plain(id: &str) -> String {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    id.chars().map(|c| if fine(c) { c } else { '_' }).collect()
}
