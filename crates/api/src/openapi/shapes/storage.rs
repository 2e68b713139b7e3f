//! Storage accounts and their credentials: `resources/{storage, storage_credentials}.rs`.

use serde_json::{Value as Json, json};

use super::common::written;
use crate::openapi::schema::{flag, idle, one_of, shape, text, time, url};
use crate::openapi::shape::{
    Shape, accepted, dates, items, optional, paged_items, record, required, shown, sometimes,
};

pub(super) fn shapes() -> Vec<Shape> {
    let mut shapes = account();
    shapes.extend(credential());
    shapes.push(Shape::request(
        "StorageSecret",
        "Exactly one of the two. It is tried out before anything is written, and never shown.",
        vec![
            accepted(
                "sasToken",
                text().about("An account SAS: the query of a signed URL."),
            ),
            accepted("accountKey", text().about("The account's key, in base64.")),
        ],
    ));
    shapes
}

fn kind() -> crate::openapi::schema::Schema {
    one_of(&["Microsoft.Storage"])
}

fn account() -> Vec<Shape> {
    let [created, updated] = dates();
    let mut shapes = vec![
        paged_items("StorageList", "Storage"),
        written(
            "StorageWrite",
            required("spec", shape("StorageWriteSpec")),
            &["metadata", "status"],
        ),
        Shape::request(
            "StorageWriteSpec",
            "",
            vec![
                accepted("name", text().about("As in the path.")),
                required("type", kind()),
                required(
                    "url",
                    url().about("Of the account. Cannot be changed once assets are in it."),
                ),
                accepted("bucketName", idle(&[])),
                accepted("description", text().at_most(1024)),
                accepted(
                    "credential",
                    shape("StorageSecret").about("A new account needs one."),
                ),
                accepted("privateLinkServiceConnection", idle(&[])),
            ],
        ),
        written(
            "StorageUpdate",
            required("spec", shape("StorageUpdateSpec")),
            &["metadata", "status"],
        ),
        Shape::request(
            "StorageUpdateSpec",
            "Only the description can be changed so.",
            vec![
                accepted("name", idle(&[])),
                accepted("type", idle(&[])),
                accepted("url", idle(&[])),
                accepted("bucketName", idle(&[])),
                accepted("location", idle(&[])),
                accepted("credential", idle(&[])),
                accepted("azureStorageConfiguration", idle(&[])),
                accepted("privateLinkServiceConnection", idle(&[])),
                accepted(
                    "description",
                    text().at_most(1024).about("An empty one takes it away."),
                ),
            ],
        ),
    ];
    shapes.extend(record(
        "Storage",
        "Where files are. Credentials are never shown.",
        [
            vec![
                shown("id", text()),
                shown("name", text()),
                created,
                shown("createdById", text().or_null()),
                updated,
                shown("updatedById", text().or_null()),
            ],
            vec![
                shown("name", text()),
                shown("type", kind()),
                shown("url", url()),
                shown("description", text().or_null()),
                shown("privateLinkServiceConnection", idle(&[])),
            ],
            vec![
                shown("activeCredentialId", text()),
                shown("privateLinkServiceConnectionStatus", text().or_null()),
            ],
        ],
    ));
    shapes
}

fn credential() -> Vec<Shape> {
    let mut shapes = vec![
        items("StorageCredentialList", "StorageCredential"),
        written(
            "StorageCredentialWrite",
            required("spec", shape("StorageCredentialWriteSpec")),
            &["metadata", "status"],
        ),
        Shape::request(
            "StorageCredentialWriteSpec",
            "",
            vec![
                accepted("type", kind()),
                required("credential", shape("StorageSecret")),
            ],
        ),
        Shape::answer(
            "SanitizedCredential",
            "",
            vec![optional(
                "sasTokenSanitized",
                text().about("A SAS without its signature."),
            )],
        ),
    ];
    shapes.extend(record(
        "StorageCredential",
        "What opens a storage account. The one that lasts longest is used.",
        [
            vec![
                shown("id", text()),
                shown("created", time()),
                shown("createdById", text().or_null()),
            ],
            vec![
                shown("type", kind()),
                shown("credential", shape("SanitizedCredential")),
            ],
            vec![
                shown("kind", one_of(&["sasToken", "accountKey"])),
                sometimes("expires", time().or_null()),
                shown(
                    "active",
                    flag().about("Whether it is the one that is used."),
                ),
            ],
        ],
    ));
    shapes
}

/// The key of a made-up account.
fn key() -> Json {
    json!({"accountKey": "YW4gYWNjb3VudCBrZXkgb2YgdGhpcnR5LXR3byBieXQ="})
}

pub(in crate::openapi) fn example() -> Json {
    json!({"spec": {
        "type": "Microsoft.Storage",
        "url": "https://films.blob.core.windows.net",
        "description": "The archive",
        "credential": key(),
    }})
}

pub(in crate::openapi) fn update_example() -> Json {
    json!({"spec": {"description": "The archive, and what is delivered"}})
}

pub(in crate::openapi) fn credential_example() -> Json {
    json!({"spec": {"type": "Microsoft.Storage", "credential": key()}})
}
