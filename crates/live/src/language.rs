//! Languages of sound, as encoders state them.
//!
//! | comes by | says it |
//! |---|---|
//! | MPEG-2 TS | `ISO_639_language_descriptor` in the PMT (ISO/IEC 13818-1 §2.6.18) |
//! | Smooth, fragmented MP4 | `systemLanguage` of the live server manifest, else `elng` or `mdhd` (ISO/IEC 14496-12 §8.4.2 and 8.4.6) |
//! | RTMP | nothing |
//!
//! They are kept as they were written. Whoever shows them makes BCP-47 of them.

/// Bytes of the longest tag that RFC 5646 §4.4.1 asks to make room for.
const MOST_BYTES: usize = 35;

/// `ISO_639_language_descriptor`.
const DESCRIPTOR: u8 = 0x0a;

/// What `tag` states: ISO 639-2 or BCP-47, as it was written. `None` for `und` and the other codes that name no language
/// (`mis`, `zxx`), and for what is no tag: empty, too long, or with other characters than ASCII letters, digits and
/// hyphens.
#[must_use]
pub fn stated(tag: &str) -> Option<String> {
    let tag = tag.trim();
    let is_tag = (2..=MOST_BYTES).contains(&tag.len())
        && tag
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let primary = tag.split(['-', '_']).next().unwrap_or_default();
    let mut none = ["und", "mis", "zxx"].into_iter();
    let is_none = none.any(|code| primary.eq_ignore_ascii_case(code));
    (is_tag && !is_none).then(|| tag.to_owned())
}

/// The first language that the descriptors of an elementary stream state.
pub(crate) fn of_descriptors(descriptors: &[u8]) -> Option<String> {
    let mut rest = descriptors;
    while let Some(([tag, len], after)) = rest.split_first_chunk::<2>() {
        let (body, next) = after.split_at_checked(usize::from(*len))?;
        if *tag == DESCRIPTOR {
            // Code and audio type, of each language in it.
            let codes = body.chunks_exact(4).filter_map(|entry| entry.get(..3));
            let mut texts = codes.filter_map(|code| std::str::from_utf8(code).ok());
            if let Some(found) = texts.find_map(stated) {
                return Some(found);
            }
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_language_is_none() {
        for tag in ["eng", "de", "pt-BR", "zh_Hant", "English"] {
            assert_eq!(stated(tag).as_deref(), Some(tag));
        }
        assert_eq!(stated(" eng ").as_deref(), Some("eng"));
        let long = "a".repeat(36);
        for tag in [
            "", "e", "und", "UND", "und-x-y", "zxx", "mis", "e\u{7}g", "en\0", "en\"", "größe",
            &long,
        ] {
            assert_eq!(stated(tag), None, "{tag:?}");
        }
    }

    #[test]
    fn descriptors_are_looked_through() {
        let of = |bytes: &[u8]| of_descriptors(bytes);
        assert_eq!(of(b"\x0a\x04eng\0").as_deref(), Some("eng"));
        // Behind another; with several languages; `und` first.
        assert_eq!(of(b"\x52\x01x\x0a\x04deu\x03").as_deref(), Some("deu"));
        assert_eq!(of(b"\x0a\x08fra\0ita\0").as_deref(), Some("fra"));
        assert_eq!(of(b"\x0a\x08und\0ita\0").as_deref(), Some("ita"));
        assert_eq!(of(b"\x0a\x04und\0\x0a\x04spa\0").as_deref(), Some("spa"));
        // Cut off, empty, of control characters.
        for none in [
            &b""[..],
            b"\x0a",
            b"\x0a\x04en",
            b"\x0a\x00",
            b"\x0a\x03eng",
            b"\x0a\x04\x01\x02\x03\0",
            b"\x0a\x04\xff\xff\xff\0",
        ] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn anything_may_be_a_descriptor(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(found) = of_descriptors(&bytes) {
                prop_assert_eq!(found.len(), 3);
            }
        }
    }
}
