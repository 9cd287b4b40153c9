//! The public engine.

use anyhow::{Result, ensure};
use metsuke_detect::Document;
use metsuke_event::logsource::LogSource as OwnSource;
use rsigma_eval::{Engine, JsonEvent};
use rsigma_parser::{LogSource, SigmaCollection, parse_sigma_yaml};
use serde_json::Value as Json;

/// The reference engine with all rules, and how to ask it.
pub struct Reference {
    engine: Engine,
}

impl Reference {
    /// Compiles `documents`; what it refuses is printed.
    pub fn new(documents: &[Document]) -> Result<Self> {
        let mut all = SigmaCollection::new();
        for document in documents {
            match parse_sigma_yaml(&document.text) {
                Ok(collection) => {
                    for error in &collection.errors {
                        println!("the reference refuses {}: {error}", document.path);
                    }
                    all.rules.extend(collection.rules);
                }
                Err(error) => println!("the reference refuses {}: {error}", document.path),
            }
        }
        let mut engine = Engine::new();
        let refused = engine.add_rules(&all.rules);
        for (index, error) in &refused {
            println!("the reference refuses {}: {error}", all.rules[*index].title);
        }
        ensure!(engine.rule_count() > 0, "the reference has no rules");
        println!("the reference has {} rules", engine.rule_count());
        Ok(Self { engine })
    }

    /// The log sources as it wants them.
    pub fn sources(sources: &[OwnSource<'_>]) -> Vec<LogSource> {
        let text = |part: Option<&str>| part.map(str::to_owned);
        let one = |source: &OwnSource<'_>| LogSource {
            category: text(source.category),
            product: text(source.product),
            service: text(source.service),
            ..LogSource::default()
        };
        sources.iter().map(one).collect()
    }

    /// Number of matches: its strict routing asked once for each log source of the event.
    pub fn count(&self, json: &Json, sources: &[LogSource]) -> usize {
        let event = JsonEvent::borrow(json);
        sources.iter().map(|source| self.engine.evaluate_with_logsource(&event, source).len()).sum()
    }

    /// Ids of the rules that match, each once, sorted.
    pub fn matches(&self, json: &Json, sources: &[LogSource]) -> Vec<String> {
        let event = JsonEvent::borrow(json);
        let results =
            sources.iter().flat_map(|source| self.engine.evaluate_with_logsource(&event, source));
        let mut found: Vec<String> = results
            .map(|result| result.header.rule_id.unwrap_or(result.header.rule_title))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}
