//! Choices drawn from a seed: the same seed gives the same names, tools and order.
//!
//! `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): no
//! dependency, and stable over versions, so that a printed seed stays worth printing.

const WORDS: &[&str] = &[
    "amber", "birch", "cedar", "delta", "ember", "fjord", "gable", "hazel", "inlet", "juniper",
    "kelp", "larch", "maple", "nettle", "osier", "pebble", "quartz", "rowan", "sorrel", "thistle",
    "umber", "violet", "willow", "yarrow",
];

/// A source of choices.
#[derive(Clone, Debug)]
pub struct Choices(u64);

impl Choices {
    /// Choices of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        if bound == 0 {
            return 0;
        }
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    /// One of `options`, which must not be empty.
    pub fn pick<'a, T>(&mut self, options: &'a [T]) -> &'a T {
        &options[self.below(options.len())]
    }

    /// A name such as `cedar-3fa1`: letters, digits and one hyphen, safe in any path or URL.
    pub fn name(&mut self) -> String {
        let word = self.pick(WORDS);
        format!("{word}-{:04x}", self.next() & 0xffff)
    }

    /// Puts `items` into another order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Choices;

    #[test]
    fn the_same_seed_draws_the_same_and_another_seed_draws_others() {
        let draw = |seed| {
            let mut choices = Choices::new(seed);
            let mut order: Vec<usize> = (0..8).collect();
            choices.shuffle(&mut order);
            (choices.name(), choices.name(), order)
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let mut order = draw(3).2;
        order.sort_unstable();
        assert_eq!(order, (0..8).collect::<Vec<_>>(), "a shuffle loses nothing");
    }
}
