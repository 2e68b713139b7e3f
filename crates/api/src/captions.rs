//! Is a caption file what its name says? Looks at its beginning, so that a mistake shows when a track is made and not in
//! front of viewers.
//!
//! Spec: WebVTT (W3C), sections 4.1 to 4.3; TTML2 (W3C), section 5.1 for the root element.

use std::str::Lines;

/// Bytes that are looked at; what comes after them is believed.
pub(crate) const LOOKED_AT: u64 = 256 * 1024;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Counted from 1.
    pub line: usize,
    pub reason: String,
}

fn fault(line: usize, reason: impl Into<String>) -> Fault {
    Fault {
        line,
        reason: reason.into(),
    }
}

/// `bytes`: the beginning of the file; `whole`: that is all of it. Else its last line is not looked at.
pub(crate) fn check_webvtt(bytes: &[u8], whole: bool) -> Result<(), Fault> {
    let text = text(bytes, whole)?;
    let mut lines = (1..).zip(lines(text, whole));
    let signature = lines.next().map_or("", |(_, line)| line);
    match signature.strip_prefix("WEBVTT") {
        Some(rest) if rest.is_empty() || rest.starts_with([' ', '\t']) => {}
        _ => return Err(fault(1, "must be WEBVTT")),
    }
    for (number, line) in lines {
        if let Some((start, rest)) = line.split_once("-->") {
            check_timing(start, rest).map_err(|reason| fault(number, reason))?;
        }
    }
    Ok(())
}

/// A cue's `start --> end settings`.
fn check_timing(start: &str, rest: &str) -> Result<(), String> {
    let end = rest.split_ascii_whitespace().next().unwrap_or_default();
    let spaced = start.ends_with([' ', '\t']) && rest.starts_with([' ', '\t']);
    let times = (milliseconds(start.trim()), milliseconds(end));
    match times {
        (Some(start), Some(end)) if spaced && end > start => Ok(()),
        (Some(_), Some(_)) if spaced => Err("the cue must end after it starts".into()),
        _ => Err("must be a cue's times as in 00:01.000 --> 00:02.500".into()),
    }
}

/// `mm:ss.ttt`, or with two or more digits of hours in front.
fn milliseconds(time: &str) -> Option<u64> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let part = |text: &str, length: usize, below: u64| {
        let number = text.parse::<u64>().ok()?;
        (text.len() == length && digits(text) && number < below).then_some(number)
    };
    let (clock, fraction) = time.split_once('.')?;
    let mut parts = clock.rsplit(':');
    let seconds = part(parts.next()?, 2, 60)?;
    let minutes = part(parts.next()?, 2, 60)?;
    let hours = match parts.next() {
        None => 0,
        Some(hours) if hours.len() >= 2 && digits(hours) => hours.parse::<u64>().ok()?,
        Some(_) => return None,
    };
    let fraction = part(fraction, 3, 1000)?;
    if parts.next().is_some() {
        return None;
    }
    hours
        .checked_mul(60)?
        .checked_add(minutes)?
        .checked_mul(60)?
        .checked_add(seconds)?
        .checked_mul(1000)?
        .checked_add(fraction)
}

/// The root element must be `tt`. The rest is for whoever packages the file.
pub(crate) fn check_ttml(bytes: &[u8], whole: bool) -> Result<(), Fault> {
    let text = text(bytes, whole)?;
    let mut rest = text.trim_start();
    let line = |rest: &str| {
        let read = text.get(..text.len().saturating_sub(rest.len()));
        read.unwrap_or_default()
            .matches('\n')
            .count()
            .saturating_add(1)
    };
    loop {
        let end = if rest.starts_with("<?") {
            "?>"
        } else if rest.starts_with("<!--") {
            "-->"
        } else {
            break;
        };
        let Some((_, after)) = rest.split_once(end) else {
            return Err(fault(line(rest), "has no end"));
        };
        rest = after.trim_start();
    }
    let name = rest
        .strip_prefix('<')
        .unwrap_or_default()
        .split(|c: char| c.is_whitespace() || matches!(c, '>' | '/'))
        .next()
        .unwrap_or_default();
    if name.rsplit(':').next() == Some("tt") {
        Ok(())
    } else {
        Err(fault(
            line(rest),
            "must be the root element tt, without a document type declaration",
        ))
    }
}

