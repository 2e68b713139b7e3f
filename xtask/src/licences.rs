//! Licences of everything that is linked: each dependency's SPDX expression must be satisfiable with the list below.
//!
//! What `cargo deny check licenses` does, without another tool to install first.

use crate::paths;
use crate::run::cargo;
use anyhow::{Context, Result, bail};

/// Licences that ask for no more than attribution, and weak copyleft that ends at the file (MPL).
const ALLOWED: [&str; 14] = [
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "Unicode-3.0",
    "MPL-2.0",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "IJG",
];

/// Crates whose manifest names no SPDX licence, with what was read in their source.
const CLARIFIED: [(&str, &str); 0] = [];

pub(crate) fn check() -> Result<()> {
    let output = cargo()
        .args(["metadata", "--format-version", "1"])
        .current_dir(paths::root())
        .output()
        .context("running cargo metadata")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    let mut refused = Vec::new();
    for package in metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?
    {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or_default();
        let clarified = CLARIFIED.iter().any(|(clarified, _)| *clarified == name);
        if !clarified && !acceptable(licence) {
            refused.push(format!(
                "{name} {}: {licence:?}",
                package["version"].as_str().unwrap_or_default()
            ));
        }
    }
    if !refused.is_empty() {
        bail!(
            "licences that are not on the list:\n  {}",
            refused.join("\n  ")
        );
    }
    Ok(())
}

fn acceptable(licence: &str) -> bool {
    // Some manifests still write the old slash for "or".
    let Ok(expression) = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX) else {
        return false;
    };
    expression.evaluate(|requirement| {
        requirement
            .license
            .id()
            .is_some_and(|id| ALLOWED.contains(&id.name))
    })
}

#[cfg(test)]
mod tests {
    use super::acceptable;

    #[test]
    fn an_expression_is_acceptable_if_one_choice_is() {
        assert!(acceptable("MIT OR Apache-2.0"));
        assert!(acceptable("MIT/Apache-2.0"));
        assert!(acceptable("Apache-2.0 WITH LLVM-exception"));
        assert!(acceptable("GPL-3.0 OR MIT"));
        assert!(!acceptable("MIT AND GPL-3.0-only"));
        assert!(!acceptable(""));
    }
}
