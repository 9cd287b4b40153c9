//! What `./x run` says: where the console is, what is blind, and the live status line.

use serde_json::Value;

use super::world::World;
use crate::steps;

/// Most blind spots that are printed; the endpoint's page in the console lists all.
const BLIND_SHOWN: usize = 12;

/// How a sensor begins its reason when it may act nowhere.
const NEVER_ACTS: &str = "no plan can end a process";

/// Console, password, tier, blind spots.
pub(crate) fn welcome(world: &World) {
    let ready = world.server().ready();
    steps::line("");
    steps::line(&format!("  console    {}", ready.console_url));
    match world.server().first_admin() {
        Some(admin) => {
            steps::line(&format!(
                "  sign in    {}  with the one-time password  {}",
                admin.user, admin.password
            ));
        }
        None => {
            steps::line("  sign in    as before (the first password was printed at the first run)");
        }
    }
    let endpoint = &world.endpoint;
    steps::line(&format!(
        "  sensor     {} on {}",
        plain(&endpoint["id"]),
        plain(&endpoint["host"])
    ));
    steps::line(&format!(
        "  watches    {}",
        world.scope.as_ref().map_or("this host".into(), |p| p.display().to_string())
    ));
    steps::line(&format!("  tier       {}", tier(endpoint)));
    for line in refusals(endpoint) {
        steps::line(&format!("             {line}"));
    }
    let blind = endpoint["coverage"]["blind"].as_array().map(Vec::as_slice).unwrap_or_default();
    let nothing = if endpoint["coverage"].is_null() { "everything" } else { "nothing it knows of" };
    steps::line(&format!("  blind to   {}", if blind.is_empty() { nothing } else { "" }));
    for spot in blind.iter().take(BLIND_SHOWN) {
        steps::line(&format!("             {}: {}", plain(&spot["code"]), plain(&spot["reason"])));
    }
    if blind.len() > BLIND_SHOWN {
        steps::line(&format!(
            "             and {} more, see the endpoint's page",
            blind.len() - BLIND_SHOWN
        ));
    }
    for reason in endpoint["degraded"].as_array().into_iter().flatten() {
        // Why it may not act is said below.
        if !reason.as_str().is_some_and(|reason| reason.starts_with(NEVER_ACTS)) {
            steps::line(&format!("  degraded   {}", plain(reason)));
        }
    }
    steps::line("  policy     detect, never block");
    for (number, line) in
        responses(world.enforcement.as_deref(), endpoint, Right::own()).iter().enumerate()
    {
        steps::line(&format!("  {:<9}  {line}", if number == 0 { "responses" } else { "" }));
    }
    steps::line("");
}

/// What this program, and so the sensor it started, may do on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Root,
    User,
}

impl Right {
    fn own() -> Self {
        if metsuke_testkit::process::is_root() { Self::Root } else { Self::User }
    }
}

