//! Assets: `resources/assets.rs`.

use headwater_catalog::names;
use serde_json::{Value as Json, json};

use super::common::{folder, labels};
use crate::openapi::schema::{
    anything, list, map, one_of, shape, text, time, url, uuid, whole, written_time,
};
use crate::openapi::shape::{
    Properties, Shape, accepted, dates, defaulted, optional, record, required, resource, shown,
    sometimes,
};

pub(super) fn shapes() -> Vec<Shape> {
    let properties = Shape::two(
        "AssetProperties",
        "Members beyond these are kept and shown as they came.",
        vec![
            shown("assetId", uuid()),
            shown("created", time()),
            shown("lastModified", time()),
            shown("storageEncryptionFormat", one_of(&["None"])),
            defaulted(
                "storageAccountName",
                text().about("The primary storage account by default. Cannot be changed."),
            ),
            defaulted(
                "container",
                text()
                    .at_least(3)
                    .at_most(63)
                    .pattern(names::CONTAINER_PATTERN)
                    .about(
                        "Made if it is not there. `asset-{assetId}` by default. Cannot be changed.",
                    ),
            ),
            optional(
                "subPath",
                folder().about("The asset's folder in the container. Cannot be changed."),
            ),
            optional("description", text().at_most(4096)),
            optional("alternateId", text().at_most(64)),
            defaulted(
                "containerDeletionPolicy",
                one_of(&["Retain", "Delete"])
                    .about("What becomes of the files when the asset is deleted."),
            ),
        ],
    )
    .open();
    let mut shapes = Vec::from(resource(
        "Asset",
        "A container, or a folder in one, with a name.",
        Properties::Optional,
        properties,
        vec![defaulted("labels", labels())],
    ));
    shapes.push(Shape::request(
        "ContainerSasRequest",
        "",
        vec![
            accepted(
                "permissions",
                one_of(&["Read", "ReadWrite", "ReadWriteDelete"]).with("default", "Read"),
            ),
            accepted(
                "expiryTime",
                written_time().about("At most 24 hours ahead; one hour by default."),
            ),
        ],
    ));
    shapes.push(Shape::answer(
        "ContainerSas",
        "",
        vec![shown(
            "assetContainerSasUrls",
            list(url()).about(
                "Two equal signed URLs of the container, where Azure gave one for each key.",
            ),
        )],
    ));
    shapes.push(Shape::answer(
        "AssetLocatorList",
        "",
        vec![
            shown("streamingLocators", list(shape("AssetLocator"))),
            shown("supplemental", shape("Supplemental")),
        ],
    ));
    shapes.push(Shape::answer(
        "AssetLocator",
        "A streaming locator of the asset.",
        vec![
            shown("name", text()),
            shown("assetName", text()),
            shown("created", time()),
            sometimes("startTime", time()),
            shown("endTime", time()),
            shown("streamingLocatorId", uuid()),
            shown("streamingPolicyName", text()),
            sometimes("defaultContentKeyPolicyName", text()),
        ],
    ));
    let [created, updated] = dates();
    shapes.extend(record(
        "AssetStorage",
        "What lies in the asset's container or folder.",
        [
            vec![
                shown("id", uuid()),
                shown("name", text()),
                created,
                updated,
                shown("createdBy", text().or_null()),
                shown("updatedBy", text().or_null()),
            ],
            vec![
                shown("container", text()),
                shown("files", list(shape("StoredFile"))),
                shown("folders", list(shape("StoredFolder"))),
                shown(
                    "formatHint",
                    one_of(&["ams.v0", "mk.mezz.v0"])
                        .or_null()
                        .about("A server manifest with its files, what is or was recorded live, or neither."),
                ),
                shown(
                    "tracks",
                    map(shape("StoredManifest")).about("Of `ams.v0`: what the server manifest says, by its name."),
                ),
                shown(
                    "periods",
                    map(shape("StoredPeriod"))
                        .about("Of `mk.mezz.v0`: what there are media of. Empty until the first came."),
                ),
                shown("error", shape("StoredError")),
                shown("exceptions", list(anything())),
            ],
            vec![],
        ],
    ));
    shapes.extend(formats());
    shapes.push(Shape::answer(
        "StoredFile",
        "",
        vec![
            shown("name", text()),
            shown("size", whole().about("In bytes.")),
        ],
    ));
    shapes.push(file_access());
    shapes.push(Shape::request(
        "FileDownload",
        "",
        vec![
            required("storageAccountName", text()),
            required("containerName", text()),
            required(
                "fileName",
                text().about("From the top of the container, or within the asset's folder."),
            ),
        ],
    ));
    shapes.push(Shape::answer(
        "StoredFolder",
        "",
        vec![shown("name", text())],
    ));
    shapes
}

