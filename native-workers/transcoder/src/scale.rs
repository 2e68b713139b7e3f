//! Scaling one decoded picture to every size of a ladder, step by step: each size is made from the next larger one,
//! so that a ladder of six costs little more than its first step.
//!
//! The filter is Catmull-Rom, widened by the scaler for reductions: sharper than bilinear and without Lanczos's
//! ringing on graphics. Chroma is scaled on its own grid; the quarter-sample shift of left-sited 4:2:0 chroma that this
//! ignores is the same at every size and below what a viewer can see.

use std::sync::{Arc, Mutex, PoisonError};

use pic_scale::{ImageSize, ImageStore, ImageStoreMut, Resampling, ResamplingFunction, Scaler};

use crate::picture::{PLANES, Picture, Plane, Size};

/// The picture could not be scaled: the sizes do not fit what the scaler was planned for.
#[derive(Debug, thiserror::Error)]
#[error("scaling failed: {0}")]
pub struct ScaleError(String);

impl ScaleError {
    fn new(error: impl std::fmt::Debug) -> Self {
        Self(format!("{error:?}"))
    }
}

/// Scales pictures of one size to one other size. The filter weights are computed once.
pub struct Step {
    from: Size,
    to: Size,
    luma: Planar,
    chroma: Planar,
    /// Kept from picture to picture: megabytes that would be cleared for every one.
    scratch: Mutex<Scratch>,
}

impl Step {
    pub fn new(from: Size, to: Size) -> Result<Self, ScaleError> {
        Ok(Self {
            from,
            to,
            luma: Planar::new(from.plane(Plane::Y), to.plane(Plane::Y))?,
            chroma: Planar::new(from.plane(Plane::Cb), to.plane(Plane::Cb))?,
            scratch: Mutex::default(),
        })
    }

    /// `picture`: of the size the step was made for.
    pub fn apply(&self, picture: &Picture) -> Result<Picture, ScaleError> {
        if picture.size() != self.from {
            return Err(ScaleError(format!(
                "the picture is {:?} instead of {:?}",
                picture.size(),
                self.from
            )));
        }
        let mut out = Picture::black(self.to);
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        for plane in PLANES {
            let planar = if plane == Plane::Y {
                &self.luma
            } else {
                &self.chroma
            };
            planar.apply(picture.plane(plane), out.plane_mut(plane), &mut scratch)?;
        }
        Ok(out)
    }
}

/// Scales planes of one size to one other size: rows first, then columns, which are rows of the plane turned over.
///
/// Weighing rows against each other is what processors do well, for it is the same for all samples of a row. The scaler's
/// own way along a row makes one sample at a time, and takes longer than both turns and the rows of a turned plane. The
/// samples are the same.
struct Planar {
    from: (usize, usize),
    to: (usize, usize),
    /// `None` where a side stays as it is.
    rows: Option<Arc<Resampling<u8, 1>>>,
    /// Of the plane turned over.
    columns: Option<Arc<Resampling<u8, 1>>>,
}

/// Planes on the way, as large as the largest so far.
#[derive(Default)]
struct Scratch {
    rows: Vec<u8>,
    turned: Vec<u8>,
    columns: Vec<u8>,
}

/// The first `samples` of `plane`, whatever they are.
fn room(plane: &mut Vec<u8>, samples: usize) -> &mut [u8] {
    if plane.len() < samples {
        plane.resize(samples, 0);
    }
    &mut plane[..samples]
}

impl Planar {
    fn new(from: (usize, usize), to: (usize, usize)) -> Result<Self, ScaleError> {
        let scaler = Scaler::new(ResamplingFunction::CatmullRom);
        let along = |width: usize, from: usize, to: usize| {
            let plan = (from != to).then(|| {
                scaler
                    .plan_planar_resampling(ImageSize::new(width, from), ImageSize::new(width, to))
            });
            plan.transpose().map_err(ScaleError::new)
        };
        Ok(Self {
            from,
            to,
            rows: along(from.0, from.1, to.1)?,
            columns: along(to.1, from.0, to.0)?,
        })
    }

    fn apply(&self, from: &[u8], to: &mut [u8], scratch: &mut Scratch) -> Result<(), ScaleError> {
        let ((width, height), (to_width, to_height)) = (self.from, self.to);
        let Some(columns) = &self.columns else {
            return match &self.rows {
                Some(rows) => resample(rows, (from, height), (to, to_height), width),
                None => {
                    to.copy_from_slice(from);
                    Ok(())
                }
            };
        };
        let squeezed = match &self.rows {
            Some(rows) => {
                let squeezed = room(&mut scratch.rows, width * to_height);
                resample(rows, (from, height), (squeezed, to_height), width)?;
                squeezed
            }
            None => from,
        };
        let turned = room(&mut scratch.turned, width * to_height);
        turn_over(squeezed, turned, width);
        let scaled = room(&mut scratch.columns, to_width * to_height);
        resample(columns, (turned, width), (scaled, to_width), to_height)?;
        turn_over(scaled, to, to_height);
        Ok(())
    }
}

