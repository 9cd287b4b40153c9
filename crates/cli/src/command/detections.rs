//! `metsuke detections`: what a server detects with, switched, tuned, put, and tried over its history.

mod trial;

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::arguments::detections::{Detections, Origin, Switch};
use crate::client::{Client, escape};
use crate::command::{BAD_NEWS, NOTHING_FOUND};
use crate::failure::Failure;
use crate::output::{self, cell, clean, list};

pub(super) use trial::{over, tallies};

/// Bytes of one document and one more, so that the server can say that it is too large.
const MAX_BYTES: u64 = 512 * 1024 + 1;

pub(crate) fn run(
    arguments: &Arguments,
    client: &Client,
    detections: &Detections,
) -> Result<ExitCode, Failure> {
    match detections {
        Detections::List { text, origin, noisy, off } => {
            let only = Only { text: text.as_deref(), origin: *origin, noisy: *noisy, off: *off };
            shown(arguments, client, &only)
        }
        Detections::Show { id } => show(arguments, client, id),
        Detections::Enable(of) => tune(arguments, client, of, json!({ "enabled": true })),
        Detections::Disable(of) => tune(arguments, client, of, json!({ "enabled": false })),
        Detections::Tune { of, reset: true, .. } => {
            tune(arguments, client, of, json!({ "enabled": null, "level": null }))
        }
        Detections::Tune { of, level, .. } => {
            let level = level.as_ref().and_then(ValueEnum::to_possible_value);
            let level = level.map(|level| level.get_name().to_owned());
            tune(arguments, client, of, json!({ "level": level }))
        }
        Detections::Put { files } => documents(arguments, files, |text| put(client, text)),
        Detections::Check { files } => documents(arguments, files, |text| check(client, text)),
        Detections::Remove { id } => {
            client.delete(&at(id))?;
            said(arguments, &json!({ "removed": id }), &format!("{} is removed", clean(id)))
        }
        Detections::Backtest { id, file, over } => {
            let text = file.as_deref().map(read).transpose()?;
            trial::run(arguments, client, (id.as_deref(), text), over)
        }
    }
}

fn at(id: &str) -> String {
    format!("/api/v1/detections/{}", escape(id))
}

