//! Codes of languages, as containers and presets write them.

/// Codes of ISO 639-1 with those of ISO 639-2, terminological and bibliographic, that stand for the same language.
#[rustfmt::skip]
const LANGUAGES: [(&str, &[&str]); 50] = [
    ("ar", &["ara"]), ("bg", &["bul"]), ("ca", &["cat"]), ("cs", &["ces", "cze"]), ("cy", &["cym", "wel"]),
    ("da", &["dan"]), ("de", &["deu", "ger"]), ("el", &["ell", "gre"]), ("en", &["eng"]), ("es", &["spa"]),
    ("et", &["est"]), ("eu", &["eus", "baq"]), ("fa", &["fas", "per"]), ("fi", &["fin"]), ("fr", &["fra", "fre"]),
    ("ga", &["gle"]), ("he", &["heb"]), ("hi", &["hin"]), ("hr", &["hrv"]), ("hu", &["hun"]), ("hy", &["hye", "arm"]),
    ("id", &["ind"]), ("is", &["isl", "ice"]), ("it", &["ita"]), ("ja", &["jpn"]), ("ka", &["kat", "geo"]),
    ("ko", &["kor"]), ("lt", &["lit"]), ("lv", &["lav"]), ("mk", &["mkd", "mac"]), ("ms", &["msa", "may"]),
    ("my", &["mya", "bur"]), ("nb", &["nob"]), ("nl", &["nld", "dut"]), ("no", &["nor"]), ("pl", &["pol"]),
    ("pt", &["por"]), ("ro", &["ron", "rum"]), ("ru", &["rus"]), ("sk", &["slk", "slo"]), ("sl", &["slv"]),
    ("sq", &["sqi", "alb"]), ("sr", &["srp"]), ("sv", &["swe"]), ("ta", &["tam"]), ("th", &["tha"]), ("tr", &["tur"]),
    ("uk", &["ukr"]), ("vi", &["vie"]), ("zh", &["zho", "chi"]),
];

/// Whether two codes stand for one language, regions aside: `en-US`, `en` and `eng` do.
pub(super) fn same_language(own: &str, wanted: &str) -> bool {
    let primary = |text: &str| {
        text.split(['-', '_'])
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let (own, wanted) = (primary(own), primary(wanted));
    let is = |code: &str, (short, long): &(&str, &[&str])| *short == code || long.contains(&code);
    own == wanted
        || LANGUAGES
            .iter()
            .any(|row| is(&own, row) && is(&wanted, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_all_lengths_are_one_language() {
        for (own, wanted) in [
            ("ger", "de"),
            ("deu", "de-AT"),
            ("eng", "en-US"),
            ("spa", "es"),
            ("qaa", "qaa"),
        ] {
            assert!(same_language(own, wanted), "{own} {wanted}");
        }
        assert!(!same_language("ger", "ge") && !same_language("und", "en"));
    }
}
