//! Runs the shipped content over a recording of OCSF or ECS lines and prints what it says:
//! `cargo run -p metsuke-content --example replay -- FILE.jsonl`, where the file comes from
//! `metsuke-sensor record`. Beside `fires/` and `quiet/` this is how a detection is tried out.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};

use metsuke_detect::{Engine, compile};
use metsuke_event::finding::Alert;
use metsuke_event::{ecs, ocsf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("name a file of JSON lines")?;
    let mut out = std::io::stdout().lock();
    let (rules, refused) = compile(metsuke_content::documents());
    for one in refused {
        writeln!(out, "refused {one}")?;
    }
    let mut engine = Engine::new(rules);
    let mut alerts: BTreeMap<String, Alert> = BTreeMap::new();
    for line in BufReader::new(std::fs::File::open(path)?).lines() {
        let json: serde_json::Value = serde_json::from_str(&line?)?;
        let ocsf = json.get("class_uid").is_some();
        let event = if ocsf { ocsf::from_ocsf(&json)? } else { ecs::from_ecs(&json)? };
        let findings = engine.observe(&event);
        for hit in findings.hits {
            let why = hit.matched.iter().take(2).map(|one| {
                format!("{} = {}", one.field, one.value.chars().take(90).collect::<String>())
            });
            let why = why.collect::<Vec<_>>().join("; ");
            let (time, one) = (hit.time, &hit.detection);
            let tactics = one.tactics.join(",");
            writeln!(out, "{time} {:?} {} [{tactics}] {why}", one.level, one.title)?;
        }
        for alert in findings.alerts {
            alerts.insert(alert.id.to_string(), alert);
        }
    }
    for alert in alerts.values() {
        let (title, level) = (&alert.detection.title, alert.detection.level);
        writeln!(out, "\nALERT {} {level:?}, revision {}: {title}", alert.score, alert.revision)?;
        for part in &alert.parts {
            writeln!(out, "  {:>5} {} ({})", part.points, part.label, part.why)?;
        }
    }
    writeln!(out, "\n{:?}", engine.counters())?;
    Ok(())
}