/// Whether an analyst can end processes there, or why not.
fn responses(enforcement: Option<&str>, endpoint: &Value, right: Right) -> Vec<String> {
    let place = match enforcement {
        None => return vec!["not known: the sensor has not said where it may act".to_owned()],
        Some("host") => "on this host".to_owned(),
        Some(group) if group.starts_with('/') => {
            format!("in control group {}", plain(&group.into()))
        }
        Some(reason) => return vec![format!("none: {}", plain(&reason.into()))],
    };
    let mut lines =
        vec![format!("an analyst can end processes {place}; the sensor by itself never does")];
    if right == Right::User {
        lines.push("without root: only processes of this user".to_owned());
    }
    let sees = endpoint["coverage"]["sees"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !sees.iter().any(|class| class == "process.fork") {
        lines.push(
            "one process at a time: who started whom is not seen, so no storyline can be ended"
                .to_owned(),
        );
    }
    lines
}

/// What was tried and refused, tier by tier, with the reason; hooks with the same one share a line.
fn refusals(endpoint: &Value) -> Vec<String> {
    let hooks = endpoint["coverage"]["hooks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut groups: Vec<(&Value, &Value, Vec<String>)> = Vec::new();
    for hook in hooks.iter().filter(|hook| hook["outcome"] == "refused") {
        let (tier, reason, name) = (&hook["tier"], &hook["reason"], plain(&hook["hook"]));
        match groups.iter_mut().find(|group| group.0 == tier && group.1 == reason) {
            Some(group) => group.2.push(name),
            None => groups.push((tier, reason, vec![name])),
        }
    }
    let line = |(tier, reason, names): (&Value, &Value, Vec<String>)| {
        let number = match tier.as_str() {
            Some("lsm") => "1",
            Some("tracing") => "2",
            _ => "3",
        };
        format!("refused, tier {number}: {}: {}", names.join(", "), plain(reason))
    };
    groups.into_iter().map(line).collect()
}

fn tier(endpoint: &Value) -> String {
    let number = endpoint["tier"].as_u64().unwrap_or_default();
    let word = match number {
        1 => "BPF LSM: sees, and can deny in the kernel",
        2 => "BPF tracing and cgroup hooks: sees, and can stop shortly after",
        3 => "proc connector, fanotify and /proc: sees",
        _ => return "none: it sees nothing".to_owned(),
    };
    format!("{number} ({word})")
}

/// Text from a host may hold anything; only what cannot command a terminal is printed.
pub(crate) fn plain(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(300).collect()
}

/// One line, redrawn in place on a terminal; without one nothing is printed. When it goes, the
/// terminal stands at the beginning of a fresh line.
#[derive(Debug)]
pub(crate) struct StatusLine {
    terminal: bool,
}

impl StatusLine {
    pub(crate) fn new() -> Self {
        steps::say("Ctrl-C drains and stops.");
        Self { terminal: steps::has_terminal() }
    }

    pub(crate) fn draw(&self, world: &World) {
        if !self.terminal {
            return;
        }
        let api = world.api();
        let text = match (api.get("/api/v1/overview"), api.endpoint(world.endpoint_id())) {
            (Ok(overview), Ok(endpoint)) => status(&overview, &endpoint),
            (Err(error), _) | (_, Err(error)) => format!("the server does not answer: {error:#}"),
        };
        steps::redraw(&text);
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        if self.terminal {
            steps::end_line();
        }
    }
}

/// What matters most comes first: a narrow terminal cuts the end.
fn status(overview: &Value, endpoint: &Value) -> String {
    let health = &endpoint["health"];
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    format!(
        "{} · {} open alerts · {} activities · {} lost · {} ms behind · {} kB spooled · sensor {} MB, {} s CPU",
        plain(&endpoint["status"]),
        count(&overview["alerts"]["open"]),
        count(&health["events_total"]),
        count(&health["lost_total"]),
        count(&health["lag_ms"]),
        count(&health["spool_bytes"]) / 1024,
        count(&health["rss_bytes"]) / (1024 * 1024),
        count(&health["cpu_ms"]) / 1000,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Right, refusals, responses};

    #[test]
    fn whether_a_process_can_be_ended_is_said_and_why_not() {
        let check = |enforcement: Option<&str>, sees: Value, right: Right, expect: &[&str]| {
            let lines = responses(enforcement, &json!({ "coverage": { "sees": sees } }), right);
            assert_eq!(lines.len(), expect.len(), "{lines:?}");
            for (line, expect) in lines.iter().zip(expect) {
                assert!(line.contains(expect), "{line:?} says {expect:?}");
            }
        };
        let forks = || json!(["process.fork"]);
        check(Some("/a/b"), forks(), Right::Root, &["in control group /a/b"]);
        check(Some("host"), forks(), Right::Root, &["on this host"]);
        check(Some("host"), forks(), Right::User, &["on this host", "only processes of this user"]);
        check(Some("/a"), json!(null), Right::Root, &["in control group /a", "no storyline"]);
        check(Some("it only watches"), forks(), Right::Root, &["none: it only watches"]);
        check(None, forks(), Right::Root, &["not known"]);
    }

    #[test]
    fn what_was_refused_is_said_once_for_each_reason() {
        let hook = |tier: &str, name: &str, outcome: &str, reason: &str| json!({ "tier": tier, "hook": name, "outcome": outcome, "reason": reason });
        let endpoint = json!({ "coverage": { "hooks": [
            hook("lsm", "a", "refused", "no root"), hook("tracing", "b", "refused", "no root"),
            hook("tracing", "c", "refused", "no root"), hook("tracing", "d", "refused", "no such hook"),
            hook("interfaces", "e", "works", ""),
        ] } });
        assert_eq!(
            refusals(&endpoint),
            [
                "refused, tier 1: a: no root",
                "refused, tier 2: b, c: no root",
                "refused, tier 2: d: no such hook",
            ]
        );
        assert!(refusals(&json!({ "coverage": null })).is_empty());
    }
}
