//! Containers: an object that stands for each, or the blobs alone where somebody else put them there.
//!
//! Deleting takes as long as there are blobs. A mark says that a container is on its way out: its name is taken until the
//! last of it is gone, as in Azure, and whoever finds the mark goes on where another process stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_blob::names::check_container;
use headwater_blob::server::{ErrorCode, Outcome, Preconditions, State, Use};
use headwater_blob::xml::ContainerEntry;
use jiff::Timestamp;

use super::client::{Answered, Call, List, What};
use super::meta::Said;
use super::{ObjectStore, layout, meta, unusable};
use crate::disk::{ContainerMeta, ContainerPage, HttpHeaders, Result};

impl ObjectStore {
    pub(crate) async fn create_container(
        &self,
        container: &str,
        metadata: Vec<(String, String)>,
        now: Timestamp,
    ) -> Result<ContainerMeta> {
        check_container(container)?;
        if self.head(&self.layout.deleting(container)).await?.is_some() {
            return Err(ErrorCode::ContainerBeingDeleted.into());
        }
        if self.first_blob(container).await?.is_some() {
            return Err(ErrorCode::ContainerAlreadyExists.into());
        }
        let said = Said {
            headers: HttpHeaders::default(),
            metadata,
            created: now,
            generation: uuid::Uuid::new_v4().simple().to_string(),
            blocks: false,
        };
        let key = self.layout.created(container);
        let mut headers = said.to_headers()?;
        headers.push(("if-none-match".to_owned(), "*".to_owned()));
        let call = Call::new(What::PutObject(&key)).with(headers);
        match self.client.send(&call).await {
            Ok(answer) => Ok(ContainerMeta {
                etag: meta::etag(answer.headers()).map_err(unusable)?,
                last_modified: now,
                metadata: said.metadata,
            }),
            Err(error) if error.is_conflict() => Err(ErrorCode::ContainerAlreadyExists.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Fails with `ContainerNotFound`.
    pub(crate) async fn container(&self, container: &str) -> Result<ContainerMeta> {
        if let Some(headers) = self.head(&self.layout.created(container)).await? {
            return Ok(meta::container(&headers).map_err(unusable)?);
        }
        let Some(found) = self.first_blob(container).await? else {
            return Err(ErrorCode::ContainerNotFound.into());
        };
        if self.head(&self.layout.deleting(container)).await?.is_some() {
            return Err(ErrorCode::ContainerNotFound.into());
        }
        // Nobody created it, so nothing of it ever changes.
        Ok(ContainerMeta {
            etag: "0".to_owned(),
            last_modified: found.modified.unwrap_or(Timestamp::UNIX_EPOCH),
            metadata: Vec::new(),
        })
    }

    /// The container is gone when this returns; its blobs go in the background.
    pub(crate) async fn delete_container(
        self: &Arc<Self>,
        container: &str,
        conditions: &Preconditions,
    ) -> Result<()> {
        let meta = self.container(container).await?;
        let state = State {
            etag: &meta.etag,
            last_modified: meta.last_modified,
        };
        if let Outcome::Fail(code) = conditions.evaluate(Use::Change, Some(state)) {
            return Err(code.into());
        }
        let mark = self.layout.deleting(container);
        self.client.send(&Call::new(What::PutObject(&mark))).await?;
        self.remove(&self.layout.created(container)).await?;
        let (store, container) = (Arc::clone(self), container.to_owned());
        tokio::spawn(async move {
            if let Err(error) = store.clear(&container).await {
                tracing::warn!(container, %error, "a deleted container is not yet emptied; the next sweep goes on");
            }
        });
        Ok(())
    }

    /// Removes what a deleted container held, and its mark last.
    pub(super) async fn clear(&self, container: &str) -> Answered<()> {
        let layout = &self.layout;
        for prefix in [
            layout.container(container),
            layout.all_blocks(Some(container)),
            layout.lists(container),
        ] {
            self.remove_all(&prefix).await?;
        }
        self.remove(&layout.created(container)).await?;
        self.remove(&layout.deleting(container)).await
    }

    /// Containers in the order of their names with a slash behind them, which is that of keys; `from`: the last one of the page before.
    pub(crate) async fn list_containers(
        &self,
        prefix: &str,
        from: &str,
        limit: usize,
        with_metadata: bool,
    ) -> Result<ContainerPage> {
        let (created, folders) = (
            self.layout.all_created(prefix),
            self.layout.containers(prefix),
        );
        // Behind everything that begins with the name and a slash.
        let after = (!from.is_empty()).then(|| {
            (
                self.layout.all_created(&format!("{from}0")),
                self.layout.containers(&format!("{from}0")),
            )
        });
        let (created, folders) = futures::try_join!(
            self.keys(List {
                prefix: &created,
                after: after.as_ref().map(|(created, _)| created.as_str()),
                limit,
                ..List::default()
            }),
            self.keys(List {
                prefix: &folders,
                delimiter: Some("/"),
                after: after.as_ref().map(|(_, folders)| folders.as_str()),
                limit,
                ..List::default()
            }),
        )?;
        let gone = self.being_deleted().await?;
        let created_names = created.objects.iter().filter_map(|object| {
            let name = layout::last(object.key.strip_suffix("/created")?);
            Some((name, object.etag.as_str(), object.modified))
        });
        let folder_names = folders.prefixes.iter();
        let folder_names = folder_names.map(|key| (layout::last(key), "0", None));
        // Of a list that was cut nothing behind its end is known.
        let ends = [
            created_names
                .clone()
                .next_back()
                .filter(|_| created.token.is_some()),
            folder_names
                .clone()
                .next_back()
                .filter(|_| folders.token.is_some()),
        ];
        let end = ends.iter().flatten().map(|(name, ..)| in_order(name)).min();
        let mut found = BTreeMap::new();
        for (name, etag, modified) in created_names.chain(folder_names) {
            let place = in_order(name);
            let known = end.as_ref().is_none_or(|end| place <= *end);
            if known && !gone.contains(name) && check_container(name).is_ok() {
                found.entry(place).or_insert_with(|| ContainerEntry {
                    name: name.to_owned(),
                    etag: format!("\"{etag}\""),
                    last_modified: modified.unwrap_or(Timestamp::UNIX_EPOCH),
                    metadata: Vec::new(),
                });
            }
        }
        let mut containers: Vec<_> = found.into_values().collect();
        let end = end.map(|end| end.trim_end_matches('/').to_owned());
        let next = if containers.len() > limit {
            containers.truncate(limit);
            containers.last().map(|entry| entry.name.clone())
        } else {
            end
        };
        if with_metadata {
            let keys = containers
                .iter()
                .map(|entry| self.layout.created(&entry.name));
            let mut told = self.heads(keys.collect()).await?;
            for (n, entry) in containers.iter_mut().enumerate() {
                if let Some(Ok(meta)) = told.remove(&n).map(|headers| meta::container(&headers)) {
                    entry.metadata = meta.metadata;
                }
            }
        }
        Ok(ContainerPage { containers, next })
    }

    /// Names of the containers that are on their way out.
    pub(super) async fn being_deleted(&self) -> Answered<BTreeSet<String>> {
        let marks = self.all(&self.layout.deleting("")).await?;
        let names = marks.iter().map(|found| layout::last(&found.key));
        Ok(names.map(str::to_owned).collect())
    }
}

/// What names sort by, as keys do.
fn in_order(name: &str) -> String {
    format!("{name}/")
}
