//! Plans: waiting for their end and saying how far they are.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Client;
use crate::command::alert::checked;
use crate::failure::Failure;
use crate::output::{self, cell};

/// Pause between two looks at a plan.
const PAUSE: Duration = Duration::from_millis(200);

/// Whether a plan has come to an end.
pub(crate) fn ended(plan: &Value) -> bool {
    matches!(plan["state"].as_str(), Some("done" | "failed" | "expired" | "cancelled"))
}

/// Looks at the plan `id` until it has ended or `limit` has passed; `each` sees every look.
pub(crate) fn follow(
    client: &Client,
    id: &str,
    limit: Duration,
    mut each: impl FnMut(&Value) -> Result<(), Failure>,
) -> Result<Value, Failure> {
    let end = Instant::now() + limit;
    loop {
        let plan = client.get(&format!("/api/v1/responses/{}", checked(id)?))?;
        each(&plan)?;
        if ended(&plan) || Instant::now() >= end {
            return Ok(plan);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Prints the updates of `plan` after the first `shown`, and how many there are now.
pub(crate) fn print_updates(plan: &Value, shown: usize) -> Result<usize, Failure> {
    let updates = plan["updates"].as_array().map(Vec::as_slice).unwrap_or_default();
    for update in updates.iter().skip(shown) {
        output::say(&format!(
            "{}  {:<9}  {}",
            cell(&update["time"]),
            cell(&update["state"]),
            cell(&update["detail"])
        ))?;
    }
    Ok(updates.len().max(shown))
}

/// The id of a plan the server has just made.
pub(crate) fn id(plan: &Value) -> Result<String, Failure> {
    plan["id"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::Server("the server's answer has no plan id".to_owned()))
}
