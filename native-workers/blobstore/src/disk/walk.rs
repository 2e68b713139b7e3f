//! List Blobs: names in byte order, straight from the folders.
//!
//! The order of names equals the order of a walk in which a folder sorts as its name with `/` appended, because every
//! name inside starts with that text and no other name does. So a page needs the entries of the folders on its way in
//! memory, never the whole container.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use headwater_blob::xml::{BlobEntry, BlobPage};

use super::escape::{folder_prefix, unescape};
use super::meta::{BlobFiles, BlobMeta, META_SUFFIX};
use super::{Disk, Result};

/// What to list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) delimiter: Option<&'a str>,
    /// The name or folder to start with.
    pub(crate) from: &'a str,
    pub(crate) limit: usize,
}

/// One entry of a folder, by its full name in the container.
enum Entry {
    Blob { name: String, stem: String },
    Folder { name: String, file_name: String },
}

impl Entry {
    fn name(&self) -> &str {
        match self {
            Self::Blob { name, .. } | Self::Folder { name, .. } => name,
        }
    }
}

struct Walk<'a> {
    listing: Listing<'a>,
    page: BlobPage,
    /// The common prefix that was reported last: everything under it is passed over.
    folded: Option<String>,
}

impl Disk {
    /// One page; its marker is the plain name to start the next page with. Fails with `ContainerNotFound`.
    pub(crate) fn list_blobs(&self, container: &str, listing: Listing<'_>) -> Result<BlobPage> {
        self.container(container)?;
        let mut walk = Walk {
            listing,
            page: BlobPage::default(),
            folded: None,
        };
        let root = self.container_folder(container).join("blobs");
        let _ = walk.folder(&root, "")?;
        Ok(walk.page)
    }
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str) -> io::Result<ControlFlow<()>> {
        for entry in read_entries(folder, prefix)? {
            if self.passes_over(&entry) {
                continue;
            }
            let flow = match &entry {
                Entry::Folder { name, file_name } => self.folder(&folder.join(file_name), name)?,
                Entry::Blob { name, stem } => self.blob(folder, name, stem)?,
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether nothing of the entry belongs on the page.
    fn passes_over(&self, entry: &Entry) -> bool {
        let (name, Listing { prefix, from, .. }) = (entry.name(), self.listing);
        if self
            .folded
            .as_ref()
            .is_some_and(|folded| name.starts_with(folded.as_str()))
        {
            return true;
        }
        match entry {
            Entry::Blob { .. } => !name.starts_with(prefix) || name < from,
            // All names of the folder start with its own; so one of the two must be the beginning of the other.
            Entry::Folder { .. } => {
                let outside = !name.starts_with(prefix) && !prefix.starts_with(name);
                outside || (name < from && !from.starts_with(name))
            }
        }
    }

    fn blob(&mut self, folder: &Path, name: &str, stem: &str) -> io::Result<ControlFlow<()>> {
        let Listing {
            prefix,
            delimiter,
            limit,
            ..
        } = self.listing;
        let rest = name.get(prefix.len()..).unwrap_or_default();
        let fold = delimiter.and_then(|d| rest.find(d).map(|at| prefix.len() + at + d.len()));
        let shown = fold.and_then(|end| name.get(..end)).unwrap_or(name);
        if self.page.blobs.len() + self.page.prefixes.len() >= limit {
            self.page.next_marker = Some(shown.to_owned());
            return Ok(ControlFlow::Break(()));
        }
        if fold.is_some() {
            self.page.prefixes.push(shown.to_owned());
            self.folded = Some(shown.to_owned());
            return Ok(ControlFlow::Continue(()));
        }
        let files = BlobFiles {
            folder: folder.to_owned(),
            stem: stem.to_owned(),
        };
        // Deleted since the folder was read: not an error.
        if let Some(meta) = files.read_meta()? {
            self.page.blobs.push(entry(name, meta));
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn entry(name: &str, meta: BlobMeta) -> BlobEntry {
    BlobEntry {
        name: name.to_owned(),
        len: meta.len,
        etag: format!("\"{}\"", meta.etag),
        last_modified: Some(meta.last_modified),
        content_type: meta.headers.content_type,
        content_md5: meta.headers.content_md5,
        metadata: meta.metadata,
    }
}

/// The blobs and folders of one folder, in the order of their names.
fn read_entries(folder: &Path, prefix: &str) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let listed = match fs::read_dir(folder) {
        // Emptied and removed while we walked.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(entries),
        other => other?,
    };
    for found in listed {
        // Names that are not UTF-8 are not ours.
        let Ok(file_name) = found?.file_name().into_string() else {
            continue;
        };
        if let Some(stem) = file_name.strip_suffix(META_SUFFIX) {
            if let Some(last) = unescape(stem) {
                entries.push(Entry::Blob {
                    name: format!("{prefix}{last}"),
                    stem: stem.to_owned(),
                });
            }
        } else if !file_name.contains('~')
            && let Some(part) = folder_prefix(&file_name)
        {
            entries.push(Entry::Folder {
                name: format!("{prefix}{part}"),
                file_name,
            });
        }
    }
    entries.sort_unstable_by(|a, b| a.name().cmp(b.name()));
    Ok(entries)
}
