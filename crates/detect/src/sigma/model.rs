//! A model document, our own: which hits on a storyline are weighed, and how.
//!
//! ```yaml
//! title: …
//! id: …
//! level: high
//! model:
//!   timespan: 6h          # hits further apart are not weighed together
//!   threshold: 50         # points that make an alert
//!   weights: {low: 4, medium: 12, high: 25, critical: 45}   # the default
//!   detections: {ID-OR-NAME: 30}       # points of single detections
//!   counts: {tactics: [...]}           # what is weighed; everything when left out
//!   breadth: {from: 3, points: 6, limit: 30}   # points for every tactic from the third on
//!   require:                           # each has to be there, or no alert
//!     - label: credentials were read
//!       tactics: [credential-access]
//!   in-order: required                 # their first hits come in this order
//!   levels: {critical: 85}             # level of the alert from so many points on
//!   half-life: 6h                      # points halve in this time; they stay when left out
//!   reach: ignored                     # what is common in the fleet counts in full
//!   suppress: 24h                      # an alert stands for others like it on its host
//! ```

use metsuke_event::finding::Level;

use crate::document::{Reason, Refusal};
use crate::ruleset::Meta;
use crate::sigma::header;
use crate::yaml::{Node, cut};

/// Points of hits by level, lowest first, unless a model says otherwise.
const WEIGHTS: [f64; 5] = [0.0, 4.0, 12.0, 25.0, 45.0];

/// A model as written.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) timespan_nanos: i64,
    pub(crate) threshold: f64,
    /// By level, lowest first.
    pub(crate) weights: [f64; 5],
    /// By id or name.
    pub(crate) detections: Vec<(String, f64)>,
    pub(crate) counts: Option<Selector>,
    pub(crate) breadth: Option<Breadth>,
    pub(crate) require: Vec<Selector>,
    pub(crate) in_order: Order,
    /// Levels from so many points on, in rising order.
    pub(crate) levels: Vec<(f64, Level)>,
    pub(crate) half_life_nanos: Option<i64>,
    pub(crate) reach: Reach,
    pub(crate) suppress_nanos: Option<i64>,
}

/// Whether what is common in the fleet counts less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Weighed,
    Ignored,
}

/// Whether the required hits have to come in the order they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Any,
    Required,
}

/// Points for hits of many tactics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Breadth {
    /// From so many tactics on,
    pub(crate) from: usize,
    /// so many points each,
    pub(crate) points: f64,
    /// so many at most.
    pub(crate) limit: f64,
}

/// Which detections are meant: those that any of the lists names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    pub(crate) label: String,
    /// Ids or names.
    pub(crate) detections: Vec<String>,
    pub(crate) techniques: Vec<String>,
    pub(crate) tactics: Vec<String>,
    pub(crate) least: Option<Level>,
}

impl Selector {
    /// The level from which on it means the detection `meta`, also called `name`; nothing when its
    /// lists do not name it. `least` narrows what the lists name; alone it means every detection of
    /// that level or above.
    pub(crate) fn means(&self, meta: &Meta, name: Option<&str>) -> Option<Level> {
        let detection = &meta.detection;
        let least = self.least.unwrap_or_default();
        if self.detections.is_empty() && self.techniques.is_empty() && self.tactics.is_empty() {
            return self.least;
        }
        let technique = |wanted: &String| {
            detection.techniques.iter().any(|has| {
                has == wanted || has.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'))
            })
        };
        let named = self
            .detections
            .iter()
            .any(|wanted| *wanted == detection.id || Some(wanted.as_str()) == name)
            || self.techniques.iter().any(technique)
            || self.tactics.iter().any(|wanted| detection.tactics.contains(wanted));
        named.then_some(least)
    }
}

