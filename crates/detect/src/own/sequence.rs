//! A sequence document: steps in order on one storyline, host or user.
//!
//! ```yaml
//! sequence:
//!   by: storyline            # or host, user, fleet, a list of fields; storyline when left out
//!   within: 15m              # from the first step to the last
//!   steps:
//!     - detections: [downloaded]          # ids or names, one of them
//!     - absent: [signature_checked]       # must not strike between the steps around it
//!     - detections: [made_executable, run_from_temp]
//!       within: 2m                        # since the step before
//!       process: descendant               # what its process is to that of the step before
//!     - absent: [told_of]                 # nor after the last, for so long
//!       within: 2h
//!   until: [logged_off]      # ends what has begun
//! ```

use super::{References, by};
use crate::bounds;
use crate::document::{Reason, Refusal};
use crate::question::Question;
use crate::sequence::{Kinship, Sequence, Step, Trailing};
use crate::sigma::correlation::{
    By, Correlation, Generate, duration, known_keys, references, required,
};
use crate::yaml::{Kind, Node, cut};

/// A step, its references by number.
struct Written {
    is: Vec<usize>,
    without: Vec<usize>,
    within_nanos: Option<i64>,
    kinship: Option<Kinship>,
}

pub(super) fn parse(node: &Node) -> Result<Correlation, Refusal> {
    known_keys(node, &["by", "within", "steps", "until"])?;
    let (by, by_shown) = by(node, By::Storyline)?;
    let (timespan_nanos, within) = duration(node, "within")?;
    let mut known = References::default();
    let (steps, trailing) = steps(required(node, "steps")?, &mut known)?;
    let until = match node.get("until") {
        Some(_) => known.add(references(node, "until")?),
        None => Vec::new(),
    };
    let count = steps.len();
    let marks = |numbers: &[usize]| known.marks(numbers);
    let sequence = Sequence {
        steps: steps
            .iter()
            .map(|step| Step {
                is: marks(&step.is),
                without: marks(&step.without),
                within_nanos: step.within_nanos,
                kinship: step.kinship,
            })
            .collect(),
        span_nanos: timespan_nanos,
        until: marks(&until),
        trailing: trailing.as_ref().map(|(without, within_nanos)| Trailing {
            without: marks(without),
            within_nanos: *within_nanos,
        }),
    };
    let silence = if trailing.is_some() { ", then silence" } else { "" };
    Ok(Correlation {
        question: Question::Sequence(sequence),
        rules: known.names,
        by,
        measures: Vec::new(),
        aliases: Vec::new(),
        timespan_nanos,
        generate: Generate::Unsaid,
        shown: format!("sequence of {count} steps by {by_shown} within {within}{silence}"),
        digest: node.digest(),
    })
}

/// What must not come after the last step, and for how long.
type Silence = Option<(Vec<usize>, i64)>;

fn steps(node: &Node, known: &mut References) -> Result<(Vec<Written>, Silence), Refusal> {
    let Kind::List(items) = &node.kind else {
        let expected = "a list of steps";
        return Err(node.refuse(Reason::WrongType { field: "steps".to_owned(), expected }));
    };
    let mut steps: Vec<Written> = Vec::new();
    let mut without: Vec<usize> = Vec::new();
    let wrong = |item: &Node, why: &str| item.refuse(Reason::Condition(why.to_owned()));
    let mut trailing = None;
    for (index, item) in items.iter().enumerate() {
        let last = index + 1 == items.len();
        if item.get("absent").is_some() {
            known_keys(item, if last { &["absent", "within"] } else { &["absent"] })?;
            if steps.is_empty() {
                return Err(wrong(item, "nothing comes before this absent step"));
            }
            without.extend(known.add(references(item, "absent")?));
            if last {
                let why = "a last absent step needs `within`: how long nothing must come";
                item.get("within").ok_or_else(|| wrong(item, why))?;
                let within_nanos = duration(item, "within")?.0;
                trailing = Some((std::mem::take(&mut without), within_nanos));
            }
            continue;
        }
        let step = step(item, known, std::mem::take(&mut without))?;
        if steps.is_empty() && (step.within_nanos.is_some() || step.kinship.is_some()) {
            return Err(wrong(item, "`within` and `process` look back to a step before this"));
        }
        steps.push(step);
    }
    let least = if trailing.is_some() { 1 } else { 2 };
    if !(least..=bounds::SEQUENCE_STEPS).contains(&steps.len()) {
        let why = "a sequence has 2 to 16 steps, absent ones not counted but for a last one";
        return Err(wrong(node, why));
    }
    Ok((steps, trailing))
}

fn step(item: &Node, known: &mut References, without: Vec<usize>) -> Result<Written, Refusal> {
    known_keys(item, &["detections", "within", "process"])?;
    let is = known.add(references(item, "detections")?);
    let within_nanos = match item.get("within") {
        Some(_) => Some(duration(item, "within")?.0),
        None => None,
    };
    let kinship = match item.get("process") {
        None => None,
        Some(node) => {
            let name = node.text().unwrap_or_default();
            let expected = "same, child, descendant, parent or ancestor";
            let refuse = || node.refuse(Reason::WrongType { field: cut("process"), expected });
            Some(Kinship::by_name(name).ok_or_else(refuse)?)
        }
    };
    Ok(Written { is, without, within_nanos, kinship })
}
