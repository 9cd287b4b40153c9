//! The time by which state is kept: the activity's own, as far as the host's clock can be believed.
//!
//! A host whose clock is far ahead, for a moment or always, would push everybody else's hits out of
//! windows that span hosts, make values known and hosts common that are not, and end waits before
//! their time. What it says is shown as it says; state goes by the earlier of it and what the server's
//! clock allows. A clock that is behind is not told from what waited on a disk: it stays as it is.

use metsuke_event::{Event, Timestamp};

/// How far ahead of the server a host's clock is believed, in nanoseconds: more than clocks that are
/// kept right differ, and no more than is waited for what comes late.
const AHEAD_NANOS: i64 = 60_000_000_000;

/// The time of `event` that state goes by: its own, but no later than a minute after the server
/// received it, where it says when. Of a clock that is further ahead activities come in the order they
/// were received in; what waited on the host's disk meanwhile falls together.
pub fn believed(event: &Event) -> Timestamp {
    let most = event.received.map(|received| received.plus_nanos(AHEAD_NANOS));
    most.map_or(event.time, |most| event.time.min(most))
}
