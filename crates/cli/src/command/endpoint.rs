//! `metsuke endpoint list`.

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, cell, list};

pub(crate) fn run(arguments: &Arguments, client: &Client) -> Result<ExitCode, Failure> {
    let answer = client.get("/api/v1/endpoints")?;
    if arguments.json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = answer["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            vec![
                cell(&one["id"]),
                cell(&one["host"]),
                cell(&one["status"]),
                cell(&one["tier"]),
                cell(&one["scope"]),
                cell(&one["health"]["lost_total"]),
                cell(&one["last_seen"]),
                list(&one["degraded"]),
            ]
        })
        .collect();
    output::table(
        &["id", "host", "status", "tier", "scope", "lost", "last seen", "degraded"],
        &rows,
    )?;
    Ok(ExitCode::SUCCESS)
}
