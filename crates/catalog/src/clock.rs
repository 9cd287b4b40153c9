//! The wall clock, for the services above; the catalog itself is told what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use metsuke_event::Timestamp;

/// Now, by this machine's clock.
pub fn now() -> Timestamp {
    let nanos = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
    };
    Timestamp::from_nanos(nanos)
}