/// The text, without a byte order mark.
fn text(bytes: &[u8], whole: bool) -> Result<&str, Fault> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            // A character may be cut where we stopped reading.
            if whole || error.error_len().is_some() {
                let newlines = good.iter().filter(|byte| **byte == b'\n').count();
                return Err(fault(newlines.saturating_add(1), "is not UTF-8"));
            }
            std::str::from_utf8(good).unwrap_or_default()
        }
    };
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn lines(text: &str, whole: bool) -> Lines<'_> {
    match text.rfind('\n') {
        Some(last) if !whole => text.get(..last).unwrap_or(text).lines(),
        _ => text.lines(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webvtt_is_known_by_its_first_line_and_its_times() {
        for good in [
            "WEBVTT",
            "WEBVTT\n",
            "\u{feff}WEBVTT - Translation\r\n\r\nNOTE hello\r\n\r\n1\r\n00:00.000 --> 00:01.500 align:start\r\nHi\r\n",
            "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\n100:00:00.000 --> 100:00:00.001\nä\n",
        ] {
            assert_eq!(check_webvtt(good.as_bytes(), true), Ok(()), "{good}");
        }
        for (bad, line) in [
            ("", 1),
            ("WEBVTTX\n", 1),
            ("1\n00:00:00,000 --> 00:00:01,000\nSRT\n", 1),
            ("WEBVTT\n\n00:00:00,000 --> 00:00:01,000\n", 3),
            ("WEBVTT\n\n00:02.000 --> 00:01.000\n", 3),
            ("WEBVTT\n\n00:61.000 --> 01:01.000\n", 3),
            ("WEBVTT\n\n00:01.000-->00:02.000\n", 3),
            ("WEBVTT\n\nNOTE a --> b\n", 3),
            ("WEBVTT\n\n00:00.000 -->", 3),
        ] {
            assert_eq!(
                check_webvtt(bad.as_bytes(), true).map_err(|fault| fault.line),
                Err(line),
                "{bad}"
            );
        }
        assert_eq!(
            check_webvtt(b"WEBVTT\n\n\xff\n", true),
            Err(fault(3, "is not UTF-8"))
        );
    }

    #[test]
    fn what_is_cut_off_is_not_held_against_the_file() {
        assert_eq!(check_webvtt(b"WEBVTT\n\n00:00.000 -->", false), Ok(()));
        assert_eq!(check_webvtt(b"WEBVTT\n\n\xc3", false), Ok(()));
        assert!(check_webvtt(b"WEBVTT\n\n\xc3", true).is_err());
        assert!(check_webvtt(b"WEBVTT\n\n\xffx\n", false).is_err());
    }

    #[test]
    fn ttml_is_known_by_its_root() {
        for good in [
            "<tt xmlns=\"http://www.w3.org/ns/ttml\"/>",
            "\u{feff}<?xml version=\"1.0\"?>\n<!-- a\nb -->\n<tt:tt xml:lang=\"en\">",
        ] {
            assert_eq!(check_ttml(good.as_bytes(), true), Ok(()), "{good}");
        }
        for (bad, line) in [
            ("", 1),
            ("WEBVTT\n", 1),
            ("<?xml version=\"1.0\"?>\n<!DOCTYPE tt>\n<tt/>", 2),
            ("<!-- a\n", 1),
            ("\n<ttx/>", 2),
        ] {
            assert_eq!(
                check_ttml(bad.as_bytes(), true).map_err(|fault| fault.line),
                Err(line),
                "{bad}"
            );
        }
    }
}
