//! The input file: found in its place, read by ranges, parsed.
//!
//! Nothing is ever downloaded as a whole. Every read carries the entity tag of the first one, so that a file that is
//! replaced under a running job ends it instead of mixing two files.

use std::ops::Range;

use bytes::Bytes;
use headwater_blob::{ClientError, HyperClient, List, Store};
use headwater_bmff::{Movie, MovieReader, Step as ReaderStep};
use headwater_work::{Place, Selection, WorkInput};
use tokio_util::sync::CancellationToken;

use crate::failure::{self, Step, Stopped};
use crate::retry::retrying;
use crate::sniff;
use crate::storage::Storage;

/// The name of `file` in the container of `place`.
pub fn blob_name(place: &Place, file: &str) -> String {
    if place.sub_path.is_empty() {
        file.to_owned()
    } else {
        format!("{}/{file}", place.sub_path)
    }
}

/// One input file.
#[derive(Clone)]
pub struct Source {
    store: Store<HyperClient>,
    blob: String,
    /// Without folders, for messages and for naming outputs.
    pub name: String,
    pub len: u64,
    pub etag: String,
    stop: CancellationToken,
}

impl Source {
    /// Finds the file and learns its length and entity tag.
    pub async fn open(
        storage: &Storage,
        input: &WorkInput,
        stop: &CancellationToken,
    ) -> Step<Self> {
        let (place, files) = match input {
            WorkInput::Asset {
                place,
                files,
                selection,
            } if *selection == Selection::default() => (place, files),
            _ => {
                return Err(failure::configuration(
                    "The built-in engine takes one whole file of an asset; ffmpeg takes more, and this worker has none.",
                ));
            }
        };
        let files: Vec<&String> = files.iter().filter(|file| !file.is_empty()).collect();
        let file = match files.as_slice() {
            [] => match asset_files(storage, place, stop, false).await? {
                AssetFiles::Media(mut media) => media.remove(0),
                AssetFiles::Manifest(name) => return Err(by_manifest(&name)),
            },
            [one] if is_manifest(one) => return Err(by_manifest(one)),
            [one] => (*one).clone(),
            several => {
                return Err(failure::configuration(format!(
                    "The built-in engine takes one input file; {} were named.",
                    several.len()
                )));
            }
        };
        Self::named(storage, place, &file, stop).await
    }

    /// The file `file` of `place`.
    pub async fn named(
        storage: &Storage,
        place: &Place,
        file: &str,
        stop: &CancellationToken,
    ) -> Step<Self> {
        let store = storage.store(place).map_err(failure::internal)?;
        let blob = blob_name(place, file);
        let name = blob.rsplit('/').next().unwrap_or(&blob).to_owned();
        let properties = retrying(
            stop,
            |error| failure::download(&name, error),
            async || store.head(&blob).await,
        )
        .await?;
        if properties.len == 0 {
            return Err(failure::malformed(format!(
                "The input file '{name}' is empty."
            )));
        }
        Ok(Self {
            store,
            blob,
            name,
            len: properties.len,
            etag: properties.etag,
            stop: stop.clone(),
        })
    }

    /// Reads a range that lies within the file.
    pub async fn read(&self, range: Range<u64>) -> Step<Bytes> {
        let wanted = range.end - range.start;
        let read = retrying(
            &self.stop,
            |error| match error {
                ClientError::PreconditionFailed { .. } => failure::download(
                    &self.name,
                    &ClientError::Conflict {
                        code: "the file was replaced while the job was reading it".into(),
                    },
                ),
                error => failure::download(&self.name, error),
            },
            async || {
                self.store
                    .get_range(&self.blob, Some(range.clone()), Some(&self.etag))
                    .await
            },
        )
        .await?;
        if read.offset != range.start || read.bytes.len() as u64 != wanted {
            return Err(failure::download(
                &self.name,
                &ClientError::Malformed("range"),
            ));
        }
        Ok(read.bytes)
    }

    /// Reads the movie header, wherever in the file it is.
    pub async fn movie(&self) -> Step<Movie> {
        let head = self.read(0..self.len.min(sniff::SNIFFED_BYTES)).await?;
        if let Some(other) = sniff::other_container(&head) {
            return Err(failure::unsupported(format!(
                "The input file '{}' is {other}; only MP4 and QuickTime files with H.264 video and AAC audio are supported.",
                self.name
            )));
        }
        let mut reader = MovieReader::new(self.len);
        loop {
            match reader
                .step()
                .map_err(|error| failure::container(&self.name, &error))?
            {
                ReaderStep::Done(movie) => return Ok(*movie),
                ReaderStep::Need { offset, len } => {
                    let end = offset
                        .checked_add(len)
                        .filter(|&end| end <= self.len)
                        .ok_or_else(|| {
                            failure::internal("the box reader asked for bytes past the end")
                        })?;
                    let bytes = self.read(offset..end).await?;
                    reader
                        .feed(offset, bytes)
                        .map_err(|error| failure::container(&self.name, &error))?;
                }
            }
        }
    }
}

