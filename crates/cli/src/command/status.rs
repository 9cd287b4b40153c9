//! `metsuke status`: what needs attention, in numbers.

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, cell, list};

pub(crate) fn run(arguments: &Arguments, client: &Client) -> Result<ExitCode, Failure> {
    let mut overview = client.get("/api/v1/overview")?;
    let server = client.get("/api/v1/status")?;
    if arguments.json {
        overview["server"] = server;
        output::json(&overview)?;
        return Ok(ExitCode::SUCCESS);
    }
    let endpoints = &overview["endpoints"];
    let alerts = &overview["alerts"];
    output::say(&format!("server     {}", client.url()))?;
    let storage = &server["storage"];
    if storage["state"] != "ok" {
        output::say(&format!(
            "storage    NOT STORING since {}: {} ({} bytes free, {} batches refused)",
            cell(&storage["since"]),
            cell(&storage["reason"]),
            cell(&storage["free_bytes"]),
            cell(&storage["refused_batches"])
        ))?;
    }
    output::say(&format!(
        "endpoints  {} online of {}, {} stale, {} degraded",
        cell(&endpoints["online"]),
        cell(&endpoints["total"]),
        cell(&endpoints["stale"]),
        cell(&endpoints["degraded"])
    ))?;
    output::say(&format!(
        "alerts     {} open, {} unassigned, {} mine",
        cell(&alerts["open"]),
        cell(&alerts["unassigned"]),
        cell(&alerts["mine"])
    ))?;
    for one in overview["degraded"].as_array().into_iter().flatten() {
        output::say(&format!("degraded   {}: {}", cell(&one["host"]), list(&one["reasons"])))?;
    }
    output::losses(&overview["loss"])?;
    Ok(ExitCode::SUCCESS)
}
