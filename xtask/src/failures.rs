//! What the test runners said of tests that failed, to be read again at the end of a long run.

/// Most lines of one test.
const MOST_LINES: usize = 40;
/// Most tests of one suite.
const MOST_TESTS: usize = 12;

/// What nextest, node's runner, pytest and Vitest said of each test that failed, in the order in which they did.
pub(crate) fn excerpts(output: &str) -> Vec<String> {
    let lines: Vec<_> = output.lines().map(crate::tally::strip_colours).collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let Some(kind) = Kind::of(line) else {
            at += 1;
            continue;
        };
        let more = lines.iter().skip(at + 1);
        let length = 1 + more.take_while(|line| !kind.ends(line)).count();
        let told = &lines[at..at + length];
        let says_nothing = match kind {
            // A suite fails because of a test in it, which stands above.
            Kind::Tap => told.iter().any(|line| line.contains("'subtestsFailed'")),
            // In the end there are the names once more.
            Kind::Nextest => length == 1 || told[1..].iter().all(|line| line.starts_with("error:")),
            Kind::Pytest | Kind::Vitest => false,
        };
        if !says_nothing {
            found.push(told[..length.min(MOST_LINES)].join("\n"));
        }
        at += length;
    }
    found.truncate(MOST_TESTS);
    found
}

/// Where a failed test's words begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nextest,
    Tap,
    Pytest,
    Vitest,
}

impl Kind {
    fn of(line: &str) -> Option<Self> {
        let words = line.trim_start();
        let nextest = |word: &str| words.starts_with(word) && words.contains('[');
        if nextest("FAIL [") || nextest("TIMEOUT [") || nextest("SIGABRT [") || nextest("SIGSEGV [")
        {
            Some(Self::Nextest)
        } else if words.starts_with("not ok ") {
            Some(Self::Tap)
        } else if line.starts_with("____") && line.ends_with("____") {
            Some(Self::Pytest)
        } else if line.starts_with(" FAIL ") {
            Some(Self::Vitest)
        } else {
            None
        }
    }

    fn ends(self, line: &str) -> bool {
        let words = line.trim_start();
        match self {
            Self::Nextest => {
                Self::of(line) == Some(self)
                    || ["PASS [", "SLOW [", "Summary [", "────"]
                        .iter()
                        .any(|word| words.starts_with(word))
            }
            Self::Tap => words == "..." || words.starts_with("ok ") || words.starts_with("not ok "),
            Self::Pytest => Self::of(line) == Some(self) || line.starts_with("===="),
            Self::Vitest => words.starts_with("⎯⎯") || Self::of(line) == Some(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextest_tells_a_failure_when_it_happens() {
        let output = "        PASS [ 0.1s] a b\n        FAIL [ 0.2s] (83/337) host cache::tests::goes\n  stderr ───\n    panicked at x.rs:63\n\n        PASS [ 0.1s] c d\n   Summary [ 1s] 3 tests run\n        FAIL [ 0.2s] (83/337) host cache::tests::goes\nerror: test run failed\n";
        let found = excerpts(output);
        assert!(found[0].contains("panicked at x.rs:63"), "{found:?}");
        assert!(!found[0].contains("PASS"), "{found:?}");
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_suite_of_node_that_fails_because_of_a_test_is_not_told() {
        let output = "# Subtest: forms\n    ok 1 - a\n      ---\n      ...\n    not ok 2 - b\n      ---\n      error: 'Timeout'\n      ...\n    1..2\nnot ok 1 - forms\n  ---\n  failureType: 'subtestsFailed'\n  ...\n";
        assert_eq!(
            excerpts(output),
            ["    not ok 2 - b\n      ---\n      error: 'Timeout'"]
        );
    }

    #[test]
    fn pytest_and_vitest_are_read_and_what_is_long_is_cut() {
        let long = "E   line\n".repeat(100);
        let output = format!(
            "=== FAILURES ===\n____ test_it ____\n{long}=== short test summary info ===\nFAILED test_it\n"
        );
        let found = excerpts(&output);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].lines().count(), MOST_LINES);
        let vitest =
            "\u{1b}[31m FAIL \u{1b}[0m src/a.test.ts > b\nAssertionError: no\n⎯⎯⎯⎯[1/1]⎯\n";
        assert_eq!(
            excerpts(vitest),
            [" FAIL  src/a.test.ts > b\nAssertionError: no"]
        );
        assert!(excerpts("all is well\n").is_empty());
    }
}
