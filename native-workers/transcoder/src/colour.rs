//! What the numbers of a source's pictures mean (code points of ISO/IEC 23091-2), which goes into every rendition.

use headwater_bmff::Colour;

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
}
