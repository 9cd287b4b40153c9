//! Matching one activity: values looked up and lower-cased once, predicates answered once.
//!
//! A [`Matcher`] is scratch memory that is used again for every activity; it holds no state that
//! a result depends on.

use metsuke_event::field::Group;
use metsuke_event::finding::Matched;
use metsuke_event::{Event, FIELDS, Value, ValueRef};

use crate::bounds;
use crate::filter::Filter;
use crate::plan::{FilterIx, Plan};
use crate::predicate::{ANY_TEXT, FieldIx, Op, PredIx, in_network};
use crate::ruleset::RuleSet;
use crate::sigma::pattern::lower;

/// What is known of a field of the activity at hand.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The round it was looked up in.
    round: u32,
    /// Where the lower-cased value stands in the arena; `None` when unset.
    lowered: Option<(u32, u32)>,
}

/// Scratch memory for matching.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    round: u32,
    slots: Vec<Slot>,
    /// Per predicate the round it was answered in and the answer.
    answers: Vec<(u32, bool)>,
    /// Per filter the round it was woken in.
    woken_in: Vec<u32>,
    woken: Vec<FilterIx>,
    arena: String,
    /// Per field the index plus one of an unmapped value of its name, and the round.
    unmapped: Vec<(u32, u32)>,
}

impl Matcher {
    /// The filters of `plan` that match `event`, in the order of the rule set.
    pub(crate) fn run(&mut self, rules: &RuleSet, plan: &Plan, event: &Event) -> Vec<FilterIx> {
        self.begin(rules, event);
        for watch in &plan.fields {
            let Some((start, end)) = self.lowered(rules, event, watch.field) else { continue };
            let Self { arena, woken_in, woken, round, .. } = self;
            watch.look(&arena[start as usize..end as usize], &mut |filters| {
                for filter in filters {
                    let seen = &mut woken_in[*filter as usize];
                    if *seen != *round {
                        *seen = *round;
                        woken.push(*filter);
                    }
                }
            });
        }
        let mut candidates = std::mem::take(&mut self.woken);
        candidates.extend_from_slice(&plan.always);
        candidates.sort_unstable();
        let mut matched = Vec::new();
        for index in &candidates {
            let filter = &rules.compiled[*index as usize];
            if filter.expr.holds(&mut |predicate| self.holds(rules, event, predicate)) {
                matched.push(*index);
            }
        }
        candidates.clear();
        self.woken = candidates;
        matched
    }

    /// Why `filter` matched `event`; to be asked directly after [`Matcher::run`].
    pub(crate) fn why(&mut self, rules: &RuleSet, event: &Event, filter: &Filter) -> Vec<Matched> {
        let mut found = Vec::new();
        filter.expr.why(&mut |predicate| self.holds(rules, event, predicate), &mut found);
        let mut reasons = Vec::new();
        for (predicate, clause) in found {
            let clause = &filter.clauses[clause];
            let field = rules.predicates.get(predicate).field;
            let (name, value) = if field == ANY_TEXT {
                ("keyword".to_owned(), keyword_value(rules, event, predicate))
            } else {
                let name = clause.key.split('|').next().unwrap_or_default().to_owned();
                (name, self.value(rules, event, field).unwrap_or_default())
            };
            let colon = if clause.key.is_empty() { "" } else { " " };
            let search = filter.names.get(clause.search).map_or("", String::as_str);
            let reason = Matched {
                field: name,
                value: cut(&value, bounds::MATCHED_VALUE_BYTES).to_owned(),
                clause: format!("{search}: {}{colon}'{}'", clause.key, clause.value),
            };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
            if reasons.len() == bounds::MATCHED_CLAUSES {
                break;
            }
        }
        reasons
    }

    /// The text of a field that a rule asks for, as it is.
    pub(crate) fn value(&self, rules: &RuleSet, event: &Event, field: FieldIx) -> Option<String> {
        self.original(rules, event, field).map(|value| value.to_text().into_owned())
    }

    /// Makes ready for `event`.
    pub(crate) fn begin(&mut self, rules: &RuleSet, event: &Event) {
        self.slots.resize(rules.predicates.fields.len(), Slot::default());
        self.unmapped.resize(rules.predicates.fields.len(), (0, 0));
        self.answers.resize(rules.predicates.list.len(), (0, false));
        self.woken_in.resize(rules.compiled.len(), 0);
        let Some(round) = self.round.checked_add(1) else {
            *self = Self::default();
            return self.begin(rules, event);
        };
        self.round = round;
        self.arena.clear();
        self.woken.clear();
        for (index, (name, _)) in (1..).zip(&event.unmapped) {
            for field in rules.fields_named.get(&**name).into_iter().flatten() {
                let entry = &mut self.unmapped[field.0 as usize];
                if entry.0 != self.round {
                    *entry = (self.round, index);
                }
            }
        }
    }

