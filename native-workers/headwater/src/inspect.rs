//! `headwater inspect FILE|URL`: what a media file consists of, as text.
//!
//! An MP4 (progressive or fragmented), an init segment or a media segment: its boxes, and its tracks where it has a
//! movie. A packaging index: its tracks and segments. A playlist, manifest or server manifest: as it is.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Parser;
use headwater_bmff::{Movie, TrackKind};
use headwater_cmaf::index::{HeadParse, IndexHead, parse_head};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

#[derive(Parser)]
pub(crate) struct Args {
    /// A file, or a URL of a running installation.
    what: String,
    /// Folder of the installation, for its CA and token when `what` is a URL.
    #[arg(long, env = "HEADWATER_DATA", default_value = ".headwater")]
    data: PathBuf,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let bytes = if args.what.starts_with("http://") || args.what.starts_with("https://") {
        fetch(&args.what, &args.data).await?
    } else {
        // Mapped rather than read: only the boxes are looked at.
        map(Path::new(&args.what))?
    };
    print!("{}", describe(&bytes)?);
    Ok(())
}

#[allow(unsafe_code)]
fn map(path: &Path) -> Result<Bytes> {
    let named = || format!("reading {}", path.display());
    let file = std::fs::File::open(path).with_context(named)?;
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: whoever cuts the file off while it is looked at ends this command, and nothing else.
    let map = unsafe { memmap2::Mmap::map(&file) }.with_context(named)?;
    Ok(Bytes::from_owner(map))
}

async fn fetch(url: &str, data: &Path) -> Result<Bytes> {
    let connection = crate::connection::ConnectionFile::read(data)?;
    let client = crate::client::ApiClient::new(&connection)?;
    let request = http::Request::get(url).body(http_body_util::Full::new(Bytes::new()))?;
    let response = client.send(request).await?;
    if !response.status().is_success() {
        bail!(
            "{url} answered {}: {}",
            response.status(),
            String::from_utf8_lossy(response.body())
        );
    }
    Ok(response.into_body())
}

