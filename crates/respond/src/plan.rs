//! A response plan: a value that can be shown, approved, cancelled and expired before it acts.

use metsuke_event::id::{AlertId, PlanId};
use metsuke_event::{EndpointId, ProcessKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::evidence::{self, AskError, EVIDENCE_BYTES_DEFAULT, LiveList, Regions, ScanTarget};
use crate::outcome::Outcome;
use crate::state::{State, TransitionError};

/// How long a plan waits for its endpoint when nobody says otherwise, in seconds.
pub const PLAN_TTL_DEFAULT_S: u32 = 3_600;
/// Longest reason and detail kept, in bytes: they are shown to people and stand in the audit log.
pub const TEXT_MAX: usize = 1_024;
/// Most updates one plan keeps. The table allows four; the rest is room for details.
pub const UPDATES_MAX: usize = 32;

/// What shall be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Verb {
    /// End a process, or everything of its storyline that still runs.
    Terminate {
        /// The process; its start time and boot are the precondition.
        target: ProcessKey,
        /// How much.
        scope: Scope,
    },
    /// The proof-of-coverage exercise: make a unique harmless executable (derived from the plan's
    /// id; nothing else is taken from outside), drop, rename and copy it, run one copy.
    Poc {
        /// How long the files stay when no clean-up comes, in seconds.
        ttl_s: u32,
    },
    /// Remove what an earlier [`Verb::Poc`] left.
    PocCleanup {
        /// The earlier plan.
        poc: PlanId,
    },
    /// Read the memory of a process, without stopping it.
    Dump {
        /// The process; its start time and boot are the precondition.
        target: ProcessKey,
        /// Which mappings.
        regions: Regions,
        /// At most so many bytes, before compression.
        max_bytes: u64,
    },
    /// Read a file.
    Collect {
        /// Absolute.
        path: String,
        /// At most so many bytes.
        max_bytes: u64,
    },
    /// Look for YARA rules.
    Scan {
        /// In what.
        what: ScanTarget,
        /// YARA source.
        rules: String,
    },
    /// List what there is.
    ListLive {
        /// Of what.
        what: LiveList,
    },
    /// Compare what the kernel knows with what it tells programs.
    Crossview,
}

impl Verb {
    /// Its name, as it is written everywhere.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Terminate { .. } => "terminate",
            Self::Poc { .. } => "poc",
            Self::PocCleanup { .. } => "poc_cleanup",
            Self::Dump { .. } => "dump",
            Self::Collect { .. } => "collect",
            Self::Scan { .. } => "scan",
            Self::ListLive { .. } => "list_live",
            Self::Crossview => "crossview",
        }
    }

    /// Whether it takes evidence and changes nothing.
    pub const fn is_evidence(&self) -> bool {
        match self {
            Self::Terminate { .. } | Self::Poc { .. } | Self::PocCleanup { .. } => false,
            Self::Dump { .. }
            | Self::Collect { .. }
            | Self::Scan { .. }
            | Self::ListLive { .. }
            | Self::Crossview => true,
        }
    }

    /// A dump of `target` as far as nothing else is said.
    pub const fn dump(target: ProcessKey) -> Self {
        Self::Dump { target, regions: Regions::Anonymous, max_bytes: EVIDENCE_BYTES_DEFAULT }
    }

    /// Most bytes the artifact of this may have; `None` when it brings none.
    pub const fn artifact_bytes_max(&self) -> Option<u64> {
        match self {
            Self::Terminate { .. } | Self::Poc { .. } | Self::PocCleanup { .. } => None,
            // What cannot be compressed grows a little, and the list of mappings is added.
            Self::Dump { max_bytes, .. } => Some(*max_bytes + *max_bytes / 128 + (64 << 20)),
            Self::Collect { max_bytes, .. } => Some(*max_bytes),
            Self::Scan { .. } | Self::ListLive { .. } | Self::Crossview => Some(64 << 20),
        }
    }

    fn check(&self) -> Result<(), AskError> {
        match self {
            Self::Dump { max_bytes, .. } => evidence::check_bytes(*max_bytes),
            Self::Collect { path, max_bytes } => {
                evidence::check_bytes(*max_bytes)?;
                evidence::check_path(path)
            }
            Self::Scan { what, rules } => {
                if let ScanTarget::Path { path } = what {
                    evidence::check_path(path)?;
                }
                evidence::check_rules(rules)
            }
            _ => Ok(()),
        }
    }
}

