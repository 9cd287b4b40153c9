//! One endpoint's exercise: asked for, learned of, cleaned up.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PAUSE;
use crate::client::Client;
use crate::command::alert::checked;
use crate::command::plan;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::cell;

/// How long all endpoints together may take for the exercise, and again for the clean-up.
pub(super) const LIMIT: Duration = Duration::from_mins(1);

/// Whether there is another look at a plan after this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Early,
    Last,
}

impl Look {
    /// The look that is due now when all of them end at `end`.
    pub(super) fn before(end: Instant) -> Self {
        if Instant::now() < end { Self::Early } else { Self::Last }
    }
}

/// What became of an endpoint's exercise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It was asked, and nothing is known against it.
    Asked,
    /// It is not there to be asked.
    Offline,
    /// Its policy, or the server, does not permit it.
    Denied,
    /// It was asked, and something went wrong.
    Failed,
}

impl State {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Offline => "offline",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// What is known of one endpoint's exercise.
#[derive(Debug)]
pub(super) struct Exercise {
    /// The plan, once there is one.
    pub(super) plan: Option<String>,
    pub(super) state: State,
    pub(super) endpoint: String,
    pub(super) host: String,
    pub(super) sha256: String,
    /// Where the copies are; empty until the plan is done.
    pub(super) truth: BTreeSet<String>,
    /// Those of them that were found.
    pub(super) found: BTreeSet<String>,
    pub(super) trouble: Option<String>,
}

/// The endpoints in `names`, or all that are enrolled; each once.
pub(super) fn enrolled(client: &Client, names: &[String]) -> Result<Vec<Exercise>, Failure> {
    if names.is_empty() {
        let answer = client.list("/api/v1/endpoints", &[], None)?;
        return Ok(answer["items"].as_array().into_iter().flatten().map(Exercise::of).collect());
    }
    let mut named: Vec<Exercise> = Vec::new();
    for name in names {
        let mut one = Exercise::of(&client.endpoint(name)?);
        // One that was named is asked whatever the server thinks of it.
        (one.state, one.trouble) = (State::Asked, None);
        if named.iter().all(|other| other.endpoint != one.endpoint) {
            named.push(one);
        }
    }
    Ok(named)
}

/// Looks at every plan whose end is not known and takes the truth from those that are done; whether
/// there is still one. When it is `Last`, one that has not ended has failed, or nobody fetched it.
pub(super) fn learn(
    client: &Client,
    exercises: &mut [Exercise],
    look: Look,
) -> Result<bool, Failure> {
    for one in exercises.iter_mut().filter(|one| one.is_open()) {
        one.look(client, look)?;
    }
    Ok(exercises.iter().any(Exercise::is_open))
}

/// Removes what was made, wherever a plan was. One endpoint's failure keeps no other from it; a
/// server that is away is waited for.
pub(super) fn clean_up(client: &Client, exercises: &mut [Exercise], interrupt: &Interrupt) {
    let mut open: Vec<Cleaning<'_>> = exercises
        .iter_mut()
        .filter(|one| one.plan.is_some() && one.state != State::Denied)
        .map(|exercise| Cleaning { exercise, plan: None })
        .collect();
    if interrupt.check().is_err() && !open.is_empty() {
        let note =
            "removing what was made; another Ctrl-C leaves that to the sensors, in their time";
        // Without a terminal nobody is there to be told.
        let _ = writeln!(std::io::stderr(), "metsuke: {note}");
    }
    let end = Instant::now() + LIMIT;
    loop {
        let look = Look::before(end);
        open.retain_mut(|one| one.goes_on(client, look));
        if open.is_empty() {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

impl Exercise {
    pub(super) fn of(endpoint: &Value) -> Self {
        let online = endpoint["status"] == "online";
        let trouble = format!("not asked: it is {}", cell(&endpoint["status"]));
        Self {
            plan: None,
            state: if online { State::Asked } else { State::Offline },
            endpoint: cell(&endpoint["id"]),
            host: cell(&endpoint["host"]),
            sha256: String::new(),
            truth: BTreeSet::new(),
            found: BTreeSet::new(),
            trouble: (!online).then_some(trouble),
        }
    }

    /// Has the plan made. A refusal belongs to this endpoint; that nobody answers, to all.
    pub(super) fn begin(&mut self, client: &Client) -> Result<(), Failure> {
        if self.state != State::Asked {
            return Ok(());
        }
        let made = client.post(
            "/api/v1/responses",
            &json!({ "verb": "poc", "endpoint": self.endpoint,
                "reason": "proof of coverage by metsuke poc" }),
        );
        match made.and_then(|made| plan::id(&made)) {
            Ok(id) => self.plan = Some(id),
            Err(Failure::Conflict(reason)) => self.end(State::Denied, &reason),
            Err(error) => self.suffer(error)?,
        }
        Ok(())
    }

    /// Whether its plan's end is still to be learned.
    fn is_open(&self) -> bool {
        self.plan.is_some() && self.state == State::Asked && self.truth.is_empty()
    }

    fn look(&mut self, client: &Client, look: Look) -> Result<(), Failure> {
        let Some(id) = &self.plan else { return Ok(()) };
        match client.get(&format!("/api/v1/responses/{}", checked(id)?)) {
            Ok(plan) if plan["state"] == "done" => self.take(&plan["result"]),
            Ok(plan) if look == Look::Last || plan::ended(&plan) => {
                let (state, trouble) = outcome(&plan);
                self.end(state, &trouble);
            }
            Ok(_) => {}
            Err(error) => self.suffer(error)?,
        }
        Ok(())
    }

    fn take(&mut self, result: &Value) {
        self.sha256 = cell(&result["sha256"]);
        let paths = result["paths"].as_array().into_iter().flatten();
        self.truth = paths.filter_map(Value::as_str).map(str::to_owned).collect();
        if self.truth.is_empty() {
            self.end(State::Failed, "the sensor says it is done but names no copy");
        }
    }

    /// An error that concerns every endpoint is handed on, another is this one's.
    fn suffer(&mut self, error: Failure) -> Result<(), Failure> {
        if matches!(error, Failure::Unreachable { .. } | Failure::NotAllowed(_)) {
            return Err(error);
        }
        self.end(State::Failed, &error.to_string());
        Ok(())
    }

    /// What is known against it already stays the first thing that is said.
    fn end(&mut self, state: State, trouble: &str) {
        if self.state == State::Asked {
            self.state = state;
        }
        self.trouble = Some(match self.trouble.take() {
            Some(first) => format!("{first}; {trouble}"),
            None => trouble.to_owned(),
        });
    }
}

/// What a plan that was not done means for its endpoint.
pub(super) fn outcome(plan: &Value) -> (State, String) {
    let updates = plan["updates"].as_array().map(Vec::as_slice).unwrap_or_default();
    let detail = updates.last().map(|update| cell(&update["detail"])).unwrap_or_default();
    let fetched = updates.iter().any(|update| update["state"] == "delivered");
    let state = match plan["state"].as_str() {
        Some("queued" | "expired") if !fetched => State::Offline,
        // The sensor's words when its policy does not permit the exercise.
        Some("failed") if detail.contains("denies `poc`") => State::Denied,
        _ => State::Failed,
    };
    let name = cell(&plan["state"]);
    (
        state,
        if detail.is_empty() { format!("the plan is {name}") } else { format!("{name}: {detail}") },
    )
}

/// The clean-up of one endpoint.
struct Cleaning<'a> {
    exercise: &'a mut Exercise,
    /// The plan that removes, once there is one.
    plan: Option<String>,
}

impl Cleaning<'_> {
    /// Takes the next step; whether there is another.
    fn goes_on(&mut self, client: &Client, look: Look) -> bool {
        let trouble = match self.step(client) {
            Ok(true) => return false,
            Ok(false) if look == Look::Last => "not carried out yet".to_owned(),
            Ok(false) => return true,
            Err(Failure::Unreachable { .. } | Failure::Server(_)) if look == Look::Early => {
                return true;
            }
            Err(error) => error.to_string(),
        };
        let trouble = format!("clean-up: {trouble} (the sensor removes its files in time)");
        self.exercise.end(State::Failed, &trouble);
        false
    }

    /// Whether nothing is left there.
    fn step(&mut self, client: &Client) -> Result<bool, Failure> {
        let Some(exercise) = &self.exercise.plan else { return Ok(true) };
        let Some(plan) = &self.plan else {
            if self.exercise.truth.is_empty() && is_taken_back(client, exercise)? {
                return Ok(true);
            }
            let made = client.post(
                "/api/v1/responses",
                &json!({ "verb": "poc_cleanup", "endpoint": self.exercise.endpoint,
                    "cleanup_of": exercise, "reason": "clean-up after metsuke poc" }),
            )?;
            self.plan = Some(plan::id(&made)?);
            return Ok(false);
        };
        let seen = client.get(&format!("/api/v1/responses/{}", checked(plan)?))?;
        if plan::ended(&seen) && seen["state"] != "done" {
            return Err(Failure::Conflict(outcome(&seen).1));
        }
        Ok(seen["state"] == "done")
    }
}

/// Takes back a plan that nobody has begun, so that nothing is made after this command ended.
fn is_taken_back(client: &Client, plan: &str) -> Result<bool, Failure> {
    match client.post(&format!("/api/v1/responses/{}/cancel", checked(plan)?), &json!({})) {
        Ok(answer) => Ok(answer["state"] == "cancelled"),
        // It has begun, or ended: then there may be something to remove.
        Err(Failure::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
