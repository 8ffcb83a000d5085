//! Which events are under way, unacknowledged: a controller that is slow to store costs a bounded amount of memory.

use std::collections::VecDeque;

/// How many events may be under way.
const EVENTS: u64 = 256;
/// How many bytes of them.
const BYTES: usize = 4 << 20;

/// What was sent and is not acknowledged.
pub(super) struct Flight {
    sent: u64,
    acked: u64,
    bytes: usize,
    messages: VecDeque<(u64, usize)>,
}

impl Flight {
    /// Nothing is under way, and everything up to an event is stored.
    pub(super) fn from(acked: u64) -> Self {
        Self {
            sent: acked,
            acked,
            bytes: 0,
            messages: VecDeque::new(),
        }
    }

    /// The last event that was sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether another message may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.sent < self.acked + EVENTS && self.bytes < BYTES
    }

    /// A message was sent, up to an event.
    pub(super) fn put(&mut self, last: u64, bytes: usize) {
        self.sent = last;
        self.bytes += bytes;
        self.messages.push_back((last, bytes));
    }

    /// Everything up to an event is stored.
    pub(super) fn acked(&mut self, seq: u64) {
        self.acked = self.acked.max(seq);
        while let Some((_, bytes)) = self.messages.pop_front_if(|(last, _)| *last <= seq) {
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_under_way_than_events_and_bytes_allow() {
        let mut flight = Flight::from(10);
        flight.put(110, 1000);
        assert!(flight.has_room() && flight.sent() == 110);
        flight.put(300, 1000);
        assert!(!flight.has_room());
        flight.acked(110);
        assert!(flight.has_room() && flight.bytes == 1000);
        flight.put(301, BYTES);
        assert!(!flight.has_room());
        flight.acked(301);
        assert!(flight.has_room() && flight.bytes == 0);
    }
}
