//! `metsuke indicators` against a server: bringing feeds, and what it holds and has seen.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::{MAX_FEED_BYTES, bytes};
use crate::arguments::Arguments;
use crate::arguments::indicators::{Feeds, Indicators, More};
use crate::client::{Client, escape, query};
use crate::command::alert::checked;
use crate::command::{BAD_NEWS, NOTHING_FOUND};
use crate::failure::Failure;
use crate::output::{self, cell, clean, list};

/// Between two questions how far the look back is.
const ASK_AGAIN: Duration = Duration::from_millis(300);

pub(super) fn run(
    arguments: &Arguments,
    client: &Client,
    indicators: &Indicators,
) -> Result<ExitCode, Failure> {
    match indicators {
        Indicators::List { value, kind, source, list, state, limit } => {
            let filters = [
                ("q", value.clone()),
                ("kind", kind.clone()),
                ("source", source.clone()),
                ("list", list.clone()),
                ("state", state.clone()),
            ];
            let answer = client.list("/api/v1/indicators", &filters, Some(*limit))?;
            let keys =
                ["id", "kind", "value", "list", "source", "confidence", "expires", "sightings"];
            shown(arguments, &answer, &keys)
        }
        Indicators::Show { indicator } => show(arguments, client, indicator),
        Indicators::Add { value, source, action, kind, confidence, expires, note } => {
            let body = json!({
                "value": value, "source": source, "list": action.list(), "kind": kind,
                "confidence": confidence, "expires": expires, "note": note,
            });
            let made = client.post("/api/v1/indicators", &body)?;
            if arguments.json {
                output::json(&made)?;
            } else {
                let (kind, value) = (cell(&made["kind"]), cell(&made["value"]));
                output::say(&format!("indicator {}: {kind} {value}", cell(&made["id"])))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Indicators::Remove { id, source } => remove(arguments, client, (id, source)),
        Indicators::Sources => {
            let answer = client.get("/api/v1/indicators/sources")?;
            shown(arguments, &answer, &["source", "count", "active", "sightings", "last_import"])
        }
        Indicators::Sightings { indicator, endpoint, limit } => {
            let endpoint = endpoint.as_deref().map(|name| client.endpoint(name)).transpose()?;
            let endpoint = endpoint.and_then(|one| one["id"].as_str().map(str::to_owned));
            let filters = [("indicator", indicator.clone()), ("endpoint", endpoint)];
            let answer = client.list("/api/v1/sightings", &filters, Some(*limit))?;
            let keys = ["time", "host", "where", "field", "value", "count", "source", "list"];
            shown(arguments, &answer, &keys)
        }
        // The others are looked at before a server is.
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn shown(arguments: &Arguments, answer: &Value, keys: &[&str]) -> Result<ExitCode, Failure> {
    if arguments.json {
        output::json(answer)?;
    } else {
        output::items(answer, keys, |one| keys.iter().map(|key| cell(&one[*key])).collect())?;
    }
    let none = answer["items"].as_array().is_none_or(Vec::is_empty);
    Ok(if none { ExitCode::from(NOTHING_FOUND) } else { ExitCode::SUCCESS })
}

/// The id of what `name` means: itself, or the value of which only one source speaks.
fn id(client: &Client, name: &str) -> Result<String, Failure> {
    if name.bytes().all(|byte| byte.is_ascii_digit()) && name.len() < 20 {
        return Ok(name.to_owned());
    }
    let answer = client.list("/api/v1/indicators", &[("q", Some(name.to_owned()))], Some(2))?;
    match answer["items"].as_array().map_or(&[][..], Vec::as_slice) {
        [one] => Ok(cell(&one["id"])),
        [] => Err(Failure::NotFound(format!("there is no indicator {}", clean(name)))),
        _ => Err(Failure::Usage(format!(
            "several indicators are like {0}; give the id (`metsuke indicators list {0}`)",
            clean(name)
        ))),
    }
}

fn show(arguments: &Arguments, client: &Client, name: &str) -> Result<ExitCode, Failure> {
    let one = client.get(&format!("/api/v1/indicators/{}", checked(&id(client, name)?)?))?;
    if arguments.json {
        output::json(&one)?;
        return Ok(ExitCode::SUCCESS);
    }
    for key in
        ["id", "kind", "value", "list", "source", "confidence", "severity", "expires", "note"]
    {
        output::say(&format!("{key:<12}{}", cell(&one[key])))?;
    }
    output::say(&format!("{:<12}{}", "labels", list(&one["labels"])))?;
    let earliest = &one["earliest_seen"];
    if earliest.is_null() {
        output::say("never seen")?;
    } else {
        let (time, host) = (cell(&earliest["time"]), cell(&earliest["host"]));
        let place = cell(&earliest["where"]);
        output::say(&format!("{:<12}{time} on {host} ({place})", "first seen"))?;
    }
    let table = |rows: &Value, keys: &[&str]| {
        let rows = rows.as_array().into_iter().flatten();
        let row = |one: &Value| keys.iter().map(|key| cell(&one[*key])).collect();
        output::table(keys, &rows.map(row).collect::<Vec<Vec<String>>>())
    };
    table(&one["provenance"], &["source", "document", "place", "imported", "actor"])?;
    table(&one["sighted"], &["time", "host", "where", "field", "value", "count"])?;
    Ok(ExitCode::SUCCESS)
}

fn remove(
    arguments: &Arguments,
    client: &Client,
    (id, source): (&Option<String>, &Option<String>),
) -> Result<ExitCode, Failure> {
    let (path, said) = match (id, source) {
        (_, Some(source)) => {
            let path = format!("/api/v1/indicators/sources/{}", escape(source));
            (path, format!("everything of {} is removed", clean(source)))
        }
        (Some(id), None) => {
            let path = format!("/api/v1/indicators/{}", checked(id)?);
            (path, format!("indicator {id} is removed"))
        }
        (None, None) => return Err(Failure::Usage("give an id, or --source".to_owned())),
    };
    client.delete(&path)?;
    if arguments.json {
        output::json(&json!({ "removed": true }))?;
    } else {
        output::say(&said)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Brings feeds to the server, one after the other, and waits until it has looked back for them.
pub(super) fn import(
    arguments: &Arguments,
    client: &Client,
    (feeds, more): (&Feeds, &More),
) -> Result<ExitCode, Failure> {
    let (mut answers, mut bad) = (Vec::new(), false);
    for path in &feeds.files {
        let document = bytes(path, MAX_FEED_BYTES)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let labels = (!more.label.is_empty()).then(|| more.label.join(","));
        let asked = query(&[
            ("format", Some(feeds.format.at_server().to_owned())),
            ("source", Some(feeds.source.clone().unwrap_or_else(|| name.clone()))),
            ("document", Some(name.clone())),
            ("list", Some(feeds.action.list().to_owned())),
            ("confidence", more.confidence.map(|sure| sure.to_string())),
            ("expires", more.expires.clone()),
            ("label", labels),
        ]);
        let deed = if more.preview { "preview" } else { "import" };
        let path = format!("/api/v1/indicators/{deed}{asked}");
        let mut answer = client.post_document(&path, &document)?;
        if !more.preview && !more.no_wait {
            let retro = looked(client, &answer)?;
            bad |= retro["state"] == "failed";
            answer["retro"] = retro;
        }
        bad |= answer["refused"].as_array().is_some_and(|refused| !refused.is_empty());
        if !arguments.json {
            tell(&clean(&name), &answer)?;
        }
        answers.push(json!({ "document": name, "answer": answer }));
    }
    if arguments.json {
        output::json(&Value::Array(answers))?;
    }
    Ok(if bad { ExitCode::from(BAD_NEWS) } else { ExitCode::SUCCESS })
}

fn looked(client: &Client, import: &Value) -> Result<Value, Failure> {
    let id = import["retro"]["id"].as_str().unwrap_or_default();
    let path = format!("/api/v1/indicators/retro/{}", checked(id)?);
    loop {
        let retro = client.get(&path)?;
        if retro["state"] != "running" {
            return Ok(retro);
        }
        std::thread::sleep(ASK_AGAIN);
    }
}

fn tell(name: &str, answer: &Value) -> Result<(), Failure> {
    for refused in answer["refused"].as_array().into_iter().flatten() {
        let (place, reason) = (cell(&refused["place"]), cell(&refused["reason"]));
        output::say(&format!("{name}: {place}: left out: {reason}"))?;
    }
    if answer["total"].is_number() {
        let [total, new, allowed] = ["total", "new", "allowed"].map(|key| cell(&answer[key]));
        let text = format!("{name}: {total} indicators, {new} new, {allowed} known good here");
        output::say(&text)?;
        return Ok(());
    }
    let (new, known) = (cell(&answer["imported"]), cell(&answer["known"]));
    output::say(&format!("{name}: {new} new, {known} known"))?;
    let retro = &answer["retro"];
    if retro["state"] == "failed" {
        output::say(&format!("looking back failed: {}", cell(&retro["error"])))?;
    } else if retro["state"] == "done" {
        let (sightings, hosts) = (cell(&retro["sightings"]), cell(&retro["hosts"]));
        output::say(&format!("looked back: {sightings} sightings on {hosts} hosts"))?;
        if let Some(why) = retro["incomplete"].as_str() {
            output::say(&format!("not whole: {}", clean(why)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use crate::arguments::{Arguments, Command};
    use crate::client::tests::{lines, server};
    use crate::failure::Failure;

    fn run(words: &[&str], client: &crate::client::Client) -> Result<(), Failure> {
        let words = ["metsuke", "indicators"].iter().chain(words);
        let arguments = Arguments::parse_from(words);
        let Command::Indicators(one) = &arguments.command else { panic!("another command") };
        super::run(&arguments, client, one).map(drop)
    }

    #[test]
    fn what_a_server_holds_is_asked_for_removed_and_shown() {
        let one = json!({ "id": "7", "kind": "domain", "value": "evil.example" });
        let shown = json!({ "id": "7", "provenance": [], "sighted": [], "earliest_seen": null });
        let (client, asked) = server(vec![
            (200, json!({ "items": [one], "next": null })),
            (200, json!({ "items": [one], "next": null })),
            (200, shown),
            (204, json!(null)),
            (204, json!(null)),
        ]);
        run(&["list", "evil", "--kind", "domain", "--limit", "5"], &client).expect("a list");
        run(&["show", "evil.example"], &client).expect("one");
        run(&["remove", "7"], &client).expect("removed");
        run(&["remove", "--source", "a feed"], &client).expect("removed");
        assert!(matches!(run(&["remove", "../x"], &client), Err(Failure::Usage(_))));
        assert_eq!(
            lines(asked),
            [
                "GET /api/v1/indicators?q=evil&kind=domain&limit=5",
                "GET /api/v1/indicators?q=evil.example&limit=2",
                "GET /api/v1/indicators/7",
                "DELETE /api/v1/indicators/7",
                "DELETE /api/v1/indicators/sources/a%20feed",
            ]
        );
    }
}