/// Scales the rows of a plane `width` samples wide. Planes come with their heights.
fn resample(
    plan: &Arc<Resampling<u8, 1>>,
    (from, from_height): (&[u8], usize),
    (to, to_height): (&mut [u8], usize),
    width: usize,
) -> Result<(), ScaleError> {
    let from = ImageStore::<u8, 1>::borrow(from, width, from_height).map_err(ScaleError::new)?;
    let mut to = ImageStoreMut::<u8, 1>::borrow(to, width, to_height).map_err(ScaleError::new)?;
    plan.resample(&from, &mut to).map_err(ScaleError::new)
}

/// Makes rows of columns: sample `x` of row `y` of `from`, whose rows have `width` samples, becomes sample `y` of row `x`
/// of `to`.
fn turn_over(from: &[u8], to: &mut [u8], width: usize) {
    const SIDE: usize = 8;
    let height = from.len() / width;
    let (whole_width, whole_height) = (width / SIDE * SIDE, height / SIDE * SIDE);
    for x in (0..whole_width).step_by(SIDE) {
        let rows = &mut to[x * height..(x + SIDE) * height];
        for y in (0..whole_height).step_by(SIDE) {
            let samples = &from[y * width + x..];
            let block = std::array::from_fn(|row| {
                samples[row * width..]
                    .first_chunk()
                    .map_or(0, |samples| u64::from_le_bytes(*samples))
            });
            for (row, samples) in turn_block_over(block).into_iter().enumerate() {
                if let Some(target) = rows[row * height + y..].first_chunk_mut() {
                    *target = samples.to_le_bytes();
                }
            }
        }
    }
    // What no block covers: a strip at the right and one at the bottom.
    for y in 0..height {
        let first = if y < whole_height { whole_width } else { 0 };
        for x in first..width {
            to[x * height + y] = from[y * width + x];
        }
    }
}

/// Eight rows of eight samples, the first in the lowest byte, become columns.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[inline]
fn turn_block_over(rows: [u64; 8]) -> [u64; 8] {
    // SAFETY: every processor of this architecture has SSE2.
    unsafe { turn_block_over_sse2(rows) }
}

/// The compiler finds nothing like it in the arithmetic of the other one, which makes scaling slower than without turning.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn turn_block_over_sse2(rows: [u64; 8]) -> [u64; 8] {
    use std::arch::x86_64::{
        _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_unpackhi_epi16, _mm_unpackhi_epi32,
        _mm_unpackhi_epi64, _mm_unpacklo_epi8, _mm_unpacklo_epi16, _mm_unpacklo_epi32,
    };
    let pair = |at: usize| {
        _mm_unpacklo_epi8(
            _mm_cvtsi64_si128(rows[at] as i64),
            _mm_cvtsi64_si128(rows[at + 1] as i64),
        )
    };
    let (a, b, c, d) = (pair(0), pair(2), pair(4), pair(6));
    let (upper_left, lower_left) = (_mm_unpacklo_epi16(a, b), _mm_unpacklo_epi16(c, d));
    let (upper_right, lower_right) = (_mm_unpackhi_epi16(a, b), _mm_unpackhi_epi16(c, d));
    let columns = [
        _mm_unpacklo_epi32(upper_left, lower_left),
        _mm_unpackhi_epi32(upper_left, lower_left),
        _mm_unpacklo_epi32(upper_right, lower_right),
        _mm_unpackhi_epi32(upper_right, lower_right),
    ];
    std::array::from_fn(|column| {
        let two = columns[column / 2];
        let one = if column % 2 == 0 {
            two
        } else {
            _mm_unpackhi_epi64(two, two)
        };
        _mm_cvtsi128_si64(one) as u64
    })
}

/// Eight rows of eight samples, the first in the lowest byte, become columns: blocks of four by four change places across
/// the diagonal, then those of two by two in them, then samples.
#[cfg(not(target_arch = "x86_64"))]
fn turn_block_over(mut rows: [u64; 8]) -> [u64; 8] {
    for (distance, mask) in [
        (4, 0x0000_0000_ffff_ffff_u64),
        (2, 0x0000_ffff_0000_ffff),
        (1, 0x00ff_00ff_00ff_00ff),
    ] {
        for at in (0..8).filter(|at| at & distance == 0) {
            let (upper, lower) = (rows[at], rows[at + distance]);
            let shift = 8 * distance;
            rows[at] = (upper & mask) | ((lower & mask) << shift);
            rows[at + distance] = ((upper >> shift) & mask) | (lower & !mask);
        }
    }
    rows
}

/// Scales a picture to a list of sizes.
pub struct Ladder {
    source: Size,
    /// In the order they are made: largest first, each with the index of what it is made from.
    steps: Vec<(Option<usize>, Option<Step>)>,
    /// For every size asked for, in the caller's order, the step that makes it.
    wanted: Vec<usize>,
}

