//! DNS over TCP in pieces, until messages are complete.
//!
//! Invariant: at most [`MAX_STREAMS`] directions of at most [`MAX_HELD`] bytes; the one that was
//! silent longest gives way, and is counted.

use std::collections::HashMap;

use metsuke_packet::dns::Stream;

use super::flows::StreamKey;

/// Flows in both directions that are put together at once: resolvers fall back to TCP one by one.
const MAX_STREAMS: usize = 256;

/// Bytes held of one message; questions and first answers stand at its beginning.
const MAX_HELD: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Streams {
    held: HashMap<StreamKey, (u64, Stream)>,
    turn: u64,
    /// Directions that were given up for want of room, and not told yet.
    given_up: u64,
}

impl Streams {
    /// Takes in a piece of `key`'s direction that `missing` unseen bytes followed; gives the messages
    /// that are complete with it.
    pub(super) fn push(&mut self, key: StreamKey, piece: &[u8], missing: usize) -> Vec<Vec<u8>> {
        self.turn += 1;
        if self.held.len() >= MAX_STREAMS && !self.held.contains_key(&key) {
            let oldest = self.held.iter().min_by_key(|(_, (turn, _))| *turn).map(|(key, _)| *key);
            if let Some((_, stream)) = oldest.and_then(|oldest| self.held.remove(&oldest)) {
                // What has told all that it took in is no loss.
                self.given_up += u64::from(!stream.is_at_start());
            }
        }
        let (turn, stream) = self.held.entry(key).or_default();
        *turn = self.turn;
        stream.push(piece, missing, MAX_HELD)
    }

    /// How many directions were given up in the midst of a message since this was last asked.
    pub(super) fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }

    /// Forgets what process `pid` had.
    pub(super) fn forget(&mut self, pid: u32) {
        if !self.held.is_empty() {
            self.held.retain(|((owner, ..), _), _| *owner != pid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_STREAMS, Streams};

    #[test]
    fn pieces_of_many_flows_stay_apart_and_bounded() {
        let mut streams = Streams::default();
        let key = |pid: u32| ((pid, 1, [127, 0, 0, 1].into(), 53), false);
        for pid in 0..40 {
            assert!(streams.push(key(pid), &[0, 2, 7], 0).is_empty());
        }
        for pid in 0..40 {
            assert_eq!(streams.push(key(pid), &[8], 0), [[7, 8]]);
        }
        assert!(streams.push(key(7), &[0, 2], 0).is_empty());
        for pid in 100..2000 {
            streams.push(key(pid), &[0, 1, 1], 0);
        }
        assert_eq!((streams.held.len(), streams.given_up), (MAX_STREAMS, 1));
        streams.forget(1999);
        assert_eq!(streams.held.len(), MAX_STREAMS - 1);
    }
}
