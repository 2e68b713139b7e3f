//! Pictures encoded at a rate: each is looked at, ordered by [`RateControl`], made softer where that says so, and counted.

use std::sync::Arc;

use super::encoder::{Coded, EncodeError, Encoder};
use super::rate::{Look, RateControl, Trial};
use crate::picture::Picture;

/// What one encoder needs beside it to keep to its rate.
pub struct Pace {
    rate: RateControl,
    /// As it came, not as it was softened.
    before: Option<Arc<Picture>>,
}

impl Pace {
    /// Encodes the first of `pictures`, and the second if there is one, for measure. They are to be encoded in earnest still.
    pub fn begin(
        encoder: &mut Encoder,
        bits_per_second: u32,
        pictures: &[&Picture],
    ) -> Result<Self, EncodeError> {
        let mut bits = [0_u64; 2];
        for ((picture, bits), idr) in pictures.iter().zip(&mut bits).zip([true, false]) {
            let coded = encoder.encode(picture, idr, Trial::QUANTISER)?;
            *bits = coded.bytes.len() as u64 * 8;
        }
        let trial = Trial {
            quantiser: Trial::QUANTISER,
            intra_bits: bits[0],
            predicted_bits: bits[1],
            detail: pictures.first().map_or(0, |first| first.detail()),
            change: match pictures {
                [first, second, ..] => second.change_from(first),
                _ => 0,
            },
        };
        Ok(Self {
            rate: RateControl::new(bits_per_second, trial),
            before: None,
        })
    }

    /// See [`RateControl::start_gop`].
    pub fn start_gop(&mut self, seconds: f64, pictures: u32, last: bool) {
        self.rate.start_gop(seconds, pictures, last);
    }

    /// The next picture, which begins a GOP if `idr`.
    pub fn encode(
        &mut self,
        encoder: &mut Encoder,
        picture: Arc<Picture>,
        idr: bool,
    ) -> Result<Coded, EncodeError> {
        let before = self.before.as_deref();
        let look = Look {
            area: picture.size().area(),
            detail: picture.detail(),
            change: before.map_or(0, |before| picture.change_from(before)),
        };
        let order = self.rate.order(idr, look);
        let coded = match order.softer {
            0 => encoder.encode(&picture, idr, order.quantiser)?,
            times => encoder.encode(&picture.softened(times), idr, order.quantiser)?,
        };
        self.rate.spent(coded.bytes.len());
        self.before = Some(picture);
        Ok(coded)
    }
}
