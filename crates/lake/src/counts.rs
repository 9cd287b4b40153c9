//! Counting matches: total, time histogram, facets, in one pass over narrow columns.

use std::collections::HashMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use metsuke_event::field::{by_id, meta};
use metsuke_event::{FieldId, FieldType, Timestamp, Value};

use crate::request::{Bucket, Facet, TimeRange, ValueCount};
use crate::schema::column_of;

/// Most distinct values counted for one field; later ones are left out of its facet.
const MAX_DISTINCT: usize = 200_000;

#[derive(Debug, Default)]
struct Values {
    texts: HashMap<String, u64>,
    ints: HashMap<i64, u64>,
    bools: [u64; 2],
}

/// Counts as batches go by.
#[derive(Debug)]
pub(crate) struct Counter {
    range: TimeRange,
    buckets: Vec<u64>,
    total: u64,
    facets: Vec<(FieldId, Values)>,
}

impl Counter {
    pub(crate) fn new(range: TimeRange, buckets: usize, facets: &[FieldId]) -> Self {
        Self {
            range,
            buckets: vec![0; buckets],
            total: 0,
            facets: facets.iter().map(|field| (*field, Values::default())).collect(),
        }
    }

    /// The fields it needs to see: time first.
    pub(crate) fn fields(&self) -> impl Iterator<Item = FieldId> + '_ {
        let others = self.facets.iter().map(|(field, _)| *field);
        let mut seen = vec![meta::TIME];
        std::iter::once(meta::TIME).chain(others.filter(move |field| {
            let new = !seen.contains(field);
            seen.push(*field);
            new
        }))
    }

    /// Width of a bucket, in nanoseconds, rounded up so that the last one ends at or after the
    /// range's end.
    fn width(&self) -> i128 {
        let span = i128::from(self.range.to.as_nanos()) - i128::from(self.range.from.as_nanos());
        let buckets = i128::try_from(self.buckets.len().max(1)).unwrap_or(1);
        ((span + buckets - 1) / buckets).max(1)
    }

    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        self.total += batch.num_rows() as u64;
        if !self.buckets.is_empty() {
            self.add_times(batch);
        }
        for (field, values) in &mut self.facets {
            let Some(array) = column_of(*field).and_then(|name| batch.column_by_name(&name)) else {
                continue;
            };
            if let Some(texts) = array.as_string_opt::<i32>() {
                texts.iter().flatten().for_each(|text| values.add_text(text));
            } else if let Some(ints) = array.as_primitive_opt::<Int64Type>() {
                ints.iter().flatten().for_each(|int| values.add_int(int));
            } else if let Some(bools) = array.as_boolean_opt() {
                values.bools[1] += bools.true_count() as u64;
                values.bools[0] += bools.false_count() as u64;
            }
        }
    }

    fn add_times(&mut self, batch: &RecordBatch) {
        let (from, width) = (i128::from(self.range.from.as_nanos()), self.width());
        let times = column_of(meta::TIME)
            .and_then(|name| batch.column_by_name(&name))
            .and_then(|array| array.as_primitive_opt::<Int64Type>());
        for time in times.into_iter().flatten().flatten() {
            let index = usize::try_from((i128::from(time) - from) / width).ok();
            if let Some(bucket) = index.and_then(|index| self.buckets.get_mut(index)) {
                *bucket += 1;
            }
        }
    }

    /// Total, histogram, and facets of at most `most` values, most frequent first.
    pub(crate) fn finish(self, most: usize) -> (u64, Vec<Bucket>, Vec<Facet>) {
        let (from, width) = (i128::from(self.range.from.as_nanos()), self.width());
        let edge = |index: usize| {
            let at = from + width * i128::try_from(index).unwrap_or(0);
            let at = at.min(i128::from(self.range.to.as_nanos()));
            Timestamp::from_nanos(i64::try_from(at).unwrap_or(i64::MAX))
        };
        let histogram = self
            .buckets
            .iter()
            .enumerate()
            .map(|(index, count)| Bucket { from: edge(index), to: edge(index + 1), count: *count })
            .collect();
        let facets = self
            .facets
            .into_iter()
            .map(|(field, values)| Facet { field, values: values.finish(field, most) })
            .collect();
        (self.total, histogram, facets)
    }
}

impl Values {
    fn add_text(&mut self, text: &str) {
        if let Some(count) = self.texts.get_mut(text) {
            *count += 1;
        } else if self.texts.len() < MAX_DISTINCT {
            self.texts.insert(text.to_owned(), 1);
        }
    }

    fn add_int(&mut self, int: i64) {
        if let Some(count) = self.ints.get_mut(&int) {
            *count += 1;
        } else if self.ints.len() < MAX_DISTINCT {
            self.ints.insert(int, 1);
        }
    }

    fn finish(self, field: FieldId, most: usize) -> Vec<ValueCount> {
        let ty = by_id(field).map_or(FieldType::Text, |spec| spec.ty);
        let int_text = |int: i64| match ty {
            FieldType::U64 => int.cast_unsigned().to_string(),
            FieldType::Time => {
                Value::Time(Timestamp::from_nanos(int)).as_ref().to_text().into_owned()
            }
            _ => int.to_string(),
        };
        let texts = self.texts.into_iter();
        let ints = self.ints.into_iter().map(|(int, count)| (int_text(int), count));
        let bools = [("false".to_owned(), self.bools[0]), ("true".to_owned(), self.bools[1])];
        let mut values: Vec<ValueCount> = texts
            .chain(ints)
            .chain(bools.into_iter().filter(|(_, count)| *count > 0))
            .map(|(value, count)| ValueCount { value, count })
            .collect();
        values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        values.truncate(most);
        values
    }
}