fn by_manifest(name: &str) -> Stopped {
    failure::configuration(format!(
        "The input is what the server manifest '{name}' names; the built-in engine takes one media file."
    ))
}

/// Names that are never the media file of an asset.
const COMPANIONS: [&str; 14] = [
    ".ism", ".ismc", ".mpi", ".hwx", ".jpg", ".jpeg", ".png", ".vtt", ".ttml", ".srt", ".xml",
    ".json", ".txt", ".cmft",
];

/// What of an asset is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssetFiles {
    /// Media files, relative to the asset's folder. Not empty.
    Media(Vec<String>),
    /// The server manifest that says which they are: there are several, or they are folders of fragments.
    Manifest(String),
}

/// Whether `file` is a server manifest by its name.
pub fn is_manifest(file: &str) -> bool {
    file.to_ascii_lowercase().ends_with(".ism")
}

/// What is read of a place where nothing is named: the only media file, what the only server manifest names, or with `all` as
/// many media files as there are.
///
/// Errors: `DownloadNotAccessible` for none, `ConfigurationUnsupported` for several where one is wanted.
pub async fn asset_files(
    storage: &Storage,
    place: &Place,
    stop: &CancellationToken,
    all: bool,
) -> Step<AssetFiles> {
    let store = storage.store(place).map_err(failure::internal)?;
    let prefix = if place.sub_path.is_empty() {
        String::new()
    } else {
        format!("{}/", place.sub_path)
    };
    let listed = listing(&store, &prefix, stop).await?;
    let inside: Vec<String> = listed
        .into_iter()
        .filter(|inside| !inside.contains('/'))
        .collect();
    let mut manifests = inside.iter().filter(|inside| is_manifest(inside));
    let manifest = match (manifests.next(), manifests.next()) {
        (Some(only), None) => Some(only.clone()),
        _ => None,
    };
    let media: Vec<String> = inside
        .into_iter()
        .filter(|inside| {
            let lower = inside.to_ascii_lowercase();
            !COMPANIONS.iter().any(|suffix| lower.ends_with(suffix))
        })
        .collect();
    if let Some(manifest) = manifest
        && media.len() != 1
    {
        return Ok(AssetFiles::Manifest(manifest));
    }
    match media.len() {
        0 => Err(Stopped::Failed(headwater_work::JobFailure {
            code: headwater_work::JobErrorCode::DownloadNotAccessible,
            message: "The input asset holds no media file.".into(),
            details: Vec::new(),
        })),
        count if count > 1 && !all => Err(failure::configuration(
            "The input asset holds several media files: name the one to encode, or their server manifest.",
        )),
        count if count > MOST_FILES => Err(failure::configuration(format!(
            "The input asset holds {count} media files; at most {MOST_FILES} can be taken together."
        ))),
        _ => Ok(AssetFiles::Media(media)),
    }
}

/// The names of at most [`MOST_LISTED`] blobs directly behind `prefix`, without it.
pub(crate) async fn listing(
    store: &Store<HyperClient>,
    prefix: &str,
    stop: &CancellationToken,
) -> Step<Vec<String>> {
    let mut names = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        // Folders of fragments are many names, and not of interest to who looks from above.
        let list = List {
            prefix,
            delimiter: Some("/"),
            marker: marker.as_deref(),
            ..List::default()
        };
        let page = retrying(
            stop,
            |error| failure::download("the asset's container", error),
            async || store.list(&list).await,
        )
        .await?;
        let found = page.blobs.into_iter();
        names.extend(found.filter_map(|entry| Some(entry.name.strip_prefix(prefix)?.to_owned())));
        match page.next_marker {
            Some(next) if names.len() < MOST_LISTED && marker.as_ref() != Some(&next) => {
                marker = Some(next);
            }
            _ => return Ok(names),
        }
    }
}

/// Most names of a folder that are looked at: four days of two seconds.
const MOST_LISTED: usize = 200_000;
/// Most files of an asset that are taken together.
const MOST_FILES: usize = 50;
