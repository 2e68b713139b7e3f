//! Put Blob, Put Block, Put Block List, Set Blob Properties, Set Blob Metadata, Delete Blob.

use std::sync::Arc;

use headwater_blob::server::{ErrorCode, Preconditions, ServiceError};
use headwater_blob::xml::{XmlError, parse_block_list};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use hyper::body::Incoming;
use jiff::Timestamp;

use super::checksum::{Checksums, Expected};
use super::headers::{blob_headers, metadata, set, set_version};
use super::{Answer, Call, Engine, Result, bare, body};
use crate::backing::Commit;
use crate::disk::{BlobMeta, Content, HttpHeaders, Replacement};

/// Largest body of Put Blob: 5000 MiB.
const MAX_BLOB: u64 = 5000 << 20;
/// Largest block: 4000 MiB.
const MAX_BLOCK: u64 = 4000 << 20;
/// A block list of 50 000 ids of 88 characters in their tags fits.
const MAX_BLOCK_LIST: u64 = 8 << 20;

/// What a request says about the blob it commits.
fn commit(call: &Call, headers: HttpHeaders) -> Result<Commit> {
    Ok(Commit {
        headers,
        metadata: metadata(&call.head.headers)?,
        conditions: Preconditions::from_headers(&call.head.headers)?,
        overwrite: call.authorized.overwrite,
    })
}

impl Engine {
    pub(super) async fn put_blob(
        self: &Arc<Self>,
        call: Call,
        body: &mut Incoming,
    ) -> Result<Answer> {
        body::announced_len(body, MAX_BLOB)?;
        let expected = Expected::from_headers(
            &call.head.headers,
            &["content-md5", "x-ms-blob-content-md5"],
        )?;
        let mut commit = commit(&call, blob_headers(&call.head.headers, true)?)?;
        self.must_take(&call).await?;
        let received = self.receive(body, Checksums::new(expected, true)).await?;
        commit.headers.content_md5.clone_from(&received.md5);
        let content = Content::Whole {
            bytes: received.bytes,
            len: received.len,
        };
        let mut answer = created(&self.write(&call, commit, content).await?);
        if let Some(md5) = &received.md5 {
            set(
                answer.headers_mut(),
                HeaderName::from_static("content-md5"),
                md5,
            );
        }
        Ok(answer)
    }

    pub(super) async fn put_block(
        self: &Arc<Self>,
        call: Call,
        id: String,
        body: &mut Incoming,
    ) -> Result<Answer> {
        if body::announced_len(body, MAX_BLOCK)? == 0 {
            return Err(
                ServiceError::new(ErrorCode::InvalidHeaderValue, "A block is not empty.").into(),
            );
        }
        let expected = Expected::from_headers(&call.head.headers, &["content-md5"])?;
        self.must_take(&call).await?;
        let received = self.receive(body, Checksums::new(expected, false)).await?;
        let turn = self.store.turn(call.container()?, call.blob()?).await;
        self.store
            .put_block(turn, id, received.bytes, received.len)
            .await?;
        let mut answer = bare(StatusCode::CREATED);
        if let Some(md5) = &received.md5 {
            set(
                answer.headers_mut(),
                HeaderName::from_static("content-md5"),
                md5,
            );
        }
        not_encrypted(&mut answer);
        Ok(answer)
    }

    pub(super) async fn put_block_list(
        self: &Arc<Self>,
        call: Call,
        body: &mut Incoming,
    ) -> Result<Answer> {
        body::announced_len(body, MAX_BLOCK_LIST)?;
        // Content-Type, Content-MD5 and the like describe the XML here, not the blob.
        let commit = commit(&call, blob_headers(&call.head.headers, false)?)?;
        let mut sums = Checksums::new(
            Expected::from_headers(&call.head.headers, &["content-md5"])?,
            false,
        );
        let limit = usize::try_from(MAX_BLOCK_LIST).unwrap_or(usize::MAX);
        let list = body::gather(body, limit, self.idle_timeout).await?;
        sums.update(&list);
        sums.finish()?;
        let blocks = parse_block_list(&list).map_err(|error| match error {
            XmlError::TooManyBlocks(_) => ServiceError::from(ErrorCode::BlockListTooLong),
            other => ServiceError::new(ErrorCode::InvalidXmlDocument, other.to_string()),
        })?;
        Ok(created(
            &self.write(&call, commit, Content::Blocks(blocks)).await?,
        ))
    }

    pub(super) async fn set_properties(self: &Arc<Self>, call: Call) -> Result<Answer> {
        let headers = blob_headers(&call.head.headers, false)?;
        self.change(call, Replacement::Headers(headers)).await
    }

    pub(super) async fn set_metadata(self: &Arc<Self>, call: Call) -> Result<Answer> {
        let metadata = metadata(&call.head.headers)?;
        self.change(call, Replacement::Metadata(metadata)).await
    }

    pub(super) async fn delete_blob(self: &Arc<Self>, call: Call) -> Result<Answer> {
        let conditions = Preconditions::from_headers(&call.head.headers)?;
        let turn = self.store.turn(call.container()?, call.blob()?).await;
        self.store
            .delete_blob(turn, conditions, Timestamp::now())
            .await?;
        let mut answer = bare(StatusCode::ACCEPTED);
        let permanent = HeaderName::from_static("x-ms-delete-type-permanent");
        answer
            .headers_mut()
            .insert(permanent, HeaderValue::from_static("true"));
        Ok(answer)
    }

    async fn change(self: &Arc<Self>, call: Call, replacement: Replacement) -> Result<Answer> {
        let conditions = Preconditions::from_headers(&call.head.headers)?;
        let turn = self.store.turn(call.container()?, call.blob()?).await;
        let meta = self
            .store
            .change(turn, replacement, conditions, Timestamp::now())
            .await?;
        let mut answer = bare(StatusCode::OK);
        set_version(answer.headers_mut(), &meta);
        Ok(answer)
    }

    /// Before gigabytes are received for a container that is not there, or under a name that cannot be stored.
    async fn must_take(self: &Arc<Self>, call: &Call) -> Result<()> {
        self.store.takes(call.container()?, call.blob()?).await
    }

    async fn receive(
        self: &Arc<Self>,
        body: &mut Incoming,
        checksums: Checksums,
    ) -> Result<body::Received> {
        let scratch = self.store.scratch().await?;
        body::receive(body, scratch, checksums, self.idle_timeout).await
    }

    async fn write(
        self: &Arc<Self>,
        call: &Call,
        commit: Commit,
        content: Content,
    ) -> Result<BlobMeta> {
        let turn = self.store.turn(call.container()?, call.blob()?).await;
        self.store
            .write(turn, commit, content, Timestamp::now())
            .await
    }
}

fn created(meta: &BlobMeta) -> Answer {
    let mut answer = bare(StatusCode::CREATED);
    set_version(answer.headers_mut(), meta);
    not_encrypted(&mut answer);
    answer
}

/// Clients ask whether the service encrypted what it stored: it did not.
fn not_encrypted(answer: &mut Answer) {
    let name = HeaderName::from_static("x-ms-request-server-encrypted");
    answer
        .headers_mut()
        .insert(name, HeaderValue::from_static("false"));
}