/// Text about `bytes`, whatever they are.
fn describe(bytes: &Bytes) -> Result<String> {
    if bytes.is_empty() {
        bail!("there is nothing in it: 0 bytes");
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && (text.trim_start_matches('\u{feff}').starts_with(['#', '<'])
            || text.starts_with("WEBVTT"))
    {
        return Ok(text.to_owned());
    }
    if let Ok(HeadParse::Complete(head)) = parse_head(bytes) {
        return Ok(index(&head));
    }
    let mut out = String::new();
    boxes(bytes, 0, 0, &mut out)?;
    if out.contains(" moov ")
        && let Ok(movie) = headwater_bmff::parse_movie(bytes.clone())
    {
        tracks(&movie, &mut out);
    }
    Ok(out)
}

/// Boxes that hold boxes.
const CONTAINERS: [&[u8; 4]; 12] = [
    b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf", b"edts", b"dinf",
    b"mfra", b"udta",
];

/// One line a box: offset, type, size.
fn boxes(bytes: &[u8], base: usize, depth: usize, out: &mut String) -> Result<()> {
    let mut at = 0usize;
    while let Some(header) = bytes.get(at..at + 8) {
        let (size, kind) = header.split_at(4);
        let mut len = u64::from(u32::from_be_bytes(size.try_into()?));
        let mut header_len = 8;
        if len == 1 {
            let large = bytes
                .get(at + 8..at + 16)
                .context("a large box's size is cut off")?;
            len = u64::from_be_bytes(large.try_into()?);
            header_len = 16;
        } else if len == 0 {
            len = (bytes.len() - at) as u64;
        }
        let name: String = kind
            .iter()
            .map(|b| {
                if b.is_ascii_graphic() || *b == b' ' {
                    *b as char
                } else {
                    '?'
                }
            })
            .collect();
        if len < header_len {
            bail!(
                "at byte {}: box `{name}` claims {len} bytes, less than its own header",
                base + at
            );
        }
        let end = usize::try_from(len)
            .ok()
            .and_then(|len| at.checked_add(len));
        let Some(end) = end.filter(|end| *end <= bytes.len()) else {
            writeln!(
                out,
                "{:>12} {}{name} {len} bytes, cut off after {}",
                base + at,
                "  ".repeat(depth),
                bytes.len() - at
            )?;
            return Ok(());
        };
        writeln!(
            out,
            "{:>12} {}{name} {len} bytes",
            base + at,
            "  ".repeat(depth)
        )?;
        if depth < 8 && CONTAINERS.iter().any(|c| kind == c.as_slice()) {
            let start = at + header_len as usize;
            boxes(
                bytes.get(start..end).unwrap_or_default(),
                base + start,
                depth + 1,
                out,
            )?;
        }
        at = end;
    }
    if depth == 0 && at == 0 {
        bail!("neither an MP4 nor a text that is known here");
    }
    Ok(())
}

fn tracks(movie: &Movie, out: &mut String) {
    for track in &movie.tracks {
        let config = &track.config;
        let codec = config
            .codec
            .rfc6381()
            .unwrap_or_else(|| config.codec.name().to_owned());
        let scale = f64::from(config.timescale.get());
        let seconds = track.samples.end_time() as f64 / scale;
        let _ = write!(
            out,
            "track {}: {codec}, {} samples, {seconds:.3} s, timescale {}, {} bytes",
            config.id,
            track.samples.len(),
            config.timescale.get(),
            track.samples.total_bytes(),
        );
        match config.kind {
            TrackKind::Audio => {
                let _ = writeln!(
                    out,
                    ", {} Hz, {} channels, {}",
                    config.sample_rate, config.channels, config.language
                );
            }
            TrackKind::Text | TrackKind::Other => {
                let _ = writeln!(out, ", {}", config.language);
            }
            TrackKind::Video => {
                let (width, height) = config.display_size();
                let _ = writeln!(
                    out,
                    ", {width}x{height}, rotated {}°",
                    config.rotation().degrees()
                );
            }
        }
    }
}

fn index(head: &IndexHead) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "packaging index of a file of {} bytes, ETag {}",
        head.source.len, head.source.etag
    );
    for track in &head.tracks {
        let scale = f64::from(track.timescale.get());
        let _ = writeln!(
            out,
            "track {}: {}, {} bit/s (peak {}), {} segments from {:.3} s, {:.3} s long, longest {:.3} s, directory {:?}",
            track.id,
            track.codec,
            track.bitrate,
            track.peak_bitrate,
            track.segment_count,
            track.start as f64 / scale,
            track.duration as f64 / scale,
            track.max_segment_duration as f64 / scale,
            track.directory_range(),
        );
        if track.kind == headwater_cmaf::index::TrackKind::Audio {
            let (rate, channels) = (track.sample_rate, track.channels);
            let _ = writeln!(
                out,
                "    {rate} Hz, {channels} channels, {}",
                track.language
            );
        }
    }
    for warning in &head.warnings {
        let _ = writeln!(out, "{warning}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_are_named_by_their_offset() {
        let text =
            |bytes: &'static [u8]| describe(&Bytes::from_static(bytes)).map_err(|e| e.to_string());
        assert!(text(b"").unwrap_err().contains("0 bytes"));
        assert!(
            text(b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x04free")
                .unwrap_err()
                .contains("at byte 16")
        );
        assert!(
            text(b"\0\0\0\x20mdat1234")
                .unwrap()
                .contains("cut off after 12")
        );
        assert_eq!(text(b"#EXTM3U\n").unwrap(), "#EXTM3U\n");
    }

    #[test]
    fn sound_of_any_codec_is_described_as_sound() {
        let folder = tempfile::tempdir().unwrap();
        for (codec, said) in [
            ("ac3", "ac-3"),
            ("libopus", "Opus"),
            ("flac", "fLaC"),
            ("aac", "mp4a.40.2"),
        ] {
            let file = folder.path().join(format!("{codec}.mp4"));
            let made = std::process::Command::new("ffmpeg")
                .args([
                    "-v",
                    "error",
                    "-y",
                    "-f",
                    "lavfi",
                    "-i",
                    "sine=duration=1:sample_rate=48000",
                    "-ac",
                    "2",
                ])
                .args(["-c:a", codec, "-strict", "-2"])
                .arg(&file)
                .status()
                .expect("ffmpeg is installed");
            assert!(made.success(), "{codec}");
            let text = describe(&map(&file).unwrap()).unwrap();
            let line = text
                .lines()
                .find(|line| line.starts_with("track 1: "))
                .unwrap()
                .to_owned();
            assert!(line.contains(said), "{line}");
            assert!(line.contains(", 48000 Hz, 2 channels, und"), "{line}");
        }
    }
}
