//! Matching one activity: values looked up and lower-cased once, predicates answered once.
//!
//! A [`Matcher`] is scratch memory, used again: no result depends on what it holds.

use metsuke_event::field::meta;
use metsuke_event::finding::Matched;
use metsuke_event::{Event, Place, ValueRef};

use crate::bounds;
use crate::census::Samples;
use crate::filter::Filter;
use crate::later::Counts;
use crate::lowering::{cut, is_lowered_in_place, lower_into, lower_text_into, push_into};
use crate::meter::Watch;
use crate::plan::{FilterIx, Plan};
use crate::predicate::{ANY_TEXT, FieldIx, Op, PredIx, Test, in_network};
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

/// The source's field that has the name a field is asked for by.
#[derive(Clone, Copy, Debug, Default)]
struct Given {
    /// The round it was found in.
    round: u32,
    /// Its number among the source's fields.
    index: u32,
    /// Where its lower-cased value stands in the arena.
    lowered: (u32, u32),
}

/// Scratch memory for matching.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    round: u32,
    slots: Vec<Slot>,
    /// Per predicate the round it was answered in and the answer.
    answers: Vec<(u32, bool)>,
    /// Per filter of a plan the round it was woken in.
    woken_in: Vec<u32>,
    woken: Vec<u32>,
    /// Lower-cased values: first those of the source's fields, with a zero byte behind each.
    arena: String,
    /// Where those of the source's fields end.
    given_end: usize,
    /// Where all values end, when all were taken.
    all: Option<usize>,
    given: Vec<Given>,
    counts: Counts,
}

/// Which typed fields are lower-cased at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those that any rule asks for.
    Asked,
    /// All, for keywords.
    All,
}

impl Matcher {
    /// The filters of `plan` that match `event`, in the order of the rule set; `watch` looks on.
    pub(crate) fn run(
        &mut self,
        rules: &RuleSet,
        plan: &Plan,
        event: &Event,
        watch: &mut impl Watch,
    ) -> Vec<FilterIx> {
        self.wake(rules, plan, event);
        let mut woken = std::mem::take(&mut self.woken);
        watch.arrange(&mut woken);
        let mut matched = Vec::new();
        for index in woken.iter().chain(&plan.always) {
            let filter = plan.filters[*index as usize];
            if watch.passes(filter) {
                continue;
            }
            let told = |it: &Self, index: PredIx| it.answers[index.0 as usize] == (it.round, true);
            let ask = |it: &mut Self, index| it.ask(rules, plan, event, index);
            let begun = watch.begin();
            let tree = &rules.compiled[filter as usize].expr;
            let holds = plan.programs.holds(*index, self, told, ask);
            let holds = holds.unwrap_or_else(|| tree.holds(&mut |index| ask(self, index)));
            watch.end(filter, begun);
            if holds {
                matched.push(filter);
            }
        }
        matched.sort_unstable();
        self.woken = woken;
        matched
    }

    /// Makes ready for `event` and wakes the filters whose witnesses are there.
    fn wake(&mut self, rules: &RuleSet, plan: &Plan, event: &Event) {
        let wanted = plan.watches.first().is_some_and(|watch| watch.field == ANY_TEXT);
        self.begin(rules, event, if wanted { Wanted::All } else { Wanted::Asked });
        for watch in &plan.watches {
            let Some((start, end)) = self.lowered(rules, event, watch.field) else { continue };
            let Self { arena, answers, woken_in, woken, round, .. } = self;
            watch.look(&arena[start as usize..end as usize], &mut |filters, tells| {
                if let Some(predicate) = tells {
                    answers[predicate.0 as usize] = (*round, true);
                }
                for filter in filters {
                    let seen = &mut woken_in[*filter as usize];
                    if *seen != *round {
                        *seen = *round;
                        woken.push(*filter);
                    }
                }
            });
        }
    }

