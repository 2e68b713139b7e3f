//! Streaming locators and endpoints, and what is published with them: `resources/{locators, endpoints, published}.rs`.

use serde_json::{Value as Json, json};

use super::common::{strings, texts};
use super::policies;
use crate::openapi::schema::{
    base64, flag, idle, list, map, number, one_of, shape, text, time, url, uuid, whole,
    written_time,
};
use crate::openapi::shape::{
    Properties, Shape, accepted, defaulted, guarded, ignored, optional, required, resource, shown,
};
use crate::resources::cross_site::{LONGEST_POLICY, POLICIES};
use crate::resources::endpoints::{LONGEST_AGE, LONGEST_KEY, MOST_KEYS, MOST_UNITS};
use crate::resources::policy_schemes::MOST;
use headwater_catalog::protection::Encryption;

pub(super) fn shapes() -> Vec<Shape> {
    let mut shapes = locators();
    shapes.extend(endpoints());
    shapes.push(Shape::answer(
        "Published",
        "A published, clear video: one locator and what it plays.",
        vec![
            shown("name", text().about("The streaming locator's.")),
            shown("assetName", text()),
            shown("created", time()),
            shown("locatorId", uuid()),
            shown("hlsUrl", url().or_null()),
            shown("dashUrl", url().or_null()),
            shown("posterUrl", url().or_null()),
            shown("durationSeconds", number().or_null()),
        ],
    ));
    shapes
}

fn locators() -> Vec<Shape> {
    let properties = Shape::two(
        "StreamingLocatorProperties",
        "Members beyond these are kept and shown as they came.",
        vec![
            shown("created", time()),
            required("assetName", text()),
            required("streamingPolicyName", text()),
            defaulted(
                "streamingLocatorId",
                uuid().about("The first part of streaming URLs. Made if it is not given."),
            ),
            optional("startTime", written_time()),
            defaulted(
                "endTime",
                written_time().about("After `startTime`. The last day of the year 9999 is never."),
            ),
            optional("alternativeMediaId", text()),
            optional("defaultManifestFilename", text().at_least(1).at_most(1024)),
            defaulted(
                "suppressed",
                flag().about("Takes the locator off the air without deleting it."),
            ),
            optional(
                "defaultContentKeyPolicyName",
                text().about("Who gets the keys, where the streaming policy does not say."),
            ),
            optional("contentId", text()),
            defaulted(
                "contentKeys",
                list(shape("StreamingLocatorContentKey"))
                    .at_most(MOST as u64)
                    .about("Keys that are brought along. The others are made."),
            ),
            accepted(
                "contentKeyDocument",
                text().about("The same as a CPIX 2.3 document, in place of `contentKeys`."),
            ),
            defaulted(
                "filters",
                strings().about("Names of filters that hold for everybody who plays the locator."),
            ),
        ],
    )
    .open();
    let mut shapes = Vec::from(resource(
        "StreamingLocator",
        "A door through which an asset is played.",
        Properties::Required,
        properties,
        vec![],
    ));
    shapes.extend([
        Shape::answer(
            "StreamingPaths",
            "Paths without host: any streaming endpoint serves them.",
            vec![
                shown("streamingPaths", list(shape("StreamingPath"))),
                shown("downloadPaths", strings()),
                shown(
                    "drm",
                    map(shape("LicenceServer"))
                        .about("By key system: the server that the streaming policy names, else this installation's own."),
                ),
            ],
        ),
        Shape::answer(
            "StreamingPath",
            "",
            vec![
                shown(
                    "streamingProtocol",
                    one_of(&["Hls", "Dash", "SmoothStreaming", "Download"]),
                ),
                shown(
                    "encryptionScheme",
                    one_of(&[
                        "NoEncryption",
                        "EnvelopeEncryption",
                        "CommonEncryptionCenc",
                        "CommonEncryptionCbcs",
                    ]),
                ),
                shown("paths", strings()),
            ],
        ),
        Shape::answer(
            "LicenceServer",
            "",
            vec![shown("licenseAcquisitionUrl", text())],
        ),
        Shape::answer(
            "ContentKeys",
            "",
            vec![shown(
                "contentKeys",
                list(shape("StreamingLocatorContentKey")),
            )],
        ),
        Shape::two(
            "StreamingLocatorContentKey",
            "A key, and which part of the streaming policy it is for.",
            vec![
                required("id", uuid()),
                defaulted("type", one_of(&Encryption::ALL.map(Encryption::name))),
                optional("labelReferenceInStreamingPolicy", text()),
                optional("policyName", text().about("The content key policy.")),
                optional(
                    "value",
                    base64().about(
                        "16 bytes. Shown by `listContentKeys` only; made if it is not given.",
                    ),
                ),
                defaulted("tracks", policies::tracks()),
            ],
        ),
    ]);
    shapes
}

