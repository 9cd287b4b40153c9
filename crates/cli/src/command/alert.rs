//! `metsuke alert list` and `metsuke alert show`.

use std::process::ExitCode;

use serde_json::Value;

use crate::arguments::{Alert, Arguments};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, cell, list};

pub(crate) fn run(
    arguments: &Arguments,
    client: &Client,
    alert: &Alert,
) -> Result<ExitCode, Failure> {
    match alert {
        Alert::List { status, endpoint, limit } => {
            let endpoint = match endpoint {
                Some(name) => client.endpoint(name)?["id"].as_str().map(str::to_owned),
                None => None,
            };
            let status = status.map(|status| status.name().to_owned());
            let filters = [("status", status), ("endpoint", endpoint)];
            let answer = client.list("/api/v1/alerts", &filters, Some(*limit))?;
            if arguments.json { output::json(&answer)? } else { print_list(&answer)? }
        }
        Alert::Show { id } => {
            let answer = client.get(&format!("/api/v1/alerts/{}", checked(id)?))?;
            if arguments.json { output::json(&answer)? } else { print_one(&answer, client.url())? }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An identity goes into a path, so it may hold nothing that means something there.
pub(crate) fn checked(id: &str) -> Result<&str, Failure> {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        Ok(id)
    } else {
        Err(Failure::Usage(format!("`{}` is no id", output::clean(id))))
    }
}

fn print_list(answer: &Value) -> Result<(), Failure> {
    let heading = ["score", "level", "status", "host", "title", "techniques", "last", "id"];
    output::items(answer, &heading, |one| {
        vec![
            cell(&one["score"]),
            cell(&one["level"]),
            cell(&one["status"]),
            cell(&one["host"]),
            cell(&one["title"]),
            list(&one["techniques"]),
            cell(&one["last"]),
            cell(&one["id"]),
        ]
    })?;
    Ok(())
}

fn print_one(alert: &Value, url: &str) -> Result<(), Failure> {
    output::say(&format!(
        "{}  {}  {}",
        cell(&alert["score"]),
        cell(&alert["level"]),
        cell(&alert["title"])
    ))?;
    output::say(&format!("host       {} ({})", cell(&alert["host"]), cell(&alert["endpoint"])))?;
    output::say(&format!("process    {}", cell(&alert["process"]["exe"])))?;
    output::say(&format!("time       {} to {}", cell(&alert["first"]), cell(&alert["last"])))?;
    output::say(&format!("status     {} / {}", cell(&alert["status"]), cell(&alert["finding"])))?;
    output::say(&format!("storyline  {}", cell(&alert["storyline"])))?;
    output::say(&format!("link       {url}/alerts/{}", cell(&alert["id"])))?;
    output::say("score:")?;
    for part in alert["parts"].as_array().into_iter().flatten() {
        output::say(&format!(
            "  {:>6}  {}  ({})",
            cell(&part["points"]),
            cell(&part["label"]),
            cell(&part["why"])
        ))?;
    }
    output::say("steps:")?;
    for step in alert["highlights"].as_array().into_iter().flatten() {
        output::say(&format!(
            "  {}  {}  {}  ×{}  {}",
            cell(&step["time"]),
            list(&step["detection"]["techniques"]),
            cell(&step["detection"]["title"]),
            cell(&step["count"]),
            cell(&step["process_name"])
        ))?;
        for reason in step["matched"].as_array().into_iter().flatten() {
            output::say(&format!(
                "      {} = {}",
                cell(&reason["clause"]),
                cell(&reason["value"])
            ))?;
        }
    }
    output::losses(&alert["loss"])?;
    Ok(())
}
