//! Messages for players as media carries them: `emsg` boxes in front of `moof` (ISO/IEC 23009-1, 5.10.3.3).
//!
//! ```text
//! version 0: scheme 0 | value 0 | u32 timescale | u32 time after the segment's start | u32 duration | u32 id | data
//! version 1: u32 timescale | u64 presentation time | u32 duration | u32 id | scheme 0 | value 0 | data
//! ```
//!
//! [`event_message`](crate::cue::event_message) writes them.

use crate::CLOCK;
use headwater_time::{Rounding, Timescale, rescale};

/// When a message plays, in ticks of its own scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Presentation time.
    At(u64),
    /// Counted from the start of the segment that it is in.
    After(u32),
}

/// A message in front of media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told<'a> {
    pub scheme: &'a str,
    pub value: &'a str,
    pub timescale: Timescale,
    pub when: When,
    /// Ticks; `None` if nobody knows.
    pub duration: Option<u32>,
    pub id: u32,
    pub data: &'a [u8],
}

impl Told<'_> {
    /// Presentation time in ticks of the event clock, of a message in a segment that starts at `start`.
    #[must_use]
    pub fn time(&self, start: i64) -> i64 {
        let ticks = |ticks: u64| {
            let scaled = rescale(ticks, self.timescale, CLOCK, Rounding::HalfUp);
            scaled
                .and_then(|ticks| i64::try_from(ticks).ok())
                .unwrap_or(i64::MAX)
        };
        match self.when {
            When::At(time) => ticks(time),
            When::After(delta) => start.saturating_add(ticks(delta.into())),
        }
    }
}

/// The messages in front of a chunk's `moof`, in order. `front`: the chunk from its first byte on. Boxes that are none are
/// passed over, and so are those that are damaged; behind what is no box at all nothing is found.
pub fn told(front: &[u8]) -> impl Iterator<Item = Told<'_>> {
    let mut rest = front;
    let boxes = std::iter::from_fn(move || {
        let (size, after) = rest.split_first_chunk::<4>()?;
        let (name, _) = after.split_first_chunk::<4>()?;
        let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
        // Sizes of 64 bits are those of media.
        let (whole, behind) = rest.split_at_checked(size.max(8))?;
        if name == b"moof" || size < 8 {
            return None;
        }
        rest = behind;
        Some((name, whole.get(8..)?))
    });
    boxes.filter_map(|(name, payload)| match name {
        b"emsg" => read(payload),
        _ => None,
    })
}

fn read(payload: &[u8]) -> Option<Told<'_>> {
    let mut fields = Fields(payload);
    let [version, ..] = fields.take::<4>()?;
    match version {
        0 => {
            let (scheme, value) = (fields.text()?, fields.text()?);
            Some(Told {
                scheme,
                value,
                timescale: fields.scale()?,
                when: When::After(fields.u32()?),
                duration: fields.duration()?,
                id: fields.u32()?,
                data: fields.0,
            })
        }
        1 => {
            let timescale = fields.scale()?;
            let when = When::At(u64::from_be_bytes(fields.take()?));
            let (duration, id) = (fields.duration()?, fields.u32()?);
            let (scheme, value) = (fields.text()?, fields.text()?);
            Some(Told {
                scheme,
                value,
                timescale,
                when,
                duration,
                id,
                data: fields.0,
            })
        }
        _ => None,
    }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn scale(&mut self) -> Option<Timescale> {
        Timescale::new(self.u32()?)
    }

    /// All ones: unknown.
    #[allow(clippy::option_option)] // What is missing, and what nobody knows.
    fn duration(&mut self) -> Option<Option<u32>> {
        let ticks = self.u32()?;
        Some((ticks != u32::MAX).then_some(ticks))
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = self.0.iter().position(|byte| *byte == 0)?;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest.get(1..)?;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cue::{ID3_SCHEME, event_message};
    use proptest::prelude::*;

    fn boxed(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len() + 8).unwrap();
        [&size.to_be_bytes()[..], name, payload].concat()
    }

    #[test]
    fn both_versions_are_read_up_to_the_media() {
        let later = event_message(ID3_SCHEME, "v", (180_000, Some(900)), 7, b"ID3 one");
        let relative = boxed(
            b"emsg",
            &[
                &[0; 4][..],
                b"urn:x\0\0",
                &[
                    0, 0, 3, 0xe8, 0, 0, 1, 0xf4, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 8,
                ],
                b"two",
            ]
            .concat(),
        );
        let front = [
            boxed(b"styp", b"cmfl\0\0\0\0"),
            later.clone(),
            boxed(b"emsg", &[2, 0, 0, 0]),
            relative,
            boxed(b"moof", &[]),
            later,
        ]
        .concat();
        let found: Vec<_> = told(&front).collect();
        let [one, two] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(
            (one.scheme, one.value, one.id, one.duration, one.data),
            (ID3_SCHEME, "v", 7, Some(900), &b"ID3 one"[..])
        );
        assert_eq!(one.time(90_000), 180_000);
        assert_eq!(
            (two.scheme, two.value, two.id, two.duration, two.data),
            ("urn:x", "", 8, None, &b"two"[..])
        );
        assert_eq!(two.time(90_000), 135_000);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(time in 0i64..1 << 50, id: u32, value in "[a-z]{0,9}", data in prop::collection::vec(any::<u8>(), 0..90)) {
            let bytes = event_message("urn:x", &value, (time, None), id, &data);
            let found: Vec<_> = told(&bytes).collect();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!((found[0].time(0), found[0].id), (time, id));
            prop_assert_eq!((found[0].value, found[0].data), (value.as_str(), data.as_slice()));
        }

        #[test]
        fn any_front_is_answered(mut front in prop::collection::vec(any::<u8>(), 0..200), named: bool) {
            if named && front.len() > 12 {
                front[..9].copy_from_slice(b"\0\0\0\x40emsg\x01");
            }
            for message in told(&front) {
                let _ = message.time(i64::MAX);
            }
        }
    }
}
