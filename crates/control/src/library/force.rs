//! One state of the content: compiled rules, what lies over them, and where each document is from.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use metsuke_catalog::{DocumentOrigin, DocumentRecord, ExceptionRecord, Findings, TuningRecord};
use metsuke_detect::{Document, Exception, Judged, Meta, Overlay, Refused, RuleSet, Scope, Tuning};
use metsuke_event::EndpointId;
use metsuke_link::message::{Bundle, BundleDocument, BundleException, BundleSite, BundleTuning};

use super::{Said, Site};
use crate::content::ContentError;

/// A detection that ships.
#[derive(Clone, Debug, Default)]
pub struct Shipped {
    /// Its path.
    pub path: String,
    /// Its document.
    pub text: String,
    /// Its page, Markdown.
    pub page: String,
    /// Its samples.
    pub samples: Vec<Sample>,
}

/// A sample that a detection is tested with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Name of the file.
    pub name: String,
    /// Whether the detection must strike on it, or must not.
    pub fires: bool,
}

/// Where a document comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It came with the server.
    Shipped,
    /// It was written here.
    Own,
    /// It was taken from a set of others.
    Imported,
}

impl Origin {
    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Own => "own",
            Self::Imported => "imported",
        }
    }
}

/// A document and what is known of it.
#[derive(Clone, Debug)]
pub struct Known {
    /// Where it comes from.
    pub origin: Origin,
    /// Its text.
    pub text: String,
    /// Its page; empty when it has none.
    pub page: String,
    /// Its samples.
    pub samples: Vec<Sample>,
    /// Who wrote it, where that is known.
    pub author: Option<String>,
    /// Under which licence, where that is known.
    pub licence: Option<String>,
}

/// The content of one moment; immutable.
#[derive(Debug)]
pub struct InForce {
    /// What is compiled.
    pub rules: Arc<RuleSet>,
    /// What lies over it.
    pub overlay: Arc<Overlay>,
    /// Documents and exceptions that were refused.
    pub refused: Vec<Refused>,
    /// Documents by path.
    pub documents: Arc<BTreeMap<String, Known>>,
    /// Tuning.
    pub tunings: Vec<TuningRecord>,
    /// Exceptions.
    pub exceptions: Vec<ExceptionRecord>,
    /// Groups of endpoints that were put into one.
    pub groups: BTreeMap<EndpointId, String>,
    /// Names it; sensors report it back.
    pub version: String,
    /// Grows with each change.
    pub serial: u64,
    /// What people found alerts to be, by detection.
    pub findings: HashMap<String, Findings>,
    /// What hosts are worth, by group; 1 when not said.
    pub importance: BTreeMap<String, f64>,
    compiled: Arc<Compiled>,
}

/// What comes of documents alone: what a site says over them changes nothing of it.
#[derive(Debug)]
struct Compiled {
    rules: Arc<RuleSet>,
    refused: Vec<Refused>,
    documents: Arc<BTreeMap<String, Known>>,
    /// The site's documents.
    records: Vec<DocumentRecord>,
    /// Every document as it is pushed, in the order in which they were compiled.
    pushed: Arc<Vec<BundleDocument>>,
}

impl InForce {
    /// The document of detection `id`.
    pub fn known(&self, id: &str) -> Option<&Known> {
        let meta = self.meta(id)?;
        self.documents.get(&meta.path)
    }

    /// What is known of detection `id`.
    pub fn meta(&self, id: &str) -> Option<&Meta> {
        self.rules.all().find(|meta| meta.detection.id == id)
    }

    /// What is said of detection `id`, everywhere first.
    pub fn tunings_of(&self, id: &str) -> impl Iterator<Item = &TuningRecord> {
        self.tunings.iter().filter(move |tuning| tuning.detection == id)
    }

    /// The group of `endpoint`.
    pub fn group_of(&self, endpoint: EndpointId) -> &str {
        self.groups.get(&endpoint).map_or(metsuke_catalog::DEFAULT_GROUP, String::as_str)
    }

    /// The site's record of detection `id`.
    pub(super) fn record(&self, id: &str) -> Option<&DocumentRecord> {
        self.compiled.records.iter().find(|record| record.id == id)
    }

