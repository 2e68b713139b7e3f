//! What may stand between the parentheses of a manifest, playlist or fragment URL.

use crate::error::{Code, OriginError};

/// Values of `format`. All that the platform knows of; which are served is for the origin to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// No `format`, or `fmp4-v20`: Smooth Streaming.
    Smooth,
    /// `m3u8-aapl` and its versions: HLS over MPEG-2 TS.
    HlsTs,
    /// `m3u8-cmaf`.
    HlsCmaf,
    /// `mpd-time-csf`.
    DashCsf,
    /// `mpd-time-cmaf`.
    DashCmaf,
}

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

/// The options of one URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Protocol and container.
    pub format: Format,
    /// Protection asked for.
    pub encryption: Option<Encryption>,
    /// `audio-only=true`: the HLS presentation also has variants without video.
    pub audio_only: bool,
}

impl Options {
    /// Reads options already split at commas.
    ///
    /// Errors: 400 for what is not `key=value` or not an option, 404 for filters (there are none yet), 415 for values
    /// and options that the platform knows but does not serve.
    pub(super) fn read<'a>(parts: impl Iterator<Item = &'a str>) -> Result<Self, OriginError> {
        let mut format: Option<Format> = None;
        let mut encryption: Option<Encryption> = None;
        let mut audio_only: Option<bool> = None;
        for part in parts {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| bad("an option is not of the form key=value"))?;
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            match key.as_str() {
                "format" => once(&mut format, read_format(value)?)?,
                "encryption" => once(&mut encryption, read_encryption(value)?)?,
                "audio-only" => once(&mut audio_only, read_bool(value)?)?,
                "filter" => {
                    return Err(OriginError::new(
                        Code::EgressFilterNotFound,
                        "a filter of this name does not exist",
                    ));
                }
                "type" if value.eq_ignore_ascii_case("keyframes") => {
                    return Err(OriginError::new(
                        Code::OutputFormatNotSupported,
                        "I-frame playlists are not offered",
                    ));
                }
                _ => return Err(bad("an option is unknown, or does not apply here")),
            }
        }
        Ok(Self {
            format: format.unwrap_or(Format::Smooth),
            encryption,
            audio_only: audio_only.unwrap_or(false),
        })
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), OriginError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(bad("an option is given twice")),
    }
}

fn read_format(value: &str) -> Result<Format, OriginError> {
    match value.to_ascii_lowercase().as_str() {
        "fmp4-v20" => Ok(Format::Smooth),
        "m3u8-aapl" | "m3u8-aapl-v3" | "m3u8-aapl-v4" | "m3u8-aapl-v8" => Ok(Format::HlsTs),
        "m3u8-cmaf" => Ok(Format::HlsCmaf),
        "mpd-time-csf" => Ok(Format::DashCsf),
        "mpd-time-cmaf" => Ok(Format::DashCmaf),
        _ => Err(OriginError::new(
            Code::OutputFormatNotSupported,
            "the value of format is unknown",
        )),
    }
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

fn read_bool(value: &str) -> Result<bool, OriginError> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(bad("audio-only is neither true nor false")),
    }
}

fn bad(detail: &'static str) -> OriginError {
    OriginError::new(Code::BadUrlSyntax, detail)
}