/// `resources/asset_storage.rs`.
fn formats() -> Vec<Shape> {
    let entries = || list(shape("StoredTrack"));
    let head = vec![
        shown("formats", text().or_null()),
        shown("compatVersion", text().or_null()),
        shown("clientManifestRelativePath", text().or_null()),
        shown("availabilityStartTime", text().or_null()),
        shown("fragmentsPerHLSSegment", whole().or_null()),
        shown("extra", map(anything())),
    ];
    let track = vec![
        shown("src", text()),
        shown("systemBitrate", whole().or_null()),
        shown("systemLanguage", text().or_null()),
        shown("trackID", whole().or_null()),
        shown("trackName", text().or_null()),
    ];
    let representation = vec![
        shown("id", text()),
        shown("bandwidth", whole()),
        shown("codecs", text()),
        sometimes("width", whole()),
        sometimes("height", whole()),
        sometimes("audioSamplingRate", whole()),
        sometimes("audio_channel_configuration", whole().about("Channels.")),
    ];
    vec![
        Shape::answer(
            "StoredManifest",
            "",
            vec![
                shown("head", shape("StoredManifestHead")),
                shown("body", shape("StoredManifestBody")),
            ],
        ),
        Shape::answer("StoredManifestHead", "", head),
        Shape::answer(
            "StoredManifestBody",
            "",
            vec![
                shown("video", entries()),
                shown("audio", entries()),
                shown("textstream", entries()),
            ],
        ),
        Shape::answer("StoredTrack", "", track),
        Shape::answer(
            "StoredPeriod",
            "",
            vec![shown("adaptation_set", list(shape("StoredSet")))],
        ),
        Shape::answer(
            "StoredSet",
            "",
            vec![
                shown("content_type", one_of(&["video", "audio"])),
                shown("representation", list(shape("StoredRepresentation"))),
            ],
        ),
        Shape::answer("StoredRepresentation", "", representation),
        Shape::answer(
            "StoredError",
            "",
            vec![sometimes(
                "message",
                text().about("Why what is there cannot be read."),
            )],
        ),
    ]
}

/// `resources/file_access.rs`.
fn file_access() -> Shape {
    Shape::answer(
        "FileAccess",
        "`GET {url}/{subPath}/{file}` with `Authorization: Bearer {jwt}` leads to a file of the asset.",
        vec![
            shown("storageAccountName", text()),
            shown("containerName", text()),
            shown(
                "jwt",
                text().about("Good for one hour, and for this asset's files only."),
            ),
            shown("url", url()),
            shown(
                "subPath",
                text().about("Empty where the asset is the whole container."),
            ),
        ],
    )
}

pub(in crate::openapi) fn example() -> Json {
    json!({
        "properties": {
            "description": "The film as it was delivered",
            "alternateId": "film-7",
            "container": "film-7",
            "subPath": "delivery/1",
            "containerDeletionPolicy": "Retain",
        },
        "labels": {"team": "editing"},
    })
}

pub(in crate::openapi) fn download_example() -> Json {
    json!({"storageAccountName": "local", "containerName": "films", "fileName": "film.mp4"})
}

pub(in crate::openapi) fn sas_example() -> Json {
    json!({"permissions": "ReadWrite"})
}
