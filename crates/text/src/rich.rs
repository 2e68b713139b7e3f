//! Text with the few looks that both formats have: what a conversion keeps.

/// A stretch of text of one look. `\n` is a line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) text: String,
    pub(crate) look: Look,
}

/// How text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Look {
    pub(crate) italic: bool,
    pub(crate) bold: bool,
    pub(crate) underline: bool,
    /// One of [`COLOURS`].
    pub(crate) colour: Option<&'static str>,
}

/// The colours that WebVTT has classes for (§5.1) and TTML has names for.
pub(crate) const COLOURS: [(&str, u32); 8] = [
    ("white", 0xff_ffff),
    ("lime", 0x00_ff00),
    ("cyan", 0x00_ffff),
    ("red", 0xff_0000),
    ("yellow", 0xff_ff00),
    ("magenta", 0xff_00ff),
    ("blue", 0x00_00ff),
    ("black", 0x00_0000),
];

/// One of [`COLOURS`] by its name.
pub(crate) fn colour_name(name: &str) -> Option<&'static str> {
    let known = COLOURS
        .iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known));
    known.map(|(name, _)| *name)
}

/// One of [`COLOURS`] from a TTML colour: a name, `#rrggbb`, `#rrggbbaa`.
pub(crate) fn colour(value: &str) -> Option<&'static str> {
    if let Some(hex) = value.strip_prefix('#') {
        let rgb = u32::from_str_radix(hex.get(..6)?, 16).ok()?;
        let known = COLOURS.iter().find(|(_, known)| *known == rgb);
        return known.map(|(name, _)| *name);
    }
    match value.to_ascii_lowercase().as_str() {
        "fuchsia" => Some("magenta"),
        "aqua" => Some("cyan"),
        other => colour_name(other),
    }
}

/// Adds to the last run if it looks the same.
pub(crate) fn push(runs: &mut Vec<Run>, text: &str, look: Look) {
    if text.is_empty() {
        return;
    }
    match runs.last_mut() {
        Some(last) if last.look == look => last.text.push_str(text),
        _ => runs.push(Run {
            text: text.to_owned(),
            look,
        }),
    }
}

/// The runs of WebVTT cue text (§6.4). Names of voices, ruby text's tags, languages and karaoke times are dropped, what is
/// inside of their tags is not.
pub(crate) fn from_vtt(text: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut open: Vec<(&str, Look)> = Vec::new();
    let mut look = Look::default();
    let mut rest = text;
    while !rest.is_empty() {
        let Some((before, tag)) = rest.split_once('<') else {
            push(&mut runs, &unescaped(rest), look);
            break;
        };
        push(&mut runs, &unescaped(before), look);
        let (tag, after) = tag.split_once('>').unwrap_or((tag, ""));
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            if let Some(at) = open.iter().rposition(|(known, _)| *known == name.trim()) {
                if let Some((_, before)) = open.get(at) {
                    look = *before;
                }
                open.truncate(at);
            }
            continue;
        }
        let whole = tag.split([' ', '\t', '\n']).next().unwrap_or_default();
        let mut parts = whole.split('.');
        let name = parts.next().unwrap_or_default();
        if !matches!(name, "b" | "i" | "u" | "c" | "v" | "lang" | "ruby" | "rt") {
            continue;
        }
        // Nothing that people write nests deeper.
        if open.len() < 64 {
            open.push((name, look));
        }
        look.bold |= name == "b";
        look.italic |= name == "i";
        look.underline |= name == "u";
        if let Some(colour) = parts.filter_map(colour_name).next_back() {
            look.colour = Some(colour);
        }
    }
    runs
}

/// Character references of cue text (HTML's, as far as subtitles have them).
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let name = after.split_once(';').filter(|(name, _)| name.len() <= 8);
        let known = name.and_then(|(name, behind)| Some((reference(name)?, behind)));
        match known {
            Some((c, behind)) => {
                out.push(c);
                rest = behind;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| !c.is_control());
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "lrm" => '\u{200e}',
        "rlm" => '\u{200f}',
        _ => return None,
    })
}

/// The runs as WebVTT cue text. Empty lines, which would end the cue, are dropped.
pub(crate) fn to_vtt(runs: &[Run]) -> String {
    let mut out = String::new();
    for run in runs {
        // Tags do not reach over lines, so that dropping one leaves the others whole.
        for (at, line) in run.text.split('\n').enumerate() {
            if at > 0 && !out.is_empty() && !out.ends_with('\n') {
                out.push('\n');
            }
            if line.is_empty()
                || (line.trim().is_empty() && (out.is_empty() || out.ends_with('\n')))
            {
                continue;
            }
            tagged(&mut out, line, run.look);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn tagged(out: &mut String, line: &str, look: Look) {
    let colour = look.colour.map(|name| format!("c.{name}"));
    let tags = [
        (colour.is_some(), colour.as_deref().unwrap_or_default(), "c"),
        (look.bold, "b", "b"),
        (look.italic, "i", "i"),
        (look.underline, "u", "u"),
    ];
    for (_, tag, _) in tags.iter().filter(|t| t.0) {
        out.push('<');
        out.push_str(tag);
        out.push('>');
    }
    for c in line.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    for (_, _, tag) in tags.iter().rev().filter(|t| t.0) {
        out.push_str("</");
        out.push_str(tag);
        out.push('>');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markup_is_read_and_written() {
        let text = "<v.loud Ann><i>Hi &amp; <b>you</b></i>\n<c.yellow.bg_blue>1 &lt; 2</c> <00:01.000>&nbsp;&unknown; <x>y</x>";
        let runs = from_vtt(text);
        let plain: String = runs.iter().map(|r| r.text.as_str()).collect();
        assert_eq!(plain, "Hi & you\n1 < 2 \u{a0}&unknown; y");
        assert_eq!(
            to_vtt(&runs),
            "<i>Hi &amp; </i><b><i>you</i></b>\n<c.yellow>1 &lt; 2</c> \u{a0}&amp;unknown; y"
        );
        assert_eq!(to_vtt(&from_vtt("a\n\n \nb\n")), "a\nb");
        assert_eq!(colour("#FFFF00ff"), Some("yellow"));
        assert_eq!(colour("#é"), None);
        assert_eq!(colour("#ééé"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in "([a-c<>&;/. \n]|<i>|</i>|<b>|<c\\.red>|</c>|&amp;|&lt;|\u{e9}){0,40}") {
            let written = to_vtt(&from_vtt(&text));
            prop_assert!(!written.contains("-->") && !written.contains("\n\n"));
            prop_assert_eq!(to_vtt(&from_vtt(&written)), written);
        }
    }
}
