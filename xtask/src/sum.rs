//! What became of the suites, and what that makes of the whole run.

use crate::failures;
use crate::tally::Tally;
use anyhow::Result;

/// What a suite printed, and whether it called itself a success.
pub(crate) type Outcome = Result<(bool, String)>;

/// What became of a suite.
pub(crate) struct Report {
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
}

/// All suites together.
#[derive(Default)]
pub(crate) struct Sum {
    total: Tally,
    broken: Vec<String>,
    /// What the tests that failed said.
    told: Vec<String>,
}

impl Sum {
    pub(crate) fn extend(&mut self, reports: Vec<Report>) {
        for report in reports {
            self.add(report);
        }
    }

    fn add(&mut self, Report { name, outcome }: Report) {
        let Ok((success, output)) = outcome else {
            self.broken.push(format!("{name} could not run"));
            self.total.failed += 1;
            return;
        };
        let tally = Tally::read(&output).unwrap_or_default();
        self.total.add(tally);
        if !success || tally.failed > 0 {
            self.told.extend(failures::excerpts(&output));
        }
        if tally == Tally::default() || (!success && tally.failed == 0) {
            self.broken.push(format!("{name} did not finish"));
            self.total.failed += 1;
        } else if tally.failed > 0 {
            self.broken.push(name.to_owned());
        }
    }

    /// Prints what failed, and how many tests did; ends the process with 1 if any did.
    pub(crate) fn tell(self) -> Result<()> {
        for words in &self.told {
            println!("{words}");
        }
        for name in &self.broken {
            println!("failed: {name}");
        }
        // The last line is for machines that count; nothing may follow it.
        println!("{} passed, {} failed", self.total.passed, self.total.failed);
        if self.total.failed > 0 {
            std::process::exit(1);
        }
        Ok(())
    }
}
