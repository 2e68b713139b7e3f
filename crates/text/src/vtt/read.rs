//! The WebVTT parser of §6.1 and §6.3: blocks between empty lines.

use super::{Cue, Document};
use crate::error::{TextError, Warning, warn};
use crate::time::Span;

/// Names of cue settings.
const SETTINGS: [&str; 6] = ["vertical", "line", "position", "size", "align", "region"];

/// Reads a whole file, without its byte order mark.
///
/// Errors: [`TextError::NoSignature`]. A cue whose times cannot be read, or that ends before it starts, is passed over
/// with a warning that names its line.
pub fn parse(text: &str, warnings: &mut Vec<Warning>) -> Result<Document, TextError> {
    let mut lines = (1..).zip(lines(text)).peekable();
    let (_, signature) = lines.next().ok_or(TextError::NoSignature)?;
    match signature.strip_prefix("WEBVTT") {
        Some(rest) if rest.is_empty() || rest.starts_with([' ', '\t']) => {}
        _ => return Err(TextError::NoSignature),
    }
    // The rest of the header: what HLS puts there speaks of another stream than ours. A cue may follow at once.
    while lines
        .next_if(|(_, line)| !line.is_empty() && !line.contains("-->"))
        .is_some()
    {}
    let mut document = Document::default();
    while lines.peek().is_some() {
        if lines.next_if(|(_, line)| line.is_empty()).is_some() {
            continue;
        }
        let mut block: Vec<(u32, &str)> = Vec::new();
        let mut timed = false;
        while let Some((number, line)) =
            lines.next_if(|(_, line)| !(line.is_empty() || timed && line.contains("-->")))
        {
            // The times come first or second; later ones begin a cue of their own.
            if line.contains("-->") && block.len() > 1 {
                warn(warnings, number, "a cue's times in the middle of a block");
                block.clear();
            }
            timed |= line.contains("-->");
            block.push((number, line));
        }
        take(&mut document, &block, warnings);
    }
    document.cues.sort_by_key(|cue| cue.span.start_ms);
    Ok(document)
}

/// Lines of a text, whatever ends them: `\r\n`, `\n` or `\r`.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        line.split('\r')
    })
}

fn take(document: &mut Document, block: &[(u32, &str)], warnings: &mut Vec<Warning>) {
    let Some(((number, first), rest)) = block.split_first() else {
        return;
    };
    let keyword = |word: &str| {
        let behind = first.strip_prefix(word);
        behind.is_some_and(|rest| rest.trim_matches([' ', '\t']).is_empty())
    };
    let (id, (number, times), text) = if first.contains("-->") {
        (None, (*number, *first), rest)
    } else if let Some(((number, second), rest)) = rest.split_first()
        && second.contains("-->")
    {
        (Some((*first).to_owned()), (*number, *second), rest)
    } else if keyword("STYLE") || keyword("REGION") {
        // §4.1: they come before the first cue.
        if document.cues.is_empty() {
            let lines: Vec<&str> = block.iter().map(|(_, line)| *line).collect();
            document.blocks.push(lines.join("\n"));
        } else {
            warn(
                warnings,
                *number,
                "a block that belongs in front of the cues",
            );
        }
        return;
    } else {
        let comment = *first == "NOTE" || first.starts_with("NOTE ") || first.starts_with("NOTE\t");
        if !comment {
            warn(warnings, *number, "a block without times");
        }
        return;
    };
    match timing(times) {
        Ok((span, _)) if span.is_empty() => warn(warnings, number, "the cue ends before it starts"),
        Ok((span, settings)) => document.cues.push(Cue {
            id,
            span,
            settings,
            text: text.iter().map(|(_, l)| *l).collect::<Vec<_>>().join("\n"),
        }),
        Err(reason) => warn(warnings, number, reason),
    }
}

