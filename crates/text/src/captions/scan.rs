//! Looking at pictures.

use super::sei::{Triplet, caption_data};
use super::service::Packets;
use super::{Captions, Pictures};

/// Looks at pictures of one track.
#[derive(Debug)]
pub struct CaptionScan {
    pictures: Pictures,
    found: Captions,
    /// Whether there is room for CEA-608, and for CEA-708.
    room: (bool, bool),
    packets: Packets,
}

impl CaptionScan {
    /// One that has not seen any.
    #[must_use]
    pub fn new(pictures: Pictures) -> Self {
        Self {
            pictures,
            found: Captions::default(),
            room: (false, false),
            packets: Packets::default(),
        }
    }

    /// Looks at pictures that follow one another: their presentation times, of any scale and in any order, and their samples,
    /// of which those may be cut off at the end that have only pictures there. What was given before need not be next to them.
    pub fn look(&mut self, mut run: Vec<(i64, &[u8])>) {
        // Caption data belongs to pictures as they are shown.
        run.sort_by_key(|(time, _)| *time);
        self.packets.interrupt();
        let pictures = self.pictures;
        for (_, sample) in run {
            caption_data(pictures, sample, &mut |triplet| self.take(triplet));
        }
    }

    fn take(&mut self, triplet: Triplet) {
        if !triplet.valid {
            return;
        }
        let found = &mut self.found;
        match triplet.kind {
            0 | 1 => {
                self.room.0 = true;
                if let Some(channel) = spoken_on(triplet.kind, triplet.bytes) {
                    found.channel(channel);
                }
            }
            kind => {
                self.room.1 = true;
                let mut service = |number| found.service(number);
                self.packets.take(kind == 3, triplet.bytes, &mut service);
            }
        }
    }

    /// What was found in all of them.
    #[must_use]
    pub fn captions(&self) -> Captions {
        let mut found = self.found;
        if found.is_empty() {
            match self.room {
                (true, _) => found.channel(1),
                (false, true) => found.service(1),
                (false, false) => {}
            }
        }
        found
    }
}

/// The channel that a control code of captions is for (CEA-608 §8.4, table 14: the third bit of its first byte and the
/// field say). `None` for everything else, text mode included.
fn spoken_on(field: u8, [first, second]: [u8; 2]) -> Option<u8> {
    if first.count_ones() % 2 == 0 || second.count_ones() % 2 == 0 {
        return None;
    }
    let (first, second) = (first & 0x7f, second & 0x7f);
    let is_control = matches!(first, 0x10..=0x1f) && second >= 0x20;
    // Text restart and resume text display.
    let is_text = matches!(first & 0x76, 0x14) && matches!(second, 0x2a | 0x2b);
    if !is_control || is_text {
        return None;
    }
    let second_of_field = u8::from(first & 0x08 != 0);
    Some(
        field
            .saturating_mul(2)
            .saturating_add(second_of_field)
            .saturating_add(1),
    )
}
