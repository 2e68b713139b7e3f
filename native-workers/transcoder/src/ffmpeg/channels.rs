//! Sound that is put together of tracks with one channel each (`channelMapping` of input definitions).
//!
//! Cameras and archives keep every channel in a track of its own. `FrontLeft` and `FrontRight` make a track in stereo, with any of
//! `Center`, `LowFrequencyEffects`, `BackLeft` and `BackRight` one in 5.1, whose missing channels are silent; `StereoLeft` and
//! `StereoRight` make one in stereo beside it. A channel that comes again begins another track. Tracks without a mapping
//! stay what they are.

use headwater_work::Channel;

use super::probe::AudioStream;
use crate::failure::{self, Step};

/// A stream that becomes a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// As of [`AudioStream`].
    pub input: usize,
    pub index: u32,
    pub channel: Channel,
}

/// ffmpeg's name of a channel.
fn name(channel: Channel) -> &'static str {
    match channel {
        Channel::FrontLeft | Channel::StereoLeft => "FL",
        Channel::FrontRight | Channel::StereoRight => "FR",
        Channel::Center => "FC",
        Channel::LowFrequencyEffects => "LFE",
        Channel::BackLeft => "BL",
        Channel::BackRight => "BR",
    }
}

/// How many channels a layout of ffmpeg's has: `stereo`, `5.1(side)`, `3 channels`. `None` for those that nobody broadcasts.
pub(super) fn of_layout(layout: &str) -> Option<u32> {
    match layout.split('(').next()? {
        "mono" => Some(1),
        "stereo" | "downmix" => Some(2),
        "quad" => Some(4),
        numbers => numbers.split('.').map(|n| n.parse::<u32>().ok()).sum(),
    }
}

fn of_pair(channel: Channel) -> bool {
    matches!(channel, Channel::StereoLeft | Channel::StereoRight)
}

fn stereo(feeds: &[Feed]) -> bool {
    feeds
        .iter()
        .all(|feed| matches!(name(feed.channel), "FL" | "FR"))
}

/// Tracks of `streams`: those that become channels put together, where the first of each is.
///
/// Errors: `ConfigurationUnsupported` for a channel that is made of a track with several.
pub(super) fn put_together(streams: Vec<(AudioStream, Option<Channel>)>) -> Step<Vec<AudioStream>> {
    let mut out: Vec<AudioStream> = Vec::with_capacity(streams.len());
    for (stream, channel) in streams {
        let Some(channel) = channel else {
            out.push(stream);
            continue;
        };
        if stream.channels != 1 {
            return Err(failure::configuration(format!(
                "The job's input definitions make track {} a channel ({channel:?}); it has {} itself.",
                stream.id, stream.channels
            )));
        }
        let feed = Feed {
            input: stream.input,
            index: stream.index,
            channel,
        };
        let open = out.iter_mut().rev().find(|track| {
            let first = track.feeds.first();
            first.is_some_and(|first| of_pair(first.channel) == of_pair(channel))
                && track.feeds.iter().all(|other| other.channel != channel)
        });
        match open {
            Some(track) => {
                track.sample_rate = track.sample_rate.max(stream.sample_rate);
                track.feeds.push(feed);
            }
            None => out.push(AudioStream {
                feeds: vec![feed],
                codec: "pcm".into(),
                profile: String::new(),
                ..stream
            }),
        }
    }
    for track in out.iter_mut().filter(|track| !track.feeds.is_empty()) {
        track.channels = if stereo(&track.feeds) { 2 } else { 6 };
        track.bits_per_second = 0;
    }
    Ok(out)
}

/// The source of `audio` in a graph: a chain that is to go before, and its label. `whole`: what every stream goes through.
/// `place`: for labels that no other has.
pub(super) fn source(audio: &AudioStream, whole: &str, place: &str) -> (Option<String>, String) {
    if audio.feeds.is_empty() {
        return (None, format!("[{}:{}]", audio.input, audio.index));
    }
    let mut chain = String::new();
    let rate = audio.sample_rate;
    for (number, feed) in audio.feeds.iter().enumerate() {
        chain.push_str(&format!(
            "[{}:{}]{whole},aformat=sample_fmts=fltp:sample_rates={rate}:channel_layouts=mono[g{place}c{number}];",
            feed.input, feed.index
        ));
    }
    for number in 0..audio.feeds.len() {
        chain.push_str(&format!("[g{place}c{number}]"));
    }
    if audio.feeds.len() > 1 {
        chain.push_str(&format!("amerge=inputs={},", audio.feeds.len()));
    }
    let layout = if stereo(&audio.feeds) {
        "stereo"
    } else {
        "5.1"
    };
    chain.push_str(&format!("pan={layout}"));
    for (number, feed) in audio.feeds.iter().enumerate() {
        chain.push_str(&format!("|{}=c{number}", name(feed.channel)));
    }
    chain.push_str(&format!("[g{place}]"));
    (Some(chain), format!("[g{place}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_have_so_many_channels() {
        for (layout, channels) in [
            ("mono", Some(1)),
            ("stereo", Some(2)),
            ("5.1(side)", Some(6)),
            ("7.1", Some(8)),
            ("hexadecagonal", None),
        ] {
            assert_eq!(of_layout(layout), channels, "{layout}");
        }
    }

    fn mono(id: u32, channel: Option<Channel>) -> (AudioStream, Option<Channel>) {
        let stream = AudioStream {
            input: 0,
            index: id,
            codec: "pcm_s16le".into(),
            profile: String::new(),
            channels: 1,
            sample_rate: 48_000,
            bits_per_second: 768_000,
            language: "und".into(),
            id: id.into(),
            jitter: 0.0,
            feeds: Vec::new(),
        };
        (stream, channel)
    }

    #[test]
    fn eight_tracks_are_one_in_five_one_and_one_in_stereo() {
        let eight = Channel::ALL.into_iter().zip(0..);
        let streams = eight.map(|((_, channel), id)| mono(id, Some(channel)));
        let tracks = put_together(streams.collect()).unwrap();
        let shape: Vec<_> = tracks
            .iter()
            .map(|track| (track.channels, track.feeds.len()))
            .collect();
        assert_eq!(shape, [(6, 6), (2, 2)]);
        let (chain, label) = source(&tracks[1], "anull", "7");
        assert_eq!(label, "[g7]");
        assert!(
            chain
                .unwrap()
                .ends_with("amerge=inputs=2,pan=stereo|FL=c0|FR=c1[g7]")
        );
    }

    #[test]
    fn a_channel_that_comes_again_begins_another_track() {
        let left = || Some(Channel::FrontLeft);
        let right = Some(Channel::FrontRight);
        let streams = vec![
            mono(0, left()),
            mono(1, right),
            mono(2, left()),
            mono(3, None),
        ];
        let tracks = put_together(streams).unwrap();
        assert_eq!(
            tracks
                .iter()
                .map(|track| track.feeds.len())
                .collect::<Vec<_>>(),
            [2, 1, 0]
        );
        let (mut wide, _) = mono(4, None);
        wide.channels = 2;
        assert!(put_together(vec![(wide, left())]).is_err());
    }
}
