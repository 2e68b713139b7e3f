//! Labels: what MK.IO lets resources be found by.

use std::collections::BTreeMap;

use crate::error::CatalogError;

/// Most labels of a resource.
const MOST: usize = 32;
/// Longest key and longest value, in characters.
const LONGEST: usize = 256;

/// Whether these may be the labels of a resource.
///
/// Errors: [`CatalogError::Invalid`] naming the label.
pub(crate) fn check(labels: &BTreeMap<String, String>) -> Result<(), CatalogError> {
    if labels.len() > MOST {
        return Err(CatalogError::invalid(
            "labels",
            format!("must have at most {MOST} members"),
        ));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let fits = |text: &str| text.chars().count() <= LONGEST;
    for (key, value) in labels {
        if key.is_empty() || !fits(key) || !key.chars().all(plain) {
            return Err(CatalogError::invalid(
                format!("labels.{key}"),
                "label keys must have 1 to 256 letters, digits, '-' or '_'",
            ));
        }
        if !fits(value) || !value.chars().all(|c| plain(c) || c == ' ') {
            return Err(CatalogError::invalid(
                format!("labels.{key}"),
                "label values must have at most 256 letters, digits, '-', '_' or spaces",
            ));
        }
    }
    Ok(())
}
