//! Streaming policies: `resources/{policies, policy_schemes}.rs`.

use serde_json::{Value as Json, json};

use crate::openapi::schema::{Schema, duration, flag, list, one_of, shape, text, time};
use crate::openapi::shape::{
    Member, Properties, Shape, defaulted, optional, required, resource, shown,
};
use crate::resources::policy_schemes::{LONGEST_NAME, LONGEST_TEXT, MOST};

pub(super) fn shapes() -> Vec<Shape> {
    let properties = Shape::two(
        "StreamingPolicyProperties",
        "At least one way of giving out.",
        vec![
            shown("created", time()),
            optional(
                "defaultContentKeyPolicyName",
                text().about("Where a locator names none. For policies that encrypt."),
            ),
            optional("noEncryption", shape("NoEncryption")),
            optional("envelopeEncryption", shape("EnvelopeEncryption")),
            optional("commonEncryptionCenc", shape("CommonEncryptionCenc")),
            optional("commonEncryptionCbcs", shape("CommonEncryptionCbcs")),
        ],
    );
    let mut shapes = Vec::from(resource(
        "StreamingPolicy",
        "What a locator gives out. A policy is never changed.",
        Properties::Required,
        properties,
        vec![],
    ));
    shapes.extend(schemes());
    shapes.extend(key_systems());
    shapes.extend(keys());
    shapes
}

fn name() -> Schema {
    text().at_least(1).at_most(LONGEST_NAME as u64)
}

/// A URL that a player is sent to.
fn template(about: &str) -> Schema {
    text()
        .at_least(1)
        .at_most(LONGEST_TEXT as u64)
        .pattern("^(https|http|skd)://[!-~]*$")
        .about(about)
}

fn protocols() -> Member {
    required("enabledProtocols", shape("EnabledProtocols"))
}

fn encrypting() -> Vec<Member> {
    vec![
        protocols(),
        defaulted(
            "clearTracks",
            list(shape("PolicyTracks"))
                .at_most(MOST as u64)
                .about("What is given out in the clear."),
        ),
        defaulted("contentKeys", shape("PolicyContentKeys")),
        optional(
            "keyRotationInterval",
            duration().about(
                "The keys of what is live, and of its recordings, change so often with its time; those of films do not. Whole \
                 seconds from `PT30S` to `P7D`. Keys of periods are derived from the locator's. Not with Smooth Streaming.",
            ),
        ),
    ]
}

fn schemes() -> Vec<Shape> {
    let mut envelope = encrypting();
    envelope.push(optional(
        "customKeyAcquisitionUrlTemplate",
        template(
            "Where keys are, with `{ContentKeyId}` and `{AlternativeMediaId}` to be filled in.",
        ),
    ));
    let common = |systems: &str| {
        let mut members = encrypting();
        members.extend([
            optional("drm", shape(systems)),
            optional(
                "clearKeyEncryptionConfiguration",
                shape("ClearKeyEncryptionConfiguration"),
            ),
        ]);
        members
    };
    vec![
        Shape::same(
            "NoEncryption",
            "What is given out in the clear.",
            vec![protocols()],
        ),
        Shape::same(
            "EnabledProtocols",
            "Nothing is downloaded encrypted: `download` goes with `noEncryption` only.",
            vec![
                required("download", flag()),
                required("dash", flag()),
                required("hls", flag()),
                optional("smoothStreaming", flag().with("default", false)),
            ],
        ),
        Shape::two(
            "EnvelopeEncryption",
            "Whole segments, AES-128 in CBC mode.",
            envelope,
        ),
        Shape::two(
            "CommonEncryptionCenc",
            "Common encryption, AES in counter mode.",
            common("CencKeySystems"),
        ),
        Shape::two(
            "CommonEncryptionCbcs",
            "Common encryption, AES in CBC mode with a pattern.",
            common("CbcsKeySystems"),
        ),
        Shape::same(
            "ClearKeyEncryptionConfiguration",
            "",
            vec![optional(
                "customKeysAcquisitionUrlTemplate",
                template("Where keys are."),
            )],
        ),
    ]
}

fn key_systems() -> Vec<Shape> {
    let licence = || {
        optional(
            "customLicenseAcquisitionUrlTemplate",
            template(
                "Where licences are, with `{ContentKeyId}` and `{AlternativeMediaId}` to be filled in.",
            ),
        )
    };
    let both = || {
        vec![
            optional("playReady", shape("PlayReadyConfiguration")),
            optional("widevine", shape("WidevineConfiguration")),
        ]
    };
    let mut three = both();
    three.push(optional("fairPlay", shape("FairPlayConfiguration")));
    vec![
        Shape::same("CencKeySystems", "", both()),
        Shape::same("CbcsKeySystems", "", three),
        Shape::same("WidevineConfiguration", "", vec![licence()]),
        Shape::same(
            "PlayReadyConfiguration",
            "",
            vec![
                licence(),
                optional(
                    "playReadyCustomAttributes",
                    text().at_least(1).at_most(LONGEST_TEXT as u64),
                ),
            ],
        ),
        Shape::same(
            "FairPlayConfiguration",
            "",
            vec![licence(), required("allowPersistentLicense", flag())],
        ),
    ]
}

