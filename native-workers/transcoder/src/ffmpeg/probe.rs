//! What a source is, in the words of ffprobe, and whether that is within what is taken on.

use headwater_bmff::Colour;
use serde_json::Value;

use super::channels::Feed;
use super::container::Demuxer;
use super::inputs::Lasts;
use crate::failure::{self, Step};
use crate::picture::Size;

/// Most streams of a file.
pub const MOST_STREAMS: usize = 64;
/// Longest side of a picture, and most samples of one.
const LONGEST_SIDE: u32 = 8192;
const MOST_PIXELS: u64 = 8192 * 4352;
/// Longest source.
const MOST_HOURS: f64 = 48.0;
/// Most audio tracks that are published.
const MOST_AUDIO: usize = 32;

/// A source that can be worked on.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    /// The best of them first; not pictures that only illustrate a recording.
    pub videos: Vec<VideoStream>,
    pub audios: Vec<AudioStream>,
    /// In seconds; 0 if nobody knows.
    pub seconds: f64,
    /// When the first of its streams begins, by its own clock.
    pub start: f64,
    pub bits_per_second: u64,
    pub lasts: Lasts,
    /// There are streams of which nothing has been found but that they are there.
    pub has_silent_streams: bool,
    /// Indexes of the streams that are in other programmes of a transport stream than the best pictures.
    pub beside: Vec<u32>,
}

impl Media {
    /// Whether what the file says of its length is nothing or may be anything: a transport stream is taken to last from its first time
    /// to its last one, whatever was joined in it, and other files that begin late are taken to last from 0.
    pub(super) fn seconds_are_doubtful(&self, demuxer: &Demuxer) -> bool {
        match demuxer.name {
            "mpegts" => true,
            "matroska" | "flv" if self.start > 1.0 => true,
            _ => self.seconds <= 0.0,
        }
    }

