//! The encrypted rows of `cargo xtask bench origin`: the same segment as the clear row's, under each way of encryption.

use crate::installation::Installation;
use anyhow::{Context, Result};
use serde_json::{Value, json};

const ACCOUNT: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/headwater/providers/Microsoft.Media/mediaServices/default";
const VERSION: &str = "?api-version=2022-08-01";

/// Scheme and format of a path that listPaths names, and what the row is called.
const ROWS: [(&str, &str, &str); 5] = [
    ("EnvelopeEncryption", "m3u8-cmaf", "AES-128 video segment"),
    (
        "EnvelopeEncryption",
        "m3u8-aapl",
        "AES-128 video segment, TS",
    ),
    ("CommonEncryptionCenc", "m3u8-cmaf", "cenc video segment"),
    ("CommonEncryptionCbcs", "m3u8-cmaf", "cbcs video segment"),
    (
        "CommonEncryptionCbcs",
        "m3u8-aapl",
        "SAMPLE-AES video segment, TS",
    ),
];

/// Publishes `asset`, which is there, under ClearKey in every way. Names of rows, and paths of their multivariant playlists.
pub(crate) fn publish(
    headwater: &Installation,
    asset: &str,
) -> Result<Vec<(&'static str, String)>> {
    let name = "bench-protected";
    let put = |kind: &str, properties: Value| {
        let path = format!("{ACCOUNT}/{kind}/{name}{VERSION}");
        headwater.call("PUT", &path, &json!({ "properties": properties }))
    };
    put(
        "contentKeyPolicies",
        json!({"options": [{
            "configuration": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"},
            "restriction": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction"},
        }]}),
    )?;
    let scheme = |label: &str, clear_key: bool| {
        let mut scheme = json!({
            "enabledProtocols": {"download": false, "dash": false, "hls": true, "smoothStreaming": false},
            "contentKeys": {"defaultKey": {"label": label}},
        });
        if clear_key {
            scheme["clearKeyEncryptionConfiguration"] = json!({});
        }
        scheme
    };
    put(
        "streamingPolicies",
        json!({
            "envelopeEncryption": scheme("aes", false),
            "commonEncryptionCenc": scheme("cenc", true),
            "commonEncryptionCbcs": scheme("cbcs", true),
        }),
    )?;
    put(
        "streamingLocators",
        json!({"assetName": asset, "streamingPolicyName": name, "defaultContentKeyPolicyName": name}),
    )?;
    let paths = headwater.call(
        "POST",
        &format!("{ACCOUNT}/streamingLocators/{name}/listPaths{VERSION}"),
        &json!({}),
    )?;
    let listed = paths["streamingPaths"].as_array().context("no paths")?;
    ROWS.into_iter()
        .map(|(scheme, format, row)| {
            let path = listed
                .iter()
                .filter(|entry| entry["encryptionScheme"] == scheme)
                .filter_map(|entry| entry["paths"].as_array())
                .flatten()
                .filter_map(Value::as_str)
                .find(|path| path.contains(format))
                .with_context(|| format!("listPaths names no {scheme} with {format}"))?;
            Ok((row, path.to_owned()))
        })
        .collect()
}
