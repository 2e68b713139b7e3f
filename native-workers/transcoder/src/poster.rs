//! The poster: one picture of the source as a JPEG.

use headwater_bmff::Colour;
use jpeg_encoder::{ColorType, Encoder};

use crate::colour::luma_shares;
use crate::picture::{Picture, Plane, Size};
use crate::scale::Step as ScaleStep;

const QUALITY: u8 = 85;

/// Where to look, in thousandths of the duration; the first picture that shows something is taken.
pub const CANDIDATES: [usize; 5] = [100, 200, 350, 500, 30];

/// How much there is to see: more is better, [`GOOD`] is enough.
pub fn interest(picture: &Picture) -> u32 {
    let (mean, deviation) = picture.luma_statistics();
    // Black, white and flat pictures deviate little; of two such, take the brighter.
    if mean < 24 {
        deviation.min(4)
    } else {
        deviation
    }
}

/// From here on a picture is worth showing.
pub const GOOD: u32 = 8;

/// Half of the largest rendition, each way.
pub fn size(largest: Size) -> Size {
    Size::even((largest.width / 2).max(2), (largest.height / 2).max(2))
}

/// `picture` scaled to `size`, as a JPEG.
pub fn jpeg(picture: &Picture, size: Size, colour: Colour) -> Result<Vec<u8>, String> {
    let scaled = if picture.size() == size {
        picture.clone()
    } else {
        ScaleStep::new(picture.size(), size)
            .and_then(|step| step.apply(picture))
            .map_err(|error| error.to_string())?
    };
    let side =
        |side: u32| u16::try_from(side).map_err(|_| "the picture is too large for JPEG".to_owned());
    let (width, height) = (side(size.width)?, side(size.height)?);
    let mut out = Vec::new();
    Encoder::new(&mut out, QUALITY)
        .encode(&rgb(&scaled, colour), width, height, ColorType::Rgb)
        .map_err(|error| error.to_string())?;
    Ok(out)
}

/// JPEG has its own colour matrix and range, so the way leads through RGB.
fn rgb(picture: &Picture, colour: Colour) -> Vec<u8> {
    let (red, blue) = luma_shares(colour.matrix);
    let green = 1.0 - red - blue;
    let (black, luma_scale, chroma_scale) = if colour.full_range {
        (0.0, 1.0, 1.0)
    } else {
        (16.0, 255.0 / 219.0, 255.0 / 224.0)
    };
    let (width, _) = picture.size().plane(Plane::Y);
    let chroma_width = width / 2;
    let (cb, cr) = (picture.plane(Plane::Cb), picture.plane(Plane::Cr));
    let mut out = Vec::with_capacity(picture.plane(Plane::Y).len() * 3);
    for (y, row) in picture.plane(Plane::Y).chunks_exact(width).enumerate() {
        for (x, &luma) in row.iter().enumerate() {
            let at = y / 2 * chroma_width + x / 2;
            let luma = (f32::from(luma) - black) * luma_scale;
            let cb = (f32::from(cb[at]) - 128.0) * chroma_scale;
            let cr = (f32::from(cr[at]) - 128.0) * chroma_scale;
            let r = luma + 2.0 * (1.0 - red) * cr;
            let b = luma + 2.0 * (1.0 - blue) * cb;
            let g = (luma - red * r - blue * b) / green;
            // `as` saturates.
            out.extend([r, g, b].map(|value| (value + 0.5) as u8));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_and_white_come_out_as_such() {
        let size = Size {
            width: 16,
            height: 16,
        };
        let colour = crate::colour::decided(None, size);
        let mut picture = Picture::black(size);
        assert!(rgb(&picture, colour).iter().all(|&value| value <= 1));
        picture.plane_mut(Plane::Y).fill(235);
        assert!(rgb(&picture, colour).iter().all(|&value| value >= 254));
        assert!(
            jpeg(&picture, size, colour)
                .unwrap()
                .starts_with(&[0xff, 0xd8])
        );
    }
}
