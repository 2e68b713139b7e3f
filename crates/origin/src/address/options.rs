//! What may stand between the parentheses of a manifest, playlist or fragment URL.

use super::format::{Format, Protocol, SmoothVersion, TsVersion};
use super::window::{Clock, Window, duration, timestamp};
use crate::error::{Code, OriginError};
use headwater_live::group::RowsPerSegment;

/// Most filters of one URL.
const MAX_FILTERS: usize = 3;

/// Values of `encryption`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encryption {
    /// `cbc`: whole segments, AES-128.
    Envelope,
    /// `cenc`.
    Cenc,
    /// `cbcs-aapl`, and `cbcs` for DASH.
    Cbcs,
    /// `piff`.
    Piff,
}

/// Values of `audioTrack`: which sound is in the segments of pictures.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AudioTrack {
    /// None, said by a value that is empty: no track is called so.
    Silent,
    /// That of the track with this stream name.
    Named(String),
}

/// The options of one URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Protocol and container.
    pub format: Format,
    /// Protection asked for.
    pub encryption: Option<Encryption>,
    /// `audio-only=true`: the HLS presentation also has variants without video.
    pub audio_only: bool,
    /// `audioTrack`: the audio that goes with the video of a muxed HLS presentation. `None` leaves the choice to the origin.
    pub audio_track: Option<AudioTrack>,
    /// `type=keyframes`: the I-frame playlist; of DASH the MPD with sets of key frames.
    pub key_frames: bool,
    /// `filter`: names, in the order given.
    pub filters: Vec<String>,
    /// `vbegin`, `vend`, `start`, `end`.
    pub window: Window,
    /// `part`, of live presentations. Of a segment, which is named by its number then: which part. Of an init segment: which
    /// of the track's.
    pub part: Option<u32>,
    /// `fragments`, of segments of live presentations in MPEG-2 TS that hold several: how many, from the one that the segment is
    /// named by.
    pub fragments: Option<RowsPerSegment>,
    /// `period`, of init segments of live presentations whose keys rotate: the number of that whose key it names.
    pub period: Option<u32>,
}

impl Options {
    /// Nothing but a format.
    pub fn of(format: Format) -> Self {
        Self {
            format,
            encryption: None,
            audio_only: false,
            audio_track: None,
            key_frames: false,
            filters: Vec::new(),
            window: Window::default(),
            part: None,
            fragments: None,
            period: None,
        }
    }

    /// Reads options already split at commas.
    ///
    /// Errors: 400 for what is not `key=value` or not an option, 415 for unknown formats and encryptions and for more
    /// than three filters.
    pub(super) fn read<'a>(parts: impl Iterator<Item = &'a str>) -> Result<Self, OriginError> {
        let mut format: Option<Format> = None;
        let mut encryption: Option<Encryption> = None;
        let mut audio_only: Option<bool> = None;
        let mut audio_track: Option<AudioTrack> = None;
        let mut key_frames: Option<()> = None;
        let mut filters: Option<Vec<String>> = None;
        let mut window = Window::default();
        let mut live_part: Option<u32> = None;
        let mut fragments: Option<RowsPerSegment> = None;
        let mut period: Option<u32> = None;
        for part in parts {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| bad("an option is not of the form key=value"))?;
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            match key.as_str() {
                "format" => once(&mut format, Format::read(value)?)?,
                "encryption" => once(&mut encryption, read_encryption(value)?)?,
                "audio-only" => once(&mut audio_only, read_bool(value)?)?,
                "audiotrack" => once(&mut audio_track, AudioTrack::read(value))?,
                "type" if value.eq_ignore_ascii_case("keyframes") => once(&mut key_frames, ())?,
                "filter" => once(&mut filters, read_filters(value)?)?,
                "part" => once(&mut live_part, read_number(value, "part is not a number")?)?,
                "period" => once(&mut period, read_number(value, "period is not a number")?)?,
                "fragments" => once(&mut fragments, read_fragments(value)?)?,
                "vbegin" => once(&mut window.begin, duration(value)?)?,
                "vend" => once(&mut window.end, duration(value)?)?,
                "start" => once(&mut window.clock_start, Clock(timestamp(value)?))?,
                "end" => once(&mut window.clock_end, Clock(timestamp(value)?))?,
                _ => return Err(bad("an option is unknown, or does not apply here")),
            }
        }
        window.check()?;
        let format = format.unwrap_or(Format::Smooth(SmoothVersion::V22));
        if audio_track.is_some() && format != Format::HlsTs(TsVersion::V3) {
            return Err(bad("audioTrack is for format=m3u8-aapl-v3 alone"));
        }
        if audio_only == Some(true) && format.protocol() != Protocol::Hls {
            return Err(bad("audio-only is for HLS alone"));
        }
        Ok(Self {
            format,
            encryption,
            audio_only: audio_only.unwrap_or(false),
            audio_track,
            key_frames: key_frames.is_some(),
            filters: filters.unwrap_or_default(),
            window,
            part: live_part,
            fragments,
            period,
        })
    }
}

impl AudioTrack {
    fn read(value: &str) -> Self {
        match value {
            "" => Self::Silent,
            name => Self::Named(name.to_owned()),
        }
    }
}

impl Encryption {
    /// How URLs say it.
    pub fn value(self) -> &'static str {
        match self {
            Self::Envelope => "cbc",
            Self::Cenc => "cenc",
            Self::Cbcs => "cbcs-aapl",
            Self::Piff => "piff",
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), OriginError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(bad("an option is given twice")),
    }
}

fn read_filters(value: &str) -> Result<Vec<String>, OriginError> {
    let names = value.split(';').map(str::trim);
    let mut filters: Vec<String> = Vec::new();
    for name in names.filter(|name| !name.is_empty()) {
        if !filters.iter().any(|known| known == name) {
            filters.push(name.to_owned());
        }
    }
    if filters.is_empty() {
        return Err(bad("filter names no filter"));
    }
    if filters.len() > MAX_FILTERS {
        return Err(OriginError::new(
            Code::FilterCountOverLimit,
            "a URL may name three filters",
        ));
    }
    Ok(filters)
}

fn read_encryption(value: &str) -> Result<Encryption, OriginError> {
    match value.to_ascii_lowercase().as_str() {
        "cbc" => Ok(Encryption::Envelope),
        "cenc" => Ok(Encryption::Cenc),
        "cbcs-aapl" | "cbcs" => Ok(Encryption::Cbcs),
        "piff" => Ok(Encryption::Piff),
        _ => Err(OriginError::new(
            Code::EncryptionNotSupported,
            "the value of encryption is unknown",
        )),
    }
}

fn read_number(value: &str, or: &'static str) -> Result<u32, OriginError> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| value.parse().ok()).flatten();
    number.ok_or_else(|| bad(or))
}

/// Several: a segment of one is named without.
fn read_fragments(value: &str) -> Result<RowsPerSegment, OriginError> {
    // One segment has one URL.
    let plain = value.bytes().all(|b| b.is_ascii_digit()) && !value.starts_with('0');
    let count = plain.then(|| value.parse().ok()).flatten();
    let count = count.and_then(RowsPerSegment::new);
    count
        .filter(|count| *count > RowsPerSegment::ONE)
        .ok_or_else(|| bad("a segment has no such count of fragments"))
}

fn read_bool(value: &str) -> Result<bool, OriginError> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(bad("audio-only is neither true nor false")),
    }
}

pub(super) fn bad(detail: &'static str) -> OriginError {
    OriginError::new(Code::BadUrlSyntax, detail)
}