fn keys() -> Vec<Shape> {
    let named = || vec![optional("label", name()), optional("policyName", name())];
    let mut for_tracks = named();
    for_tracks.push(required("tracks", tracks().at_least(1)));
    vec![
        Shape::two(
            "PolicyContentKeys",
            "",
            vec![
                optional("defaultKey", shape("PolicyDefaultKey")),
                defaulted(
                    "keyToTrackMappings",
                    list(shape("PolicyTrackKey")).at_most(MOST as u64),
                ),
            ],
        ),
        Shape::same(
            "PolicyDefaultKey",
            "Of every track that no other key is for.",
            named(),
        ),
        Shape::same("PolicyTrackKey", "Of some tracks.", for_tracks),
        Shape::same(
            "PolicyTracks",
            "Tracks that all of these hold for.",
            vec![required(
                "trackSelections",
                list(shape("PolicyTrackCondition"))
                    .at_least(1)
                    .at_most(MOST as u64),
            )],
        ),
        Shape::same(
            "PolicyTrackCondition",
            "",
            vec![
                required("property", one_of(&["FourCC"])),
                required("operation", one_of(&["Equal"])),
                required(
                    "value",
                    text().pattern("^[!-~]{4}$").about("For instance `hev1`."),
                ),
            ],
        ),
    ]
}

/// Conditions that say which tracks are meant.
pub(super) fn tracks() -> Schema {
    list(shape("PolicyTracks")).at_most(MOST as u64)
}

fn protocols_example(dash: bool, hls: bool) -> Json {
    json!({"download": false, "dash": dash, "hls": hls, "smoothStreaming": false})
}

pub(in crate::openapi) fn clear_example() -> Json {
    json!({"properties": {"noEncryption": {"enabledProtocols": protocols_example(true, true)}}})
}

/// Live media whose keys change every ten minutes.
pub(in crate::openapi) fn rotating_example() -> Json {
    json!({"properties": {
        "defaultContentKeyPolicyName": "subscribers",
        "commonEncryptionCenc": {
            "enabledProtocols": protocols_example(true, true),
            "clearKeyEncryptionConfiguration": {},
            "keyRotationInterval": "PT10M",
        },
    }})
}

/// Every scheme, with licence servers of the operator's own.
pub(in crate::openapi) fn encrypted_example() -> Json {
    let at = |system: &str| format!("https://licences.example/{system}?key={{ContentKeyId}}");
    let hevc = json!([{"trackSelections": [{"property": "FourCC", "operation": "Equal", "value": "hev1"}]}]);
    let keys = json!({
        "defaultKey": {"label": "all", "policyName": "subscribers"},
        "keyToTrackMappings": [{"label": "uhd", "policyName": "subscribers", "tracks": hevc}],
    });
    let widevine = json!({"customLicenseAcquisitionUrlTemplate": at("widevine")});
    let playready = json!({
        "customLicenseAcquisitionUrlTemplate": at("playready"), "playReadyCustomAttributes": "none",
    });
    json!({"properties": {
        "defaultContentKeyPolicyName": "subscribers",
        "envelopeEncryption": {
            "enabledProtocols": protocols_example(false, true),
            "contentKeys": {"defaultKey": {"label": "aes", "policyName": "subscribers"}},
            "customKeyAcquisitionUrlTemplate": at("aes"),
        },
        "commonEncryptionCenc": {
            "enabledProtocols": protocols_example(true, false),
            "clearTracks": [{"trackSelections": [{"property": "FourCC", "operation": "Equal", "value": "mp4a"}]}],
            "contentKeys": keys,
            "drm": {"playReady": playready, "widevine": widevine},
            "clearKeyEncryptionConfiguration": {"customKeysAcquisitionUrlTemplate": at("keys")},
        },
        "commonEncryptionCbcs": {
            "enabledProtocols": protocols_example(false, true),
            "drm": {
                "fairPlay": {
                    "customLicenseAcquisitionUrlTemplate": "skd://licences.example/fairplay",
                    "allowPersistentLicense": false,
                },
                "playReady": playready,
                "widevine": widevine,
            },
        },
    }})
}
