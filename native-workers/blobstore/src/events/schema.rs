//! The Event Grid event schema for Blob storage ("Azure Blob Storage as an Event Grid source").

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::disk::BlobMeta;

/// The call that caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Api {
    PutBlob,
    PutBlockList,
    DeleteBlob,
}

/// What happened to which blob.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) container: &'a str,
    pub(crate) blob: &'a str,
    pub(crate) api: Api,
    /// The blob as written, or as it was before its deletion.
    pub(crate) meta: &'a BlobMeta,
    pub(crate) time: Timestamp,
}

/// One record of the outbox: what the event needs, without what depends on the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) sequence: u64,
    pub(crate) container: String,
    pub(crate) blob: String,
    pub(crate) api: Api,
    pub(crate) etag: String,
    pub(crate) len: u64,
    pub(crate) content_type: String,
    pub(crate) time: Timestamp,
}

impl Record {
    pub(crate) fn new(sequence: u64, subject: &Subject<'_>) -> Self {
        let content_type = subject.meta.headers.content_type.as_deref();
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            sequence,
            container: subject.container.to_owned(),
            blob: subject.blob.to_owned(),
            api: subject.api,
            etag: subject.meta.etag.clone(),
            len: subject.meta.len,
            content_type: content_type
                .unwrap_or("application/octet-stream")
                .to_owned(),
            time: subject.time,
        }
    }

    /// `topic`: the storage account's resource id. `account_url`: without a trailing slash.
    pub(crate) fn event(&self, topic: &str, account_url: &str) -> Value {
        let blob_url = format!(
            "{account_url}/{}/{}",
            self.container,
            headwater_blob::names::encode_blob(&self.blob)
        );
        let mut body = json!({
            "api": self.api,
            "requestId": self.id,
            "eTag": self.etag,
            "contentType": self.content_type,
            "contentLength": self.len,
            "blobType": "BlockBlob",
            "url": blob_url,
            // Compares as text, for events of one blob.
            "sequencer": format!("{:032X}", self.sequence),
            "storageDiagnostics": {},
        });
        let event_type = match self.api {
            Api::PutBlob | Api::PutBlockList => "Microsoft.Storage.BlobCreated",
            Api::DeleteBlob => "Microsoft.Storage.BlobDeleted",
        };
        if self.api == Api::DeleteBlob
            && let Some(fields) = body.as_object_mut()
        {
            // As in Azure: a deletion has neither length nor etag.
            fields.remove("contentLength");
            fields.remove("eTag");
        }
        json!({
            "id": self.id,
            "topic": topic,
            "subject": format!("/blobServices/default/containers/{}/blobs/{}", self.container, self.blob),
            "eventType": event_type,
            "eventTime": self.time.to_string(),
            "data": body,
            "dataVersion": "",
            "metadataVersion": "1",
        })
    }
}