    /// Adds the activity, for which [`Matcher::run`] was just called, to `samples`.
    pub(crate) fn sample(
        &mut self,
        rules: &RuleSet,
        plan: &Plan,
        event: &Event,
        samples: &mut Samples,
    ) {
        for field in &plan.fields {
            self.lowered(rules, event, *field);
        }
        let value = |field: &FieldIx| {
            let (start, end) = self.slots[field.0 as usize].lowered?;
            Some((*field, &self.arena[start as usize..end as usize]))
        };
        samples.take(plan.fields.iter().filter_map(value));
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

    /// Whether `filter` holds for `event`; to be asked after [`Matcher::begin`].
    pub(crate) fn meets(&mut self, rules: &RuleSet, event: &Event, filter: &Filter) -> bool {
        filter.expr.holds(&mut |predicate| self.holds(rules, event, predicate))
    }

    /// The text of a field that a rule asks for, as it is.
    pub(crate) fn value(&self, rules: &RuleSet, event: &Event, field: FieldIx) -> Option<String> {
        self.original(rules, event, field).map(|value| value.to_text().into_owned())
    }

    /// Makes ready for `event`.
    pub(crate) fn begin(&mut self, rules: &RuleSet, event: &Event, wanted: Wanted) {
        self.slots.resize(rules.predicates.fields.len(), Slot::default());
        self.given.resize(rules.predicates.fields.len(), Given::default());
        self.answers.resize(rules.predicates.list.len(), (0, false));
        self.woken_in.resize(rules.compiled.len(), 0);
        let Some(round) = self.round.checked_add(1) else {
            *self = Self::default();
            return self.begin(rules, event, wanted);
        };
        self.round = round;
        self.arena.clear();
        self.woken.clear();
        if !event.unmapped.is_empty() {
            self.take_given(rules, event);
        }
        self.given_end = self.arena.len();
        self.take_typed(rules, event, wanted);
    }

    /// Lower-cases all of the source's fields at once and notes those that are asked for.
    fn take_given(&mut self, rules: &RuleSet, event: &Event) {
        let buffer = event.unmapped.buffer();
        let same = is_lowered_in_place(buffer);
        if same {
            self.arena.push_str(buffer);
            self.arena.make_ascii_lowercase();
        }
        for (index, Place { name, start, end }) in (0..).zip(event.unmapped.places()) {
            let fields = if let Some(number) = name {
                rules.names.fields(number)
            } else {
                let name = event.unmapped.name(index as usize);
                name.map(|name| rules.names.fields_of(&name)).unwrap_or_default()
            };
            let (start, end) = if same {
                (start, start + cut(&buffer[start..end], bounds::VALUE_BYTES).len())
            } else {
                let start = self.arena.len();
                lower_text_into(&mut self.arena, &buffer[start..end]);
                let end = self.arena.len();
                self.arena.push('\0');
                (start, end)
            };
            for field in fields {
                let given = &mut self.given[field.0 as usize];
                if given.round != self.round {
                    *given = Given { round: self.round, index, lowered: (at(start), at(end)) };
                }
            }
        }
    }

    /// Lower-cases the typed fields that are asked for, or all of them: mostly all at once, in place.
    fn take_typed(&mut self, rules: &RuleSet, event: &Event, wanted: Wanted) {
        let from = self.arena.len();
        self.push_typed(rules, event, wanted, push_into);
        if is_lowered_in_place(&self.arena[from..]) {
            self.arena[from..].make_ascii_lowercase();
        } else {
            self.arena.truncate(from);
            self.push_typed(rules, event, wanted, lower_into);
        }
        self.all = (wanted == Wanted::All).then_some(self.arena.len());
    }

    /// Adds the typed fields that are asked for, or all of them, as `push` writes them.
    fn push_typed(
        &mut self,
        rules: &RuleSet,
        event: &Event,
        wanted: Wanted,
        push: impl Fn(&mut String, ValueRef<'_>),
    ) {
        let Self { arena, slots, round, .. } = self;
        event.visit(&mut |id, value| {
            let fields = rules.names.rows(id);
            if fields.is_empty() && wanted == Wanted::Asked {
                return;
            }
            let start = arena.len();
            push(arena, value);
            let lowered = Some((at(start), at(arena.len())));
            arena.push('\0');
            for field in fields {
                slots[field.0 as usize] = Slot { round: *round, lowered };
            }
        });
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
        let given = self.given[field.0 as usize];
        if given.round != self.round {
            return None;
        }
        event.unmapped.at(given.index as usize)
    }

    /// Where the lower-cased text of `field` stands in the arena.
    fn lowered(&mut self, rules: &RuleSet, event: &Event, field: FieldIx) -> Option<(u32, u32)> {
        let slot = self.slots[field.0 as usize];
        if slot.round == self.round {
            return slot.lowered;
        }
        let lowered = if field == ANY_TEXT {
            Some(self.all_text(event))
        } else {
            let given = self.given[field.0 as usize];
            let key = &rules.predicates.fields[field.0 as usize];
            // Those of process and activity were all taken; what is left is the envelope's.
            let envelope = key.id.filter(|id| id.0 <= meta::HOST.0);
            if let Some(value) = envelope.and_then(|id| event.get(id)) {
                let start = self.arena.len();
                lower_into(&mut self.arena, value);
                Some((at(start), at(self.arena.len())))
            } else {
                (given.round == self.round).then_some(given.lowered)
            }
        };
        self.slots[field.0 as usize] = Slot { round: self.round, lowered };
        lowered
    }

    /// Where all values, lower-cased, stand in the arena, with a zero byte behind each.
    fn all_text(&mut self, event: &Event) -> (u32, u32) {
        if let Some(end) = self.all {
            return (0, at(end));
        }
        let start = self.arena.len();
        self.arena.extend_from_within(..self.given_end);
        let arena = &mut self.arena;
        event.visit(&mut |_, value| {
            lower_into(arena, value);
            arena.push('\0');
        });
        (at(start), at(self.arena.len()))
    }

    /// Whether a predicate of one of `plan`'s filters holds.
    fn ask(&mut self, rules: &RuleSet, plan: &Plan, event: &Event, index: PredIx) -> bool {
        let predicate = rules.predicates.get(index);
        let field = predicate.field;
        if self.answers[index.0 as usize].0 != self.round
            && field != ANY_TEXT
            && matches!(predicate.op, Op::Text(Test::Contains(_)))
            && let Some((start, end)) = self.lowered(rules, event, field)
        {
            let Self { arena, answers, counts, round, .. } = self;
            let text = &arena[start as usize..end as usize];
            let mut found = |index: PredIx| answers[index.0 as usize] = (*round, true);
            let asked = (field, index);
            if let Some(answer) = plan.later.answer(asked, text, (*round, counts), &mut found) {
                answers[index.0 as usize] = (*round, answer);
                return answer;
            }
        }
        self.holds(rules, event, index)
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
                let text = &self.arena[start as usize..end as usize];
                match test {
                    Test::Contains(_) => test.matches(text),
                    _ if field == ANY_TEXT => text.split('\0').any(|value| test.matches(value)),
                    _ => test.matches(text),
                }
            }
            Op::Set => field == ANY_TEXT || value_of(self).is_some(),
            Op::Unset => field != ANY_TEXT && value_of(self).is_none(),
            Op::Cased(test) => self.any_value(rules, event, field, &|value| test.matches(value)),
            Op::Regex(regex) => {
                // All values' text at once has what one value has.
                let Some((start, end)) = self.lowered(rules, event, field) else { return false };
                regex.may_match(&self.arena[start as usize..end as usize])
                    && self.any_value(rules, event, field, &|value| regex.is_match(value))
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
                number(value).is_some_and(|value| comparison.holds(value, *bound))
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
        Op::Regex(regex) => regex.is_match(text),
        _ => true,
    };
    values(event)
        .map(|value| value.to_text().into_owned())
        .find(|text| found_in(text))
        .unwrap_or_default()
}

fn values(event: &Event) -> impl Iterator<Item = ValueRef<'_>> {
    let mut known = Vec::new();
    event.visit(&mut |_, value| known.push(value));
    known.into_iter().chain(event.unmapped.iter().map(|(_, value)| value))
}

/// A place in the arena.
fn at(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The number that `value` is or reads as.
#[expect(clippy::cast_precision_loss, reason = "rules compare with what a f64 holds")]
fn number(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::U64(number) => Some(number as f64),
        ValueRef::I64(number) => Some(number as f64),
        other => other.to_text().trim().parse().ok(),
    }
}
