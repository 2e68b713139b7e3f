//! Lists of keys, page by page.

use std::collections::BTreeMap;

use bytes::Bytes;
use headwater_blob::server::ErrorCode;
use headwater_blob::xml::{BlobEntry, BlobPage};
use jiff::Timestamp;
use rusty_s3::actions::{DeleteObjects, ListObjectsV2, ObjectIdentifier};

use super::client::{Answered, Call, List, What, refused};
use super::layout::fits_xml;
use super::{ObjectStore, meta, unusable};
use crate::disk::{Listing, Result};

/// Most keys of one answer, and of one request that deletes.
const PAGE: usize = 1000;
/// Requests for the metadata of listed objects that are on their way at a time.
const AT_ONCE: usize = 16;

/// An object as a listing tells of it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) key: String,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) len: u64,
    pub(super) modified: Option<Timestamp>,
}

/// Some keys, and how to go on.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) objects: Vec<Found>,
    pub(super) prefixes: Vec<String>,
    /// The store's own mark, if there is more.
    pub(super) token: Option<String>,
}

impl ObjectStore {
    /// At most `list.limit` keys, in as many requests as that takes.
    pub(super) async fn keys(&self, list: List<'_>) -> Answered<Keys> {
        let mut keys = Keys::default();
        let mut token = list.token.map(str::to_owned);
        loop {
            let have = keys.objects.len() + keys.prefixes.len();
            let ask = List {
                token: token.as_deref(),
                // A token says where to go on; both at once are a contradiction to some stores.
                after: list.after.filter(|_| token.is_none()),
                limit: (list.limit - have).min(PAGE),
                ..list
            };
            let answer = self.client.send(&Call::new(What::ListObjects(ask))).await?;
            let text = std::str::from_utf8(answer.body()).map_err(|e| unusable(e.to_string()))?;
            let page = ListObjectsV2::parse_response(text).map_err(|e| unusable(e.to_string()))?;
            keys.objects
                .extend(page.contents.into_iter().map(|object| Found {
                    etag: meta::bare_etag(object.etag.as_deref().unwrap_or_default()).to_owned(),
                    len: object.size.unwrap_or(0),
                    modified: object.last_modified.and_then(|text| text.parse().ok()),
                    key: object.key,
                }));
            keys.prefixes
                .extend(page.common_prefixes.into_iter().map(|prefix| prefix.prefix));
            token = page.next_continuation_token;
            if token.is_none() || keys.objects.len() + keys.prefixes.len() >= list.limit {
                keys.token = token;
                return Ok(keys);
            }
        }
    }

    /// Everything whose key begins so: for what there is little of.
    pub(super) async fn all(&self, prefix: &str) -> Answered<Vec<Found>> {
        let list = List {
            prefix,
            limit: usize::MAX,
            ..List::default()
        };
        Ok(self.keys(list).await?.objects)
    }

