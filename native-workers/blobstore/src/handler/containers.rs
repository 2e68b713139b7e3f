//! List Containers; Create, Delete and Get Properties of a container.

use std::sync::Arc;

use headwater_blob::server::{ListContainers, Preconditions};
use headwater_blob::time::http_date;
use headwater_blob::xml::{ListContainersAnswer, write_containers};
use http::header::{ETAG, HeaderName, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use super::headers::{metadata, set};
use super::read::{decode_marker, encode_marker};
use super::{Answer, Call, Engine, Result, bare, xml};
use crate::disk::ContainerMeta;

impl Engine {
    pub(super) async fn list_containers(
        self: &Arc<Self>,
        call: Call,
        list: ListContainers,
    ) -> Result<Answer> {
        let from = decode_marker(list.marker.as_deref())?;
        let (prefix, limit) = (list.prefix.clone().unwrap_or_default(), list.limit());
        let page = self
            .store
            .list_containers(&prefix, from, limit, list.include_metadata)
            .await?;
        let text = write_containers(&ListContainersAnswer {
            service_endpoint: &call.service_endpoint(&self.account),
            prefix: list.prefix.as_deref(),
            marker: list.marker.as_deref(),
            max_results: list.max_results,
            include_metadata: list.include_metadata,
            containers: &page.containers,
            next_marker: page.next.as_deref().map(encode_marker).as_deref(),
        });
        Ok(xml(StatusCode::OK, text))
    }

    pub(super) async fn create_container(self: &Arc<Self>, call: Call) -> Result<Answer> {
        let metadata = metadata(&call.head.headers)?;
        let meta = self
            .store
            .create_container(call.container()?, metadata, Timestamp::now())
            .await?;
        let mut answer = bare(StatusCode::CREATED);
        set_version(answer.headers_mut(), &meta);
        Ok(answer)
    }

    pub(super) async fn delete_container(self: &Arc<Self>, call: Call) -> Result<Answer> {
        let conditions = Preconditions::from_headers(&call.head.headers)?;
        self.store
            .delete_container(call.container()?, conditions)
            .await?;
        Ok(bare(StatusCode::ACCEPTED))
    }

    pub(super) async fn container_properties(self: &Arc<Self>, call: Call) -> Result<Answer> {
        let meta = self.store.container(call.container()?).await?;
        let mut answer = bare(StatusCode::OK);
        let headers = answer.headers_mut();
        set_version(headers, &meta);
        for (name, value) in [
            ("x-ms-lease-status", "unlocked"),
            ("x-ms-lease-state", "available"),
            ("x-ms-has-immutability-policy", "false"),
            ("x-ms-has-legal-hold", "false"),
        ] {
            set(headers, HeaderName::from_static(name), value);
        }
        for (name, value) in &meta.metadata {
            if let Ok(name) = HeaderName::try_from(format!("x-ms-meta-{name}")) {
                set(headers, name, value);
            }
        }
        Ok(answer)
    }
}

fn set_version(out: &mut HeaderMap, meta: &ContainerMeta) {
    set(out, ETAG, &format!("\"{}\"", meta.etag));
    set(out, LAST_MODIFIED, &http_date(meta.last_modified));
}
