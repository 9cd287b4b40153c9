//! `metsuke search`.

use std::process::ExitCode;

use serde_json::Value;

use crate::arguments::{Arguments, Search};
use crate::client::{Client, query};
use crate::command::NOTHING_FOUND;
use crate::failure::Failure;
use crate::output::{self, cell};

pub(crate) fn run(
    arguments: &Arguments,
    client: &Client,
    search: &Search,
) -> Result<ExitCode, Failure> {
    let answer = client.get(&format!(
        "/api/v1/search{}",
        query(&[
            ("q", Some(search.query.clone())),
            ("from", search.from.clone()),
            ("to", search.to.clone()),
            ("limit", Some(search.limit.to_string())),
        ])
    ))?;
    let found = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if arguments.json {
        output::json(&answer)?;
    } else {
        let rows: Vec<Vec<String>> = found.iter().map(row).collect();
        if !rows.is_empty() {
            output::table(&["time", "host", "class", "pid", "what"], &rows)?;
        }
        output::say(&format!(
            "{} found{}, {} rows scanned in {} ms{}",
            found.len(),
            if answer["next"].is_null() { "" } else { " (and more)" },
            cell(&answer["scanned_rows"]),
            cell(&answer["took_ms"]),
            if answer["complete"] == false { "; a part of the store did not answer" } else { "" }
        ))?;
        output::losses(&answer["loss"])?;
    }
    Ok(if found.is_empty() { ExitCode::from(NOTHING_FOUND) } else { ExitCode::SUCCESS })
}

fn row(event: &Value) -> Vec<String> {
    let fields = &event["fields"];
    let objects =
        ["file.path", "query.hostname", "dst_endpoint.ip", "driver.file.name", "sensor.reason"];
    let object = objects.iter().map(|name| &fields[*name]).find(|value| !value.is_null());
    let what = match object {
        Some(object) => format!("{} by {}", cell(object), cell(&fields["process.name"])),
        None => cell(&fields["process.cmd_line"]),
    };
    vec![
        cell(&event["time"]),
        cell(&event["host"]),
        cell(&event["class"]),
        cell(&fields["process.pid"]),
        what,
    ]
}
