//! Cursors, limits and ranges, as they come in queries.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use metsuke_catalog::clock::now;
use metsuke_event::{BootId, Event, Timestamp};

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

/// One page of a list, as it is asked for. `P` is the place of an item in the list: a page goes on
/// behind the place where the one before ended, so what comes meanwhile neither doubles an item nor
/// hides one.
#[derive(Clone, Debug)]
pub(crate) struct Page<P> {
    /// The list's name, which stands in its cursors: one of another list is refused.
    list: &'static str,
    /// Most items on it.
    pub(crate) limit: usize,
    /// Where the page before ended; `None` for the first page.
    pub(crate) after: Option<P>,
}

impl<P: FromStr + Display> Page<P> {
    /// Reads `cursor` and `limit` of a query for the list called `list`; `(default, max)` are the
    /// list's own bounds.
    ///
    /// # Errors
    /// When the limit is out of bounds, or the cursor is none that [`Page::cut`] made for this list.
    pub(crate) fn read(
        list: &'static str,
        cursor: Option<&str>,
        asked: Option<u32>,
        (default, max): (u32, u32),
    ) -> Result<Self, Problem> {
        let limit = limit(asked, default, max)?;
        let cursor = cursor.filter(|text| !text.is_empty());
        let after = cursor.map(|text| place(list, text).ok_or_else(bad_cursor)).transpose()?;
        Ok(Self { list, limit, after })
    }

    /// How many rows to fetch: one more than the page holds, which tells whether another follows.
    pub(crate) const fn fetch(&self) -> u64 {
        self.limit as u64 + 1
    }

    /// The items of this page out of those fetched, and the cursor of the next when one follows.
    pub(crate) fn cut<T>(
        &self,
        mut rows: Vec<T>,
        place: impl Fn(&T) -> P,
    ) -> (Vec<T>, Option<String>) {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows.last().filter(|_| more);
        let next = last.map(|last| hex::encode(format!("{}/{}", self.list, place(last))));
        (rows, next)
    }
}

/// Cursors are hexadecimal, so that nobody builds one.
fn place<P: FromStr>(list: &str, cursor: &str) -> Option<P> {
    let text = String::from_utf8(hex::decode(cursor).ok()?).ok()?;
    let (of, place) = text.split_once('/')?;
    (of == list).then(|| place.parse().ok())?
}

/// 400 for a cursor that is none of this list.
pub(crate) fn bad_cursor() -> Problem {
    Problem::invalid(
        "the cursor is not one this server gave for this list and order; leave it out to start anew",
    )
}

/// A place in a list by time: the time, and the identity that decides among equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At<I>(pub(crate) Timestamp, pub(crate) I);

impl<I: Display> Display for At<I> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.as_nanos(), self.1)
    }
}

impl<I: FromStr> FromStr for At<I> {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (nanos, id) = text.split_once('.').ok_or(())?;
        let nanos = nanos.parse().map_err(|_| ())?;
        Ok(Self(Timestamp::from_nanos(nanos), id.parse().map_err(|_| ())?))
    }
}

/// What tells apart the activities of one endpoint: boot and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Numbered(BootId, u64);

impl From<&Event> for At<Numbered> {
    fn from(event: &Event) -> Self {
        Self(event.time, Numbered(event.id.boot, event.id.seq))
    }
}

impl Display for Numbered {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for Numbered {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (boot, seq) = text.split_once('.').ok_or(())?;
        Ok(Self(boot.parse().map_err(|_| ())?, seq.parse().map_err(|_| ())?))
    }
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
