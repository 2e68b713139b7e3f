//! Tables for people: columns as wide as their widest cell, nothing after the last one.

use unicode_width::UnicodeWidthStr;

const GAP: &str = "  ";

/// Lines, the first of which names the columns. A row may be shorter than that; a cell of several lines shows its first.
pub(crate) fn table(columns: &[&str], rows: &[Vec<String>]) -> String {
    let first_line = |cell: &str| cell.lines().next().unwrap_or_default().to_owned();
    let mut lines = vec![columns.iter().map(|name| name.to_uppercase()).collect()];
    lines.extend(
        rows.iter()
            .map(|row| row.iter().map(|cell| first_line(cell)).collect::<Vec<_>>()),
    );
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.width())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| {
            format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
        });
        let line = cells.collect::<Vec<_>>().join(GAP);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `1.4 GB`, in powers of ten as storage is sold.
pub(super) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB", "PB"] {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    if unit == "B" || value >= 99.5 {
        format!("{value:.0} {unit}")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// An instant of the API without its fraction of a second; what cannot be read as one stays as it is.
pub(super) fn instant(text: &str) -> String {
    // The end of time, as AMS writes it.
    if text.starts_with("9999-12-31T") {
        return "never".to_owned();
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(instant) => instant.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_what_is_seen() {
        let rows = [
            vec!["a".to_owned(), "12".to_owned()],
            vec!["日本".to_owned(), "3\nfour".to_owned()],
            vec!["longer".to_owned()],
        ];
        assert_eq!(
            table(&["name", "n"], &rows),
            "NAME    N\na       12\n日本    3\nlonger\n"
        );
        assert_eq!(table(&["name"], &[]), "NAME\n");
    }

    #[test]
    fn sizes_and_instants_are_short() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_450_000_000, "1.4 GB"),
            (999_600, "1.0 MB"),
            (150_000, "150 kB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(instant("2026-11-26T09:32:07.97396Z"), "2026-11-26 09:32:07");
        assert_eq!(instant("9999-12-31T23:59:59.9999999Z"), "never");
        assert_eq!(instant("soon"), "soon");
    }
}