fn said(arguments: &Arguments, answer: &Value, text: &str) -> Result<ExitCode, Failure> {
    if arguments.json {
        output::json(answer)?;
    } else {
        output::say(text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What of the list is wanted.
struct Only<'a> {
    text: Option<&'a str>,
    origin: Option<Origin>,
    noisy: bool,
    off: bool,
}

impl Only<'_> {
    fn means(&self, one: &Value) -> bool {
        let has = |key: &str, text: &str| {
            one[key].as_str().is_some_and(|value| value.to_lowercase().contains(text))
        };
        let origin = self.origin.and_then(|origin| origin.to_possible_value());
        self.text.map(str::to_lowercase).is_none_or(|text| has("id", &text) || has("title", &text))
            && origin.is_none_or(|origin| one["origin"] == origin.get_name())
            && (!self.noisy || one["stats"]["noisy"] == true)
            && (!self.off || one["enabled"] == false)
    }
}

fn shown(arguments: &Arguments, client: &Client, only: &Only<'_>) -> Result<ExitCode, Failure> {
    let mut answer = client.get("/api/v1/detections")?;
    if let Some(items) = answer["items"].as_array_mut() {
        items.retain(|one| only.means(one));
    }
    if arguments.json {
        output::json(&answer)?;
    } else {
        let heading = ["id", "layer", "level", "state", "origin", "hits 7d", "alerts 7d", "title"];
        output::items(&answer, &heading, |one| {
            let (stats, noisy) = (&one["stats"], one["stats"]["noisy"] == true);
            let hits = cell(&stats["hits_7d"]) + if noisy { " noisy" } else { "" };
            let keys = [&one["id"], &one["layer"], &one["level_in_force"]];
            let mut row: Vec<String> = keys.map(cell).into();
            row.push(if one["enabled"] == false { "off" } else { "on" }.to_owned());
            row.extend([
                cell(&one["origin"]),
                hits,
                cell(&stats["alerts_7d"]),
                cell(&one["title"]),
            ]);
            row
        })?;
        for refused in answer["refused"].as_array().into_iter().flatten() {
            let (path, reason) = (cell(&refused["path"]), cell(&refused["reason"]));
            output::say(&format!("refused: {path}: {reason}"))?;
        }
    }
    let none = answer["items"].as_array().is_none_or(Vec::is_empty);
    Ok(if none { ExitCode::from(NOTHING_FOUND) } else { ExitCode::SUCCESS })
}

fn show(arguments: &Arguments, client: &Client, id: &str) -> Result<ExitCode, Failure> {
    let one = client.get(&at(id))?;
    if arguments.json {
        output::json(&one)?;
        return Ok(ExitCode::SUCCESS);
    }
    for key in ["id", "title", "layer", "level", "level_in_force", "enabled", "origin", "path"] {
        output::say(&format!("{key:<16}{}", cell(&one[key])))?;
    }
    for key in ["techniques", "needs"] {
        output::say(&format!("{key:<16}{}", list(&one[key])))?;
    }
    let stats = &one["stats"];
    let keys = ["hits_24h", "hits_7d", "hosts_7d", "excepted_7d", "alerts_7d"];
    let numbers = keys.map(|key| format!("{key} {}", cell(&stats[key])));
    output::say(&format!("{:<16}{}", "stats", numbers.join(", ")))?;
    if let Some(why) = stats["noisy_why"].as_str() {
        output::say(&format!("{:<16}{}", "noisy", clean(why)))?;
    }
    for one in one["tuning"].as_array().into_iter().flatten() {
        let group =
            if one["group"].is_null() { "everywhere".to_owned() } else { cell(&one["group"]) };
        let keys = ["enabled", "level", "actor", "time", "reason"];
        let told = keys.map(|key| format!("{key} {}", cell(&one[key])));
        output::say(&format!("{:<16}{group}: {}", "tuned", told.join(", ")))?;
    }
    for test in one["tests"].as_array().into_iter().flatten() {
        output::say(&format!("{:<16}{} {}", "test", cell(&test["kind"]), cell(&test["name"])))?;
    }
    output::say("")?;
    output::say(&clean(one["document"].as_str().unwrap_or_default()))?;
    Ok(ExitCode::SUCCESS)
}

fn tune(
    arguments: &Arguments,
    client: &Client,
    of: &Switch,
    mut change: Value,
) -> Result<ExitCode, Failure> {
    change["group"] = json!(of.group);
    change["reason"] = json!(of.reason);
    let one = client.put(&format!("{}/tuning", at(&of.id)), &change)?;
    let state = if one["enabled"] == false { "off" } else { "on" };
    let whom = of.group.as_deref().map_or(String::new(), |group| {
        format!("; what is said for the group {} stands beside it", clean(group))
    });
    let level = cell(&one["level_in_force"]);
    said(arguments, &one, &format!("{} is {state}, level {level}{whom}", clean(&of.id)))
}

pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let doing = || format!("reading {}", clean(&path.display().to_string()));
    let local = |source| Failure::Local { doing: doing(), source };
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text).map_err(local)?;
    } else {
        let file = std::fs::File::open(path).map_err(local)?;
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(local)?;
    }
    Ok(text)
}

/// What the server says of a document.
fn check(client: &Client, text: &str) -> Result<Value, Failure> {
    client.post("/api/v1/detections/check", &json!({ "text": text }))
}

/// Puts a document that the server has nothing against: it alone says which id it has.
fn put(client: &Client, text: &str) -> Result<Value, Failure> {
    let mut checked = check(client, text)?;
    if checked["ok"] == true
        && let Some(id) = checked["detection"]["id"].as_str()
    {
        let item = client.put(&at(id), &json!({ "text": text }))?;
        checked["put"] = item;
    }
    Ok(checked)
}

/// Does `deed` with each document, and tells of all of them.
fn documents(
    arguments: &Arguments,
    files: &[std::path::PathBuf],
    deed: impl Fn(&str) -> Result<Value, Failure>,
) -> Result<ExitCode, Failure> {
    let (mut answers, mut bad) = (Vec::new(), false);
    for file in files {
        let name = clean(&file.display().to_string());
        let answer = deed(&read(file)?)?;
        bad |= answer["ok"] != true;
        if !arguments.json {
            problems(&name, &answer["problems"])?;
            let id = cell(&answer["detection"]["id"]);
            match (answer["ok"] == true, answer["put"].is_null()) {
                (true, false) => output::say(&format!("{name}: {id} is in force"))?,
                (true, true) => output::say(&format!("{name}: {id} is right"))?,
                (false, _) => output::say(&format!("{name}: refused; nothing was changed"))?,
            }
        }
        answers.push(json!({ "path": name, "answer": answer }));
    }
    if arguments.json {
        output::json(&Value::Array(answers))?;
    }
    Ok(if bad { ExitCode::from(BAD_NEWS) } else { ExitCode::SUCCESS })
}