/// A cue's `start --> end settings` (§6.3). Settings that are not known are left out.
fn timing(line: &str) -> Result<(Span, String), String> {
    let (start, rest) = line.split_once("-->").unwrap_or((line, ""));
    let rest = rest.trim_start();
    let end = rest.split([' ', '\t']).next().unwrap_or_default();
    let time = |text: &str| {
        let why = || format!("'{}' is not a time", shortened(text.trim()));
        milliseconds(text.trim()).ok_or_else(why)
    };
    let span = Span {
        start_ms: time(start)?,
        end_ms: time(end)?,
    };
    let settings = rest.split([' ', '\t']).skip(1).filter(|setting| {
        let (name, value) = setting.split_once(':').unwrap_or_default();
        SETTINGS.contains(&name) && !value.is_empty()
    });
    Ok((span, settings.collect::<Vec<_>>().join(" ")))
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// `[h+:]mm:ss.ttt`. As lenient as files are: minutes and seconds of one digit, a comma, fewer or more digits of the
/// fraction.
fn milliseconds(text: &str) -> Option<u64> {
    let number = |part: &str, below: u64| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let value = part.parse::<u64>().ok().filter(|_| digits)?;
        (value < below).then_some(value)
    };
    let (clock, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    let mut parts = clock.rsplit(':');
    let seconds = number(parts.next()?, 60)?;
    let minutes = number(parts.next()?, 60)?;
    let hours = match parts.next() {
        Some(hours) => number(hours, 1_000_000)?,
        None => 0,
    };
    if parts.next().is_some() || fraction.is_empty() {
        return None;
    }
    number(fraction, u64::MAX).filter(|_| fraction.len() <= 9)?;
    let padded: String = fraction.chars().chain("00".chars()).take(3).collect();
    hours
        .checked_mul(3_600_000)?
        .checked_add(minutes.checked_mul(60_000)?)?
        .checked_add(seconds.checked_mul(1000)?)?
        .checked_add(padded.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> (Document, Vec<(u32, String)>) {
        let mut warnings = Vec::new();
        let document = parse(text, &mut warnings).unwrap();
        let warnings = warnings.into_iter().map(|w| (w.line, w.reason)).collect();
        (document, warnings)
    }

    fn spans(document: &Document) -> Vec<(u64, u64, &str)> {
        let cue = |c: &Cue| (c.span.start_ms, c.span.end_ms);
        let all = document.cues.iter();
        all.map(|c| (cue(c).0, cue(c).1, c.text.as_str())).collect()
    }

    #[test]
    fn a_file_with_everything_in_it() {
        let text = "WEBVTT - A title\r\nKind: captions\r\n\r\nNOTE\r\nnobody sees this\r\n\r\nSTYLE\r\n::cue { color: lime }\r\n\r\nREGION\r\nid:fred\r\nwidth:40%\r\n\r\n\r\n1\r\n00:01.000 --> 00:02.500 line:0 align:start foo:bar x\r\nHello\r\n<i>world</i>\r\n\r\nNOTE later\r\n\r\n01:00:00.000\t-->\t01:00:01.000\r\nan hour on";
        let (document, warnings) = read(text);
        assert_eq!(warnings, []);
        assert_eq!(
            document.blocks,
            ["STYLE\n::cue { color: lime }", "REGION\nid:fred\nwidth:40%"]
        );
        assert_eq!(
            spans(&document),
            [
                (1000, 2500, "Hello\n<i>world</i>"),
                (3_600_000, 3_601_000, "an hour on")
            ]
        );
        assert_eq!(document.cues[0].id.as_deref(), Some("1"));
        assert_eq!(document.cues[0].settings, "line:0 align:start");
        assert_eq!(document.cues[1].settings, "");
        // The same file, whatever ends its lines.
        assert_eq!(read(&text.replace("\r\n", "\n")).0, document);
        assert_eq!(read(&text.replace("\r\n", "\r")).0, document);
    }

    #[test]
    fn bad_cues_are_passed_over_and_named() {
        let text = "WEBVTT\n\n00:01.000 --> 00:02.000\ngood\n\n00:61.000 --> 01:02.000\nbad\n\n00:05.000 --> 00:04.000\nbackwards\n\nstray\nlines\n\n2\n00:09.000 --> 00:10.000\nalso good\n00:11.000 --> 00:12.000\nno empty line\n\nSTYLE\n::cue {}\n\n00:03.000 --> 00:03.500\nout of order\n";
        let (document, warnings) = read(text);
        assert_eq!(
            spans(&document),
            [
                (1000, 2000, "good"),
                (3000, 3500, "out of order"),
                (9000, 10_000, "also good"),
                (11_000, 12_000, "no empty line")
            ]
        );
        let lines: Vec<u32> = warnings.iter().map(|w| w.0).collect();
        assert_eq!(lines, [6, 9, 12, 21]);
        assert_eq!(warnings[0].1, "'00:61.000' is not a time");
    }

    #[test]
    fn what_is_no_webvtt_is_refused() {
        for bad in [
            "",
            "WEBVTTX",
            "1\n00:00:00,000 --> 00:00:01,000\nSRT",
            "webvtt\n",
        ] {
            assert_eq!(
                parse(bad, &mut Vec::new()),
                Err(TextError::NoSignature),
                "{bad}"
            );
        }
        // A header that a cue follows without an empty line.
        assert_eq!(read("WEBVTT\n00:01.000 --> 00:02.000\nx").0.cues.len(), 1);
    }

    #[test]
    fn times_of_careless_writers() {
        for (text, ms) in [
            ("00:01.000", Some(1000)),
            ("1:02:03.4", Some(3_723_400)),
            ("0:00:01,5", Some(1500)),
            ("123:00:00.0019", Some(442_800_001)),
            ("00:01", Some(1000)),
            ("01.000", None),
            ("00:00:00:01", None),
            ("00:60.000", None),
            ("00:01.", None),
            ("+0:01.000", None),
            ("00:01.00x", None),
        ] {
            assert_eq!(milliseconds(text), ms, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "(WEBVTT\n)?([0-9:., \t\n\r<>a-]|-->|NOTE|STYLE|\u{e9}){0,80}") {
            let _ = parse(&text, &mut Vec::new());
            let _ = parse(&format!("WEBVTT\n\n{text}"), &mut Vec::new());
        }
    }
}
