//! Language tags: what files and server manifests say, as players want it (BCP-47, RFC 5646).

mod table;

use table::LANGUAGES;

/// The BCP-47 tag of `tag`: three-letter codes that have a two-letter form are shortened (`eng` → `en`,
/// `ger-AT` → `de-AT`), capitalisation of the first subtag is normalised. `None` if there is no language in it: empty,
/// `und`, `mis`, `zxx`, or not a tag at all.
pub fn bcp47(tag: &str) -> Option<String> {
    let tag = tag.trim().replace('_', "-");
    let mut subtags = tag.split('-');
    let primary = subtags.next().unwrap_or_default().to_ascii_lowercase();
    let well_formed = (2..=3).contains(&primary.len())
        && primary.bytes().all(|b| b.is_ascii_lowercase())
        && tag.len() <= 35
        && subtags
            .clone()
            .all(|s| (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric()));
    if !well_formed || matches!(primary.as_str(), "und" | "mis" | "zxx") {
        return None;
    }
    let mut out = shorten(&primary).map_or(primary, str::to_owned);
    for subtag in subtags {
        out.push('-');
        out.push_str(subtag);
    }
    Some(out)
}

/// English name of a BCP-47 tag's language, if it has a two-letter code.
pub fn display_name(tag: &str) -> Option<&'static str> {
    let primary = tag.split('-').next()?;
    LANGUAGES
        .iter()
        .find(|(_, two, _)| *two == primary)
        .map(|(_, _, name)| *name)
}

fn shorten(three: &str) -> Option<&'static str> {
    let at = LANGUAGES
        .binary_search_by(|(code, _, _)| (*code).cmp(three))
        .ok()?;
    LANGUAGES.get(at).map(|(_, two, _)| *two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_shortened_and_rubbish_is_dropped() {
        let some = |tag: &str| Some(tag.to_owned());
        assert_eq!(bcp47("eng"), some("en"));
        assert_eq!(bcp47("SPA"), some("es"));
        assert_eq!(bcp47("ger"), some("de"));
        assert_eq!(bcp47("deu-AT"), some("de-AT"));
        assert_eq!(bcp47("pt_BR"), some("pt-BR"));
        assert_eq!(bcp47("fil"), some("fil"));
        for none in ["", "und", "zxx", "english", "e", "en-", "en\"x", "12"] {
            assert_eq!(bcp47(none), None, "{none}");
        }
        assert_eq!(display_name("en-US"), Some("English"));
        assert_eq!(display_name("fil"), None);
    }

    #[test]
    fn table_is_sorted() {
        assert!(LANGUAGES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
