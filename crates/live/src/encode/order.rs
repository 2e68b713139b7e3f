//! Decoded pictures in the order in which they are shown.
//!
//! A decoder gives pictures when it likes. One may be shown once nothing can come before it: what was sent has come out or is
//! lost, and what will be sent is decoded, so shown, later.

use std::collections::BTreeMap;

/// The largest decoded picture buffer: a picture that has not come out after so many more is lost.
const MOST_HELD: u64 = 17;

/// See the module. `P` is a picture.
#[derive(Debug)]
pub struct Order<P> {
    /// Presentation times of samples that have not come out, by number.
    sent: BTreeMap<u64, i64>,
    /// By presentation time.
    held: BTreeMap<i64, P>,
    /// Decode time of the newest sample.
    newest: i64,
    shown: Option<i64>,
}

impl<P> Default for Order<P> {
    fn default() -> Self {
        Self {
            sent: BTreeMap::new(),
            held: BTreeMap::new(),
            newest: i64::MIN,
            shown: None,
        }
    }
}

impl<P> Order<P> {
    /// A sample goes to the decoder. `number` counts up.
    pub fn sent(&mut self, number: u64, dts: i64, pts: i64) {
        self.sent.insert(number, pts);
        self.newest = dts;
        // What has not come out by now is lost.
        let oldest = number.saturating_sub(MOST_HELD);
        self.sent.retain(|sent, _| *sent >= oldest);
    }

    /// A picture has come out of the decoder. One whose time has passed is dropped.
    pub fn came(&mut self, number: u64, picture: P) {
        if let Some(pts) = self.sent.remove(&number)
            && self.shown.is_none_or(|shown| pts > shown)
        {
            self.held.insert(pts, picture);
        }
    }

    /// The next picture to show, and its time.
    pub fn due(&mut self) -> Option<(i64, P)> {
        let (pts, _) = self.held.first_key_value()?;
        let waits = self.sent.values().any(|sent| sent < pts) || *pts > self.newest;
        if waits && u64::try_from(self.held.len()).unwrap_or(MOST_HELD) <= MOST_HELD {
            return None;
        }
        self.pop()
    }

    /// As [`Self::due`], when nothing is sent any more.
    pub fn pop(&mut self) -> Option<(i64, P)> {
        let (pts, picture) = self.held.pop_first()?;
        self.shown = Some(pts);
        Some((pts, picture))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(order: &mut Order<u64>) -> Vec<u64> {
        std::iter::from_fn(|| order.due().map(|(_, picture)| picture)).collect()
    }

    #[test]
    fn without_reordering_nothing_waits() {
        let mut order = Order::default();
        for number in 0..5 {
            let time = i64::try_from(number).unwrap() * 40;
            order.sent(number, time, time);
            order.came(number, number);
            assert_eq!(due(&mut order), [number]);
        }
    }

    #[test]
    fn pictures_shown_in_between_come_in_between() {
        // Decoded I P B B P B B, shown I B B P B B P; stamps as encoders have them.
        let shown = [2, 5, 3, 4, 8, 6, 7];
        let mut order = Order::default();
        let mut out = Vec::new();
        for (number, pts) in (0..).zip(shown) {
            order.sent(number, i64::try_from(number).unwrap(), pts);
            order.came(number, number);
            out.extend(due(&mut order));
        }
        out.extend(std::iter::from_fn(|| {
            order.pop().map(|(_, picture)| picture)
        }));
        assert_eq!(out, [0, 2, 3, 1, 5, 6, 4]);
    }

    #[test]
    fn a_lost_picture_does_not_stop_the_others_for_ever() {
        let mut order = Order::default();
        let mut out = Vec::new();
        for number in 0..40 {
            let time = i64::try_from(number).unwrap();
            order.sent(number, time, time);
            if number != 3 {
                order.came(number, number);
            }
            out.extend(due(&mut order));
        }
        let wanted: Vec<u64> = (0..40).filter(|number| *number != 3).collect();
        assert_eq!(out, wanted);
    }
}
