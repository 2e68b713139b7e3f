//! Adding up what the test runners say.

/// Tests that passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Reads the closing lines of nextest, `cargo test`, pytest, Vitest and node's runner. `None` if there are none.
    pub(crate) fn read(output: &str) -> Option<Self> {
        let mut total = Self::default();
        let mut seen = false;
        // nextest shows what a failed test printed, which ends in a closing line of its own.
        let nextest = output
            .lines()
            .any(|line| strip_colours(line).trim().starts_with("Summary ["));
        for line in output.lines() {
            let line = strip_colours(line);
            let line = line.trim();
            let closing = line.starts_with("Summary [")
                || (line.starts_with("test result:") && !nextest)
                || line.starts_with("Tests  ")
                || (line.starts_with('=') && line.contains(" in "))
                || is_plain(line);
            if closing {
                seen = true;
                total.passed += before(line, " passed");
                total.failed +=
                    before(line, " failed") + before(line, " error") + before(line, " timed out");
            }
            for (prefix, field) in [
                ("# pass ", 0),
                ("# fail ", 1),
                ("# cancelled ", 1),
                ("ℹ pass ", 0),
                ("ℹ fail ", 1),
                ("ℹ cancelled ", 1),
            ] {
                if let Some(count) = line
                    .strip_prefix(prefix)
                    .and_then(|n| n.parse::<u64>().ok())
                {
                    seen = true;
                    if field == 0 {
                        total.passed += count
                    } else {
                        total.failed += count
                    }
                }
            }
        }
        seen.then_some(total)
    }
}

/// `12 passed, 1 failed` or pytest's quiet `12 passed in 3.4s`, alone on a line.
fn is_plain(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next().is_some_and(|n| n.parse::<u64>().is_ok())
        && words.next().is_some_and(|w| {
            matches!(
                w.trim_end_matches(','),
                "passed" | "failed" | "errors" | "error"
            )
        })
}

/// The number before `what`.
fn before(line: &str, what: &str) -> u64 {
    line.find(what)
        .and_then(|at| {
            line[..at]
                .rsplit(|c: char| !c.is_ascii_digit())
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

pub(crate) fn strip_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, tail)| tail);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_every_runner_are_read() {
        let tally = |text| Tally::read(text).map(|t| (t.passed, t.failed));
        assert_eq!(
            tally("     Summary [   1.2s] 12 tests run: 11 passed (1 slow), 1 failed, 3 skipped"),
            Some((11, 1))
        );
        assert_eq!(
            tally(
                "test result: ok. 3 passed; 0 failed; 0 ignored;\ntest result: FAILED. 1 passed; 2 failed;"
            ),
            Some((4, 2))
        );
        assert_eq!(
            tally("===== 1 failed, 4 passed, 2 errors in 3.21s ====="),
            Some((4, 3))
        );
        assert_eq!(
            tally(" Test Files  1 passed (1)\n      Tests  1 failed | 3 passed (4)"),
            Some((3, 1))
        );
        assert_eq!(tally("5 passed in 12.00s"), Some((5, 0)));
        assert_eq!(
            tally("# tests 4\n# pass 3\n# fail 1\n# cancelled 0"),
            Some((3, 1))
        );
        assert_eq!(tally("\u{1b}[32m7 passed\u{1b}[0m, 0 failed"), Some((7, 0)));
        assert_eq!(
            tally(
                "   test result: FAILED. 0 passed; 1 failed; 0 ignored;\n Summary [ 2s] 3 tests run: 2 passed, 1 failed"
            ),
            Some((2, 1))
        );
        assert_eq!(tally("nothing ran"), None);
    }
}