/// Prints what is wrong, as a compiler does.
pub(super) fn problems(name: &str, problems: &Value) -> Result<(), Failure> {
    for one in problems.as_array().into_iter().flatten() {
        let [line, column, severity, message] =
            ["line", "column", "severity", "message"].map(|key| cell(&one[key]));
        output::say(&format!("{name}:{line}:{column}: {severity}: {message}"))?;
        if let Some(help) = one["help"].as_str() {
            output::say(&format!("  help: {}", clean(help)))?;
        }
    }
    Ok(())
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
        let words = ["metsuke", "detections"].iter().chain(words);
        let arguments = Arguments::parse_from(words);
        let Command::Detections(one) = &arguments.command else { panic!("another command") };
        super::run(&arguments, client, one).map(|code| format!("{code:?}"))
    }

    /// First line and body of what was asked.
    fn asked(text: &str) -> (String, Value) {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let line = head.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
        (line, serde_json::from_str(body).unwrap_or_default())
    }

    #[test]
    fn switches_and_levels_are_sent_with_their_reason() {
        let item = json!({ "id": "a/b", "enabled": false, "level_in_force": "low" });
        let (client, server) = server(vec![(200, item.clone()), (200, item.clone()), (200, item)]);
        run(&["disable", "a/b", "--reason", "loud"], &client).expect("off");
        let level = ["tune", "x", "--level", "high", "--group", "web", "--reason", "r"];
        run(&level, &client).expect("tuned");
        run(&["tune", "x", "--reset", "--reason", "r"], &client).expect("reset");
        let asked: Vec<_> = server.join().expect("ends").iter().map(|text| asked(text)).collect();
        let off = json!({ "enabled": false, "group": null, "reason": "loud" });
        let high = json!({ "level": "high", "group": "web", "reason": "r" });
        let reset = json!({ "enabled": null, "level": null, "group": null, "reason": "r" });
        assert_eq!(asked[0], ("PUT /api/v1/detections/a%2Fb/tuning".to_owned(), off));
        assert_eq!(asked[1], ("PUT /api/v1/detections/x/tuning".to_owned(), high));
        assert_eq!(asked[2], ("PUT /api/v1/detections/x/tuning".to_owned(), reset));
    }

    #[test]
    fn a_document_that_is_refused_is_not_put() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("d.yml");
        std::fs::write(&path, "title: t\n").expect("written");
        let path = path.to_str().expect("a path");
        let problem = json!({ "severity": "error", "message": "m", "line": 1, "column": 1 });
        let refused = json!({ "ok": false, "problems": [problem], "detection": null });
        let good = json!({ "ok": true, "problems": [], "detection": { "id": "d" } });
        let (client, server) = server(vec![(200, refused), (200, good), (200, json!({}))]);
        let bad = run(&["put", path], &client).expect("bad news");
        assert_ne!(bad, run(&["put", path], &client).expect("put"));
        let asked: Vec<_> = server.join().expect("ends").iter().map(|text| asked(text)).collect();
        let text = json!({ "text": "title: t\n" });
        let check = ("POST /api/v1/detections/check".to_owned(), text.clone());
        let put = ("PUT /api/v1/detections/d".to_owned(), text);
        assert_eq!(asked, [check.clone(), check, put]);
        assert!(matches!(run(&["put", "gone.yml"], &client), Err(Failure::Local { .. })));
    }

    #[test]
    fn a_back_test_is_waited_for_and_one_that_failed_is_bad_news() {
        let state = |state: &str| json!({ "id": "b1", "state": state, "error": "why" });
        let begun = json!({ "id": "b1" });
        let (client, server) = server(vec![
            (202, begun.clone()),
            (200, state("running")),
            (200, state("done")),
            (202, begun),
            (200, state("failed")),
        ]);
        let over = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z"];
        let good = run(&[&["backtest", "x"], &over[..]].concat(), &client).expect("done");
        let bad = run(&[&["backtest", "x"], &over[..]].concat(), &client).expect("bad news");
        assert_ne!(good, bad);
        let asked: Vec<_> = server.join().expect("ends").iter().map(|text| asked(text)).collect();
        let body = json!({ "id": "x", "from": over[1], "to": over[3] });
        assert_eq!(asked[0], ("POST /api/v1/backtests".to_owned(), body));
        assert_eq!(asked[1].0, "GET /api/v1/backtests/b1");
        assert_eq!(asked[2].0, "GET /api/v1/backtests/b1");
    }
}