/// How much a terminate ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The one process.
    Process,
    /// Everything of the storyline the process belongs to.
    Storyline,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// When.
    pub time: Timestamp,
    /// The state reached.
    pub state: State,
    /// More for people.
    pub detail: String,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Identity.
    pub id: PlanId,
    /// What shall be done.
    #[serde(flatten)]
    pub verb: Verb,
    /// Where.
    pub endpoint: EndpointId,
    /// Why, in the actor's words.
    pub reason: String,
    /// Who asked for it.
    pub actor: String,
    /// The alert it answers.
    pub alert: Option<AlertId>,
    /// When it was asked for, by the server's clock.
    pub created: Timestamp,
    /// When it ceases to hold if it has not begun, by the server's clock.
    pub expires: Timestamp,
    /// How far it has come.
    pub state: State,
    /// Every step, oldest first.
    pub updates: Vec<Update>,
    /// What it did, once that is known.
    pub outcome: Option<Outcome>,
}

/// A plan that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No reason was given.
    #[error("a response needs a reason; write one sentence that says why")]
    NoReason,
    /// The reason is too long.
    #[error("the reason has {0} bytes; at most {TEXT_MAX} are kept: shorten it")]
    LongReason(usize),
    /// It would have expired before it was made.
    #[error("the plan would expire before it was made; give it a time to live above zero")]
    AlreadyExpired,
    /// What is asked for cannot be.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The step is not in the table.
    #[error(transparent)]
    Transition(#[from] TransitionError),
}

/// Whether an update changed the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It did.
    Changed,
    /// It had been applied before, or is overtaken by a later state.
    Known,
}

impl Plan {
    /// A new plan, queued.
    ///
    /// # Errors
    /// Without a reason, with one longer than [`TEXT_MAX`], expiring at once, or asking for what
    /// cannot be.
    pub fn new(draft: Draft) -> Result<Self, PlanError> {
        let reason = draft.reason.trim().to_owned();
        if reason.is_empty() {
            return Err(PlanError::NoReason);
        }
        if reason.len() > TEXT_MAX {
            return Err(PlanError::LongReason(reason.len()));
        }
        if draft.expires <= draft.created {
            return Err(PlanError::AlreadyExpired);
        }
        draft.verb.check()?;
        let queued = Update { time: draft.created, state: State::Queued, detail: String::new() };
        Ok(Self {
            id: draft.id,
            verb: draft.verb,
            endpoint: draft.endpoint,
            reason,
            actor: draft.actor,
            alert: draft.alert,
            created: draft.created,
            expires: draft.expires,
            state: State::Queued,
            updates: vec![queued],
            outcome: None,
        })
    }

    /// Takes one step. A step already taken is [`Applied::Known`]: updates travel at least once.
    ///
    /// # Errors
    /// When the table has no such step and the plan was never in that state.
    pub fn apply(
        &mut self,
        update: Update,
        outcome: Option<Outcome>,
    ) -> Result<Applied, PlanError> {
        if self.updates.iter().any(|known| known.state == update.state) {
            return Ok(Applied::Known);
        }
        self.state = self.state.step(update.state)?;
        if outcome.is_some() {
            self.outcome = outcome;
        }
        if self.updates.len() < UPDATES_MAX {
            self.updates.push(Update { detail: cut(update.detail), ..update });
        }
        Ok(Applied::Changed)
    }

    /// Whether it ceases to hold at `now`: its time is over and it has not begun.
    pub fn is_due_to_expire(&self, now: Timestamp) -> bool {
        now >= self.expires && self.state.may_become(State::Expired)
    }
}

