//! Which witnesses to take, so that a class's activities cost least.
//!
//! Two things cost: looking at a field in one way (once for all filters that have a witness there),
//! and waking a filter (as often as its witnesses are seen). Each filter takes the cheapest of its
//! possible witnesses; what looking costs is shared by those that look at the same place, until
//! nobody wants to change; then places that few look at are given up where that makes the whole
//! cheaper.
//! Invariant: whatever is chosen is a witness; cost decides only how fast it is.

use foldhash::{HashMap, HashMapExt};

use crate::census::{Samples, number};
use crate::filter::{Expr, Filter};
use crate::grams::LONG;
use crate::plan::FilterIx;
use crate::predicate::{ANY_TEXT, FieldIx, Op, PredIx, Predicates};
use crate::program::Known;
use crate::witness::{self, Anchor, Literal};

/// Nanoseconds to wake a filter and find, mostly, that it does not match.
const WAKE: f64 = 60.0;
/// Nanoseconds to look at a value from its beginning or end, or as a whole.
const LOOK: f64 = 8.0;
/// Nanoseconds to look for long substrings: once, and per byte.
const SEARCH: (f64, f64) = (25.0, 0.35);
/// The same for short ones.
const SEARCH_SHORT: (f64, f64) = (25.0, 1.0);
/// What is taken for a field's presence and length before anything has been seen.
const UNSEEN: (f64, f64) = (0.5, 80.0);
/// The same for all text of an activity.
const UNSEEN_TEXT: (f64, f64) = (1.0, 800.0);
/// About nanoseconds to ask a predicate, beside what the question itself costs, and to be told.
const ASK: f64 = 8.0;
const TOLD: f64 = 2.0;
/// Of a predicate of which nothing is known, how often it holds where its field is set.
const GUESSED: f64 = 0.1;
/// Rounds of choosing anew after the shares changed.
const ROUNDS: usize = 4;
/// Places, those with fewest users, for which giving them up is tried: each try weighs all filters.
const TRIES: usize = 8;
/// Places that are told apart; further ones count as the last.
const PLACES: usize = 128;

/// The possible witnesses of the filters of one class.
pub(crate) struct Planner<'f> {
    filters: Vec<(FilterIx, &'f Expr)>,
    literals: Vec<Literal>,
    /// Per literal its place.
    places: Vec<u8>,
    /// Field and way of looking per place, and whether for short substrings.
    looked_at: Vec<(FieldIx, Anchor, bool)>,
    /// Per predicate its sets of literals.
    of_predicate: HashMap<PredIx, Vec<Vec<u32>>>,
    /// Per predicate the literal that stands where it holds, and nowhere else.
    exact: HashMap<PredIx, u32>,
    predicates: &'f Predicates,
}

/// What was chosen.
#[derive(Debug)]
pub(crate) struct Choice {
    /// Per filter its witness, or nothing where there is none.
    pub(crate) witnesses: Vec<Option<Vec<u32>>>,
    /// Per literal the part of the activities in which it is seen.
    pub(crate) rates: Vec<f64>,
    /// Of the class's activities: in which part a field is set.
    presence: HashMap<FieldIx, f64>,
}

/// What it costs to have a set of literals as witness.
#[derive(Clone, Copy)]
struct Cost {
    wakes: f64,
    /// A bit per place.
    places: u128,
}

struct Prices {
    rates: Vec<f64>,
    /// Per place what one filter pays for it.
    shares: Vec<f64>,
}

impl Prices {
    fn of(&self, cost: Cost) -> f64 {
        let mut total = cost.wakes * WAKE;
        let mut left = cost.places;
        while left != 0 {
            total += self.shares[left.trailing_zeros() as usize];
            left &= left - 1;
        }
        total
    }
}

