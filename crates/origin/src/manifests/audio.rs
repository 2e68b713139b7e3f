//! Which sounds are alternatives of each other in HLS: audio groups.

use super::grouped;
use crate::language::display_name;
use headwater_cmaf::index::codec_family;
use headwater_hls as hls;
use std::collections::HashSet;

/// A track of sound, as a multivariant playlist needs to know it.
pub(crate) struct Sound<'a> {
    /// URL of its media playlist.
    pub(crate) uri: String,
    /// Stream name in URLs.
    pub(crate) name: &'a str,
    /// Bit rate in URLs.
    pub(crate) bitrate: u32,
    /// RFC 6381 codec string.
    pub(crate) codec: &'a str,
    pub(crate) channels: u16,
    /// Objects of Dolby Atmos; 0 without.
    pub(crate) objects: u8,
    /// bit/s, in the format's container.
    pub(crate) peak_bitrate: u64,
    pub(crate) average_bitrate: u64,
    /// BCP-47.
    pub(crate) language: Option<String>,
    /// For people, if it has a name.
    pub(crate) title: Option<&'a str>,
    /// Audio description.
    pub(crate) describes_video: bool,
    /// Chosen when the viewer has no preference.
    pub(crate) default: bool,
    /// `CHARACTERISTICS`, if they are stated.
    pub(crate) characteristics: Option<&'a str>,
    /// Among those of its kind and language in one file.
    pub(crate) place: usize,
}

/// Every track as a group of its own: what is in the segments of the video, or is all there is.
pub(crate) fn lone_tracks(sounds: &[Sound<'_>]) -> Vec<hls::AudioGroup> {
    let groups = sounds.iter().map(|sound| hls::AudioGroup {
        id: sound.name.to_owned(),
        renditions: vec![rendition(
            sound,
            &Content {
                name: for_people(sound).to_owned(),
                default: true,
                ..Content::of(sound)
            },
        )],
    });
    groups.collect()
}

/// Codec family, channels, objects.
type SoundKind<'a> = (&'a str, u16, u8);

/// The tracks of one content in one kind, best first.
type Steps<'a> = Vec<&'a Sound<'a>>;

/// What is said, played or described, in whatever codecs and bit rates there are of it.
#[derive(Default)]
struct Content<'a> {
    /// `NAME`: the same in all groups, and in none twice.
    name: String,
    language: Option<&'a str>,
    describes_video: bool,
    characteristics: Option<&'a str>,
    default: bool,
    /// What else tells it apart: the title, its place in its file, and where it has neither language nor title, which of those in
    /// its kind it is.
    rest: (Option<&'a str>, usize, usize),
    kinds: Vec<(SoundKind<'a>, Steps<'a>)>,
}

impl<'a> Content<'a> {
    fn of(sound: &'a Sound<'_>) -> Self {
        Self {
            language: sound.language.as_deref(),
            describes_video: sound.describes_video,
            characteristics: sound.characteristics,
            rest: (sound.title, sound.place, 0),
            ..Self::default()
        }
    }

    fn sounds(&self) -> impl Iterator<Item = &'a Sound<'a>> {
        self.kinds.iter().flat_map(|(_, steps)| steps).copied()
    }

    fn is_in(&self, kind: SoundKind<'_>) -> bool {
        self.kinds.iter().any(|(known, _)| *known == kind)
    }

    fn audience(&self) -> (Option<&'a str>, bool) {
        (self.language, self.describes_video)
    }

    /// Its tracks in groups of a kind; where it has none of that, those of another that whoever plays the kind plays, too.
    fn steps(&self, kind: SoundKind<'_>) -> Option<&Steps<'a>> {
        let ranked = self.kinds.iter().filter_map(|(other, steps)| {
            let rank = match (kind.0, other.0) {
                _ if *other == kind => 0,
                (wanted, codec) if wanted == codec => 1,
                ("ec-3", "ac-3") => 2,
                (_, "aac") => 3,
                _ => return None,
            };
            Some((rank, steps))
        });
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, steps)| steps)
    }
}