/// What a plan is made of.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "documented at `Plan`")]
pub struct Draft {
    pub id: PlanId,
    pub verb: Verb,
    pub endpoint: EndpointId,
    pub reason: String,
    pub actor: String,
    pub alert: Option<AlertId>,
    pub created: Timestamp,
    pub expires: Timestamp,
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_MAX {
        let mut end = TEXT_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use metsuke_event::Timestamp;
    use metsuke_event::id::{EndpointId, PlanId};

    use super::{Applied, Draft, Plan, PlanError, Scope, TEXT_MAX, Update, Verb};
    use crate::State;

    fn draft(reason: &str) -> Draft {
        Draft {
            id: PlanId::from_u128(7),
            verb: Verb::Terminate {
                target: metsuke_event::ProcessKey::default(),
                scope: Scope::Process,
            },
            endpoint: EndpointId::from_u128(9),
            reason: reason.to_owned(),
            actor: "mika".to_owned(),
            alert: None,
            created: Timestamp::from_millis(1_000),
            expires: Timestamp::from_millis(2_000),
        }
    }

    fn update(state: State) -> Update {
        Update { time: Timestamp::from_millis(1_500), state, detail: "é".repeat(TEXT_MAX) }
    }

    #[test]
    fn a_plan_needs_a_reason_and_a_future() {
        assert_eq!(Plan::new(draft("  ")), Err(PlanError::NoReason));
        assert_eq!(Plan::new(draft(&"x".repeat(2_000))), Err(PlanError::LongReason(2_000)));
        let late = Draft { expires: Timestamp::from_millis(1_000), ..draft("why") };
        assert_eq!(Plan::new(late), Err(PlanError::AlreadyExpired));
    }

    #[test]
    fn updates_apply_once_and_in_order() {
        let mut plan = Plan::new(draft("why")).expect("valid");
        assert_eq!(plan.apply(update(State::Delivered), None), Ok(Applied::Changed));
        assert_eq!(plan.apply(update(State::Delivered), None), Ok(Applied::Known));
        assert_eq!(plan.apply(update(State::Running), None), Ok(Applied::Changed));
        assert_eq!(plan.apply(update(State::Delivered), None), Ok(Applied::Known));
        assert!(plan.apply(update(State::Cancelled), None).is_err());
        assert_eq!(plan.apply(update(State::Done), None), Ok(Applied::Changed));
        assert!(plan.apply(update(State::Failed), None).is_err());
        assert_eq!(plan.state, State::Done);
        assert!(plan.updates.iter().all(|update| update.detail.len() <= TEXT_MAX));
    }

    #[test]
    fn only_what_has_not_begun_expires() {
        let mut plan = Plan::new(draft("why")).expect("valid");
        let after = Timestamp::from_millis(3_000);
        assert!(plan.is_due_to_expire(after));
        assert!(!plan.is_due_to_expire(Timestamp::from_millis(1_999)));
        plan.apply(update(State::Running), None).expect("allowed");
        assert!(!plan.is_due_to_expire(after));
    }

    #[test]
    fn what_cannot_be_asked_for_is_no_plan() {
        let of = |verb| Plan::new(Draft { verb, ..draft("why") });
        let collect =
            |path: &str, max_bytes| of(Verb::Collect { path: path.to_owned(), max_bytes });
        assert!(collect("/etc/hosts", 1).is_ok());
        assert!(matches!(collect("etc/hosts", 1), Err(PlanError::Ask(_))));
        assert!(matches!(collect("/etc/hosts", 0), Err(PlanError::Ask(_))));
        assert!(matches!(collect("/etc/hosts", u64::MAX), Err(PlanError::Ask(_))));
    }

    #[test]
    fn evidence_verbs_round_trip_under_their_names() {
        let target = metsuke_event::ProcessKey::default();
        let what = crate::ScanTarget::Path { path: "/tmp".to_owned() };
        for verb in [
            Verb::dump(target),
            Verb::Collect { path: "/a".to_owned(), max_bytes: 1 },
            Verb::Scan { what, rules: "rule a { condition: true }".to_owned() },
            Verb::Scan { what: crate::ScanTarget::Process { target }, rules: "x".to_owned() },
            Verb::ListLive { what: crate::LiveList::Sockets },
            Verb::Crossview,
        ] {
            let plan = Plan::new(Draft { verb: verb.clone(), ..draft("why") }).expect("valid");
            let text = serde_json::to_string(&plan).expect("serialises");
            assert!(text.contains(&format!(r#""verb":"{}""#, verb.name())), "{text}");
            assert_eq!(serde_json::from_str::<Plan>(&text).expect("parses"), plan);
            assert!(verb.is_evidence() && verb.artifact_bytes_max().is_some());
        }
    }

    #[test]
    fn json_round_trips() {
        let plan = Plan::new(draft("why")).expect("valid");
        let text = serde_json::to_string(&plan).expect("serialises");
        assert!(text.contains(r#""verb":"terminate""#), "{text}");
        assert_eq!(serde_json::from_str::<Plan>(&text).expect("parses"), plan);
    }
}
