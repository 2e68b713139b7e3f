//! An 8-bit 4:2:0 picture in memory: what the decoder gives and the encoder takes.
//!
//! Planes lie tightly packed one after the other (Y, Cb, Cr), without padding between rows, so that a plane can be
//! handed to the scaler as one slice. Width and height are even: 4:2:0 has one chroma sample for two luma samples
//! each way, and every size in this crate is made even before a picture is allocated.

/// Which of the three planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    Y,
    Cb,
    Cr,
}

/// The three planes in their order in memory.
pub const PLANES: [Plane; 3] = [Plane::Y, Plane::Cb, Plane::Cr];

/// Width and height in luma samples, both even and not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    /// Rounds both sides down to even, but never below 2.
    pub fn even(width: u32, height: u32) -> Self {
        Self {
            width: (width & !1).max(2),
            height: (height & !1).max(2),
        }
    }

    /// Luma samples of a picture.
    pub fn area(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// The shorter side, which is what "720p" counts, upright or not.
    pub fn short_side(self) -> u32 {
        self.width.min(self.height)
    }

    /// Width and height of one plane.
    pub fn plane(self, plane: Plane) -> (usize, usize) {
        let (width, height) = (self.width as usize, self.height as usize);
        match plane {
            Plane::Y => (width, height),
            Plane::Cb | Plane::Cr => (width / 2, height / 2),
        }
    }

    fn bytes(self) -> usize {
        let (width, height) = self.plane(Plane::Y);
        width * height + 2 * (width / 2) * (height / 2)
    }
}

/// A quarter turn count, clockwise, as the display matrix of a track asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rotation {
    #[default]
    None,
    Clockwise90,
    Half,
    Clockwise270,
}

impl Rotation {
    /// `degrees`: clockwise, any multiple of 90. Anything else is `None`.
    pub fn from_degrees(degrees: i32) -> Option<Self> {
        match degrees.rem_euclid(360) {
            0 => Some(Self::None),
            90 => Some(Self::Clockwise90),
            180 => Some(Self::Half),
            270 => Some(Self::Clockwise270),
            _ => None,
        }
    }

    /// The size of a picture of `size` after the turn.
    pub fn apply(self, size: Size) -> Size {
        match self {
            Self::None | Self::Half => size,
            Self::Clockwise90 | Self::Clockwise270 => Size {
                width: size.height,
                height: size.width,
            },
        }
    }
}

/// One picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    size: Size,
    samples: Vec<u8>,
}

impl Picture {
    /// A picture of black (luma 16, chroma 128).
    pub fn black(size: Size) -> Self {
        let (width, height) = size.plane(Plane::Y);
        let mut samples = vec![16; width * height];
        samples.resize(size.bytes(), 128);
        Self { size, samples }
    }

    /// A picture from rows that have a stride, as decoders hand them out. `None` when a plane is too short for
    /// the size it should have.
    pub fn from_planes(size: Size, planes: [(&[u8], usize); 3]) -> Option<Self> {
        let mut samples = Vec::with_capacity(size.bytes());
        for (plane, (rows, stride)) in PLANES.into_iter().zip(planes) {
            let (width, height) = size.plane(plane);
            if stride < width {
                return None;
            }
            for row in 0..height {
                samples.extend_from_slice(rows.get(row * stride..row * stride + width)?);
            }
        }
        Some(Self { size, samples })
    }

    pub fn size(&self) -> Size {
        self.size
    }

    fn range(&self, plane: Plane) -> std::ops::Range<usize> {
        let (luma_width, luma_height) = self.size.plane(Plane::Y);
        let (width, height) = self.size.plane(Plane::Cb);
        let (luma, chroma) = (luma_width * luma_height, width * height);
        match plane {
            Plane::Y => 0..luma,
            Plane::Cb => luma..luma + chroma,
            Plane::Cr => luma + chroma..luma + 2 * chroma,
        }
    }

    /// The rows of a plane, one after the other without padding.
    pub fn plane(&self, plane: Plane) -> &[u8] {
        &self.samples[self.range(plane)]
    }

    pub fn plane_mut(&mut self, plane: Plane) -> &mut [u8] {
        let range = self.range(plane);
        &mut self.samples[range]
    }

    /// The picture turned upright.
    pub fn rotated(self, rotation: Rotation) -> Self {
        if rotation == Rotation::None {
            return self;
        }
        let mut out = Self::black(rotation.apply(self.size));
        for plane in PLANES {
            let (width, height) = self.size.plane(plane);
            let source = self.plane(plane);
            let target = out.plane_mut(plane);
            match rotation {
                Rotation::None => {}
                Rotation::Half => {
                    for (to, from) in target.iter_mut().zip(source.iter().rev()) {
                        *to = *from;
                    }
                }
                // The target has rows of `height` samples. Column x of the source becomes a row of the target.
                Rotation::Clockwise90 => {
                    for (x, row) in target.chunks_exact_mut(height).enumerate() {
                        for (to, y) in row.iter_mut().zip((0..height).rev()) {
                            *to = source[y * width + x];
                        }
                    }
                }
                Rotation::Clockwise270 => {
                    for (x, row) in (0..width).rev().zip(target.chunks_exact_mut(height)) {
                        for (y, to) in row.iter_mut().enumerate() {
                            *to = source[y * width + x];
                        }
                    }
                }
            }
        }
        out
    }

