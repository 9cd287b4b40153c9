//! `metsuke file`: who has it.

use std::process::ExitCode;

use serde_json::Value;

use crate::arguments::{Arguments, File};
use crate::client::{Client, query};
use crate::command::NOTHING_FOUND;
use crate::failure::Failure;
use crate::output::{self, cell};

/// Most files one page of the answer holds.
const PAGE_MAX: u32 = 1_000;

pub(crate) fn run(
    arguments: &Arguments,
    client: &Client,
    file: &File,
) -> Result<ExitCode, Failure> {
    let is_hash = file.file.len() == 64 && file.file.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hash && !file.file.starts_with(['/', '*']) {
        return Err(Failure::Usage(format!(
            "`{}` is neither a SHA-256 (64 hexadecimal digits) nor an absolute path",
            output::clean(&file.file)
        )));
    }
    let name = if is_hash { "sha256" } else { "path" };
    let limit = file.limit.min(PAGE_MAX).to_string();
    let question = query(&[(name, Some(file.file.clone())), ("limit", Some(limit))]);
    let answer = client.get(&format!("/api/v1/inventory/files{question}"))?;
    let found = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if arguments.json {
        output::json(&answer)?;
    } else {
        print(&answer, found)?;
    }
    Ok(if found.is_empty() { ExitCode::from(NOTHING_FOUND) } else { ExitCode::SUCCESS })
}

fn print(answer: &Value, found: &[Value]) -> Result<(), Failure> {
    if !found.is_empty() {
        let heading = ["host", "status", "last contact", "path", "sha256", "package", "gone"];
        output::items(answer, &heading, |one| {
            let names = ["host", "status", "last_seen", "path", "sha256", "package", "gone"];
            names.iter().map(|name| cell(&one[*name])).collect()
        })?;
    }
    output::say(&format!(
        "{} found; {} of {} endpoints were fully looked at",
        found.len(),
        cell(&answer["looked_at"]),
        cell(&answer["endpoints"])
    ))?;
    for one in answer["not_looked_at"].as_array().into_iter().flatten() {
        output::say(&format!(
            "  {}  {}  {} ({}), last contact {}",
            cell(&one["host"]),
            cell(&one["endpoint"]),
            cell(&one["reason"]),
            cell(&one["detail"]),
            cell(&one["last_seen"])
        ))?;
    }
    Ok(())
}
