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

/// Samples of a side of the blocks in which planes are turned over, and of the tiles in which those are gone through: of a tile, what is read
/// and what is written are whole cache lines, and stay near until it is done.
const SIDE: usize = 16;
const TILE: usize = 64;

/// Makes rows of columns: sample `x` of row `y` of `from`, whose rows have `width` samples, becomes sample `y` of row `x`
/// of `to`.
fn turn_over(from: &[u8], to: &mut [u8], width: usize) {
    let height = from.len() / width;
    let (whole_width, whole_height) = (width / SIDE * SIDE, height / SIDE * SIDE);
    let tiles = |whole: usize| {
        (0..whole)
            .step_by(TILE)
            .map(move |at| (at..(at + TILE).min(whole)).step_by(SIDE))
    };
    for (ys, xs) in
        tiles(whole_height).flat_map(|ys| tiles(whole_width).map(move |xs| (ys.clone(), xs)))
    {
        for y in ys {
            for x in xs.clone() {
                let mut block = [[0; SIDE]; SIDE];
                for (row, samples) in block.iter_mut().enumerate() {
                    samples.copy_from_slice(&from[(y + row) * width + x..][..SIDE]);
                }
                for (row, samples) in turn_block_over(block).iter().enumerate() {
                    to[(x + row) * height + y..][..SIDE].copy_from_slice(samples);
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

/// Rows become columns.
///
/// The compiler finds nothing like it in the other one, which makes scaling slower than without turning: rows that are half of
/// the block apart are shuffled into each other like cards, and after four times every sample is across the diagonal.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[inline]
fn turn_block_over(rows: [[u8; SIDE]; SIDE]) -> [[u8; SIDE]; SIDE] {
    use std::arch::x86_64::{__m128i, _mm_unpackhi_epi8, _mm_unpacklo_epi8};
    // SAFETY: rows and registers have the same size, and all patterns of bits are values of both.
    let mut block: [__m128i; SIDE] = unsafe { std::mem::transmute(rows) };
    for _ in 0..SIDE.ilog2() {
        let before = block;
        for at in 0..SIDE / 2 {
            let (one, other) = (before[at], before[at + SIDE / 2]);
            // SAFETY: every processor of this architecture has SSE2.
            unsafe {
                block[2 * at] = _mm_unpacklo_epi8(one, other);
                block[2 * at + 1] = _mm_unpackhi_epi8(one, other);
            }
        }
    }
    // SAFETY: as above.
    unsafe { std::mem::transmute(block) }
}

/// Rows become columns.
#[cfg(not(target_arch = "x86_64"))]
fn turn_block_over(rows: [[u8; SIDE]; SIDE]) -> [[u8; SIDE]; SIDE] {
    std::array::from_fn(|column| rows.map(|row| row[column]))
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
