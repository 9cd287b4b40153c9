//! What was sent and is not acknowledged, in order.

use std::collections::VecDeque;

use metsuke_event::{BootId, Timestamp};

use crate::codec::Encoded;
use crate::limits::{WINDOW_BATCHES, WINDOW_BYTES};
use crate::spool::Position;

/// One batch on its way.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    pub(super) boot: BootId,
    pub(super) last_seq: u64,
    pub(super) count: u64,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) bytes: usize,
    /// Where it stands in the spool, and where the next one does.
    pub(super) at: Position,
    pub(super) behind: Position,
}

impl InFlight {
    pub(super) fn new(batch: &Encoded, at: Position, behind: Position) -> Self {
        Self {
            boot: batch.boot,
            last_seq: batch.last_seq,
            count: u64::from(batch.count),
            from: batch.from,
            to: batch.to,
            bytes: batch.payload.len(),
            at,
            behind,
        }
    }
}

/// The batches on their way, oldest first.
#[derive(Debug, Default)]
pub(super) struct Window {
    sent: VecDeque<InFlight>,
    bytes: usize,
}

impl Window {
    /// Whether another batch may be sent. One always may when nothing is on its way.
    pub(super) fn has_room(&self) -> bool {
        self.sent.len() < WINDOW_BATCHES && self.bytes < WINDOW_BYTES
    }

    pub(super) fn push(&mut self, batch: InFlight) {
        self.bytes += batch.bytes;
        self.sent.push_back(batch);
    }

    /// The server has `boot` up to `seq`, and all that was sent before. The place in the spool up
    /// to which that is everything.
    pub(super) fn acknowledge(&mut self, boot: BootId, seq: u64) -> Option<Position> {
        let covered = |batch: &InFlight| batch.boot == boot && batch.last_seq <= seq;
        let count = self.sent.iter().rposition(covered)? + 1;
        let last = self.sent.drain(..count).inspect(|batch| self.bytes -= batch.bytes).last()?;
        Some(last.behind)
    }

    /// The server refused the batch of `boot` that ends at `last_seq`, having dealt with all that
    /// was sent before.
    pub(super) fn refuse(&mut self, boot: BootId, last_seq: u64) -> Option<InFlight> {
        let refused = |batch: &InFlight| batch.boot == boot && batch.last_seq == last_seq;
        let count = self.sent.iter().position(refused)? + 1;
        self.sent.drain(..count).inspect(|batch| self.bytes -= batch.bytes).last()
    }
}

#[cfg(test)]
mod tests {
    use metsuke_event::{BootId, Timestamp};

    use super::{InFlight, Window};
    use crate::limits::WINDOW_BATCHES;
    use crate::spool::Position;

    fn batch(boot: u128, last_seq: u64) -> InFlight {
        InFlight {
            boot: BootId::from_u128(boot),
            last_seq,
            count: 1,
            from: Timestamp::default(),
            to: Timestamp::default(),
            bytes: 10,
            at: Position::default(),
            behind: Position::default(),
        }
    }

    #[test]
    fn an_acknowledgement_covers_its_boot_up_to_it_and_everything_before() {
        let mut window = Window::default();
        for (boot, seq) in [(1, 10), (1, 20), (2, 5), (2, 9)] {
            window.push(batch(boot, seq));
        }
        assert!(window.acknowledge(BootId::from_u128(1), 9).is_none());
        assert!(window.acknowledge(BootId::from_u128(2), 6).is_some());
        assert_eq!(window.sent.len(), 1);
        assert!(window.acknowledge(BootId::from_u128(1), 99).is_none(), "acknowledged before");
        assert!(window.refuse(BootId::from_u128(2), 9).is_some());
        assert_eq!((window.sent.len(), window.bytes), (0, 0));
    }

    #[test]
    fn it_has_a_bound() {
        let mut window = Window::default();
        let mut pushed = 0;
        while window.has_room() {
            pushed += 1;
            window.push(batch(1, pushed));
        }
        assert_eq!(pushed, WINDOW_BATCHES as u64);
    }
}
