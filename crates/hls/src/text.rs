//! Attribute lists and numbers, §4.2 of the draft.

/// Appends a decimal integer.
pub(crate) fn number(out: &mut String, value: u64) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// Appends `value / 10^digits` with exactly `digits` decimals.
pub(crate) fn decimal(out: &mut String, value: u64, digits: u32) {
    let unit = 10u64.saturating_pow(digits).max(1);
    number(out, value.checked_div(unit).unwrap_or_default());
    out.push('.');
    let fraction = value.checked_rem(unit).unwrap_or_default();
    let mut buffer = itoa::Buffer::new();
    let fraction = buffer.format(fraction);
    let width = usize::try_from(digits).unwrap_or(usize::MAX);
    for _ in fraction.len()..width {
        out.push('0');
    }
    out.push_str(fraction);
}

/// Appends a quoted string. It cannot hold quotes or line ends in any spelling (§4.2): quotes become apostrophes,
/// control characters are dropped.
pub(crate) fn quoted(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push('\''),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Appends `,NAME="value"`.
pub(crate) fn attribute(out: &mut String, name: &str, value: &str) {
    out.push(',');
    out.push_str(name);
    out.push('=');
    quoted(out, value);
}

/// Appends a URI line, without characters that would end it.
pub(crate) fn uri_line(out: &mut String, uri: &str) {
    out.extend(uri.chars().filter(|c| !c.is_control()));
    out.push('\n');
}
