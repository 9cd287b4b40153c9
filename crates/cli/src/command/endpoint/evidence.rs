//! `metsuke endpoint dump|collect|scan|live|crossview|artifacts|fetch`.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::arguments::evidence::{Order, Take};
use crate::client::Client;
use crate::command::alert::checked;
use crate::command::{BAD_NEWS, plan};
use crate::failure::Failure;
use crate::output::{self, cell};

/// Largest file of rules read, in bytes; the server takes less.
const RULES_MAX: u64 = 1 << 20;

pub(crate) fn run(
    arguments: &Arguments,
    client: &Client,
    take: &Take,
) -> Result<ExitCode, Failure> {
    match take {
        Take::Dump { endpoint, process, regions, max_bytes, order } => {
            let asked = json!({ "verb": "dump", "process": process, "regions": regions.name(),
                "max_bytes": max_bytes });
            follow(arguments, client, (endpoint, asked), order)
        }
        Take::Collect { endpoint, path, max_bytes, order } => {
            let asked = json!({ "verb": "collect", "path": path, "max_bytes": max_bytes });
            follow(arguments, client, (endpoint, asked), order)
        }
        Take::Scan { endpoint, rules, path, process, order } => {
            let rules = read(rules)?;
            let asked = json!({ "verb": "scan", "rules": rules, "path": path, "process": process });
            follow(arguments, client, (endpoint, asked), order)
        }
        Take::Live { endpoint, what, order } => {
            let asked = json!({ "verb": "list_live", "list": what.name() });
            follow(arguments, client, (endpoint, asked), order)
        }
        Take::Crossview { endpoint, order } => {
            follow(arguments, client, (endpoint, json!({ "verb": "crossview" })), order)
        }
        Take::Artifacts { endpoint } => list(arguments, client, endpoint),
        Take::Fetch { plan, output } => {
            let artifact = fetch(client, plan, output)?;
            if arguments.json {
                output::json(&artifact)?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    use std::io::Read;
    let local = |source| Failure::Local { doing: format!("reading {}", path.display()), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(local)?;
    file.take(RULES_MAX).read_to_string(&mut text).map_err(local)?;
    Ok(text)
}

fn follow(
    arguments: &Arguments,
    client: &Client,
    (endpoint, mut asked): (&str, Value),
    order: &Order,
) -> Result<ExitCode, Failure> {
    asked["endpoint"] = client.endpoint(endpoint)?["id"].clone();
    asked["reason"] = json!(order.reason);
    asked["alert"] = json!(order.alert);
    let made = client.post("/api/v1/responses", &asked)?;
    let id = plan::id(&made)?;
    let mut shown = 0;
    let last = plan::follow(client, &id, Duration::from_secs(order.wait), |plan| {
        if !arguments.json {
            shown = plan::print_updates(plan, shown)?;
        }
        Ok(())
    })?;
    if last["state"] == "done"
        && let Some(output) = &order.output
    {
        fetch(client, &id, output)?;
    }
    if arguments.json {
        output::json(&last)?;
    } else {
        tell(&last)?;
    }
    let good = last["state"] == "done" || (order.wait == 0 && !plan::ended(&last));
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(BAD_NEWS) })
}

/// What was found and what is missing.
fn tell(plan: &Value) -> Result<(), Failure> {
    if !plan::ended(plan) {
        output::say(&format!("plan {} has not ended yet", cell(&plan["id"])))?;
    }
    let result = &plan["result"];
    for found in result["found"].as_array().into_iter().flatten() {
        let (name, place) = (cell(&found["name"]), cell(&found["place"]));
        output::say(&format!("found: {name} in {place} ({} times)", cell(&found["count"])))?;
    }
    for gap in result["gaps"].as_array().into_iter().flatten() {
        output::say(&format!("missing: {}", cell(gap)))?;
    }
    if plan["state"] == "done" {
        output::say(&format!(
            "save it with: metsuke endpoint fetch {} --output FILE",
            cell(&plan["id"])
        ))?;
    }
    Ok(())
}

fn list(arguments: &Arguments, client: &Client, endpoint: &str) -> Result<ExitCode, Failure> {
    let endpoint = client.endpoint(endpoint)?["id"].as_str().map(str::to_owned);
    let answer = client.list("/api/v1/artifacts", &[("endpoint", endpoint)], None)?;
    if arguments.json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::items(&answer, &["plan", "kind", "of", "bytes", "sha256", "taken"], |one| {
        ["plan", "kind", "name", "size", "sha256", "taken"].map(|key| cell(&one[key])).to_vec()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Saves the artifact of `plan` to `to`, and what is known of it to `to` with `.json` behind.
fn fetch(client: &Client, plan: &str, to: &Path) -> Result<Value, Failure> {
    let path = format!("/api/v1/artifacts/{}", checked(plan)?);
    let artifact = client.get(&path)?;
    let size = artifact["size"].as_u64().unwrap_or(0);
    let sha256 = artifact["sha256"].as_str().unwrap_or_default();
    client.download(&format!("{path}/content"), to, (size, sha256))?;
    let mut beside = to.as_os_str().to_owned();
    beside.push(".json");
    let beside = PathBuf::from(beside);
    let doing = || format!("writing {}", beside.display());
    let text = serde_json::to_vec_pretty(&artifact)
        .map_err(|source| Failure::Local { doing: doing(), source: source.into() })?;
    // As private as the artifact: it names users, paths and what was found.
    let mut file = File::options();
    file.write(true).create_new(true).mode(0o600);
    let written = file.open(&beside).and_then(|mut file| file.write_all(&text));
    written.map_err(|source| Failure::Local { doing: doing(), source })?;
    Ok(artifact)
}