    /// The site's documents.
    pub(super) fn own_documents(&self) -> &[DocumentRecord] {
        &self.compiled.records
    }

    /// What findings and importance make scores of.
    pub(crate) const fn weights(&self) -> (&HashMap<String, Findings>, &BTreeMap<String, f64>) {
        (&self.findings, &self.importance)
    }

    /// Ids of what was compiled from the document at `path`.
    pub(super) fn ids_of(&self, path: &str) -> impl Iterator<Item = &str> {
        let of = move |meta: &&Meta| meta.path == path;
        self.rules.all().filter(of).map(|meta| meta.detection.id.as_str())
    }

    /// All that it says, in parts: two that say the same are one version.
    pub(super) fn parts(&self) -> Vec<Cow<'_, str>> {
        let pushed = &self.compiled.pushed;
        let mut parts: Vec<Cow<'_, str>> = Vec::with_capacity(pushed.len() * 2);
        for document in pushed.iter() {
            parts.push(Cow::from(&document.path));
            parts.push(Cow::from(&document.text));
        }
        let tuning = |tuning: &TuningRecord| {
            format!(
                "tuning {:?} {:?} {:?} {:?}",
                tuning.detection, tuning.group, tuning.enabled, tuning.level
            )
            .into()
        };
        parts.extend(self.tunings.iter().map(tuning));
        let exception = |one: &ExceptionRecord| {
            format!(
                "exception {:?} {:?} {:?} {:?} {:?} {}",
                one.id, one.detections, one.groups, one.endpoints, one.condition, one.expires
            )
            .into()
        };
        parts.extend(self.exceptions.iter().map(exception));
        let speaks_of_groups = self.tunings.iter().any(|tuning| tuning.group.is_some())
            || self.exceptions.iter().any(|one| !one.groups.is_empty());
        if speaks_of_groups {
            let group = |(id, name)| Cow::from(format!("group {id} {name}"));
            parts.extend(self.groups.iter().map(group));
        }
        parts
    }

    /// What is pushed to `endpoint`: every document, and of tuning and exceptions what holds there.
    /// The documents are the same for all, and not copied.
    pub fn bundle(&self, endpoint: EndpointId) -> Bundle {
        let group = self.group_of(endpoint);
        let tunings = self
            .tunings
            .iter()
            .filter(|tuning| tuning.group.as_ref().is_none_or(|name| name == group));
        // What is said of the group comes last and so counts before what is said of all.
        let (of_group, of_all): (Vec<_>, Vec<_>) =
            tunings.partition(|tuning| tuning.group.is_some());
        let tuning = |tuning: &TuningRecord| BundleTuning {
            detection: tuning.detection.clone(),
            enabled: tuning.enabled,
            level: tuning.level,
        };
        let holds = |one: &&ExceptionRecord| {
            one.endpoints.contains(&endpoint)
                || one.groups.iter().any(|name| name == group)
                || (one.endpoints.is_empty() && one.groups.is_empty())
        };
        let exception = |one: &ExceptionRecord| BundleException {
            id: one.id.clone(),
            detections: one.detections.clone(),
            condition: one.condition.clone(),
            expires: one.expires,
        };
        Bundle {
            version: self.version.clone(),
            serial: self.serial,
            documents: Arc::clone(&self.compiled.pushed),
            site: BundleSite {
                tunings: of_all.into_iter().chain(of_group).map(tuning).collect(),
                exceptions: self.exceptions.iter().filter(holds).map(exception).collect(),
            },
        }
    }
}

/// What a site says, for the engine.
pub(crate) fn overlay(
    (tunings, exceptions): (&[TuningRecord], &[ExceptionRecord]),
    groups: &BTreeMap<EndpointId, String>,
    (findings, importance): (&HashMap<String, Findings>, &BTreeMap<String, f64>),
) -> (Arc<Overlay>, Vec<Refused>) {
    let tuning = |record: &TuningRecord| Tuning {
        detection: record.detection.clone(),
        scope: Scope { groups: record.group.iter().cloned().collect(), ..Scope::default() },
        enabled: record.enabled,
        level: record.level,
    };
    let worth = |(id, name): (&EndpointId, &String)| Some((*id, *importance.get(name)?));
    let importance = groups.iter().filter_map(worth).collect();
    let groups: HashMap<EndpointId, BTreeSet<String>> =
        groups.iter().map(|(id, name)| (*id, BTreeSet::from([name.clone()]))).collect();
    Overlay::compile(metsuke_detect::Site {
        exceptions: exceptions.iter().map(engines).collect(),
        tunings: tunings.iter().map(tuning).collect(),
        groups,
        findings: findings.iter().map(judged).collect(),
        importance,
        // Conditions of the server's exceptions are written out.
        placeholders: BTreeMap::new(),
    })
}