/// Groups of interchangeable renditions: one codec, one channel count, with objects or without, one step of the bit rate ladder.
///
/// All groups have the same members, alike but for URI and `CHANNELS` (§4.4.6.1.1 of the draft), so that switching groups never loses
/// a language: a content that has fewer steps than others repeats its last, and one that there is not in a kind is taken from another.
/// Not from one that players of the group may not have, as `CODECS` of a variant names all that is in its group: German in
/// AC-3 alone would take the whole film from browsers, which is not what the rule is for.
pub(crate) fn audio_groups(sounds: &[Sound<'_>]) -> Vec<hls::AudioGroup> {
    let (kinds, contents) = contents(sounds);
    let mut groups = Vec::new();
    for kind in &kinds {
        let (codec, channels, objects) = *kind;
        let layout = match objects {
            0 => format!("{channels}ch"),
            objects => format!("{objects}joc"),
        };
        let own = contents.iter().filter(|content| content.is_in(*kind));
        let steps = own.filter_map(|content| content.steps(*kind).map(Vec::len));
        for step in 0..steps.max().unwrap_or_default() {
            let renditions = contents.iter().filter_map(|content| {
                let steps = content.steps(*kind)?;
                let sound = steps.get(step).or(steps.last())?;
                Some(rendition(sound, content))
            });
            let id = match (kinds.len(), step) {
                (1, 0) => codec.to_owned(),
                (_, 0) => format!("{codec}_{layout}"),
                (_, step) => format!("{codec}_{layout}_{}", step.saturating_add(1)),
            };
            groups.push(hls::AudioGroup {
                id,
                renditions: renditions.collect(),
            });
        }
    }
    groups
}

/// Every kind and every content there is, both in order of first appearance.
fn contents<'a>(sounds: &'a [Sound<'_>]) -> (Vec<SoundKind<'a>>, Vec<Content<'a>>) {
    let keyed = sounds.iter().map(|sound| {
        let kind = (codec_family(sound.codec), sound.channels, sound.objects);
        ((kind, content_key(sound)), sound)
    });
    // Alternatives of the same content, best first.
    let mut in_kinds = grouped(keyed);
    for (_, tracks) in &mut in_kinds {
        tracks.sort_by_key(|sound| std::cmp::Reverse(sound.bitrate));
    }
    let by_kind = grouped(
        in_kinds
            .into_iter()
            .map(|((kind, _), tracks)| (kind, tracks)),
    );
    let mut contents: Vec<Content<'_>> = Vec::new();
    for (kind, members) in &by_kind {
        let mut unnamed = 0_usize;
        let mut own = Vec::with_capacity(members.len());
        for steps in members {
            let Some(best) = steps.first() else {
                continue;
            };
            let mut content = Content::of(best);
            if best.language.is_none() && best.title.is_none() {
                content.rest.2 = unnamed;
                unnamed = unnamed.saturating_add(1);
            }
            own.push((content, steps));
        }
        // What is the only one in its language is the film's own sound, however its tracks are titled: "Stereo", "5.1".
        let audiences: Vec<_> = own.iter().map(|(content, _)| content.audience()).collect();
        let alone = |audience| audiences.iter().filter(|own| **own == audience).count() == 1;
        for (content, steps) in own {
            let audience = content.audience();
            let exact = contents.iter().position(|known| {
                known.audience() == audience && known.rest == content.rest && !known.is_in(*kind)
            });
            let found = exact.or_else(|| {
                let mut alike = (0..)
                    .zip(&contents)
                    .filter(|(_, known)| known.audience() == audience);
                match (alike.next(), alike.next()) {
                    (Some((at, known)), None) if alone(audience) && !known.is_in(*kind) => Some(at),
                    _ => None,
                }
            });
            let at = found.unwrap_or(contents.len());
            if at == contents.len() {
                contents.push(content);
            }
            if let Some(content) = contents.get_mut(at) {
                content.kinds.push((*kind, steps.clone()));
            }
        }
    }
    name(&mut contents);
    (
        by_kind.into_iter().map(|(kind, _)| kind).collect(),
        contents,
    )
}

/// Gives each content its name, and says which is the default.
fn name(contents: &mut [Content<'_>]) {
    let mut names: HashSet<String> = HashSet::new();
    for content in contents.iter_mut() {
        let base = base_name(content);
        let mut name = base.clone();
        let mut count: u32 = 1;
        while !names.insert(name.clone()) {
            count = count.saturating_add(1);
            name = format!("{base} ({count})");
        }
        content.name = name;
    }
    // What the owner chose; else the first that is no audio description.
    let chosen = |content: &Content<'_>| content.sounds().any(|sound| sound.default);
    let default = contents
        .iter()
        .position(chosen)
        .or_else(|| contents.iter().position(|content| !content.describes_video))
        .unwrap_or_default();
    if let Some(content) = contents.get_mut(default) {
        content.default = true;
    }
}

/// What a content is called, if nothing else is.
fn base_name(content: &Content<'_>) -> String {
    let first = content.sounds().next();
    let titled_alike = content
        .sounds()
        .all(|sound| Some(sound.title) == first.map(|first| first.title));
    let language = content.language.and_then(display_name);
    let name = match language {
        Some(language) if !titled_alike => language,
        _ => first.map_or("Audio", for_people),
    };
    name.to_owned()
}

type ContentKey<'a> = (
    Option<&'a str>,
    Option<&'a str>,
    bool,
    Option<&'a str>,
    usize,
);

/// What tells apart sounds of a kind that are not the same content: those of one language in one file are a film's own and what somebody
/// says of it, say. Without language and title, the name has to.
fn content_key<'a>(sound: &'a Sound<'_>) -> ContentKey<'a> {
    let anonymous = sound.language.is_none() && sound.title.is_none();
    (
        sound.language.as_deref(),
        sound.title,
        sound.describes_video,
        anonymous.then_some(sound.name),
        sound.place,
    )
}

fn for_people<'a>(sound: &'a Sound<'_>) -> &'a str {
    let language = sound.language.as_deref().and_then(display_name);
    sound.title.or(language).unwrap_or("Audio")
}

fn rendition(sound: &Sound<'_>, content: &Content<'_>) -> hls::Audio {
    hls::Audio {
        uri: sound.uri.clone(),
        codec: sound.codec.to_owned(),
        peak_bitrate: sound.peak_bitrate,
        average_bitrate: sound.average_bitrate,
        name: content.name.clone(),
        language: content.language.map(str::to_owned),
        channels: Some(sound.channels),
        objects: sound.objects,
        default: content.default,
        characteristics: match (content.characteristics, content.describes_video) {
            (Some(stated), _) => Some(stated.to_owned()),
            (None, true) => Some("public.accessibility.describes-video".to_owned()),
            (None, false) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Sound, audio_groups};

    fn sound(name: &'static str, codec: &'static str, channels: u16) -> Sound<'static> {
        Sound {
            uri: name.to_owned(),
            name,
            bitrate: 128_000,
            codec,
            channels,
            objects: 0,
            peak_bitrate: 130_000,
            average_bitrate: 128_000,
            language: None,
            title: None,
            describes_video: false,
            default: false,
            characteristics: None,
            place: 0,
        }
    }

    fn spoken(name: &'static str, codec: &'static str, language: &str) -> Sound<'static> {
        let channels = if codec == "mp4a.40.2" { 2 } else { 6 };
        Sound {
            language: Some(language.to_owned()),
            ..sound(name, codec, channels)
        }
    }

    /// A line for each group: its name, then the name and the URI of each member, the default with a star.
    fn told(sounds: &[Sound<'_>]) -> Vec<String> {
        let groups = audio_groups(sounds).into_iter().map(|group| {
            let members = group.renditions.iter().map(|member| {
                let star = if member.default { "*" } else { "" };
                format!("{}{star}={}", member.name, member.uri)
            });
            format!("{}: {}", group.id, members.collect::<Vec<_>>().join(" "))
        });
        groups.collect()
    }

    /// RFC 8216, §4.3.4.1.1: "each group MUST have the same set of members".
    #[test]
    fn a_language_that_there_is_in_aac_alone_is_in_all_groups() {
        let sounds = [
            spoken("en", "mp4a.40.2", "en"),
            spoken("de", "mp4a.40.2", "de"),
            spoken("en51", "ac-3", "en"),
            spoken("en51plus", "ec-3", "en"),
            spoken("fr51", "ac-3", "fr"),
        ];
        assert_eq!(
            told(&sounds),
            [
                // Browsers do not play AC-3: they keep the film.
                "aac_2ch: English*=en German=de",
                "ac-3_6ch: English*=en51 German=de French=fr51",
                "ec-3_6ch: English*=en51plus German=de French=fr51",
            ]
        );
    }

    #[test]
    fn steps_and_contents_are_alike_in_all_groups() {
        let best = |sound| Sound {
            bitrate: 256_000,
            ..sound
        };
        let sounds = [
            best(spoken("en256", "mp4a.40.2", "en")),
            spoken("en", "mp4a.40.2", "en"),
            spoken("de", "mp4a.40.2", "de"),
            spoken("en51", "ac-3", "en"),
        ];
        assert_eq!(
            told(&sounds),
            [
                "aac_2ch: English*=en256 German=de",
                "aac_2ch_2: English*=en German=de",
                "ac-3_6ch: English*=en51 German=de",
            ]
        );
    }

    #[test]
    fn the_only_sound_of_a_language_is_one_content_however_its_tracks_are_titled() {
        let titled = |title, sound| Sound {
            title: Some(title),
            ..sound
        };
        let sounds = [
            titled("Stereo", spoken("en", "mp4a.40.2", "en")),
            titled("5.1", spoken("en51", "ac-3", "en")),
        ];
        assert_eq!(
            told(&sounds),
            ["aac_2ch: English*=en", "ac-3_6ch: English*=en51"]
        );
        // Of two it is known by the title alone.
        let sounds = [
            titled("Film", spoken("film", "mp4a.40.2", "en")),
            titled("Director", spoken("director", "mp4a.40.2", "en")),
            titled("Director", spoken("director51", "ac-3", "en")),
        ];
        assert_eq!(
            told(&sounds),
            [
                "aac_2ch: Film*=film Director=director",
                "ac-3_6ch: Film*=film Director=director51"
            ]
        );
    }

    #[test]
    fn sounds_of_which_nothing_is_known_are_matched_in_their_order() {
        let sounds = [
            sound("a", "mp4a.40.2", 2),
            sound("b", "mp4a.40.2", 2),
            sound("c", "ac-3", 6),
        ];
        assert_eq!(
            told(&sounds),
            [
                "aac_2ch: Audio*=a Audio (2)=b",
                "ac-3_6ch: Audio*=c Audio (2)=b"
            ]
        );
    }

    #[test]
    fn the_default_is_one_content_in_all_groups() {
        let chosen = |sound| Sound {
            default: true,
            ..sound
        };
        let describes = |sound| Sound {
            describes_video: true,
            ..sound
        };
        let sounds = [
            describes(spoken("seen", "mp4a.40.2", "en")),
            spoken("en", "mp4a.40.2", "en"),
            spoken("de51", "ac-3", "de"),
            chosen(spoken("en51", "ac-3", "en")),
        ];
        assert_eq!(
            told(&sounds),
            [
                "aac_2ch: English=seen English (2)*=en",
                "ac-3_6ch: English=seen English (2)*=en51 German=de51"
            ]
        );
    }
}
