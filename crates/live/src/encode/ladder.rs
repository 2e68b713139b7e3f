//! Which layers a source gets, and at which size.
//!
//! The presets are those of Azure Media Services and MK.IO (management reference, 1.12). A layer that would enlarge the source
//! is left out; of a source that is smaller than all of them, the smallest is made at the source's own size.

/// Pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Both sides rounded down to even, which 4:2:0 needs, and at least 2.
    fn even(width: u64, height: u64) -> Self {
        let side = |pixels: u64| u32::try_from(pixels).unwrap_or(u32::MAX).max(2) & !1;
        Self::new(side(width), side(height))
    }

    fn is_within(self, other: Self) -> bool {
        self.width <= other.width && self.height <= other.height
    }
}

/// A layer as a preset has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    pub size: Size,
    /// Bits per second.
    pub bitrate: u32,
}

const fn layer(width: u32, height: u32, kbps: u32) -> Layer {
    Layer {
        size: Size::new(width, height),
        bitrate: kbps.saturating_mul(1_000),
    }
}

/// `Default720p`, of events of type `Standard`.
pub const DEFAULT_720P: [Layer; 6] = [
    layer(1280, 720, 3_500),
    layer(960, 540, 2_200),
    layer(704, 396, 1_350),
    layer(512, 288, 850),
    layer(384, 216, 550),
    layer(340, 192, 200),
];

/// `Default1080p`, of events of type `Premium1080p`.
pub const DEFAULT_1080P: [Layer; 6] = [
    layer(1920, 1080, 5_500),
    layer(1280, 720, 3_000),
    layer(960, 540, 1_600),
    layer(640, 360, 800),
    layer(480, 270, 400),
    layer(320, 180, 200),
];

/// The layers of a preset, largest first; `None` for a name that says nothing.
#[must_use]
pub fn preset(name: &str) -> Option<&'static [Layer]> {
    match name {
        "Default720p" => Some(&DEFAULT_720P),
        "Default1080p" => Some(&DEFAULT_1080P),
        _ => None,
    }
}

/// AMS `StretchMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// Exactly the layer's size, whatever becomes of the proportions.
    None,
    /// Within the layer's size, in the source's proportions. Of an upright source, the layer is taken upright.
    AutoSize,
    /// Exactly the layer's size, with black bars where the proportions differ.
    AutoFit,
}

/// A layer of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Bits per second.
    pub bitrate: u32,
    /// What is encoded.
    pub size: Size,
    /// What the source's picture is scaled to, in the middle of `size`; smaller than it only with bars.
    pub picture: Size,
}

/// Smaller pictures nobody watches, and the encoder does not make.
const LEAST_SIDE: u32 = 16;

/// The size of a picture in square pixels, of which none is lost. `aspect`: width to height of its pixels.
#[must_use]
pub fn displayed(coded: Size, aspect: (u32, u32)) -> Size {
    let (across, down) = (u64::from(aspect.0.max(1)), u64::from(aspect.1.max(1)));
    let (width, height) = (u64::from(coded.width), u64::from(coded.height));
    if across >= down {
        let width = width.saturating_mul(across).checked_div(down);
        Size::even(width.unwrap_or(0), height)
    } else {
        let height = height.saturating_mul(down).checked_div(across);
        Size::even(width, height.unwrap_or(0))
    }
}

/// The largest size within `limit` in the proportions of `source`.
fn fitted(source: Size, limit: Size) -> Size {
    let (width, height) = (u64::from(source.width), u64::from(source.height));
    let (across, down) = (u64::from(limit.width), u64::from(limit.height));
    let (by_width, by_height) = (width.saturating_mul(down), height.saturating_mul(across));
    if by_width >= by_height {
        Size::even(across, by_height.checked_div(width).unwrap_or(0))
    } else {
        Size::even(by_width.checked_div(height).unwrap_or(0), down)
    }
}