fn judged((id, found): (&String, &Findings)) -> (String, Judged) {
    let count = |found: u64| u32::try_from(found).unwrap_or(u32::MAX);
    let judged = Judged {
        true_positive: count(found.real),
        benign: count(found.benign),
        false_positive: count(found.wrong),
    };
    (id.clone(), judged)
}

/// An exception as the engine knows it.
pub(crate) fn engines(record: &ExceptionRecord) -> Exception {
    Exception {
        id: record.id.clone(),
        detections: record.detections.clone(),
        scope: Scope {
            endpoints: record.endpoints.iter().copied().collect(),
            groups: record.groups.iter().cloned().collect(),
        },
        condition: record.condition.clone(),
        expires: Some(record.expires),
    }
}

/// The site's documents as the compiler takes them: own ones first, for of two with one id the
/// first counts.
pub(super) fn ordered(records: &[DocumentRecord]) -> impl Iterator<Item = &DocumentRecord> {
    let of = |origin: DocumentOrigin| records.iter().filter(move |one| one.origin == origin);
    of(DocumentOrigin::Own).chain(of(DocumentOrigin::Imported))
}

/// Compiles it all, beside the runtime. Serial and version are left to be given.
pub(super) async fn compile(shipped: Arc<[Shipped]>, site: Site) -> Result<InForce, ContentError> {
    let Site { documents, said } = site;
    let work = move || lay(Arc::new(compiled(&shipped, documents)), said);
    Ok(tokio::task::spawn_blocking(work).await?)
}

/// The documents of `force` with what a site now says over them.
pub(super) async fn laid(force: &InForce, said: Said) -> Result<InForce, ContentError> {
    let compiled = Arc::clone(&force.compiled);
    Ok(tokio::task::spawn_blocking(move || lay(compiled, said)).await?)
}

fn lay(compiled: Arc<Compiled>, said: Said) -> InForce {
    let Said { tunings, exceptions, groups, findings, importance } = said;
    let (overlay, wrong) = overlay((&tunings, &exceptions), &groups, (&findings, &importance));
    InForce {
        rules: Arc::clone(&compiled.rules),
        overlay,
        refused: compiled.refused.iter().cloned().chain(wrong).collect(),
        documents: Arc::clone(&compiled.documents),
        tunings,
        exceptions,
        groups,
        findings,
        importance,
        version: String::new(),
        serial: 0,
        compiled,
    }
}

fn compiled(shipped: &[Shipped], records: Vec<DocumentRecord>) -> Compiled {
    let mut pushed = Vec::with_capacity(shipped.len() + records.len());
    let mut documents = BTreeMap::new();
    let mut add = |path: &str, known: Known| {
        pushed.push(BundleDocument { path: path.to_owned(), text: known.text.clone() });
        documents.insert(path.to_owned(), known);
    };
    for Shipped { path, text, page, samples } in shipped {
        let known = Known {
            origin: Origin::Shipped,
            text: text.clone(),
            page: page.clone(),
            samples: samples.clone(),
            author: None,
            licence: None,
        };
        add(path, known);
    }
    for record in ordered(&records) {
        let known = Known {
            origin: match record.origin {
                DocumentOrigin::Own => Origin::Own,
                DocumentOrigin::Imported => Origin::Imported,
            },
            text: record.text.clone(),
            page: String::new(),
            samples: Vec::new(),
            author: record.author.clone(),
            licence: record.licence.clone(),
        };
        add(&record.path, known);
    }
    let document =
        |one: &BundleDocument| Document { path: one.path.clone(), text: one.text.clone() };
    let (rules, refused) = metsuke_detect::compile(pushed.iter().map(document));
    let (documents, pushed) = (Arc::new(documents), Arc::new(pushed));
    Compiled { rules, refused, documents, records, pushed }
}