impl<'f> Planner<'f> {
    pub(crate) fn new(
        filters: impl Iterator<Item = (FilterIx, &'f Filter)>,
        predicates: &'f Predicates,
    ) -> Self {
        let mut found = Self {
            filters: filters.map(|(index, filter)| (index, &filter.expr)).collect(),
            literals: Vec::new(),
            places: Vec::new(),
            looked_at: Vec::new(),
            of_predicate: HashMap::new(),
            exact: HashMap::new(),
            predicates,
        };
        let mut numbers: HashMap<Literal, u32> = HashMap::new();
        for (_, expr) in found.filters.clone() {
            found.gather(expr, &mut numbers);
        }
        found
    }

    fn gather(&mut self, expr: &Expr, numbers: &mut HashMap<Literal, u32>) {
        match expr {
            Expr::Pred(index, _) => {
                if self.of_predicate.contains_key(index) {
                    return;
                }
                let mut sets = Vec::new();
                for set in witness::of(*index, self.predicates) {
                    sets.push(set.into_iter().map(|one| self.number(one, numbers)).collect());
                }
                self.of_predicate.insert(*index, sets);
                if let Some(literal) = witness::exact(*index, self.predicates) {
                    let number = self.number(literal, numbers);
                    self.exact.insert(*index, number);
                }
            }
            Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => {
                for part in parts {
                    self.gather(part, numbers);
                }
            }
            Expr::Not(inner) => self.gather(inner, numbers),
        }
    }

    fn number(&mut self, literal: Literal, numbers: &mut HashMap<Literal, u32>) -> u32 {
        if let Some(number) = numbers.get(&literal) {
            return *number;
        }
        let number = u32::try_from(self.literals.len()).unwrap_or(u32::MAX);
        let short = literal.anchor == Anchor::Anywhere && literal.text.len() < LONG;
        let wanted = (literal.field, literal.anchor, short);
        let place = self.looked_at.iter().position(|known| *known == wanted);
        let place = place.unwrap_or_else(|| {
            if self.looked_at.len() < PLACES {
                self.looked_at.push(wanted);
            }
            self.looked_at.len() - 1
        });
        self.places.push(u8::try_from(place).unwrap_or(u8::MAX));
        self.literals.push(literal.clone());
        numbers.insert(literal, number);
        number
    }

    /// The fields in which witnesses could stand.
    pub(crate) fn fields(&self) -> Vec<FieldIx> {
        let mut fields: Vec<FieldIx> = self.looked_at.iter().map(|(field, ..)| *field).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    /// The filters, in the order of the rule set.
    pub(crate) fn filters(&self) -> &[(FilterIx, &'f Expr)] {
        &self.filters
    }

    /// A literal by its number.
    pub(crate) fn literal(&self, number: u32) -> &Literal {
        &self.literals[number as usize]
    }

    /// Where, and how, a literal is looked for: the number of a bit.
    pub(crate) fn place(&self, literal: u32) -> u8 {
        self.places[literal as usize]
    }

    /// The literal that stands where the predicate holds, and nowhere else.
    pub(crate) fn literal_of(&self, predicate: PredIx) -> Option<u32> {
        self.exact.get(&predicate).copied()
    }

    /// What is known of a predicate for deciding when to ask it.
    pub(crate) fn known(&self, index: PredIx, choice: &Choice, told: bool) -> Known {
        let predicate = self.predicates.get(index);
        let present = choice.presence.get(&predicate.field).copied().unwrap_or(UNSEEN.0);
        let rate = match (&predicate.op, self.literal_of(index)) {
            (_, Some(literal)) => choice.rates[literal as usize],
            (Op::Set, _) => present,
            (Op::Unset, _) => 1.0 - present,
            _ => present * GUESSED,
        };
        let cost = if told { TOLD } else { f64::from(predicate.cost()) + ASK };
        Known { rate, cost, told }
    }

    /// Chooses the witnesses.
    pub(crate) fn choose(&self, samples: &Samples) -> Choice {
        let fixed: Vec<f64> = self.looked_at.iter().map(|place| looking(*place, samples)).collect();
        let rates = samples.rates(&self.literals);
        let everyone = number(self.filters.len().max(1));
        let mut prices =
            Prices { rates, shares: fixed.iter().map(|fixed| fixed / everyone).collect() };
        let mut best = self.whole(&prices, &fixed);
        for _ in 0..ROUNDS {
            for (share, (fixed, users)) in
                prices.shares.iter_mut().zip(fixed.iter().zip(&best.users))
            {
                *share = fixed / number((*users).max(1));
            }
            best = self.whole(&prices, &fixed);
        }
        self.give_up(&mut prices, &fixed, best);
        let chosen = |expr: &Expr| self.cheapest(expr, &prices, true).map(|(_, set)| set);
        let witnesses = self.filters.iter().map(|(_, expr)| chosen(expr)).collect();
        let fields = self.looked_at.iter().map(|(field, ..)| *field);
        let presence = |field| Some((field, samples.presence(field)?.0));
        Choice { witnesses, rates: prices.rates, presence: fields.filter_map(presence).collect() }
    }

    /// Gives up places, those with fewest users first, while that makes the whole cheaper.
    fn give_up(&self, prices: &mut Prices, fixed: &[f64], mut best: Whole) {
        let mut order: Vec<usize> =
            (0..fixed.len()).filter(|place| best.users[*place] > 0).collect();
        order.sort_by_key(|place| best.users[*place]);
        for place in order.into_iter().take(TRIES) {
            let share = std::mem::replace(&mut prices.shares[place], f64::INFINITY);
            let without = self.whole(prices, fixed);
            if without.cost < best.cost {
                best = without;
            } else {
                prices.shares[place] = share;
            }
        }
    }

    /// What it all costs at these prices.
    fn whole(&self, prices: &Prices, fixed: &[f64]) -> Whole {
        let mut users = vec![0; fixed.len()];
        let mut cost = 0.0;
        for (_, expr) in &self.filters {
            let Some((found, _)) = self.cheapest(expr, prices, false) else { continue };
            cost += found.wakes * WAKE;
            // One that has no other choice than a place given up makes giving it up worthless.
            if prices.of(found).is_infinite() {
                cost = f64::INFINITY;
            }
            let mut left = found.places;
            while left != 0 {
                users[left.trailing_zeros() as usize] += 1;
                left &= left - 1;
            }
        }
        let looks = users.iter().zip(fixed).filter(|(users, _)| **users > 0);
        Whole { cost: cost + looks.map(|(_, fixed)| fixed).sum::<f64>(), users }
    }

    /// The cheapest witness of `expr`; its literals when `named` are wanted.
    fn cheapest(&self, expr: &Expr, prices: &Prices, named: bool) -> Option<(Cost, Vec<u32>)> {
        let cheaper = |left: &(Cost, Vec<u32>), right: &(Cost, Vec<u32>)| {
            prices.of(left.0).total_cmp(&prices.of(right.0))
        };
        match expr {
            Expr::Pred(index, _) => {
                let sets = self.of_predicate.get(index)?;
                let cost = |set: &Vec<u32>| {
                    let mut cost = Cost { wakes: 0.0, places: 0 };
                    for literal in set {
                        cost.wakes += prices.rates[*literal as usize];
                        cost.places |= 1 << self.places[*literal as usize];
                    }
                    (cost, if named { set.clone() } else { Vec::new() })
                };
                sets.iter().map(cost).min_by(cheaper)
            }
            Expr::All(parts) => {
                parts.iter().filter_map(|part| self.cheapest(part, prices, named)).min_by(cheaper)
            }
            Expr::Any(parts) | Expr::AtLeast(_, parts) => {
                let mut total = (Cost { wakes: 0.0, places: 0 }, Vec::new());
                for part in parts {
                    let (cost, set) = self.cheapest(part, prices, named)?;
                    total.0.wakes += cost.wakes;
                    total.0.places |= cost.places;
                    total.1.extend(set);
                }
                Some(total)
            }
            Expr::Not(_) => None,
        }
    }
}

struct Whole {
    cost: f64,
    /// Filters that look at a place.
    users: Vec<usize>,
}

/// Nanoseconds per activity to look at a place.
fn looking((field, anchor, short): (FieldIx, Anchor, bool), samples: &Samples) -> f64 {
    let unseen = if field == ANY_TEXT { UNSEEN_TEXT } else { UNSEEN };
    let (present, bytes) = samples.presence(field).unwrap_or(unseen);
    match anchor {
        Anchor::Whole | Anchor::Start | Anchor::End => present * LOOK,
        Anchor::Anywhere => {
            let (once, per_byte) = if short { SEARCH_SHORT } else { SEARCH };
            present * (once + bytes * per_byte)
        }
    }
}
