//! Content key policies: `resources/key_policies.rs`, `resources/key_policy_options.rs`.

use serde_json::{Value as Json, json};

use crate::openapi::schema::{
    Schema, base64, duration, flag, list, one_of, shape, text, time, union, url, uuid, whole,
    written_time,
};
use crate::openapi::shape::{
    Member, Properties, Shape, accepted, defaulted, kind, optional, required, resource, secret,
    shown, update,
};
use crate::resources::key_policies::MOST_OPTIONS;
use crate::resources::key_policy_options::{MOST, MOST_CLAIMS};

/// The discriminators of kinds of policy parts, each with the shape of the same name.
fn kinds(names: &[&'static str]) -> Schema {
    let full: Vec<_> = names
        .iter()
        .map(|name| format!("#Microsoft.Media.{name}"))
        .collect();
    let pairs: Vec<_> = full
        .iter()
        .zip(names)
        .map(|(full, name)| (full.as_str(), *name))
        .collect();
    union(&pairs)
}

/// An object with a discriminator.
fn part(name: &'static str, about: &'static str, members: Vec<Member>) -> Shape {
    let mut all = vec![kind(name)];
    all.extend(members);
    Shape::two(name, about, all)
}

pub(super) fn shapes() -> Vec<Shape> {
    let options = list(shape("ContentKeyPolicyOption"))
        .at_least(1)
        .at_most(MOST_OPTIONS as u64);
    let properties = Shape::two(
        "ContentKeyPolicyProperties",
        "",
        vec![
            shown("policyId", uuid()),
            shown("created", time()),
            shown("lastModified", time()),
            defaulted("description", text().at_most(1024).or_null()),
            required("options", options),
            accepted(
                "fairPlayAmsCompatibility",
                flag().or_null().about(
                    "MK.IO's, for policies that come from AMS. Players are served as AMS served them in any case.",
                ),
            ),
        ],
    );
    let mut shapes = Vec::from(update(
        "ContentKeyPolicy",
        Properties::Required,
        properties.update(),
    ));
    shapes.extend(resource(
        "ContentKeyPolicy",
        "Who gets keys, and what players may do with them.",
        Properties::Required,
        properties,
        vec![],
    ));
    shapes.push(Shape::two(
        "ContentKeyPolicyOption",
        "One protection system under one restriction.",
        vec![
            optional("name", text()),
            shown("policyOptionId", uuid()),
            required(
                "configuration",
                kinds(&[
                    "ContentKeyPolicyClearKeyConfiguration",
                    "ContentKeyPolicyWidevineConfiguration",
                    "ContentKeyPolicyPlayReadyConfiguration",
                    "ContentKeyPolicyFairPlayConfiguration",
                ]),
            ),
            required(
                "restriction",
                kinds(&[
                    "ContentKeyPolicyOpenRestriction",
                    "ContentKeyPolicyTokenRestriction",
                ]),
            ),
        ],
    ));
    shapes.extend(configurations());
    shapes.extend(licenses());
    shapes.extend(restrictions());
    shapes
}

fn configurations() -> Vec<Shape> {
    let seconds = || whole().at_most(u32::MAX.into()).about("In seconds.");
    vec![
        part("ContentKeyPolicyClearKeyConfiguration", "", vec![]),
        part(
            "ContentKeyPolicyWidevineConfiguration",
            "",
            vec![required(
                "widevineTemplate",
                text().about("A JSON object as text; `{}` takes the defaults."),
            )],
        ),
        part(
            "ContentKeyPolicyPlayReadyConfiguration",
            "",
            vec![
                required(
                    "licenses",
                    list(shape("ContentKeyPolicyPlayReadyLicense"))
                        .at_least(1)
                        .at_most(MOST as u64),
                ),
                optional("responseCustomData", text()),
            ],
        ),
        part(
            "ContentKeyPolicyFairPlayConfiguration",
            "",
            vec![
                secret("ask", base64().about("16 bytes.")),
                secret("fairPlayPfx", base64()),
                secret("fairPlayPfxPassword", text()),
                required(
                    "rentalAndLeaseKeyType",
                    one_of(&[
                        "Undefined",
                        "DualExpiry",
                        "PersistentUnlimited",
                        "PersistentLimited",
                    ]),
                ),
                required("rentalDuration", seconds()),
                optional(
                    "offlineRentalConfiguration",
                    shape("ContentKeyPolicyFairPlayOfflineRentalConfiguration"),
                ),
            ],
        ),
        Shape::same(
            "ContentKeyPolicyFairPlayOfflineRentalConfiguration",
            "",
            vec![
                required("playbackDurationSeconds", seconds()),
                required("storageDurationSeconds", seconds()),
            ],
        ),
    ]
}

fn licenses() -> Vec<Shape> {
    let level = || whole().at_most(1000);
    let small = || whole().at_most(3);
    vec![
        Shape::two(
            "ContentKeyPolicyPlayReadyLicense",
            "",
            vec![
                required("allowTestDevices", flag()),
                optional(
                    "securityLevel",
                    one_of(&["Unknown", "SL150", "SL2000", "SL3000"]),
                ),
                optional("beginDate", written_time()),
                optional("expirationDate", written_time()),
                optional("relativeBeginDate", duration()),
                optional("relativeExpirationDate", duration()),
                optional("gracePeriod", duration()),
                optional("playRight", shape("ContentKeyPolicyPlayReadyPlayRight")),
                required("licenseType", one_of(&["NonPersistent", "Persistent"])),
                required(
                    "contentKeyLocation",
                    kinds(&[
                        "ContentKeyPolicyPlayReadyContentEncryptionKeyFromHeader",
                        "ContentKeyPolicyPlayReadyContentEncryptionKeyFromKeyIdentifier",
                    ]),
                ),
                required(
                    "contentType",
                    one_of(&["Unspecified", "UltraVioletDownload", "UltraVioletStreaming"]),
                ),
            ],
        ),
        part(
            "ContentKeyPolicyPlayReadyContentEncryptionKeyFromHeader",
            "",
            vec![],
        ),
        part(
            "ContentKeyPolicyPlayReadyContentEncryptionKeyFromKeyIdentifier",
            "",
            vec![required("keyId", uuid())],
        ),
        Shape::two(
            "ContentKeyPolicyPlayReadyPlayRight",
            "",
            vec![
                required("digitalVideoOnlyContentRestriction", flag()),
                required("imageConstraintForAnalogComponentVideoRestriction", flag()),
                required("imageConstraintForAnalogComputerMonitorRestriction", flag()),
                optional("uncompressedDigitalVideoOpl", level()),
                optional("compressedDigitalVideoOpl", level()),
                optional("analogVideoOpl", level()),
                optional("compressedDigitalAudioOpl", level()),
                optional("uncompressedDigitalAudioOpl", level()),
                optional("scmsRestriction", small()),
                optional("agcAndColorStripeRestriction", small()),
                optional("firstPlayExpiration", duration()),
                optional(
                    "explicitAnalogTelevisionOutputRestriction",
                    shape("ContentKeyPolicyPlayReadyExplicitAnalogTelevisionRestriction"),
                ),
                required(
                    "allowPassingVideoContentToUnknownOutput",
                    one_of(&["NotAllowed", "Allowed", "AllowedWithVideoConstriction"]),
                ),
            ],
        ),
        Shape::same(
            "ContentKeyPolicyPlayReadyExplicitAnalogTelevisionRestriction",
            "",
            vec![
                required("bestEffort", flag()),
                required("configurationData", small()),
            ],
        ),
    ]
}

fn restrictions() -> Vec<Shape> {
    let key = || {
        kinds(&[
            "ContentKeyPolicySymmetricTokenKey",
            "ContentKeyPolicyRsaTokenKey",
            "ContentKeyPolicyX509CertificateTokenKey",
        ])
    };
    vec![
        part("ContentKeyPolicyOpenRestriction", "", vec![]),
        part(
            "ContentKeyPolicyTokenRestriction",
            "",
            vec![
                required("issuer", text()),
                required("audience", text()),
                required("restrictionTokenType", one_of(&["Jwt", "Swt"])),
                optional(
                    "primaryVerificationKey",
                    key().about(
                        "Required unless `openIdConnectDiscoveryDocument` says where keys are.",
                    ),
                ),
                optional(
                    "alternateVerificationKeys",
                    list(key()).at_most(MOST as u64),
                ),
                optional(
                    "requiredClaims",
                    list(shape("ContentKeyPolicyTokenClaim")).at_most(MOST_CLAIMS as u64),
                ),
                optional("openIdConnectDiscoveryDocument", url()),
            ],
        ),
        Shape::two(
            "ContentKeyPolicyTokenClaim",
            "",
            vec![
                required("claimType", text()),
                optional("claimValue", text()),
            ],
        ),
        part(
            "ContentKeyPolicySymmetricTokenKey",
            "",
            vec![secret("keyValue", base64().about("At least 32 bytes."))],
        ),
        part(
            "ContentKeyPolicyRsaTokenKey",
            "",
            vec![
                required("exponent", base64()),
                required("modulus", base64().about("At least 128 bytes.")),
            ],
        ),
        part(
            "ContentKeyPolicyX509CertificateTokenKey",
            "",
            vec![required("rawBody", base64())],
        ),
    ]
}

/// Keys for everybody.
pub(in crate::openapi) fn open_example() -> Json {
    json!({"properties": {
        "description": "Keys for whoever asks",
        "options": [{
            "name": "clear key",
            "configuration": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"},
            "restriction": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction"},
        }],
    }})
}

/// Every protection system, for holders of a token.
pub(in crate::openapi) fn token_example() -> Json {
    let restriction = |key: Json| {
        json!({
            "@odata.type": "#Microsoft.Media.ContentKeyPolicyTokenRestriction",
            "issuer": "https://login.example",
            "audience": "films",
            "restrictionTokenType": "Jwt",
            "primaryVerificationKey": key,
            "alternateVerificationKeys": [{
                "@odata.type": "#Microsoft.Media.ContentKeyPolicyX509CertificateTokenKey",
                "rawBody": "MAA=",
            }],
            "requiredClaims": [{"claimType": "plan", "claimValue": "gold"}],
            "openIdConnectDiscoveryDocument": "https://login.example/.well-known/openid-configuration",
        })
    };
    let symmetric = json!({
        "@odata.type": "#Microsoft.Media.ContentKeyPolicySymmetricTokenKey",
        "keyValue": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    });
    let rsa = json!({
        "@odata.type": "#Microsoft.Media.ContentKeyPolicyRsaTokenKey",
        "exponent": "AQAB",
        "modulus": "7+/v".repeat(43),
    });
    json!({"properties": {
        "description": "Keys for subscribers",
        "options": [
            {
                "name": "widevine",
                "configuration": {
                    "@odata.type": "#Microsoft.Media.ContentKeyPolicyWidevineConfiguration",
                    "widevineTemplate": "{}",
                },
                "restriction": restriction(symmetric.clone()),
            },
            {
                "name": "playready",
                "configuration": {
                    "@odata.type": "#Microsoft.Media.ContentKeyPolicyPlayReadyConfiguration",
                    "responseCustomData": "headwater",
                    "licenses": [playready_license()],
                },
                "restriction": restriction(rsa),
            },
            {
                "name": "fairplay",
                "configuration": {
                    "@odata.type": "#Microsoft.Media.ContentKeyPolicyFairPlayConfiguration",
                    "ask": "AAECAwQFBgcICQoLDA0ODw==",
                    "fairPlayPfx": "MAA=",
                    "fairPlayPfxPassword": "a password",
                    "rentalAndLeaseKeyType": "DualExpiry",
                    "rentalDuration": 86_400,
                    "offlineRentalConfiguration": {
                        "playbackDurationSeconds": 500,
                        "storageDurationSeconds": 300,
                    },
                },
                "restriction": restriction(symmetric),
            },
        ],
    }})
}

fn playready_license() -> Json {
    json!({
        "allowTestDevices": false,
        "securityLevel": "SL2000",
        "beginDate": "2026-01-01T00:00:00Z",
        "expirationDate": "2030-01-01T00:00:00Z",
        "relativeBeginDate": "PT1H",
        "relativeExpirationDate": "P7D",
        "gracePeriod": "PT1H",
        "licenseType": "Persistent",
        "contentType": "Unspecified",
        "contentKeyLocation": {
            "@odata.type": "#Microsoft.Media.ContentKeyPolicyPlayReadyContentEncryptionKeyFromKeyIdentifier",
            "keyId": "11111111-1111-4111-8111-111111111111",
        },
        "playRight": {
            "digitalVideoOnlyContentRestriction": false,
            "imageConstraintForAnalogComponentVideoRestriction": false,
            "imageConstraintForAnalogComputerMonitorRestriction": false,
            "uncompressedDigitalVideoOpl": 300,
            "compressedDigitalVideoOpl": 500,
            "analogVideoOpl": 200,
            "compressedDigitalAudioOpl": 300,
            "uncompressedDigitalAudioOpl": 300,
            "scmsRestriction": 3,
            "agcAndColorStripeRestriction": 2,
            "firstPlayExpiration": "PT2H",
            "explicitAnalogTelevisionOutputRestriction": {"bestEffort": true, "configurationData": 2},
            "allowPassingVideoContentToUnknownOutput": "Allowed",
        },
    })
}
