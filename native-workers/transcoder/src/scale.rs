//! Scaling one decoded picture to every size of a ladder, step by step: each size is made from the next larger one,
//! so that a ladder of six costs little more than its first step.
//!
//! The filter is Catmull-Rom, widened by the scaler for reductions: sharper than bilinear and without Lanczos's
//! ringing on graphics. Chroma is scaled on its own grid; the quarter-sample shift of left-sited 4:2:0 chroma that this
//! ignores is the same at every size and below what a viewer can see.

use std::sync::Arc;

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
    luma: Arc<Resampling<u8, 1>>,
    chroma: Arc<Resampling<u8, 1>>,
}

impl Step {
    pub fn new(from: Size, to: Size) -> Result<Self, ScaleError> {
        let scaler = Scaler::new(ResamplingFunction::CatmullRom);
        let plan = |plane| {
            let ((from_width, from_height), (to_width, to_height)) =
                (from.plane(plane), to.plane(plane));
            scaler
                .plan_planar_resampling(
                    ImageSize::new(from_width, from_height),
                    ImageSize::new(to_width, to_height),
                )
                .map_err(ScaleError::new)
        };
        Ok(Self {
            from,
            to,
            luma: plan(Plane::Y)?,
            chroma: plan(Plane::Cb)?,
        })
    }

    /// `picture`: of the size the step was made for.
    pub fn apply(&self, picture: &Picture) -> Result<Picture, ScaleError> {
        let mut out = Picture::black(self.to);
        for plane in PLANES {
            let ((from_width, from_height), (to_width, to_height)) =
                (self.from.plane(plane), self.to.plane(plane));
            let source = ImageStore::<u8, 1>::borrow(picture.plane(plane), from_width, from_height)
                .map_err(ScaleError::new)?;
            let mut target =
                ImageStoreMut::<u8, 1>::borrow(out.plane_mut(plane), to_width, to_height)
                    .map_err(ScaleError::new)?;
            let resampling = if plane == Plane::Y {
                &self.luma
            } else {
                &self.chroma
            };
            resampling
                .resample(&source, &mut target)
                .map_err(ScaleError::new)?;
        }
        Ok(out)
    }
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