    /// One page; its marker is the store's. Fails with `ContainerNotFound`.
    pub(crate) async fn list_blobs(
        &self,
        container: &str,
        listing: Listing<'_>,
        with_metadata: bool,
    ) -> Result<BlobPage> {
        let folder = self.layout.container(container);
        let prefix = format!("{folder}{}", listing.prefix);
        let keys = self
            .keys(List {
                prefix: &prefix,
                delimiter: listing.delimiter,
                after: None,
                token: Some(listing.from).filter(|token| !token.is_empty()),
                limit: listing.limit,
            })
            .await?;
        // What is listed is there; only of nothing has to be told whether it is an empty container's or none's.
        if keys.objects.is_empty() && keys.prefixes.is_empty() {
            self.container(container).await?;
        }
        let name = |key: &str| key.strip_prefix(&folder).map(str::to_owned);
        let mut blobs: Vec<BlobEntry> = keys
            .objects
            .iter()
            .filter_map(|found| {
                Some(BlobEntry {
                    // Folders as consoles make them have an object without a name.
                    name: name(&found.key).filter(|name| !name.is_empty())?,
                    len: found.len,
                    etag: format!("\"{}\"", found.etag),
                    last_modified: found.modified,
                    content_type: None,
                    content_md5: None,
                    metadata: Vec::new(),
                })
            })
            .collect();
        if with_metadata {
            let keys = blobs
                .iter()
                .map(|blob| self.layout.blob(container, &blob.name))
                .collect::<Result<Vec<_>>>()?;
            let mut told = self.heads(keys).await?;
            for (n, blob) in blobs.iter_mut().enumerate() {
                // Deleted since: the listing's own words remain.
                let Some(meta) = told
                    .remove(&n)
                    .and_then(|headers| meta::blob(&headers).ok())
                else {
                    continue;
                };
                blob.content_type = meta.headers.content_type;
                blob.content_md5 = meta.headers.content_md5;
                blob.metadata = meta.metadata;
            }
        }
        Ok(BlobPage {
            blobs,
            prefixes: keys.prefixes.iter().filter_map(|key| name(key)).collect(),
            next_marker: keys.token,
        })
    }

    /// The headers of several objects, by their place in `keys`; those that are gone are left out.
    pub(super) async fn heads(
        &self,
        keys: Vec<String>,
    ) -> Answered<BTreeMap<usize, http::HeaderMap>> {
        use futures::{StreamExt as _, TryStreamExt as _};
        futures::stream::iter(keys.into_iter().enumerate())
            .map(|(n, key)| async move { Ok((n, self.head(&key).await?)) })
            .buffer_unordered(AT_ONCE)
            .try_filter_map(|(n, headers)| async move { Ok(headers.map(|headers| (n, headers))) })
            .try_collect()
            .await
    }

    /// Deletes everything whose key begins so.
    pub(super) async fn remove_all(&self, prefix: &str) -> Answered<()> {
        loop {
            let keys = self
                .keys(List {
                    prefix,
                    limit: PAGE,
                    ..List::default()
                })
                .await?;
            if keys.objects.is_empty() {
                return Ok(());
            }
            let all = keys.objects.into_iter().map(|found| found.key);
            self.remove_these(all.collect()).await?;
            if keys.token.is_none() {
                return Ok(());
            }
        }
    }

    /// Deletes at most a page of objects, in one request where it can name them.
    pub(super) async fn remove_these(&self, keys: Vec<String>) -> Answered<()> {
        let (together, alone): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| fits_xml(key));
        for key in alone {
            self.remove(&key).await?;
        }
        let objects: Vec<_> = together.into_iter().map(ObjectIdentifier::new).collect();
        if objects.is_empty() {
            return Ok(());
        }
        let mut action = DeleteObjects::new(&self.client.bucket, None, objects.iter());
        action.set_quiet(true);
        let (body, md5) = action.body_with_md5();
        let call = Call::new(What::DeleteObjects)
            .with(vec![("content-md5".to_owned(), md5)])
            .sending(Bytes::from(body));
        let answer = self.client.send(&call).await?;
        // Each object may fail for itself in an answer that says 200.
        if answer.body().windows(7).any(|at| at == b"<Error>") {
            return Err(refused(http::StatusCode::BAD_GATEWAY, answer.body()));
        }
        Ok(())
    }

    /// Whether the container has any blob, and when the first of them was written.
    pub(super) async fn first_blob(&self, container: &str) -> Result<Option<Found>> {
        let prefix = self.layout.container(container);
        let keys = self
            .keys(List {
                prefix: &prefix,
                limit: 1,
                ..List::default()
            })
            .await?;
        Ok(keys.objects.into_iter().next())
    }

    /// `ContainerNotFound` or `BlobNotFound`, for a blob that is not there.
    pub(super) async fn missing(&self, container: &str) -> crate::disk::Failure {
        match self.container(container).await {
            Ok(_) => ErrorCode::BlobNotFound.into(),
            Err(failure) => failure,
        }
    }
}
