//! Detection on the sensor itself: content pushed by the server, or what is built in.
//!
//! What it finds is counted; the server detects again on everything. Acting on it comes with
//! block mode.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use metsuke_detect::{Document, Exception, Overlay, RuleSet, Site, Tuning, compile};
use metsuke_link::Identity;
use metsuke_link::message::{Bundle, BundleSite, Downstream};
use metsuke_link::sealed::{Purpose, Sealed};

/// Largest kept bundle read back, in bytes.
const FILE_MAX: u64 = 64 << 20;

/// Content, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) version: String,
    pub(crate) serial: u64,
    pub(crate) rules: Arc<RuleSet>,
    /// Tuning and exceptions that hold here: what they hide or switch off is not acted on.
    pub(crate) overlay: Arc<Overlay>,
    pub(crate) refused: usize,
}

fn file(state: &Path) -> PathBuf {
    state.join("content.signed")
}

/// A signed value that was kept; `None` when there is none, the problem when it is not what the
/// server signed.
pub(crate) fn kept(
    identity: &Identity,
    path: &Path,
    purpose: Purpose,
) -> Result<Option<Downstream>, String> {
    let Ok(facts) = std::fs::metadata(path) else { return Ok(None) };
    let wrong = |why: String| {
        format!(
            "{} is refused: {why}; what is built in is used until the server sends it again",
            path.display()
        )
    };
    if facts.len() > FILE_MAX {
        return Err(wrong("it is too large".to_owned()));
    }
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    Sealed::open(identity, purpose, bytes).map(Some).map_err(|error| wrong(error.to_string()))
}

impl Content {
    /// What is built into this program.
    pub(crate) fn built_in() -> Self {
        let (rules, refused) = compile(metsuke_content::documents());
        let overlay = Arc::default();
        Self { version: String::new(), serial: 0, rules, overlay, refused: refused.len() }
    }

    /// What the server pushed last, if it is as the server signed it, else what is built in, with
    /// the problem.
    pub(crate) fn load(state: &Path, identity: &Identity) -> (Self, Option<String>) {
        match kept(identity, &file(state), Purpose::Content) {
            Ok(Some(Downstream::Content(bundle))) => (Self::compile(bundle), None),
            Ok(_) => (Self::built_in(), None),
            Err(problem) => (Self::built_in(), Some(problem)),
        }
    }

    /// A pushed bundle. Documents that cannot be compiled are counted and named in the log.
    pub(crate) fn compile(bundle: Bundle) -> Self {
        let documents = Arc::unwrap_or_clone(bundle.documents).into_iter();
        let documents = documents.map(|d| Document { path: d.path, text: d.text });
        let (rules, mut refused) = compile(documents);
        let (overlay, wrong) = Overlay::compile(site(bundle.site));
        refused.extend(wrong);
        for refused in &refused {
            tracing::warn!(document = %refused, "a document of the pushed content is refused");
        }
        Self {
            version: bundle.version,
            serial: bundle.serial,
            rules,
            overlay,
            refused: refused.len(),
        }
    }
}

/// What the server says that holds here, so it has no scope.
fn site(pushed: BundleSite) -> Site {
    let tunings = pushed.tunings.into_iter().map(|one| Tuning {
        detection: one.detection,
        enabled: one.enabled,
        level: one.level,
        ..Tuning::default()
    });
    let exceptions = pushed.exceptions.into_iter().map(|one| Exception {
        id: one.id,
        detections: one.detections,
        condition: one.condition,
        expires: Some(one.expires),
        ..Exception::default()
    });
    Site { tunings: tunings.collect(), exceptions: exceptions.collect(), ..Site::default() }
}

/// Keeps what was pushed, as it was signed, for the next start. Failing costs only that the server
/// pushes it again.
pub(crate) fn keep(state: &Path, sealed: &Sealed) {
    if let Err(error) = crate::plans::replace(&file(state), &sealed.to_bytes()) {
        tracing::warn!(%error, "the pushed content is not kept for the next start");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metsuke_detect::Engine;
    use metsuke_event::activity::ProcessActivity;
    use metsuke_event::{Activity, Event, Kind, Process, Timestamp};
    use metsuke_link::Identity;
    use metsuke_link::message::{
        Bundle, BundleDocument, BundleException, BundleSite, BundleTuning,
    };

    use super::{Content, file};

    const SHELL: &str = "title: t\nid: shell\nlevel: low\nlogsource: {product: linux}\ndetection: \
                         {s: {Image|endswith: /sh}, condition: s}\n";

    /// Hits that are acted on of an exec of `/bin/sh` under this site.
    fn hits(site: BundleSite) -> usize {
        let document = BundleDocument { path: "a.yml".to_owned(), text: SHELL.to_owned() };
        let documents = Arc::new(vec![document]);
        let content = Content::compile(Bundle { documents, site, ..Bundle::default() });
        assert_eq!(content.refused, 0);
        let mut engine = Engine::new(content.rules);
        engine.lay(content.overlay);
        let mut event = Event::empty(Kind::ProcessExec);
        event.activity = Activity::Process(ProcessActivity::Exec);
        event.process = Arc::new(Process { exe: Some("/bin/sh".into()), ..Process::default() });
        engine.observe(&event).hits.iter().filter(|hit| hit.excepted.is_none()).count()
    }

    #[test]
    fn what_the_site_tunes_off_or_excepts_is_not_acted_on() {
        let off = BundleTuning { detection: "shell".to_owned(), enabled: Some(false), level: None };
        let exception = |condition: &str| BundleException {
            id: "e".to_owned(),
            detections: vec!["shell".to_owned()],
            condition: condition.to_owned(),
            expires: Timestamp::from_nanos(i64::MAX),
        };
        let excepted = |condition| BundleSite {
            exceptions: vec![exception(condition)],
            ..BundleSite::default()
        };
        assert_eq!(hits(BundleSite::default()), 1);
        assert_eq!(hits(BundleSite { tunings: vec![off], ..BundleSite::default() }), 0);
        assert_eq!(hits(excepted("Image: /bin/sh")), 0);
        assert_eq!(hits(excepted("Image: /usr/bin/sh")), 1);
    }

    #[test]
    fn content_that_nobody_signed_is_refused_and_said() {
        let dir = tempfile::tempdir().expect("a folder");
        let key = "00".repeat(32);
        let text = format!(
            r#"{{"endpoint": "{}", "server": "", "certificate": "", "key": "", "authority": "", "signing_key": "{key}"}}"#,
            "0".repeat(32)
        );
        let identity: Identity = serde_json::from_str(&text).expect("an identity");
        let (built_in, problem) = Content::load(dir.path(), &identity);
        assert_eq!(problem, None, "there is none");
        std::fs::write(file(dir.path()), [7; 300]).expect("written");
        let (content, problem) = Content::load(dir.path(), &identity);
        let problem = problem.expect("it is not signed");
        assert!(problem.contains("content.signed") && problem.contains("not signed"), "{problem}");
        assert_eq!((content.serial, content.version), (built_in.serial, built_in.version));
    }
}
