//! Recognises the same request sent twice.

use sha2::{Digest, Sha256};

/// A digest of what a writer asked for. Two JSON values that differ only in the order of their members give the same.
pub fn fingerprint(request: &serde_json::Value) -> String {
    // serde_json keeps object members sorted by name, so the text is canonical.
    let digest = Sha256::digest(request.to_string().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn member_order_does_not_matter_but_values_do() {
        let a: serde_json::Value = serde_json::from_str(r#"{"a":1,"b":{"c":2,"d":3}}"#).unwrap();
        let b: serde_json::Value = serde_json::from_str(r#"{"b":{"d":3,"c":2},"a":1}"#).unwrap();
        assert_eq!(fingerprint(&a), fingerprint(&b));
        assert_ne!(fingerprint(&a), fingerprint(&json!({"a": 1})));
    }
}