    /// Takes what was measured, where the file is not right about it.
    pub(super) fn measured(&mut self, seconds: f64) {
        if self.seconds <= 0.0 {
            self.seconds = seconds;
        } else if seconds > 0.0 && (seconds - self.seconds).abs() > 1.0 {
            self.seconds = seconds;
            self.lasts.pictures = self.lasts.pictures.min(seconds);
            self.lasts.sound = self.lasts.sound.min(seconds);
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct VideoStream {
    /// Place of the file among the inputs of a command.
    pub input: usize,
    /// In the file, for `-map`.
    pub index: u32,
    pub codec: String,
    /// As coded.
    pub coded: Size,
    /// Width to height of a pixel.
    pub pixel_aspect: (u32, u32),
    /// Clockwise degrees by which it is to be shown: 0, 90, 180 or 270.
    pub rotation: u32,
    /// 0 if nobody knows.
    pub frames_per_second: f64,
    /// 0 if nobody knows.
    pub bits_per_second: u64,
    pub interlaced: Interlacing,
    /// As the file states it, if it states anything.
    pub colour: Option<Colour>,
    pub pixel_format: String,
    pub language: String,
    /// By which `SelectVideoTrackById` means it; the index if the container has none.
    pub id: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interlacing {
    No,
    Yes,
    Unknown,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AudioStream {
    /// As of [`VideoStream`].
    pub input: usize,
    pub index: u32,
    pub codec: String,
    pub profile: String,
    pub channels: u32,
    pub sample_rate: u32,
    pub bits_per_second: u64,
    pub language: String,
    pub id: u64,
    /// Seconds between the latest and the earliest packet, each from when its sound is due; holes do not count.
    pub jitter: f64,
    /// The streams that it is put together of, each a channel; empty for one that is in a file as it is.
    pub feeds: Vec<Feed>,
}

impl AudioStream {
    /// Whether all its packets are equally long.
    pub(super) fn is_even(&self) -> bool {
        ["aac", "mp2", "mp3", "ac3", "eac3"].contains(&&*self.codec)
    }
}

impl VideoStream {
    /// Upright and in square pixels, both sides even.
    pub fn shown(&self, turned: bool) -> Size {
        let (across, down) = self.pixel_aspect;
        let width = if across == 0 || down == 0 {
            u64::from(self.coded.width)
        } else {
            u64::from(self.coded.width) * u64::from(across) / u64::from(down)
        };
        let width = u32::try_from(width.clamp(2, u64::from(LONGEST_SIDE))).unwrap_or(LONGEST_SIDE);
        if turned {
            Size::even(self.coded.height.max(2), width)
        } else {
            Size::even(width, self.coded.height.max(2))
        }
    }

    /// Brightness beyond that of a usual screen: PQ or HLG (ITU-R BT.2100).
    pub fn is_hdr(&self) -> bool {
        self.colour
            .is_some_and(|colour| matches!(colour.transfer, 16 | 18))
    }
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A number, which ffprobe writes as one or as text.
fn number(value: &Value, member: &str) -> f64 {
    match value.get(member) {
        Some(Value::String(text)) => text.parse().unwrap_or(0.0),
        Some(other) => other.as_f64().unwrap_or(0.0),
        None => 0.0,
    }
}

fn whole(value: &Value, member: &str) -> u32 {
    let number = number(value, member);
    if (0.0..f64::from(u32::MAX)).contains(&number) {
        number as u32
    } else {
        0
    }
}

/// `30000/1001` or `16:11`.
fn pair(text: &str, between: char) -> Option<(u32, u32)> {
    let (left, right) = text.split_once(between)?;
    Some((left.parse().ok()?, right.parse().ok()?))
}

fn rate(value: &Value, member: &str) -> f64 {
    match pair(text(value, member), '/') {
        Some((up, down)) if down > 0 => f64::from(up) / f64::from(down),
        _ => 0.0,
    }
}

fn language(stream: &Value) -> String {
    let tags = stream.get("tags");
    let language = tags
        .and_then(|tags| tags.get("language").or_else(|| tags.get("LANGUAGE")))
        .and_then(Value::as_str)
        .unwrap_or("und");
    let known = language.len() >= 2
        && language.len() <= 16
        && language
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-');
    if known {
        language.to_owned()
    } else {
        "und".into()
    }
}

fn id(stream: &Value, index: u32) -> u64 {
    let text = text(stream, "id");
    let read = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    read.unwrap_or_else(|| u64::from(index))
}

/// Reads what `ffprobe -of json -show_format -show_streams` says of the file `name`.
///
/// Errors: `ContentMalformed` for a file without usable streams, `ContentUnsupported` for one that is too large in some
/// way; both name the stream.
pub fn read(name: &str, json: &[u8], demuxer: Demuxer) -> Step<Media> {
    let probed: Value = serde_json::from_slice(json)
        .map_err(|error| failure::internal(format!("ffprobe's answer is not JSON: {error}.")))?;
    let nothing = Vec::new();
    let streams = probed
        .get("streams")
        .and_then(Value::as_array)
        .unwrap_or(&nothing);
    if streams.len() > MOST_STREAMS {
        return Err(failure::unsupported(format!(
            "The input file '{name}' has {} streams; at most {MOST_STREAMS} are supported.",
            streams.len()
        )));
    }
    let format = probed.get("format").cloned().unwrap_or_default();
    let mut media = Media {
        videos: Vec::new(),
        audios: Vec::new(),
        seconds: number(&format, "duration"),
        start: number(&format, "start_time"),
        bits_per_second: number(&format, "bit_rate").max(0.0) as u64,
        lasts: Lasts::default(),
        has_silent_streams: false,
        beside: Vec::new(),
    };
    let shorter = |known: f64, stream: &Value| match (known, number(stream, "duration")) {
        (0.0, lasts) => lasts,
        (known, lasts) => known.min(lasts),
    };
    let mut unreadable = None;
    let mut audios = Vec::new();
    for stream in streams {
        let index = whole(stream, "index");
        media.seconds = media.seconds.max(number(stream, "duration"));
        let codec = text(stream, "codec_name").to_owned();
        let disposition = |what: &str| {
            stream
                .get("disposition")
                .is_some_and(|all| number(all, what) > 0.0)
        };
        match text(stream, "codec_type") {
            kind @ ("video" | "audio") if codec.is_empty() || codec == "unknown" => {
                unreadable.get_or_insert_with(|| {
                    format!("its {kind} stream {index} is in a format that ffmpeg does not know")
                });
            }
            "video" if disposition("attached_pic") => {}
            "video" => match video(name, stream, index, codec)? {
                Some(video) => {
                    media.lasts.pictures = shorter(media.lasts.pictures, stream);
                    media.videos.push(video);
                }
                None => {
                    unreadable.get_or_insert_with(|| {
                        format!("nothing says how large the pictures of stream {index} are")
                    });
                }
            },
            "audio" if number(stream, "channels") < 1.0 || number(stream, "sample_rate") < 1.0 => {
                media.has_silent_streams = true;
                unreadable.get_or_insert_with(|| {
                    format!("nothing says what the sound of stream {index} is like")
                });
            }
            "audio" => {
                media.lasts.sound = shorter(media.lasts.sound, stream);
                audios.push((
                    !disposition("default"),
                    AudioStream {
                        input: 0,
                        index,
                        codec,
                        profile: text(stream, "profile").to_owned(),
                        channels: whole(stream, "channels"),
                        sample_rate: whole(stream, "sample_rate"),
                        bits_per_second: number(stream, "bit_rate").max(0.0) as u64,
                        language: language(stream),
                        id: id(stream, index),
                        jitter: 0.0,
                        feeds: Vec::new(),
                    },
                ));
            }
            _ => {}
        }
    }
    // What is to be heard unless somebody chooses is the first.
    audios.sort_by_key(|(is_other, _)| *is_other);
    media.audios = audios.into_iter().map(|(_, audio)| audio).collect();
    if media.seconds > MOST_HOURS * 3600.0 {
        return Err(failure::unsupported(format!(
            "The input file '{name}' claims to last {:.0} hours; at most {MOST_HOURS:.0} are supported.",
            media.seconds / 3600.0
        )));
    }
    if media.audios.len() > MOST_AUDIO {
        return Err(failure::unsupported(format!(
            "The input file '{name}' has more than {MOST_AUDIO} audio tracks."
        )));
    }
    if media.videos.is_empty() && media.audios.is_empty() {
        let why = unreadable.unwrap_or_else(|| "it has neither a video nor an audio stream".into());
        return Err(failure::malformed(format!(
            "The input file '{name}' ({}) cannot be encoded: {why}.",
            demuxer.name
        )));
    }
    media
        .videos
        .sort_by_key(|video| std::cmp::Reverse((video.coded.area(), video.bits_per_second)));
    media.beside = beside(&probed, media.videos.first().map(|video| video.index));
    Ok(media)
}

/// The streams that are in programmes, but in none with `best`.
fn beside(probed: &Value, best: Option<u32>) -> Vec<u32> {
    let programmes = probed.get("programs").and_then(Value::as_array);
    let streams = |programme: &Value| -> Vec<u32> {
        let streams = programme.get("streams").and_then(Value::as_array);
        let streams = streams.into_iter().flatten();
        streams.map(|stream| whole(stream, "index")).collect()
    };
    let programmes: Vec<_> = programmes.into_iter().flatten().map(streams).collect();
    let Some(best) = best else {
        return Vec::new();
    };
    let (with, without): (Vec<_>, Vec<_>) = programmes
        .into_iter()
        .partition(|streams| streams.contains(&best));
    if with.is_empty() {
        return Vec::new();
    }
    let mut beside = without.concat();
    beside.retain(|index| !with.iter().any(|streams| streams.contains(index)));
    beside
}

fn video(name: &str, stream: &Value, index: u32, codec: String) -> Step<Option<VideoStream>> {
    let (width, height) = (whole(stream, "width"), whole(stream, "height"));
    if width == 0 || height == 0 {
        return Ok(None);
    }
    if width > LONGEST_SIDE
        || height > LONGEST_SIDE
        || u64::from(width) * u64::from(height) > MOST_PIXELS
    {
        return Err(failure::unsupported(format!(
            "Stream {index} ({codec}) of '{name}' claims pictures of {width}x{height}; at most {LONGEST_SIDE} a side and \
             {MOST_PIXELS} in all are supported.",
        )));
    }
    let average = rate(stream, "avg_frame_rate");
    let frames_per_second = if average > 0.0 {
        average
    } else {
        rate(stream, "r_frame_rate")
    };
    Ok(Some(VideoStream {
        input: 0,
        index,
        codec,
        coded: Size { width, height },
        pixel_aspect: pair(text(stream, "sample_aspect_ratio"), ':')
            .filter(|&(across, down)| across > 0 && down > 0)
            .unwrap_or((1, 1)),
        rotation: rotation(stream),
        frames_per_second,
        bits_per_second: number(stream, "bit_rate").max(0.0) as u64,
        interlaced: match text(stream, "field_order") {
            "progressive" => Interlacing::No,
            "" | "unknown" => Interlacing::Unknown,
            _ => Interlacing::Yes,
        },
        colour: colour(stream),
        pixel_format: text(stream, "pix_fmt").to_owned(),
        language: language(stream),
        id: id(stream, index),
    }))
}

/// The display matrix counts counterclockwise.
fn rotation(stream: &Value) -> u32 {
    let listed = stream
        .get("side_data_list")
        .and_then(Value::as_array)
        .and_then(|list| {
            list.iter()
                .find(|entry| entry.get("rotation").is_some())
                .map(|entry| -number(entry, "rotation"))
        });
    let tagged = || {
        stream
            .get("tags")
            .filter(|tags| tags.get("rotate").is_some())
            .map(|tags| number(tags, "rotate"))
    };
    let degrees = listed.or_else(tagged).unwrap_or(0.0);
    let quarters = (degrees / 90.0).round().rem_euclid(4.0) as u32;
    quarters * 90
}

/// Names that ffprobe has for code points of ISO/IEC 23091-2.
fn code(name: &str) -> u16 {
    match name {
        "bt709" => 1,
        "bt470m" => 4,
        "bt470bg" | "gamma28" => 5,
        "smpte170m" => 6,
        "smpte240m" => 7,
        "film" | "linear" => 8,
        "bt2020" | "bt2020nc" => 9,
        "bt2020c" => 10,
        "iec61966-2-1" => 13,
        "bt2020-10" => 14,
        "bt2020-12" => 15,
        "smpte2084" => 16,
        "arib-std-b67" => 18,
        "smpte432" => 12,
        "smpte431" => 11,
        _ => 2,
    }
}

fn colour(stream: &Value) -> Option<Colour> {
    let matrix = match text(stream, "color_space") {
        // RGB: what is encoded is made from it.
        "gbr" | "rgb" => 2,
        name => code(name),
    };
    let colour = Colour {
        primaries: code(text(stream, "color_primaries")),
        transfer: code(text(stream, "color_transfer")),
        matrix,
        full_range: text(stream, "color_range") == "pc",
    };
    let stated = colour.primaries != 2 || colour.transfer != 2 || matrix != 2 || colour.full_range;
    stated.then_some(colour)
}

#[cfg(test)]
mod tests {
    use super::super::container::demuxer;
    use super::*;
    use serde_json::json;

    fn media(streams: Value, format: Value) -> Result<Media, String> {
        let json = json!({"streams": streams, "format": format}).to_string();
        let mov = demuxer(b"....ftyp").unwrap();
        read("film.mov", json.as_bytes(), mov).map_err(|stopped| format!("{stopped:?}"))
    }

    #[test]
    fn streams_are_described() {
        let media = media(
            json!([
                {"index": 0, "codec_type": "video", "codec_name": "h264", "width": 720, "height": 576,
                 "sample_aspect_ratio": "16:11", "avg_frame_rate": "25/1", "field_order": "tt", "bit_rate": "2000000",
                 "color_space": "bt470bg", "side_data_list": [{"rotation": -90}], "id": "0x1"},
                {"index": 1, "codec_type": "audio", "codec_name": "aac", "channels": 6, "sample_rate": "48000",
                 "tags": {"language": "deu"}},
                {"index": 2, "codec_type": "video", "codec_name": "png", "width": 64, "height": 64,
                 "disposition": {"attached_pic": 1}}
            ]),
            json!({"duration": "12.5"}),
        )
        .unwrap();
        assert_eq!(media.videos.len(), 1);
        let video = &media.videos[0];
        assert_eq!((video.rotation, video.interlaced), (90, Interlacing::Yes));
        assert_eq!(
            video.shown(true),
            Size {
                width: 576,
                height: 1046
            }
        );
        assert_eq!(media.audios[0].language, "deu");
        assert_eq!(media.seconds, 12.5);
    }

    #[test]
    fn claims_beyond_measure_are_refused() {
        let huge = json!([{"index": 0, "codec_type": "video", "codec_name": "h264", "width": 65535, "height": 65535}]);
        assert!(media(huge, json!({})).unwrap_err().contains("65535x65535"));
        let long = json!([{"index": 0, "codec_type": "audio", "codec_name": "aac", "channels": 2, "sample_rate": "48000"}]);
        assert!(
            media(long.clone(), json!({"duration": "360000"}))
                .unwrap_err()
                .contains("100 hours")
        );
        let many = Value::Array(vec![long[0].clone(); 65]);
        assert!(media(many, json!({})).unwrap_err().contains("65 streams"));
        assert!(
            media(json!([]), json!({}))
                .unwrap_err()
                .contains("ContentMalformed")
        );
    }
}