impl Ladder {
    /// `sizes` in any order, repeats allowed: a repeated size is made once and shared.
    pub fn new(source: Size, sizes: &[Size]) -> Result<Self, ScaleError> {
        let mut distinct: Vec<Size> = sizes.to_vec();
        distinct.sort_by_key(|size| std::cmp::Reverse((size.area(), size.width)));
        distinct.dedup();
        let mut steps = Vec::with_capacity(distinct.len());
        for (index, &size) in distinct.iter().enumerate() {
            // The smallest size already made that is at least as large both ways.
            let parent = distinct[..index]
                .iter()
                .rposition(|made| made.width >= size.width && made.height >= size.height);
            let from = parent.map_or(source, |parent| distinct[parent]);
            let step = if from == size {
                None
            } else {
                Some(Step::new(from, size)?)
            };
            steps.push((parent, step));
        }
        let wanted = sizes
            .iter()
            .filter_map(|size| distinct.iter().position(|made| made == size))
            .collect();
        Ok(Self {
            source,
            steps,
            wanted,
        })
    }

    /// The picture at every size asked for, in that order.
    ///
    /// Errors: when the picture is not of the source's size, which a stream that changes its size inside a track
    /// leads to.
    pub fn apply(&self, picture: &Arc<Picture>) -> Result<Vec<Arc<Picture>>, ScaleError> {
        if picture.size() != self.source {
            return Err(ScaleError(format!(
                "the picture is {:?} instead of {:?}",
                picture.size(),
                self.source
            )));
        }
        let mut made: Vec<Arc<Picture>> = Vec::with_capacity(self.steps.len());
        for (parent, step) in &self.steps {
            let from = parent.map_or(picture, |parent| &made[parent]);
            made.push(match step {
                Some(step) => Arc::new(step.apply(from)?),
                None => Arc::clone(from),
            });
        }
        Ok(self
            .wanted
            .iter()
            .map(|&index| Arc::clone(&made[index]))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_picture_stays_flat_at_every_size() {
        let source = Size {
            width: 320,
            height: 180,
        };
        let sizes = [(160, 90), (320, 180), (160, 90), (64, 36)]
            .map(|(width, height)| Size { width, height });
        let mut picture = Picture::black(source);
        picture.plane_mut(Plane::Y).fill(77);
        picture.plane_mut(Plane::Cb).fill(99);
        let made = Ladder::new(source, &sizes)
            .unwrap()
            .apply(&Arc::new(picture))
            .unwrap();
        assert_eq!(made.len(), 4);
        for (picture, size) in made.iter().zip(sizes) {
            assert_eq!(picture.size(), size);
            assert!(picture.plane(Plane::Y).iter().all(|&sample| sample == 77));
            assert!(picture.plane(Plane::Cb).iter().all(|&sample| sample == 99));
        }
        assert!(Arc::ptr_eq(&made[0], &made[2]));
    }

    /// The scaler's own way through both dimensions makes the same samples, whatever the sides leave over.
    #[test]
    fn planes_are_scaled_as_the_scaler_does_it_alone() {
        for (from, to) in [
            ((192, 108), (128, 72)),
            ((127, 75), (95, 31)),
            ((64, 36), (64, 18)),
            ((64, 36), (33, 36)),
            ((17, 5), (3, 3)),
            ((40, 30), (80, 45)),
            ((40, 30), (40, 30)),
        ] {
            let mut state = 1_u32;
            let samples: Vec<u8> = (0..from.0 * from.1)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                })
                .collect();
            let mut expected = vec![0; to.0 * to.1];
            let plan = Scaler::new(ResamplingFunction::CatmullRom)
                .plan_planar_resampling(ImageSize::new(from.0, from.1), ImageSize::new(to.0, to.1))
                .unwrap();
            plan.resample(
                &ImageStore::<u8, 1>::borrow(&samples, from.0, from.1).unwrap(),
                &mut ImageStoreMut::<u8, 1>::borrow(&mut expected, to.0, to.1).unwrap(),
            )
            .unwrap();
            let mut found = vec![0; to.0 * to.1];
            Planar::new(from, to)
                .unwrap()
                .apply(&samples, &mut found, &mut Scratch::default())
                .unwrap();
            assert!(found == expected, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn a_plane_turned_over_has_its_columns_for_rows() {
        for (width, height) in [(8, 8), (24, 16), (19, 11), (3, 40), (1, 1)] {
            let plane: Vec<u8> = (0..width * height).map(|at| (at * 7 % 251) as u8).collect();
            let mut turned = vec![0; plane.len()];
            turn_over(&plane, &mut turned, width);
            for y in 0..height {
                for x in 0..width {
                    assert_eq!(turned[x * height + y], plane[y * width + x]);
                }
            }
        }
    }

    #[test]
    fn a_picture_of_another_size_is_an_error() {
        let size = Size {
            width: 64,
            height: 64,
        };
        let ladder = Ladder::new(size, &[size]).unwrap();
        assert!(
            ladder
                .apply(&Arc::new(Picture::black(Size {
                    width: 32,
                    height: 64
                })))
                .is_err()
        );
    }
}
