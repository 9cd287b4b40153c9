//! Cursors, limits and ranges, as they come in queries.

use metsuke_catalog::clock::now;
use metsuke_event::Timestamp;

use crate::ports::Range;
use crate::problem::Problem;

/// A day: the range when none is given.
pub(crate) const DAY_NANOS: i64 = 24 * 3_600 * 1_000_000_000;

/// `limit` within 1 and `max`, `default` when not given.
pub(crate) fn limit(asked: Option<u32>, default: u32, max: u32) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(default);
    if limit == 0 || limit > max {
        return Err(Problem::invalid(format!("`limit` is 1 to {max}")));
    }
    Ok(limit as usize)
}

/// A cursor that is a number.
pub(crate) fn number<T: std::str::FromStr>(cursor: Option<&str>) -> Result<Option<T>, Problem> {
    let refuse = || Problem::invalid("the cursor is not one this server gave; start the list anew");
    cursor
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(|_| refuse()))
        .transpose()
}

fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    text.filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(|error| Problem::invalid(format!("`{name}`: {error}"))))
        .transpose()
}

/// The range `[from, to)`; the last 24 hours when nothing is said. Without `to` it reaches a
/// little into the future, for endpoints whose clock is ahead.
pub(crate) fn range(from: Option<&str>, to: Option<&str>) -> Result<Range, Problem> {
    const AHEAD_NANOS: i64 = 300 * 1_000_000_000;
    let to = time("to", to)?.unwrap_or_else(|| now().plus_nanos(AHEAD_NANOS));
    let from = time("from", from)?.unwrap_or_else(|| to.plus_nanos(-DAY_NANOS));
    if from >= to {
        return Err(Problem::invalid("`from` must lie before `to`"));
    }
    Ok(Range { from, to })
}

/// The last 24 hours.
pub(crate) fn last_day() -> Range {
    let to = now();
    Range { from: to.plus_nanos(-DAY_NANOS), to: to.plus_nanos(1) }
}

/// The parts of a comma-separated list.
pub(crate) fn list(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty())
}
