//! `metsuke endpoint …`.

use std::process::ExitCode;

use crate::arguments::{Arguments, Endpoint};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, cell, list};

mod evidence;

pub(crate) fn run(
    arguments: &Arguments,
    client: &Client,
    endpoint: &Endpoint,
) -> Result<ExitCode, Failure> {
    match endpoint {
        Endpoint::List => all(arguments, client),
        Endpoint::Take(take) => evidence::run(arguments, client, take),
    }
}

fn all(arguments: &Arguments, client: &Client) -> Result<ExitCode, Failure> {
    let answer = client.list("/api/v1/endpoints", &[], None)?;
    if arguments.json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let heading = ["id", "host", "status", "tier", "scope", "lost", "last seen", "degraded"];
    output::items(&answer, &heading, |one| {
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
    })?;
    Ok(ExitCode::SUCCESS)
}
