//! `metsuke terminate`: a plan that ends a process, followed to its end.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use crate::arguments::{Arguments, Terminate};
use crate::client::Client;
use crate::command::{BAD_NEWS, plan};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(
    arguments: &Arguments,
    client: &Client,
    terminate: &Terminate,
) -> Result<ExitCode, Failure> {
    let endpoint = client.endpoint(&terminate.endpoint)?;
    let scope = if terminate.storyline { "storyline" } else { "process" };
    let made = client.post(
        "/api/v1/responses",
        &json!({
            "verb": "terminate",
            "endpoint": endpoint["id"],
            "process": terminate.process,
            "scope": scope,
            "reason": terminate.reason,
            "alert": terminate.alert,
        }),
    )?;
    let mut shown = 0;
    let limit = Duration::from_secs(terminate.wait);
    let last = plan::follow(client, &plan::id(&made)?, limit, |plan| {
        if !arguments.json {
            shown = plan::print_updates(plan, shown)?;
        }
        Ok(())
    })?;
    if arguments.json {
        output::json(&last)?;
    } else if !plan::ended(&last) {
        output::say(&format!("plan {} has not ended yet", output::cell(&last["id"])))?;
    }
    let good = last["state"] == "done" || (terminate.wait == 0 && !plan::ended(&last));
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(BAD_NEWS) })
}