/// The layers of `source`, which has square pixels: largest first, at least one.
#[must_use]
pub fn shapes(layers: &[Layer], stretch: Stretch, source: Size) -> Vec<Shape> {
    let shape = |layer: &Layer| {
        let asked = layer.size;
        let (size, picture) = match stretch {
            Stretch::None => (asked, asked),
            Stretch::AutoFit => (asked, fitted(source, asked)),
            Stretch::AutoSize => {
                let upright = source.height > source.width;
                let asked = match upright {
                    true => Size::new(asked.height, asked.width),
                    false => asked,
                };
                let size = fitted(source, asked);
                (size, size)
            }
        };
        Shape {
            bitrate: layer.bitrate,
            size,
            picture,
        }
    };
    let fits = |shape: &Shape| {
        shape.picture.is_within(source)
            && shape.picture.width.min(shape.picture.height) >= LEAST_SIDE
    };
    let mut shapes: Vec<Shape> = layers.iter().map(shape).filter(fits).collect();
    if shapes.is_empty() {
        let size = Size::even(source.width.into(), source.height.into());
        shapes.extend(layers.last().map(|layer| Shape {
            bitrate: layer.bitrate,
            size,
            picture: size,
        }));
    }
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(layers: &[Layer], stretch: Stretch, width: u32, height: u32) -> Vec<(u32, u32, u32)> {
        let shapes = shapes(layers, stretch, Size::new(width, height));
        let row = |shape: &Shape| (shape.size.width, shape.size.height, shape.bitrate / 1_000);
        shapes.iter().map(row).collect()
    }

    #[test]
    fn layers_above_the_source_are_left_out() {
        let of = |width, height| made(&DEFAULT_1080P, Stretch::AutoSize, width, height);
        assert_eq!(of(1920, 1080).len(), 6);
        assert_eq!(of(1280, 720)[0], (1280, 720, 3_000));
        assert_eq!(of(1000, 562).len(), 4);
        assert_eq!(
            made(&DEFAULT_720P, Stretch::None, 640, 360),
            [(512, 288, 850), (384, 216, 550), (340, 192, 200)]
        );
        assert_eq!(
            made(&DEFAULT_720P, Stretch::None, 1920, 1080)[0],
            (1280, 720, 3_500)
        );
    }

    #[test]
    fn a_source_smaller_than_all_is_one_layer_of_its_size() {
        for stretch in [Stretch::None, Stretch::AutoSize, Stretch::AutoFit] {
            assert_eq!(
                made(&DEFAULT_720P, stretch, 320, 180),
                [(320, 180, 200)],
                "{stretch:?}"
            );
        }
    }

    #[test]
    fn stretch_modes_differ_where_proportions_do() {
        let four_to_three = |stretch| shapes(&DEFAULT_720P, stretch, Size::new(960, 720))[0];
        // Nothing may be wider than the source.
        assert_eq!(four_to_three(Stretch::None).size, Size::new(960, 540));
        assert_eq!(four_to_three(Stretch::AutoSize).size, Size::new(960, 720));
        let fit = four_to_three(Stretch::AutoFit);
        assert_eq!(
            (fit.size, fit.picture),
            (Size::new(1280, 720), Size::new(960, 720))
        );
        // Wider than the layers: bars above and below.
        let wide = shapes(&DEFAULT_720P, Stretch::AutoFit, Size::new(1920, 800))[0];
        assert_eq!(
            (wide.size, wide.picture),
            (Size::new(1280, 720), Size::new(1280, 532))
        );
        // Upright.
        assert_eq!(
            made(&DEFAULT_720P, Stretch::AutoSize, 1080, 1920)[0],
            (720, 1280, 3_500)
        );
        let upright = shapes(&DEFAULT_720P, Stretch::AutoFit, Size::new(1080, 1920))[0];
        assert_eq!(
            (upright.size, upright.picture),
            (Size::new(1280, 720), Size::new(404, 720))
        );
    }

    #[test]
    fn pixels_that_are_not_square_are_made_so() {
        assert_eq!(
            displayed(Size::new(720, 576), (16, 11)),
            Size::new(1046, 576)
        );
        assert_eq!(displayed(Size::new(720, 480), (8, 9)), Size::new(720, 540));
        assert_eq!(
            displayed(Size::new(1280, 720), (1, 1)),
            Size::new(1280, 720)
        );
    }

    #[test]
    fn every_size_is_even_and_no_picture_is_larger_than_its_source() {
        for (width, height) in [(2, 2), (17, 900), (1999, 3), (1366, 768), (854, 480)] {
            for stretch in [Stretch::None, Stretch::AutoSize, Stretch::AutoFit] {
                let shapes = shapes(&DEFAULT_1080P, stretch, Size::new(width, height));
                assert!(!shapes.is_empty());
                for shape in shapes {
                    assert!(shape.picture.is_within(shape.size));
                    assert!(shape.picture.is_within(Size::new(width, height)));
                    for side in [shape.size, shape.picture] {
                        assert_eq!((side.width % 2, side.height % 2), (0, 0));
                    }
                }
            }
        }
    }
}
