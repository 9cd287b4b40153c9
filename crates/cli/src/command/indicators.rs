//! `metsuke indicators`: feeds read, turned, asked and looked for in reports, here, without a server;
//! what a server holds stands in `server`.

mod server;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use metsuke_event::Timestamp;
use metsuke_intel::problem::Weight;
use metsuke_intel::read::{self, Format as Reader, Origin};
use metsuke_intel::{Answer, Indicator, Kind, Problem, Set};
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::arguments::indicators::{Action, Feeds, Form, Format, Indicators};
use crate::client::Client;
use crate::command::{BAD_NEWS, NOTHING_FOUND};
use crate::failure::Failure;
use crate::output::{self, cell, clean};

/// Largest feed that is read, in bytes: what the readers take at once, and a little, so that the reader
/// can say that it is too large.
const MAX_FEED_BYTES: u64 = read::MAX_DOCUMENT_BYTES as u64 + 1;
/// Largest snapshot, in bytes: a hundred million indicators.
const MAX_SNAPSHOT_BYTES: u64 = 4 << 30;
/// How a snapshot begins (`docs/spec/intel.md`).
const SNAPSHOT: &[u8] = b"MTKINTL1";

pub(crate) fn run(arguments: &Arguments, indicators: &Indicators) -> Result<ExitCode, Failure> {
    match indicators {
        Indicators::Import { feeds, server: true, more, .. } => {
            server::import(arguments, &Client::of(arguments)?, (feeds, more))
        }
        Indicators::Import { feeds, into, .. } => import(arguments, feeds, into.as_deref()),
        Indicators::Export { feeds, form } => export(feeds, *form),
        Indicators::Lookup { values, files } => look_up(arguments, values, files),
        Indicators::Extract { file } => extract(arguments, file),
        other => server::run(arguments, &Client::of(arguments)?, other),
    }
}

fn local(doing: String) -> impl FnOnce(std::io::Error) -> Failure {
    move |source| Failure::Local { doing, source }
}

fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let doing = || format!("reading {}", clean(&path.display().to_string()));
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(local(doing()))?;
    } else {
        let file = fs::File::open(path).map_err(local(doing()))?;
        file.take(most).read_to_end(&mut bytes).map_err(local(doing()))?;
    }
    Ok(bytes)
}

fn reader(format: Format, bytes: &[u8]) -> Reader {
    match format {
        Format::Auto => Reader::guess(bytes),
        Format::Stix => Reader::Stix,
        Format::Misp => Reader::Misp,
        Format::Openioc => Reader::OpenIoc,
        Format::Csv => Reader::Csv,
        Format::List => Reader::List,
        Format::Report => Reader::Report,
    }
}

fn origin(path: &Path, feeds: Option<&Feeds>) -> Origin {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let source = feeds.and_then(|feeds| feeds.source.clone()).unwrap_or_else(|| name.clone());
    let action = match feeds.map_or(Action::Alert, |feeds| feeds.action) {
        Action::Alert => metsuke_intel::Action::Alert,
        Action::Block => metsuke_intel::Action::Block,
        Action::Allow => metsuke_intel::Action::Allow,
    };
    Origin { source: source.into(), document: Some(name.into()), action, ..Origin::default() }
}

/// The indicators of all feeds, and each problem with its file.
type Everything = (Vec<Indicator>, Vec<(String, Problem)>);

fn read_all(feeds: &Feeds) -> Result<Everything, Failure> {
    let (mut indicators, mut problems) = (Vec::new(), Vec::new());
    for path in &feeds.files {
        let bytes = bytes(path, MAX_FEED_BYTES)?;
        let read = reader(feeds.format, &bytes).read(&bytes, &origin(path, Some(feeds)));
        indicators.extend(read.0);
        let name = path.display().to_string();
        problems.extend(read.1.into_iter().map(|problem| (name.clone(), problem)));
    }
    Ok((indicators, problems))
}

fn built(indicators: &[Indicator]) -> Set {
    // Any number serves: it is drawn for each file, so that nobody can make a name for all of them.
    let mut builder = Set::builder(seed());
    // What readers give is canonical, so nothing is refused here.
    let _ = builder.extend(indicators);
    builder.build()
}

fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn end(problems: &[(String, Problem)]) -> ExitCode {
    let refused = problems.iter().any(|(_, problem)| problem.weight == Weight::Refused);
    if refused { ExitCode::from(BAD_NEWS) } else { ExitCode::SUCCESS }
}

