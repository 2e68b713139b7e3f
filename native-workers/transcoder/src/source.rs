//! The input file: found in its place, read by ranges, parsed.
//!
//! Nothing is ever downloaded as a whole. Every read carries the entity tag of the first one, so that a file that is
//! replaced under a running job ends it instead of mixing two files.

use std::ops::Range;

use bytes::Bytes;
use headwater_blob::{Auth, ClientError, Container, HyperClient, Store};
use headwater_bmff::{Movie, MovieReader, Step as ReaderStep};
use headwater_work::{Place, Selection, WorkInput};
use tokio_util::sync::CancellationToken;

use crate::failure::{self, Step, Stopped};
use crate::retry::retrying;
use crate::sniff;

/// A place as a store with a client.
pub fn store(client: &HyperClient, place: &Place) -> Result<Store<HyperClient>, String> {
    let auth = if place.sas.is_empty() {
        Auth::None
    } else {
        Auth::Sas(place.sas.clone())
    };
    let container =
        Container::new(&place.container_url, auth).map_err(|error| error.to_string())?;
    Ok(Store::new(client.clone(), container, jiff::Timestamp::now))
}

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
        client: &HyperClient,
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
            [] => media_files(client, place, stop, false).await?.remove(0),
            [one] => (*one).clone(),
            several => {
                return Err(failure::configuration(format!(
                    "The built-in engine takes one input file; {} were named.",
                    several.len()
                )));
            }
        };
        Self::named(client, place, &file, stop).await
    }

    /// The file `file` of `place`.
    pub async fn named(
        client: &HyperClient,
        place: &Place,
        file: &str,
        stop: &CancellationToken,
    ) -> Step<Self> {
        let store = store(client, place).map_err(failure::internal)?;
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

/// Names that are never the media file of an asset.
const COMPANIONS: [&str; 14] = [
    ".ism", ".ismc", ".mpi", ".hwx", ".jpg", ".jpeg", ".png", ".vtt", ".ttml", ".srt", ".xml",
    ".json", ".txt", ".cmft",
];

/// The media files of a place, relative to its folder: the only one, or with `all` as many as there are. Not empty.
///
/// Errors: `DownloadNotAccessible` for none, `ConfigurationUnsupported` for several where one is wanted.
pub async fn media_files(
    client: &HyperClient,
    place: &Place,
    stop: &CancellationToken,
    all: bool,
) -> Step<Vec<String>> {
    let store = store(client, place).map_err(failure::internal)?;
    let prefix = if place.sub_path.is_empty() {
        String::new()
    } else {
        format!("{}/", place.sub_path)
    };
    let listed = retrying(
        stop,
        |error| failure::download("the asset's container", error),
        async || store.list_all(&prefix, 1000).await,
    )
    .await?;
    let media: Vec<String> = listed
        .into_iter()
        .filter_map(|entry| Some(entry.name.strip_prefix(&prefix)?.to_owned()))
        .filter(|inside| {
            let lower = inside.to_ascii_lowercase();
            !inside.contains('/') && !COMPANIONS.iter().any(|suffix| lower.ends_with(suffix))
        })
        .collect();
    match media.len() {
        0 => Err(Stopped::Failed(headwater_work::JobFailure {
            code: headwater_work::JobErrorCode::DownloadNotAccessible,
            message: "The input asset holds no media file.".into(),
            details: Vec::new(),
        })),
        count if count > 1 && !all => Err(failure::configuration(
            "The input asset holds several media files: name the one to encode.",
        )),
        count if count > MOST_FILES => Err(failure::configuration(format!(
            "The input asset holds {count} media files; at most {MOST_FILES} can be taken together."
        ))),
        _ => Ok(media),
    }
}

/// Most files of an asset that are taken together.
const MOST_FILES: usize = 50;
