//! XML attributes, numbers and durations.

use headwater_time::Timescale;

/// Appends a decimal integer.
pub(crate) fn number(out: &mut String, value: u64) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// Appends ` name="value"`, escaped.
pub(crate) fn attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    escaped(out, value);
    out.push('"');
}

/// Appends ` name="value"`.
pub(crate) fn number_attribute(out: &mut String, name: &str, value: u64) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    number(out, value);
    out.push('"');
}

/// Appends text with the five characters of XML 1.0 §4.6 escaped and those that XML cannot hold (§2.2) dropped.
pub(crate) fn escaped(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
}

/// Appends an `xs:duration` in seconds with at most six decimals, rounded up: a presentation is never declared
/// shorter than its media, which players would cut.
pub(crate) fn duration(out: &mut String, ticks: u64, scale: Timescale) {
    let scaled = u128::from(ticks).saturating_mul(1_000_000);
    let micros = u64::try_from(scaled.div_ceil(u128::from(scale.get()))).unwrap_or(u64::MAX);
    out.push_str("PT");
    number(out, micros.checked_div(1_000_000).unwrap_or_default());
    let fraction = micros.checked_rem(1_000_000).unwrap_or_default();
    if fraction > 0 {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(fraction);
        out.push('.');
        for _ in digits.len()..6 {
            out.push('0');
        }
        out.push_str(digits.trim_end_matches('0'));
    }
    out.push('S');
}

/// Appends milliseconds as decimal seconds.
pub(crate) fn seconds(out: &mut String, ms: u64) {
    number(out, ms.checked_div(1_000).unwrap_or_default());
    let rest = ms.checked_rem(1_000).unwrap_or_default();
    if rest > 0 {
        let digits = format!(".{rest:03}");
        out.push_str(digits.trim_end_matches('0'));
    }
}

/// Appends ` name="PT1.5S"`.
pub(crate) fn duration_attribute(out: &mut String, name: &str, ms: u64) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"PT");
    seconds(out, ms);
    out.push_str("S\"");
}
