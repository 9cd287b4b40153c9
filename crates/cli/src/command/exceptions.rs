//! `metsuke exceptions`: what a server collects and does not alert for, and what one would hide.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::detections::{over, problems, tallies};
use crate::arguments::Arguments;
use crate::arguments::detections::{Exceptions, Over, What};
use crate::client::Client;
use crate::command::alert::checked;
use crate::command::{BAD_NEWS, NOTHING_FOUND};
use crate::failure::Failure;
use crate::output::{self, cell, list};

pub(crate) fn run(
    arguments: &Arguments,
    client: &Client,
    exceptions: &Exceptions,
) -> Result<ExitCode, Failure> {
    match exceptions {
        Exceptions::List => shown(arguments, client),
        Exceptions::Preview { what, over } => preview(arguments, client, what, over),
        Exceptions::Add { title, what, reason, expires } => {
            let mut body = scope(client, what)?;
            body["title"] = json!(title);
            body["reason"] = json!(reason);
            body["expires"] = json!(expires);
            let made = client.post("/api/v1/exceptions", &body)?;
            let text =
                format!("exception {}: holds until {}", cell(&made["id"]), cell(&made["expires"]));
            said(arguments, &made, &text)
        }
        Exceptions::Remove { id } => {
            client.delete(&format!("/api/v1/exceptions/{}", checked(id)?))?;
            said(arguments, &json!({ "removed": id }), &format!("exception {id} is taken back"))
        }
    }
}

fn said(arguments: &Arguments, answer: &Value, text: &str) -> Result<ExitCode, Failure> {
    if arguments.json {
        output::json(answer)?;
    } else {
        output::say(text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What an exception is of, as the server asks for it: endpoints by their ids.
fn scope(client: &Client, what: &What) -> Result<Value, Failure> {
    let id = |name: &String| {
        let endpoint = client.endpoint(name)?;
        Ok(endpoint["id"].clone())
    };
    let endpoints = what.endpoint.iter().map(id).collect::<Result<Vec<Value>, Failure>>()?;
    Ok(json!({
        "detections": what.detection,
        "groups": what.group,
        "endpoints": endpoints,
        "condition": what.condition,
    }))
}

fn shown(arguments: &Arguments, client: &Client) -> Result<ExitCode, Failure> {
    let answer = client.get("/api/v1/exceptions")?;
    if arguments.json {
        output::json(&answer)?;
    } else {
        let heading =
            ["id", "title", "detections", "on", "condition", "owner", "expires", "hidden"];
        output::items(&answer, &heading, |one| {
            let every = |key: &str| one[key].as_array().is_none_or(Vec::is_empty);
            let detections =
                if every("detections") { "all".to_owned() } else { list(&one["detections"]) };
            let on = match (every("groups"), every("endpoints")) {
                (true, true) => "all".to_owned(),
                (false, true) => list(&one["groups"]),
                (true, false) => list(&one["endpoints"]),
                (false, false) => format!("{},{}", list(&one["groups"]), list(&one["endpoints"])),
            };
            let expires =
                if one["expired"] == true { "expired".to_owned() } else { cell(&one["expires"]) };
            let hidden = cell(&one["hidden"]["total"]);
            let (id, title) = (cell(&one["id"]), cell(&one["title"]));
            let (condition, owner) = (cell(&one["condition"]), cell(&one["owner"]));
            vec![id, title, detections, on, condition, owner, expires, hidden]
        })?;
    }
    let none = answer["items"].as_array().is_none_or(Vec::is_empty);
    Ok(if none { ExitCode::from(NOTHING_FOUND) } else { ExitCode::SUCCESS })
}

fn preview(
    arguments: &Arguments,
    client: &Client,
    what: &What,
    range: &Over,
) -> Result<ExitCode, Failure> {
    let mut body = scope(client, what)?;
    let (from, to) = over(range);
    body["from"] = json!(from);
    body["to"] = json!(to);
    let found = client.post("/api/v1/exceptions/preview", &body)?;
    let wrong = found["problems"].as_array().into_iter().flatten();
    let is_bad = wrong.into_iter().any(|one| one["severity"] == "error");
    if arguments.json {
        output::json(&found)?;
    } else {
        problems("condition", &found["problems"])?;
        let (hidden, all) = (cell(&found["hits_hidden"]), cell(&found["hits_looked_at"]));
        let (from, to) = (cell(&found["from"]), cell(&found["to"]));
        output::say(&format!("would have hidden {hidden} of {all} hits, {from} to {to}"))?;
        if found["complete"] == false {
            output::say("not whole: there is more than was looked at; ask for a shorter time")?;
        }
        let alerts = found["alerts_touched"].as_array().into_iter().flatten();
        let names = ["score_before", "score_after", "title", "id"];
        let row = |one: &Value| names.iter().map(|name| cell(&one[*name])).collect();
        let rows: Vec<Vec<String>> = alerts.map(row).collect();
        if !rows.is_empty() {
            output::table(&["score before", "after", "alert", "id"], &rows)?;
        }
        tallies(&found)?;
    }
    Ok(if is_bad { ExitCode::from(BAD_NEWS) } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use crate::arguments::{Arguments, Command};
    use crate::client::Client;
    use crate::client::tests::server;
    use crate::failure::Failure;

    fn run(words: &[&str], client: &Client) -> Result<String, Failure> {
        let words = ["metsuke", "exceptions"].iter().chain(words);
        let arguments = Arguments::parse_from(words);
        let Command::Exceptions(one) = &arguments.command else { panic!("another command") };
        super::run(&arguments, client, one).map(|code| format!("{code:?}"))
    }

    fn body(text: &str) -> Value {
        let (_, body) = text.split_once("\r\n\r\n").expect("a head");
        serde_json::from_str(body).unwrap_or_default()
    }

    #[test]
    fn an_exception_is_looked_at_made_and_taken_back() {
        let endpoints = json!({ "items": [{ "id": "e-1", "host": "web-1" }], "next": null });
        let wrong = json!({ "problems": [{ "severity": "error", "message": "m" }] });
        let (client, server) = server(vec![
            (200, endpoints),
            (201, json!({ "id": "x1", "expires": "2027-01-01T00:00:00Z" })),
            (200, wrong),
            (204, json!(null)),
        ]);
        let made = [
            "add",
            "--title",
            "t",
            "--detection",
            "a",
            "--detection",
            "b",
            "--endpoint",
            "web-1",
            "--condition",
            "User: root",
            "--reason",
            "r",
            "--expires",
            "2027-01-01T00:00:00Z",
        ];
        let good = run(&made, &client).expect("made");
        assert_ne!(run(&["preview", "--condition", "x"], &client).expect("bad news"), good);
        run(&["remove", "x1"], &client).expect("taken back");
        assert!(matches!(run(&["remove", "../y"], &client), Err(Failure::Usage(_))));
        let asked = server.join().expect("ends");
        assert_eq!(
            body(&asked[1]),
            json!({
                "title": "t", "detections": ["a", "b"], "groups": [], "endpoints": ["e-1"],
                "condition": "User: root", "reason": "r", "expires": "2027-01-01T00:00:00Z",
            })
        );
        let looked = body(&asked[2]);
        assert!(looked["from"].as_str() < looked["to"].as_str() && looked["from"].is_string());
        assert!(asked[3].starts_with("DELETE /api/v1/exceptions/x1 "));
    }
}