fn endpoints() -> Vec<Shape> {
    let nothing = || idle(&[json!(""), json!({})]);
    let properties = Shape::two(
        "StreamingEndpointProperties",
        "",
        vec![
            shown("hostName", text()),
            shown("provisioningState", text()),
            shown("resourceState", one_of(&["Running", "Stopped"])),
            shown("created", time()),
            shown("lastModified", time()),
            shown("sku", shape("StreamingEndpointSku")),
            optional("description", text().at_most(1024)),
            defaulted(
                "scaleUnits",
                whole()
                    .at_most(MOST_UNITS)
                    .about("Shown, and nothing else: one address serves every endpoint."),
            ),
            optional("customHostNames", strings().at_most(20)),
            defaulted("cdnEnabled", flag().with("enum", vec![false])),
            accepted("cdnProvider", nothing()),
            accepted("cdnProfile", nothing()),
            optional(
                "accessControl",
                shape("StreamingEndpointAccessControl").about(
                    "Who is served. Where several endpoints run at one address, what any of them serves is served; one that has \
                     `customHostNames` is alone in answering for them.",
                ),
            ),
            optional(
                "maxCacheAge",
                whole().at_most(LONGEST_AGE).about(
                    "Seconds for which caches keep fragments, and manifests of what is not live. 0: as is right for each.",
                ),
            ),
            optional("crossSiteAccessPolicies", shape("CrossSiteAccessPolicies")),
            accepted("availabilitySetName", nothing()),
            accepted("advancedSettingsName", nothing()),
            accepted(
                "urlStyle",
                text()
                    .with("enum", vec![json!("AMS"), Json::Null])
                    .about("MK.IO's other style of URLs is not served."),
            ),
            ignored("cdnBasePath"),
            ignored("freeTrialEndTime"),
        ],
    );
    let mut shapes = Vec::from(resource(
        "StreamingEndpoint",
        "The origin as AMS sees it: something that can be started and stopped.",
        Properties::Optional,
        properties,
        vec![
            defaulted("location", text().about("That of the project.")),
            defaulted("tags", texts()),
            ignored("sku"),
        ],
    ));
    shapes.push(Shape::two(
        "StreamingEndpointAccessControl",
        "Who is served.",
        vec![
            optional("ip", shape("LiveEventIpAccess")),
            optional("akamai", shape("AkamaiAccessControl")),
        ],
    ));
    shapes.push(Shape::same(
        "AkamaiAccessControl",
        "With keys, what is not signed by Akamai's servers (signature header authentication, encryption versions 3 to 5) is not \
         served. Clients' addresses have to be allowed as well.",
        vec![optional(
            "akamaiSignatureHeaderAuthenticationKeyList",
            list(shape("AkamaiSignatureHeaderAuthenticationKey")).at_most(MOST_KEYS as u64),
        )],
    ));
    shapes.push(Shape::same(
        "AkamaiSignatureHeaderAuthenticationKey",
        "",
        vec![
            required(
                "identifier",
                text()
                    .at_least(1)
                    .at_most(LONGEST_KEY as u64)
                    .about("What Akamai's configuration calls the nonce."),
            ),
            guarded(
                "base64Key",
                base64().about("8 to 128 bytes. Shown to those who may see secrets."),
            ),
            optional("expiration", time().about("Not taken from then on.")),
        ],
    ));
    shapes.push(Shape::same(
        "CrossSiteAccessPolicies",
        "XML for players of Silverlight and Flash, at the host's `/clientaccesspolicy.xml` and `/crossdomain.xml`. Endpoints answer \
         for their own `customHostNames`, and together for other names of the host: where they do not say the same there is none.",
        POLICIES
            .map(|(member, root)| {
                let about = format!("A document whose element is `{root}`.");
                optional(member, text().at_most(LONGEST_POLICY as u64).about(&about))
            })
            .to_vec(),
    ));
    shapes.extend([
        Shape::answer(
            "StreamingEndpointSku",
            "",
            vec![
                shown("name", one_of(&["Standard", "Premium"])),
                shown("capacity", whole()),
            ],
        ),
        Shape::request(
            "ScaleRequest",
            "",
            vec![required("scaleUnit", whole().at_most(MOST_UNITS))],
        ),
        Shape::answer(
            "SkuList",
            "",
            vec![shown("value", list(shape("AvailableSku")))],
        ),
        Shape::answer(
            "AvailableSku",
            "",
            vec![
                shown("resourceType", text()),
                shown("sku", shape("SkuName")),
                shown("capacity", shape("SkuCapacity")),
            ],
        ),
        Shape::answer("SkuName", "", vec![shown("name", text())]),
        Shape::answer(
            "SkuCapacity",
            "",
            vec![
                shown("scaleType", text()),
                shown("default", whole()),
                shown("minimum", whole()),
                shown("maximum", whole()),
            ],
        ),
    ]);
    shapes
}

pub(in crate::openapi) fn locator_example() -> Json {
    json!({"properties": {
        "assetName": "film",
        "streamingPolicyName": "Predefined_ClearStreamingOnly",
        "streamingLocatorId": "22222222-2222-4222-8222-222222222222",
        "startTime": "2026-01-01T00:00:00Z",
        "endTime": "2030-01-01T00:00:00Z",
        "alternativeMediaId": "film-7",
        "defaultManifestFilename": "film.ism",
        "suppressed": false,
        "contentKeys": [],
        "filters": ["example"],
    }})
}

pub(in crate::openapi) fn endpoint_example() -> Json {
    json!({
        "tags": {"for": "the web site"},
        "properties": {
            "description": "For the web site",
            "scaleUnits": 1,
            "customHostNames": ["video.example"],
            "cdnEnabled": false,
        },
    })
}

pub(in crate::openapi) fn scale_example() -> Json {
    json!({"scaleUnit": 2})
}