    fn original<'e>(
        &self,
        rules: &RuleSet,
        event: &'e Event,
        field: FieldIx,
    ) -> Option<ValueRef<'e>> {
        let key = &rules.predicates.fields[field.0 as usize];
        if let Some(value) = key.id.and_then(|id| event.get(id)) {
            return Some(value);
        }
        let (round, index) = self.unmapped[field.0 as usize];
        if round != self.round {
            return None;
        }
        event.unmapped.get(index as usize - 1).map(|(_, value)| Value::as_ref(value))
    }

    /// Where the lower-cased text of `field` stands in the arena.
    fn lowered(&mut self, rules: &RuleSet, event: &Event, field: FieldIx) -> Option<(u32, u32)> {
        let slot = self.slots[field.0 as usize];
        if slot.round == self.round {
            return slot.lowered;
        }
        let start = self.arena.len();
        let set = if field == ANY_TEXT {
            self.all_text(event);
            true
        } else {
            match self.original(rules, event, field) {
                Some(value) => {
                    lower_into(&mut self.arena, value);
                    true
                }
                None => false,
            }
        };
        let at = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let lowered = set.then(|| (at(start), at(self.arena.len())));
        self.slots[field.0 as usize] = Slot { round: self.round, lowered };
        lowered
    }

    fn all_text(&mut self, event: &Event) {
        for spec in FIELDS.iter().filter(|spec| spec.group != Group::Meta) {
            if let Some(value) = event.get(spec.id) {
                lower_into(&mut self.arena, value);
                self.arena.push('\n');
            }
        }
        for (_, value) in &event.unmapped {
            lower_into(&mut self.arena, value.as_ref());
            self.arena.push('\n');
        }
    }

    fn holds(&mut self, rules: &RuleSet, event: &Event, index: PredIx) -> bool {
        let (round, answer) = self.answers[index.0 as usize];
        if round == self.round {
            return answer;
        }
        let answer = self.answer(rules, event, index);
        self.answers[index.0 as usize] = (self.round, answer);
        answer
    }

    fn answer(&mut self, rules: &RuleSet, event: &Event, index: PredIx) -> bool {
        let predicate = rules.predicates.get(index);
        let field = predicate.field;
        let value_of = |matcher: &Self| match field {
            ANY_TEXT => None,
            _ => matcher.original(rules, event, field),
        };
        match &predicate.op {
            Op::Text(test) => {
                let Some((start, end)) = self.lowered(rules, event, field) else { return false };
                test.matches(&self.arena[start as usize..end as usize])
            }
            Op::Set => field == ANY_TEXT || value_of(self).is_some(),
            Op::Unset => field != ANY_TEXT && value_of(self).is_none(),
            Op::Cased(test) => self.any_value(rules, event, field, &|value| test.matches(value)),
            Op::Regex(regex, _) => {
                self.any_value(rules, event, field, &|value| regex.is_match(value))
            }
            Op::Cidr(network, bits) => value_of(self).is_some_and(|value| match value {
                ValueRef::Ip(address) => in_network(address, *network, *bits),
                other => other
                    .to_text()
                    .trim()
                    .parse()
                    .is_ok_and(|address| in_network(address, *network, *bits)),
            }),
            Op::Number(comparison, bound) => value_of(self).is_some_and(|value| {
                value.to_text().trim().parse().is_ok_and(|value| comparison.holds(value, *bound))
            }),
            Op::Part(part, comparison, bound) => value_of(self)
                .and_then(|value| part.of(value))
                .is_some_and(|part| comparison.holds(part, *bound)),
            Op::FieldCased(other, relation) => {
                let values = (value_of(self), self.original(rules, event, *other));
                matches!(values, (Some(left), Some(right))
                    if relation.holds(&left.to_text(), &right.to_text()))
            }
            Op::FieldNumber(other, comparison) => {
                let number = |value: ValueRef<'_>| value.to_text().trim().parse::<f64>().ok();
                let left = value_of(self).and_then(number);
                let right = self.original(rules, event, *other).and_then(number);
                matches!((left, right), (Some(left), Some(right)) if comparison.holds(left, right))
            }
            Op::Field(other, relation) => {
                let (Some(left), Some(right)) =
                    (self.lowered(rules, event, field), self.lowered(rules, event, *other))
                else {
                    return false;
                };
                let at = |(start, end): (u32, u32)| &self.arena[start as usize..end as usize];
                relation.holds(at(left), at(right))
            }
        }
    }

    /// Whether `test` holds for the field's value, for keywords for any value.
    fn any_value(
        &self,
        rules: &RuleSet,
        event: &Event,
        field: FieldIx,
        test: &dyn Fn(&str) -> bool,
    ) -> bool {
        let test = |value: ValueRef<'_>| test(cut(&value.to_text(), bounds::VALUE_BYTES));
        if field != ANY_TEXT {
            return self.original(rules, event, field).is_some_and(test);
        }
        values(event).any(test)
    }
}

/// The value in which a keyword was found.
fn keyword_value(rules: &RuleSet, event: &Event, predicate: PredIx) -> String {
    let found_in = |text: &str| match &rules.predicates.get(predicate).op {
        Op::Text(test) => test.matches(&lower(text)),
        Op::Cased(test) => test.matches(text),
        Op::Regex(regex, _) => regex.is_match(text),
        _ => true,
    };
    values(event)
        .map(|value| value.to_text().into_owned())
        .find(|text| found_in(text))
        .unwrap_or_default()
}

fn values(event: &Event) -> impl Iterator<Item = ValueRef<'_>> {
    let known = FIELDS
        .iter()
        .filter(|spec| spec.group != Group::Meta)
        .filter_map(|spec| event.get(spec.id));
    known.chain(event.unmapped.iter().map(|(_, value)| value.as_ref()))
}

/// Adds the value in lower case, cut at [`bounds::VALUE_BYTES`].
fn lower_into(arena: &mut String, value: ValueRef<'_>) {
    let text = value.to_text();
    let text = cut(&text, bounds::VALUE_BYTES);
    if text.is_ascii() {
        let start = arena.len();
        arena.push_str(text);
        arena[start..].make_ascii_lowercase();
    } else {
        arena.extend(text.chars().flat_map(char::to_lowercase));
    }
}

/// `text` cut at `limit` bytes, at a character's edge.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}
