//! Containers: created and deleted by one rename each.

use std::fs;
use std::io;

use headwater_blob::names::check_container;
use headwater_blob::server::{ErrorCode, Outcome, Preconditions, State, Use};
use headwater_blob::xml::ContainerEntry;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::PoisonError;

use super::durable::{replace_file, sync_folder};
use super::meta::read_json;
use super::{Disk, Result};

/// `container.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ContainerMeta {
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) last_modified: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) metadata: Vec<(String, String)>,
}

/// One page of containers.
#[derive(Debug)]
pub(crate) struct ContainerPage {
    pub(crate) containers: Vec<ContainerEntry>,
    /// Name of the first container of the next page.
    pub(crate) next: Option<String>,
}

impl Disk {
    pub(crate) fn create_container(
        &self,
        container: &str,
        metadata: Vec<(String, String)>,
        now: Timestamp,
    ) -> Result<ContainerMeta> {
        check_container(container)?;
        let lock = self.locks.container(container);
        let _alone = lock.write().unwrap_or_else(PoisonError::into_inner);
        let target = self.container_folder(container);
        if target.exists() {
            return Err(ErrorCode::ContainerAlreadyExists.into());
        }
        let meta = ContainerMeta {
            etag: self.new_etag(self.stamp(now)),
            last_modified: now,
            metadata,
        };
        let draft = self.scratch_path();
        fs::create_dir(&draft)?;
        for folder in ["blobs", "blocks"] {
            fs::create_dir(draft.join(folder))?;
        }
        let json = serde_json::to_vec(&meta).map_err(io::Error::other)?;
        replace_file(&self.scratch_path(), &draft.join("container.json"), &json)?;
        fs::rename(&draft, &target)?;
        sync_folder(&self.root.join("containers"))?;
        Ok(meta)
    }

    /// Fails with `ContainerNotFound`.
    pub(crate) fn container(&self, container: &str) -> Result<ContainerMeta> {
        let meta = read_json(&self.container_folder(container).join("container.json"))?;
        Ok(meta.ok_or(ErrorCode::ContainerNotFound)?)
    }

    /// The container is gone when this returns; its bytes go in the background.
    pub(crate) fn delete_container(
        &self,
        container: &str,
        conditions: &Preconditions,
    ) -> Result<()> {
        let trash = self
            .root
            .join("trash")
            .join(uuid::Uuid::new_v4().simple().to_string());
        {
            let lock = self.locks.container(container);
            let _alone = lock.write().unwrap_or_else(PoisonError::into_inner);
            let meta = self.container(container)?;
            let state = State {
                etag: &meta.etag,
                last_modified: meta.last_modified,
            };
            if let Outcome::Fail(code) = conditions.evaluate(Use::Change, Some(state)) {
                return Err(code.into());
            }
            fs::rename(self.container_folder(container), &trash)?;
            sync_folder(&self.root.join("containers"))?;
            sync_folder(&self.root.join("trash"))?;
        }
        // What cannot be removed now is tried again at the next start.
        std::thread::spawn(move || fs::remove_dir_all(trash));
        Ok(())
    }

    /// Containers in name order, from `marker` on.
    pub(crate) fn list_containers(
        &self,
        prefix: &str,
        marker: &str,
        limit: u32,
    ) -> Result<ContainerPage> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join("containers"))? {
            let Ok(name) = entry?.file_name().into_string() else {
                continue;
            };
            if name.starts_with(prefix) && name.as_str() >= marker {
                names.push(name);
            }
        }
        names.sort_unstable();
        let mut page = ContainerPage {
            containers: Vec::new(),
            next: None,
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        for name in names {
            if page.containers.len() == limit {
                page.next = Some(name);
                break;
            }
            let Some(meta) =
                read_json::<ContainerMeta>(&self.container_folder(&name).join("container.json"))?
            else {
                continue;
            };
            page.containers.push(ContainerEntry {
                name,
                etag: format!("\"{}\"", meta.etag),
                last_modified: meta.last_modified,
                metadata: meta.metadata,
            });
        }
        Ok(page)
    }
}