/// Reads the model of `node`.
pub(crate) fn parse(node: &Node) -> Result<Model, Refusal> {
    let model = node.get("model").ok_or_else(|| node.refuse(Reason::Missing("model")))?;
    let mut found = Model {
        timespan_nanos: 0,
        threshold: f64::NAN,
        weights: WEIGHTS,
        detections: Vec::new(),
        counts: None,
        breadth: None,
        require: Vec::new(),
        in_order: Order::Any,
        levels: Vec::new(),
        half_life_nanos: None,
        reach: Reach::Weighed,
        suppress_nanos: None,
    };
    for (key, value) in model.entries() {
        found.read(key, value).map_err(|reason| value.refuse_key(reason, 0))?;
    }
    if found.timespan_nanos == 0 {
        return Err(model.refuse_key(Reason::Missing("model.timespan"), 0));
    }
    if !found.threshold.is_finite() || found.threshold < 1.0 {
        return Err(model.refuse_key(Reason::Missing("model.threshold (1 or more)"), 0));
    }
    Ok(found)
}

impl Model {
    fn read(&mut self, key: &str, value: &Node) -> Result<(), Reason> {
        match key {
            "timespan" => self.timespan_nanos = duration(value)?,
            "threshold" => self.threshold = number(key, value)?,
            "weights" => {
                for (name, points) in value.mapping(key)? {
                    self.weights[level(name)? as usize] = number(name, points)?;
                }
            }
            "detections" => {
                for (name, points) in value.mapping(key)? {
                    self.detections.push((name.clone(), number(name, points)?));
                }
            }
            "counts" => self.counts = Some(selector(value)?),
            "breadth" => self.breadth = Some(breadth(value)?),
            "require" => {
                self.require = value.items().iter().map(selector).collect::<Result<_, _>>()?;
            }
            "in-order" => self.in_order = order(value)?,
            "levels" => {
                for (name, points) in value.mapping(key)? {
                    self.levels.push((number(name, points)?, level(name)?));
                }
                self.levels.sort_by(|left, right| left.0.total_cmp(&right.0));
            }
            "half-life" => self.half_life_nanos = Some(duration(value)?),
            "suppress" => self.suppress_nanos = Some(duration(value)?),
            "reach" => {
                self.reach = match value.text() {
                    Some("weighed") => Reach::Weighed,
                    Some("ignored") => Reach::Ignored,
                    _ => {
                        let expected = "weighed or ignored";
                        return Err(Reason::WrongType { field: cut(key), expected });
                    }
                }
            }
            other => return Err(Reason::UnknownKey(format!("model.{}", cut(other)))),
        }
        Ok(())
    }
}

fn duration(value: &Node) -> Result<i64, Reason> {
    header::duration(value.text().unwrap_or_default())
}

fn order(value: &Node) -> Result<Order, Reason> {
    match value.text() {
        Some("required") => Ok(Order::Required),
        Some("any") => Ok(Order::Any),
        _ => Err(Reason::WrongType { field: "in-order".to_owned(), expected: "required or any" }),
    }
}

fn number(key: &str, value: &Node) -> Result<f64, Reason> {
    value
        .text()
        .and_then(|text| text.parse().ok())
        .filter(|number: &f64| (0.0..=1_000.0).contains(number))
        .ok_or_else(|| Reason::WrongType { field: cut(key), expected: "a number from 0 to 1000" })
}

fn level(name: &str) -> Result<Level, Reason> {
    [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical]
        .into_iter()
        .find(|level| format!("{level:?}").eq_ignore_ascii_case(name))
        .ok_or_else(|| Reason::UnknownKey(cut(name)))
}

fn breadth(value: &Node) -> Result<Breadth, Reason> {
    let get = |key: &'static str| {
        value.get(key).map_or(Err(Reason::Missing("model.breadth: from, points, limit")), |node| {
            number(key, node)
        })
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    let from = get("from")? as usize;
    Ok(Breadth { from, points: get("points")?, limit: get("limit")? })
}

fn selector(value: &Node) -> Result<Selector, Reason> {
    let mut found = Selector::default();
    for (key, value) in value.mapping("selector")? {
        match key.as_str() {
            "label" => {
                let wrong = || Reason::WrongType { field: "label".to_owned(), expected: "a text" };
                value.text().ok_or_else(wrong)?.clone_into(&mut found.label);
            }
            "detections" => found.detections = value.only_texts(key)?,
            "techniques" => found.techniques = value.only_texts(key)?,
            "tactics" => found.tactics = value.only_texts(key)?,
            "level" => found.least = Some(level(value.text().unwrap_or(""))?),
            other => return Err(Reason::UnknownKey(format!("selector.{}", cut(other)))),
        }
    }
    Ok(found)
}