fn import(arguments: &Arguments, feeds: &Feeds, into: Option<&Path>) -> Result<ExitCode, Failure> {
    let (indicators, problems) = read_all(feeds)?;
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for one in &indicators {
        *counts.entry(one.kind).or_default() += 1;
    }
    if let Some(path) = into {
        let set = built(&indicators);
        let doing = || format!("writing {}", clean(&path.display().to_string()));
        let mut file = BufWriter::new(fs::File::create(path).map_err(local(doing()))?);
        let mut outcome = Ok(());
        set.snapshot(&mut |part| {
            if outcome.is_ok() {
                outcome = file.write_all(part);
            }
        });
        outcome.and_then(|()| file.flush()).map_err(local(doing()))?;
    }
    if arguments.json {
        let counts: serde_json::Map<String, Value> =
            counts.iter().map(|(kind, count)| (kind.name().to_owned(), json!(count))).collect();
        let problems: Vec<_> = problems
            .iter()
            .map(|(file, one)| json!({"file": file, "place": one.place, "reason": one.reason, "weight": one.weight}))
            .collect();
        output::json(
            &json!({"indicators": indicators.len(), "kinds": counts, "problems": problems}),
        )?;
    } else {
        for (file, problem) in &problems {
            output::say(&clean(&format!("{file}: {problem}")))?;
        }
        let rows: Vec<_> = counts
            .iter()
            .map(|(kind, count)| vec![kind.name().to_owned(), count.to_string()])
            .collect();
        output::table(&["kind", "indicators"], &rows)?;
    }
    Ok(end(&problems))
}

fn export(feeds: &Feeds, form: Form) -> Result<ExitCode, Failure> {
    let (indicators, problems) = read_all(feeds)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for one in &indicators {
        match form {
            Form::Jsonl => {
                serde_json::to_writer(&mut out, one).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
            Form::List => writeln!(out, "{}", clean(&one.value))?,
        }
    }
    out.flush()?;
    let mut errors = std::io::stderr().lock();
    for (file, problem) in &problems {
        writeln!(errors, "{}", clean(&format!("{file}: {problem}")))?;
    }
    Ok(end(&problems))
}

/// The sets of files: a snapshot as it is, of a feed what it says.
fn sets(files: &[std::path::PathBuf]) -> Result<Vec<Set>, Failure> {
    let one = |path: &std::path::PathBuf| {
        let bytes = bytes(path, MAX_SNAPSHOT_BYTES)?;
        if bytes.starts_with(SNAPSHOT) {
            return Set::load(&bytes.into()).map_err(|error| {
                Failure::Usage(format!("{} {error}", clean(&path.display().to_string())))
            });
        }
        let (indicators, _) = reader(Format::Auto, &bytes).read(&bytes, &origin(path, None));
        Ok(built(&indicators))
    };
    files.iter().map(one).collect()
}

fn look_up(
    arguments: &Arguments,
    values: &[String],
    files: &[std::path::PathBuf],
) -> Result<ExitCode, Failure> {
    let sets = sets(files)?;
    let now = now();
    let mut found = Vec::new();
    for value in values {
        let (kind, value) =
            read::guess(value).map_err(|refusal| Failure::Usage(clean(&refusal.to_string())))?;
        for set in &sets {
            let answer = set.look_up(kind, &value, now);
            found.extend(said(&value, &answer));
            // 32 hexadecimal digits may also be a fingerprint of TLS.
            if kind == Kind::Md5 {
                found.extend(said(&value, &set.look_up(Kind::Ja3, &value, now)));
            }
        }
    }
    if arguments.json {
        output::json(&Value::Array(found.clone()))?;
    } else {
        let names = ["value", "indicator", "kind", "source", "action", "severity", "expires"];
        let rows: Vec<Vec<String>> =
            found.iter().map(|one| names.iter().map(|name| cell(&one[*name])).collect()).collect();
        output::table(&names, &rows)?;
    }
    Ok(if found.is_empty() { ExitCode::from(NOTHING_FOUND) } else { ExitCode::SUCCESS })
}

fn said(value: &str, answer: &Answer<'_>) -> Vec<Value> {
    let one = |one: &metsuke_intel::Match<'_>| {
        json!({
            "value": value,
            "indicator": one.value(value),
            "kind": one.kind,
            "source": one.context.source,
            "document": one.context.document,
            "action": one.context.action,
            "allowed": answer.allowed(),
            "severity": one.context.severity,
            "confidence": one.context.confidence,
            "labels": one.context.labels,
            "expires": one.expires(),
        })
    };
    answer.matches.iter().map(one).collect()
}

fn extract(arguments: &Arguments, file: &Path) -> Result<ExitCode, Failure> {
    let bytes = bytes(file, MAX_FEED_BYTES)?;
    let found = read::findings(&String::from_utf8_lossy(&bytes));
    if arguments.json {
        let found: Vec<_> = found
            .iter()
            .map(|one| {
                json!({"kind": one.kind, "value": one.value, "line": one.line, "offset": one.offset,
                    "count": one.count, "defanged": one.defanged, "caution": one.caution, "context": one.context})
            })
            .collect();
        output::json(&Value::Array(found))?;
    } else {
        let rows: Vec<_> = found
            .iter()
            .map(|one| {
                let caution = one.caution.unwrap_or("-").to_owned();
                let kind = one.kind.name().to_owned();
                vec![kind, clean(&one.value), one.line.to_string(), caution, clean(&one.context)]
            })
            .collect();
        output::table(&["kind", "value", "line", "caution", "context"], &rows)?;
    }
    Ok(if found.is_empty() { ExitCode::from(NOTHING_FOUND) } else { ExitCode::SUCCESS })
}