    /// How much luma differs from sample to sample, in 256ths: next to nothing for a still of one colour, thousands for noise.
    /// Every fourth row is looked at.
    pub fn detail(&self) -> u32 {
        let (width, _) = self.size.plane(Plane::Y);
        let rows = self.plane(Plane::Y).chunks_exact(width).step_by(4);
        mean_difference(rows.map(|row| (&row[1..], &row[..width - 1])))
    }

    /// How much luma differs from that of `other`, a picture of the same size, likewise.
    pub fn change_from(&self, other: &Self) -> u32 {
        let (width, _) = self.size.plane(Plane::Y);
        debug_assert_eq!(self.size, other.size);
        let own = self.plane(Plane::Y).chunks_exact(width).step_by(4);
        let others = other.plane(Plane::Y).chunks_exact(width).step_by(4);
        mean_difference(own.zip(others))
    }

    /// The picture with less detail: `times` times every sample becomes the mean of itself and its neighbours.
    pub fn softened(&self, times: u8) -> Self {
        let mut out = self.clone();
        for _ in 0..times {
            for plane in PLANES {
                let (width, height) = self.size.plane(plane);
                let source = out.plane(plane).to_vec();
                let across: Vec<u8> = source
                    .chunks_exact(width)
                    .flat_map(|row| {
                        let left = |x: usize| row[x.saturating_sub(1)];
                        let right = |x: usize| row[(x + 1).min(width - 1)];
                        (0..width).map(move |x| quarter(left(x), row[x], right(x)))
                    })
                    .collect();
                for (y, row) in out.plane_mut(plane).chunks_exact_mut(width).enumerate() {
                    let at = |y: usize| &across[y * width..(y + 1) * width];
                    let (above, below) = (at(y.saturating_sub(1)), at((y + 1).min(height - 1)));
                    let rows = above.iter().zip(at(y)).zip(below);
                    for (to, ((above, own), below)) in row.iter_mut().zip(rows) {
                        *to = quarter(*above, *own, *below);
                    }
                }
            }
        }
        out
    }

    /// Mean and mean absolute deviation of luma, over every 4th sample each way: enough to tell black, white and
    /// fades from a picture worth showing.
    pub fn luma_statistics(&self) -> (u32, u32) {
        let (width, _) = self.size.plane(Plane::Y);
        let luma = self.plane(Plane::Y);
        let picked = || {
            luma.chunks(width)
                .step_by(4)
                .flat_map(|row| row.iter().step_by(4))
        };
        let count = picked().count().max(1) as u64;
        let mean = picked().map(|&sample| u64::from(sample)).sum::<u64>() / count;
        let deviation = picked()
            .map(|&sample| u64::from(sample).abs_diff(mean))
            .sum::<u64>()
            / count;
        (mean as u32, deviation as u32)
    }
}

/// The mean of a sample and its two neighbours, of which it counts twice.
fn quarter(before: u8, own: u8, after: u8) -> u8 {
    ((u16::from(before) + 2 * u16::from(own) + u16::from(after) + 2) / 4) as u8
}

/// Of rows, in 256ths of a sample's unit.
fn mean_difference<'a>(rows: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> u32 {
    let (mut sum, mut count) = (0_u64, 0_u64);
    for (one, other) in rows {
        let pairs = one.iter().zip(other);
        let row: u32 = pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        sum += u64::from(row);
        count += one.len() as u64;
    }
    u32::try_from(sum * 256 / count.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(width: u32, height: u32) -> Picture {
        let size = Size { width, height };
        let mut picture = Picture::black(size);
        for (index, sample) in picture.plane_mut(Plane::Y).iter_mut().enumerate() {
            *sample = index as u8;
        }
        picture
    }

    #[test]
    fn a_quarter_turn_moves_the_left_column_to_the_top() {
        let turned = numbered(4, 2).rotated(Rotation::Clockwise90);
        assert_eq!(
            turned.size(),
            Size {
                width: 2,
                height: 4
            }
        );
        assert_eq!(turned.plane(Plane::Y), [4, 0, 5, 1, 6, 2, 7, 3]);
    }

    #[test]
    fn turning_there_and_back_gives_the_same_picture() {
        let picture = numbered(8, 6);
        assert_eq!(
            picture
                .clone()
                .rotated(Rotation::Clockwise90)
                .rotated(Rotation::Clockwise270),
            picture
        );
        assert_eq!(
            picture
                .clone()
                .rotated(Rotation::Half)
                .rotated(Rotation::Half),
            picture
        );
        assert_eq!(
            picture
                .clone()
                .rotated(Rotation::Clockwise90)
                .rotated(Rotation::Clockwise90),
            picture.rotated(Rotation::Half)
        );
    }

    #[test]
    fn planes_with_a_stride_are_packed() {
        let size = Size {
            width: 2,
            height: 2,
        };
        let picture = Picture::from_planes(size, [(&[1, 2, 9, 3, 4], 3), (&[5], 1), (&[6], 1)]);
        assert_eq!(picture.map(|p| p.samples), Some(vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(
            Picture::from_planes(size, [(&[1, 2, 9, 3], 3), (&[5], 1), (&[6], 1)]),
            None
        );
    }
}
