//! Stream names for tracks that the server manifest leaves unnamed, in the manner of the AMS encoders.

use super::{TrackHead, TrackKind};

/// `video`, `subt_eng_3`, or `aac_eng_2_128041_2_1`: codec, language, channels, bit rate, track identifier, and a counter that is
/// always 1 here. The identifier keeps the tracks of one file apart.
///
/// `language`, `bitrate`: as the track is published, which is not always what its file says.
#[must_use]
pub fn default_name(track: &TrackHead, language: &str, bitrate: u32) -> String {
    match track.kind {
        TrackKind::Video => "video".to_owned(),
        TrackKind::Audio | TrackKind::Text => {
            let codec = codec_family(&track.codec);
            let language: String = language
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .take(8)
                .collect();
            let language = if language.is_empty() {
                "und".to_owned()
            } else {
                language
            };
            match track.kind {
                TrackKind::Text => format!("subt_{language}_{}", track.id),
                _ => format!(
                    "{codec}_{language}_{}_{bitrate}_{}_1",
                    track.channels, track.id
                ),
            }
        }
    }
}

/// The codec family of an RFC 6381 string, as names and groups show it.
#[must_use]
pub fn codec_family(codec: &str) -> &str {
    match codec.split('.').next().unwrap_or_default() {
        "mp4a" => "aac",
        other => other,
    }
}
