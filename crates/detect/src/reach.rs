//! Which detections can fire where only some kinds of activity are seen.
//!
//! Invariant: what is said not to fire cannot; what is said to may still lack a field there.

use metsuke_event::Kind;
use metsuke_event::finding::{DetectionRef, Layer, Level};
use metsuke_event::logsource;

use crate::correlate::Rule;
use crate::question::Question;
use crate::ruleset::{Meta, RuleSet};
use crate::sigma::condition::Condition;

/// Whether one detection can fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The detection.
    pub detection: DetectionRef,
    /// Whether it can.
    pub can_fire: bool,
    /// What it needs and has not; what it stands on when it can.
    pub why: String,
}

/// Names shown at most in one reason.
const SHOWN: usize = 4;

impl RuleSet {
    /// For every detection, filters first, whether it can fire where the kinds of `sees` are seen.
    pub fn reach(&self, sees: &dyn Fn(Kind) -> bool) -> Vec<Reach> {
        let mut reach = Vec::with_capacity(self.filters.len() + self.rules.len());
        for (meta, filter) in self.filters.iter().zip(&self.compiled) {
            let (seen, unseen): (Vec<Kind>, Vec<Kind>) = Kind::ALL
                .iter()
                .filter(|kind| {
                    let wanted = filter.source.as_log_source();
                    logsource::of_kind(**kind).iter().any(|source| wanted.accepts(source))
                })
                .partition(|kind| sees(**kind));
            let why = if let [first, ..] = seen.as_slice() {
                format!("{} is seen", first.name())
            } else if unseen.is_empty() {
                format!("no activity of this sensor has the log source {}", meta.log_source)
            } else {
                format!("needs {}, not seen here", names(unseen.iter().map(|kind| kind.name())))
            };
            let (can_fire, why) =
                unmet(meta, sees).map_or((!seen.is_empty(), why), |why| (false, why));
            reach.push(Reach { detection: meta.detection.clone(), can_fire, why });
        }
        for (meta, rule) in self.rules.iter().zip(&self.correlations) {
            let (can_fire, why) = self.reach_of_rule(rule, &reach);
            let (can_fire, why) = unmet(meta, sees).map_or((can_fire, why), |why| (false, why));
            reach.push(Reach { detection: meta.detection.clone(), can_fire, why });
        }
        let fires: Vec<bool> = reach.iter().map(|one| one.can_fire).collect();
        let levels: Vec<Level> = reach.iter().map(|one| one.detection.level).collect();
        for (meta, model) in self.models.iter().zip(&self.weighings) {
            let (can_fire, why) = model.reach(&levels, &fires);
            let (can_fire, why) = unmet(meta, sees).map_or((can_fire, why), |why| (false, why));
            reach.push(Reach { detection: meta.detection.clone(), can_fire, why });
        }
        reach
    }

    fn reach_of_rule(&self, rule: &Rule, known: &[Reach]) -> (bool, String) {
        let one = |reference: usize| {
            let (layer, index) = *rule.stands_on.get(reference)?;
            known.get(if layer == Layer::Rule { self.filters.len() + index } else { index })
        };
        let fires = |reference: usize| one(reference).is_some_and(|reach| reach.can_fire);
        let all = 0..rule.references;
        let can_fire = match &rule.question {
            Question::Count(_)
            | Question::Values(_)
            | Question::Number(..)
            | Question::Threshold(..)
            | Question::FirstSeen(_) => all.clone().any(fires),
            // Which indicators there are is not known here.
            Question::Indicator(_) => true,
            Question::Temporal(condition) => could_hold(condition, &fires),
            Question::Several(range) => {
                let most = all.clone().filter(|reference| fires(*reference)).count();
                (1..=most).any(|count| range.holds_count(count))
            }
            // Where what must not come cannot come, its absence says nothing.
            Question::Sequence(sequence) => {
                let some = |marks: &[bool]| all.clone().any(|one| marks[one] && fires(one));
                let trailing = sequence.trailing.as_ref();
                sequence.steps.iter().all(|step| some(&step.is))
                    && trailing.is_none_or(|trailing| some(&trailing.without))
            }
            Question::Ordered => all.clone().all(fires),
        };
        let silent = all.filter(|reference| !fires(*reference)).filter_map(one);
        let silent = names(silent.map(|reach| reach.detection.title.as_str()));
        let why = match (can_fire, silent.is_empty()) {
            (true, true) => "everything it stands on can fire".to_owned(),
            (true, false) => format!("without {silent}, which cannot fire"),
            (false, _) => format!("stands on {silent}, which cannot fire"),
        };
        (can_fire, why)
    }
}

/// Why a detection cannot fire, when it says that it needs what is not seen.
fn unmet(meta: &Meta, sees: &dyn Fn(Kind) -> bool) -> Option<String> {
    let mut unseen = meta.needs.iter().filter(|kind| !sees(**kind)).peekable();
    unseen.peek()?;
    Some(format!("needs {}, not seen here", names(unseen.map(|kind| kind.name()))))
}

/// Whether it can hold at some time; what cannot fire is absent at all times.
fn could_hold(condition: &Condition, fires: &impl Fn(usize) -> bool) -> bool {
    match condition {
        Condition::Search(index) => fires(*index),
        // Whatever it asks for may just not be there.
        Condition::Not(_) => true,
        Condition::All(parts) => parts.iter().all(|part| could_hold(part, fires)),
        Condition::Some(number, parts) => {
            parts.iter().filter(|part| could_hold(part, fires)).count() >= *number
        }
    }
}

/// The first few, and how many more.
fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = all.collect();
    let shown = all.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use metsuke_event::Kind;

    use crate::{Document, compile};

    fn document(path: &str, text: &str) -> Document {
        Document { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_detection_fires_where_what_it_stands_on_is_seen() {
        let filter = |id: &str, title: &str, category: &str| {
            let text = format!(
                "title: {title}\nid: {id}\nname: {title}\nlogsource:\n    product: linux\n    \
                 category: {category}\ndetection:\n    any:\n        Image|contains: x\n    \
                 condition: any\nlevel: high\n"
            );
            document(title, &text)
        };
        let rule = "title: both\nid: 00000000-0000-4000-8000-000000000003\ncorrelation:\n    \
                    type: temporal\n    rules:\n        - exec\n        - load\n    group-by:\n        \
                    - User\n    timespan: 5m\nlevel: high\n";
        let (rules, refused) = compile([
            filter("00000000-0000-4000-8000-000000000001", "exec", "process_creation"),
            filter("00000000-0000-4000-8000-000000000002", "load", "driver_load"),
            filter("00000000-0000-4000-8000-000000000004", "other", "registry_set"),
            document("both", rule),
        ]);
        assert!(refused.is_empty(), "{refused:?}");
        let fire = |kinds: &[Kind]| {
            let reach = rules.reach(&|kind| kinds.contains(&kind));
            reach
                .into_iter()
                .filter(|one| one.can_fire)
                .map(|one| one.detection.title)
                .collect::<Vec<_>>()
        };
        assert_eq!(fire(&[Kind::ProcessExec, Kind::ModuleLoad]), ["exec", "load", "both"]);
        assert_eq!(fire(&[Kind::ProcessExec]), ["exec"]);
        assert!(fire(&[]).is_empty());
        let why = rules.reach(&|kind| kind == Kind::ProcessExec);
        assert!(why.iter().any(|one| one.why.contains("needs module.load")), "{why:?}");
        assert!(why.iter().any(|one| one.why.contains("stands on load")), "{why:?}");
    }
}
