//! The sounds of a program in the order of its map.
//!
//! The first sound that an event hears of is the one that players begin with. Which one sends first is chance, so the first data of
//! several is held until each has been heard, or for half a second of it.

use std::collections::VecDeque;

use super::Found;

/// How long is waited for a sound that is listed and does not come: 90 kHz ticks.
const MOST_WAIT: i64 = 45_000;

/// Frames that are held at most.
const MOST_HELD: usize = 512;

/// Brings what sounds begin with into order.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// PIDs as the map lists them.
    listed: Vec<u16>,
    held: Vec<Found>,
    /// Time of the first that is held.
    since: Option<i64>,
    /// Nothing is held any more.
    over: bool,
}

impl Order {
    /// The program has these sounds. The first map counts.
    pub(super) fn list(&mut self, pids: Vec<u16>) {
        if self.listed.is_empty() {
            self.over = pids.len() < 2;
            self.listed = pids;
        }
    }

    /// Takes what came of `pid` at `time`, and gives what may go on.
    pub(super) fn pass(
        &mut self,
        pid: u16,
        time: i64,
        came: impl Iterator<Item = Found>,
        on: &mut VecDeque<Found>,
    ) {
        if self.over || !self.listed.contains(&pid) {
            on.extend(came);
            return;
        }
        self.held.extend(came);
        let since = *self.since.get_or_insert(time);
        let heard = |pid: &u16| self.held.iter().any(|found| announced(found) == Some(*pid));
        let waited = time.saturating_sub(since) > MOST_WAIT || self.held.len() > MOST_HELD;
        if waited || self.listed.iter().all(heard) {
            self.release(on);
        }
    }

    /// Gives what is held, descriptions first.
    pub(super) fn release(&mut self, on: &mut VecDeque<Found>) {
        self.over = true;
        let mut held = std::mem::take(&mut self.held);
        held.sort_by_key(|found| {
            let pid = announced(found);
            let place = pid.and_then(|pid| self.listed.iter().position(|known| *known == pid));
            place.unwrap_or(usize::MAX)
        });
        on.extend(held);
    }
}

/// The stream that is described.
fn announced(found: &Found) -> Option<u16> {
    match found {
        Found::Config { pid, .. } => Some(*pid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::StreamConfig;
    use crate::ts::Unit;

    fn unit(pid: u16, time: i64) -> Found {
        let unit = Unit {
            dts: time,
            pts: time,
            sync: true,
            bytes: bytes::Bytes::from_static(b"x"),
        };
        Found::Unit { pid, unit }
    }

    fn config(pid: u16) -> Found {
        let config = StreamConfig::aac(&[0x11, 0x90]).unwrap();
        Found::Config { pid, config }
    }

    /// Whose description or unit it is.
    fn names(on: VecDeque<Found>) -> Vec<(u16, bool)> {
        let name = |found| match found {
            Found::Config { pid, .. } => (pid, true),
            Found::Unit { pid, .. } => (pid, false),
            other => panic!("{other:?}"),
        };
        on.into_iter().map(name).collect()
    }

    #[test]
    fn sounds_are_announced_in_the_order_of_the_map() {
        let (mut order, mut on) = (Order::default(), VecDeque::new());
        order.list(vec![7, 3]);
        order.pass(3, 0, [config(3), unit(3, 0)].into_iter(), &mut on);
        // Pictures go on.
        order.pass(1, 0, [unit(1, 0)].into_iter(), &mut on);
        assert_eq!(names(std::mem::take(&mut on)), [(1, false)]);
        order.pass(7, 900, [config(7), unit(7, 900)].into_iter(), &mut on);
        order.list(vec![3, 7]);
        order.pass(3, 1_800, [unit(3, 1_800)].into_iter(), &mut on);
        let expected = [(7, true), (3, true), (3, false), (7, false), (3, false)];
        assert_eq!(names(on), expected);
    }

    #[test]
    fn one_that_does_not_come_is_not_waited_for_long() {
        let (mut order, mut on) = (Order::default(), VecDeque::new());
        order.list(vec![7, 3]);
        order.pass(3, 0, [config(3), unit(3, 0)].into_iter(), &mut on);
        order.pass(3, 45_000, [unit(3, 45_000)].into_iter(), &mut on);
        assert!(on.is_empty());
        order.pass(3, 45_001, [unit(3, 45_001)].into_iter(), &mut on);
        assert_eq!(on.len(), 4);
        order.pass(7, 90_000, [config(7)].into_iter(), &mut on);
        assert_eq!(on.len(), 5);
        // A lone one is not held, nor what comes before any map.
        let (mut order, mut on) = (Order::default(), VecDeque::new());
        order.pass(3, 0, [unit(3, 0)].into_iter(), &mut on);
        order.list(vec![3]);
        order.pass(3, 0, [unit(3, 0)].into_iter(), &mut on);
        assert_eq!(on.len(), 2);
    }
}
