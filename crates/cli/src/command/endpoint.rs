//! `metsuke endpoint …`.

use std::process::ExitCode;

use serde_json::Value;

use crate::arguments::{Arguments, Endpoint, InventoryKind};
use crate::client::{Client, query};
use crate::failure::Failure;
use crate::output::{self, cell, list};

mod evidence;
mod uninstall;

pub(crate) fn run(
    arguments: &Arguments,
    client: &Client,
    endpoint: &Endpoint,
) -> Result<ExitCode, Failure> {
    match endpoint {
        Endpoint::List => all(arguments, client),
        Endpoint::Take(take) => evidence::run(arguments, client, take),
        Endpoint::UninstallToken { endpoint, hours, reason } => {
            uninstall::run(arguments, client, endpoint, (*hours, reason))
        }
        Endpoint::Show { endpoint } => show(arguments, client, endpoint),
        Endpoint::Inventory { endpoint, kind, search, gone, limit } => {
            let filters = [
                ("kind", Some(kind.name().to_owned())),
                ("q", search.clone()),
                ("gone", gone.then(|| "true".to_owned())),
            ];
            inventory(arguments, client, (endpoint, *kind, *limit), &filters)
        }
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

/// The path of an endpoint's inventory; the id is the server's own.
fn path_of(endpoint: &Value) -> String {
    format!("/api/v1/endpoints/{}/inventory", endpoint["id"].as_str().unwrap_or_default())
}

fn show(arguments: &Arguments, client: &Client, name: &str) -> Result<ExitCode, Failure> {
    let mut endpoint = client.endpoint(name)?;
    let system = query(&[("kind", Some("system".to_owned())), ("limit", Some("1".to_owned()))]);
    let answer = client.get(&format!("{}{system}", path_of(&endpoint)))?;
    if arguments.json {
        endpoint["inventory"] = answer;
        output::json(&endpoint)?;
        return Ok(ExitCode::SUCCESS);
    }
    let names = ["id", "host", "status", "tier", "os", "kernel", "version", "scope", "last_seen"];
    for name in names {
        output::say(&format!("{name:<12} {}", cell(&endpoint[name])))?;
    }
    output::say(&format!("{:<12} {}", "addresses", list(&endpoint["addresses"])))?;
    output::say(&format!("{:<12} {}", "degraded", list(&endpoint["degraded"])))?;
    let fields = &answer["items"][0]["fields"];
    for (name, ends, source) in [
        ("os ends", "support.ends", "support.source"),
        ("kernel ends", "kernel_support.ends", "kernel_support.source"),
    ] {
        output::say(&format!("{name:<12} {} ({})", cell(&fields[ends]), cell(&fields[source])))?;
    }
    surveys(&answer)?;
    Ok(ExitCode::SUCCESS)
}

/// How far each kind was looked at.
fn surveys(answer: &Value) -> Result<(), Failure> {
    let surveys = answer["surveys"].as_array().map(Vec::as_slice).unwrap_or_default();
    if surveys.is_empty() {
        output::say("no inventory of it has come")?;
        return Ok(());
    }
    let row = |survey: &Value| {
        let left = survey["left_out"].as_array().into_iter().flatten();
        let left: Vec<String> =
            left.map(|one| format!("{} {}", cell(&one["count"]), cell(&one["reason"]))).collect();
        let missing = survey["missing"].as_str().map(|why| format!("cannot be had: {why}"));
        vec![
            cell(&survey["kind"]),
            cell(&survey["items"]),
            cell(&survey["taken"]),
            missing.map_or_else(|| left.join(", "), |why| output::clean(&why)),
        ]
    };
    let rows: Vec<Vec<String>> = surveys.iter().map(row).collect();
    output::table(&["inventory", "items", "taken", "left out"], &rows)?;
    Ok(())
}

fn inventory(
    arguments: &Arguments,
    client: &Client,
    (name, kind, limit): (&str, InventoryKind, u32),
    filters: &[(&str, Option<String>)],
) -> Result<ExitCode, Failure> {
    let endpoint = client.endpoint(name)?;
    let answer = client.list(&path_of(&endpoint), filters, Some(limit))?;
    if arguments.json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let columns: &[&str] = match kind {
        InventoryKind::Executable => &["path", "sha256", "package", "integrity", "modified"],
        InventoryKind::Package => &["name", "version", "arch", "manager"],
        InventoryKind::User => &["name", "uid", "shell", "password", "groups"],
        InventoryKind::Service => &["protocol", "address", "port", "process", "exe", "package"],
        InventoryKind::Product => &["name", "vendor", "category", "running", "evidence"],
        InventoryKind::Holder => &["interface", "by", "count"],
        InventoryKind::System => {
            &["name", "version", "support.ends", "kernel", "kernel_support.ends"]
        }
    };
    let heading: Vec<&str> = columns.iter().copied().chain(["gone"]).collect();
    output::items(&answer, &heading, |one| {
        let cells = columns.iter().map(|column| cell(&one["fields"][*column]));
        cells.chain([cell(&one["gone"])]).collect()
    })?;
    Ok(ExitCode::SUCCESS)
}
