//! What the numbers of a source's pictures mean (code points of ISO/IEC 23091-2), which goes into every rendition.

use headwater_bmff::Colour;

use crate::picture::Size;

/// Reserved, or "unspecified".
fn is_unstated(code: u16) -> bool {
    matches!(code, 0 | 2 | 3)
}

/// What a source states: each code point in the stream's words, or else the container's. The range is the stream's if it
/// states anything: the older kind of `colr` has no place for it.
pub fn stated(stream: Option<Colour>, container: Option<Colour>) -> Option<Colour> {
    let (Some(stream), Some(container)) = (stream, container) else {
        return stream.or(container);
    };
    let first = |stream, container| {
        if is_unstated(stream) {
            container
        } else {
            stream
        }
    };
    Some(Colour {
        primaries: first(stream.primaries, container.primaries),
        transfer: first(stream.transfer, container.transfer),
        matrix: first(stream.matrix, container.matrix),
        full_range: stream.full_range,
    })
}

/// What a source of `size` has: what it states, and for the rest what players take it for: BT.709 from 720 lines on,
/// BT.601 below (Chromium's `VideoColorSpace`). Decided once from the source, because left to the players every
/// rendition would be guessed at by its own size.
pub fn decided(stated: Option<Colour>, size: Size) -> Colour {
    let guess = if size.short_side() >= 720 { 1 } else { 6 };
    let known = |code| if is_unstated(code) { guess } else { code };
    let stated = stated.unwrap_or(Colour {
        primaries: 2,
        transfer: 2,
        matrix: 2,
        full_range: false,
    });
    Colour {
        primaries: known(stated.primaries),
        transfer: known(stated.transfer),
        matrix: known(stated.matrix),
        full_range: stated.full_range,
    }
}

/// The shares of red and blue in luma.
pub fn luma_shares(matrix: u16) -> (f32, f32) {
    match matrix {
        4 => (0.30, 0.11),
        5 | 6 => (0.299, 0.114),
        7 => (0.212, 0.087),
        9 | 10 => (0.2627, 0.0593),
        _ => (0.2126, 0.0722),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(code: u16, full_range: bool) -> Colour {
        Colour {
            primaries: code,
            transfer: code,
            matrix: code,
            full_range,
        }
    }

    #[test]
    fn the_container_fills_in_what_the_stream_leaves_open() {
        let (bt709, bt601) = (colour(1, false), colour(6, false));
        assert_eq!(stated(Some(bt709), Some(bt601)), Some(bt709));
        assert_eq!(stated(None, Some(bt601)), Some(bt601));
        assert_eq!(
            stated(Some(colour(2, true)), Some(bt601)),
            Some(colour(6, true))
        );
        assert_eq!(stated(None, None), None);
    }

    #[test]
    fn what_nobody_states_is_decided_by_the_source() {
        let (high, low) = (Size::even(1280, 720), Size::even(854, 480));
        assert_eq!(decided(None, high), colour(1, false));
        assert_eq!(decided(None, low), colour(6, false));
        assert_eq!(decided(Some(colour(2, true)), low), colour(6, true));
        assert_eq!(decided(Some(colour(9, false)), low), colour(9, false));
    }
}
