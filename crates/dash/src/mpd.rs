//! The static MPD, ISO/IEC 23009-1 §5.3, with the constraints of DASH-IF IOP for on-demand content.

use crate::events::Inband;
use crate::text::{attribute, duration, escaped, number, number_attribute, seconds};
use crate::tiles::TileSet;
use crate::timeline::{self, Segment};
use headwater_time::Timescale;

/// A presentation of one Period that starts at 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mpd {
    /// What the segments are.
    pub profile: Profile,
    /// Length of the presentation.
    pub duration_ticks: u64,
    /// Of `duration_ticks`.
    pub timescale: Timescale,
    /// Prefixes and URIs of the namespaces that `protection` uses.
    pub namespaces: Vec<(&'static str, &'static str)>,
    /// In the order in which players list them.
    pub adaptation_sets: Vec<AdaptationSet>,
    /// Sheets of pictures for seeking.
    pub tiles: Vec<TileSet>,
}

/// What the segments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// CMAF fragments.
    Cmaf,
    /// The Common Streaming Format of older packagers: fragments for clients that ask for `ccff`.
    CommonStreamingFormat,
}

/// `@contentType` and what goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentType {
    /// `video`, `video/mp4`.
    Video,
    /// `audio`, `audio/mp4`.
    Audio,
    /// `text`, `application/mp4`.
    Text,
}

/// `@startWithSAP`: a stream access point of ISO/IEC 14496-12 annex I, or one of a lower type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessPoint {
    /// Type 1: everything from there on decodes and is presented from there on.
    Closed,
    /// Type 3: pictures presented before it may need what precedes it (an open group of pictures).
    Open,
}

/// Tracks that a player may switch between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdaptationSet {
    /// What it is.
    pub content_type: ContentType,
    /// BCP-47.
    pub language: Option<String>,
    /// `Label`: for people.
    pub label: Option<String>,
    /// `Accessibility` descriptors.
    pub accessibility: Vec<Descriptor>,
    /// `Role` descriptors.
    pub roles: Vec<Descriptor>,
    /// Whether all Representations have the same segment boundaries.
    pub segment_alignment: bool,
    /// What every segment of all Representations starts with.
    pub starts_with: AccessPoint,
    /// Primaries, transfer characteristics and matrix coefficients of the pictures (ISO/IEC 23091-2), where they are no usual ones:
    /// players choose by them.
    pub colour: Option<[u16; 3]>,
    /// `ContentProtection` elements, written out, the common one first.
    pub protection: Vec<String>,
    /// Messages in its segments.
    pub inband: Vec<Inband>,
    /// Not empty.
    pub representations: Vec<Representation>,
}

/// A scheme and a value (§5.8.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// `@schemeIdUri`.
    pub scheme: &'static str,
    /// `@value`.
    pub value: String,
}

/// One track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Representation {
    /// `@id`, unique in the Period, without spaces.
    pub id: String,
    /// `@bandwidth`, bit/s: also what `$Bandwidth$` stands for in URLs.
    pub bandwidth: u32,
    /// RFC 6381 codec string.
    pub codecs: String,
    /// Picture size, pixels.
    pub resolution: Option<(u32, u32)>,
    /// Frames per second as a fraction; `None` or a zero denominator when unknown.
    pub frame_rate: Option<(u32, u32)>,
    /// Samples per second.
    pub sample_rate: Option<u32>,
    /// Count of channels.
    pub channels: Option<u16>,
    /// Objects of Dolby Atmos, told beside the channels by Dolby's own schemes; 0 without.
    pub objects: u8,
    /// Its segments.
    pub segments: SegmentTemplate,
    /// Its key frames, for playing fast (DASH-IF IOP 4.3 §3.2.9).
    pub key_frames: Option<KeyFrames>,
}

/// The first pictures of a Representation's segments, each a segment of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFrames {
    /// `@media`, percent-encoded, with `$Bandwidth$` and `$Time$`.
    pub media: String,
    /// So many segments have one, from the first on.
    pub count: usize,
    /// `@maxPlayoutRate`: how many times as fast they are shown at the rate that pictures usually have.
    pub rate: u32,
}

/// How a Representation's segments are addressed (§5.3.9.4). Written once for the whole AdaptationSet where all
/// Representations share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentTemplate {
    /// Of every tick here.
    pub timescale: Timescale,
    /// Media time that is Period time 0.
    pub presentation_time_offset: u64,
    /// `@initialization`, percent-encoded, with `$Bandwidth$`.
    pub initialization: String,
    /// `@media`, percent-encoded, with `$Bandwidth$` and `$Time$`.
    pub media: String,
    /// Segments may be asked for so many milliseconds before they are complete, and come as they are made
    /// (`@availabilityTimeOffset`, `@availabilityTimeComplete`).
    pub available_early_ms: Option<u32>,
    /// In presentation order.
    pub timeline: Vec<Segment>,
}

impl Mpd {
    /// Renders the MPD.
    pub fn write(&self) -> String {
        let segments: usize = self
            .adaptation_sets
            .iter()
            .flat_map(|s| &s.representations)
            .map(|r| r.segments.timeline.len())
            .fold(0, usize::saturating_add);
        // Audio timelines barely compress: 24 bytes each; video ones nearly vanish.
        let mut out = String::with_capacity(
            segments
                .saturating_mul(16)
                .min(1 << 20)
                .saturating_add(2048),
        );
        out.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"");
        for (prefix, uri) in &self.namespaces {
            attribute(&mut out, &format!("xmlns:{prefix}"), uri);
        }
        out.push_str(" type=\"static\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011");
        // CMAF fragments start with types 1 and 2 only (ISO/IEC 23000-19 §7.3.2.3).
        let closed = |set: &AdaptationSet| set.starts_with == AccessPoint::Closed;
        if self.profile == Profile::Cmaf && self.adaptation_sets.iter().all(closed) {
            out.push_str(",urn:mpeg:dash:profile:cmaf:2019");
        }
        out.push_str("\" mediaPresentationDuration=\"");
        duration(&mut out, self.duration_ticks, self.timescale);
        out.push_str("\" minBufferTime=\"PT2S\">\n  <Period id=\"p0\" start=\"PT0S\">\n");
        for (index, set) in self.adaptation_sets.iter().enumerate() {
            let id = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
            set.write(&mut out, id, self.profile);
        }
        let sets = write_key_frames(&mut out, &self.adaptation_sets, self.profile);
        for (at, tiles) in (1..).zip(&self.tiles) {
            tiles.write(&mut out, sets.saturating_add(at));
        }
        out.push_str("  </Period>\n</MPD>\n");
        out
    }
}

/// Scheme of the property that says of which set a set of key frames is.
const TRICK_MODE_SCHEME: &str = "http://dashif.org/guidelines/trickmode";

/// The key frames of sets, as sets that follow them. Returns how many sets there are then.
pub(crate) fn write_key_frames(out: &mut String, sets: &[AdaptationSet], profile: Profile) -> u64 {
    let mut last = u64::try_from(sets.len()).unwrap_or(u64::MAX);
    for (of, set) in (1..).zip(sets) {
        if set.representations.iter().any(|r| r.key_frames.is_some()) {
            last = last.saturating_add(1);
            set.write_as(out, last, profile, Some(of));
        }
    }
    last
}

/// `@par` (ISO/IEC 23009-1 §5.3.3.2): the shape of the largest picture in its smallest numbers. `None` if another has a different
/// one, by more than the rounding of its size.
fn picture_aspect(sizes: impl Iterator<Item = (u32, u32)> + Clone) -> Option<(u32, u32)> {
    let (width, height) = sizes
        .clone()
        .max_by_key(|(width, height)| u64::from(*width).saturating_mul(u64::from(*height)))?;
    let (mut divisor, mut rest) = (width, height);
    while let Some(next) = divisor.checked_rem(rest) {
        (divisor, rest) = (rest, next);
    }
    let (wide, high) = (width.checked_div(divisor)?, height.checked_div(divisor)?);
    // Encoders take sizes that are even, or multiples of four.
    const ROUNDED: u64 = 2;
    let is_so = |(width, height): (u32, u32)| {
        let (across, down) = (
            u64::from(width).saturating_mul(high.into()),
            u64::from(height).saturating_mul(wide.into()),
        );
        across.abs_diff(down) <= ROUNDED.saturating_mul(u64::from(wide.max(high)))
    };
    let mut sizes = sizes;
    sizes.all(is_so).then_some((wide, high))
}

/// Schemes of ISO/IEC 23091-1 for the code points of [`AdaptationSet::colour`], in their order.
const COLOUR_SCHEMES: [&str; 3] = [
    "urn:mpeg:mpegB:cicp:ColourPrimaries",
    "urn:mpeg:mpegB:cicp:TransferCharacteristics",
    "urn:mpeg:mpegB:cicp:MatrixCoefficients",
];

impl AdaptationSet {
    pub(crate) fn write(&self, out: &mut String, id: u64, profile: Profile) {
        self.write_as(out, id, profile, None);
    }

    /// `key_frames_of`: only its key frames, for the set of this id.
    fn write_as(&self, out: &mut String, id: u64, profile: Profile, key_frames_of: Option<u64>) {
        let plain = key_frames_of.is_none();
        let (content, mime) = match self.content_type {
            ContentType::Video => ("video", "video/mp4"),
            ContentType::Audio => ("audio", "audio/mp4"),
            ContentType::Text => ("text", "application/mp4"),
        };
        out.push_str("    <AdaptationSet");
        number_attribute(out, "id", id);
        attribute(out, "contentType", content);
        if profile == Profile::CommonStreamingFormat {
            attribute(out, "profiles", "ccff");
        }
        attribute(out, "mimeType", mime);
        if let Some(language) = &self.language {
            attribute(out, "lang", language);
        }
        attribute(
            out,
            "segmentAlignment",
            if self.segment_alignment {
                "true"
            } else {
                "false"
            },
        );
        out.push_str(match self.starts_with {
            AccessPoint::Closed => " startWithSAP=\"1\"",
            AccessPoint::Open => " startWithSAP=\"3\"",
        });
        let sizes = || self.representations.iter().filter_map(|r| r.resolution);
        if let Some(width) = sizes().map(|s| s.0).max() {
            number_attribute(out, "maxWidth", width.into());
        }
        if let Some(height) = sizes().map(|s| s.1).max() {
            number_attribute(out, "maxHeight", height.into());
        }
        if let Some((wide, high)) = picture_aspect(sizes()) {
            attribute(out, "par", &format!("{wide}:{high}"));
        }
        let frame_rate = self.shared(|r| r.frame_rate);
        let sample_rate = self.shared(|r| r.sample_rate);
        let channels = self.shared(|r| r.channels);
        if plain {
            frame_rate_attribute(out, frame_rate);
            sample_rate_attribute(out, sample_rate);
        } else {
            let frames = self
                .representations
                .iter()
                .filter_map(|r| r.key_frames.as_ref());
            let rate = frames.map(|frames| frames.rate).min().unwrap_or(1);
            number_attribute(out, "maxPlayoutRate", rate.into());
            out.push_str(" codingDependency=\"false\"");
        }
        out.push_str(">\n");
        if let Some(value) = channels.and_then(channel_configuration) {
            out.push_str("      ");
            channel_element(out, value);
        }
        for element in &self.protection {
            out.push_str("      ");
            out.push_str(element);
            out.push('\n');
        }
        if let Some(of) = key_frames_of {
            out.push_str("      <EssentialProperty");
            attribute(out, "schemeIdUri", TRICK_MODE_SCHEME);
            number_attribute(out, "value", of);
            out.push_str("/>\n");
        }
        if let Some(points) = self.colour {
            for (name, point) in COLOUR_SCHEMES.into_iter().zip(points) {
                out.push_str("      <SupplementalProperty");
                attribute(out, "schemeIdUri", name);
                number_attribute(out, "value", point.into());
                out.push_str("/>\n");
            }
        }
        for inband in self.inband.iter().filter(|_| plain) {
            inband.write(out);
        }
        if let Some(label) = self.label.as_ref().filter(|_| plain) {
            out.push_str("      <Label>");
            escaped(out, label);
            out.push_str("</Label>\n");
        }
        for (name, descriptors) in [
            ("Accessibility", &self.accessibility),
            ("Role", &self.roles),
        ] {
            for descriptor in descriptors.iter().filter(|_| plain) {
                out.push_str("      <");
                out.push_str(name);
                attribute(out, "schemeIdUri", descriptor.scheme);
                attribute(out, "value", &descriptor.value);
                out.push_str("/>\n");
            }
        }
        let template = match plain {
            true => self.shared(|r| Some((&r.segments, None))),
            false => self.shared(|r| Some((&r.segments, Some(r.key_frames.as_ref()?)))),
        };
        if let Some((template, frames)) = template {
            out.push_str("      ");
            template.write(out, frames);
        }
        for representation in &self.representations {
            let frames = representation.key_frames.as_ref().filter(|_| !plain);
            if !plain && frames.is_none() {
                continue;
            }
            representation.write(
                out,
                &Own {
                    frame_rate: plain && frame_rate.is_none(),
                    sample_rate: plain && sample_rate.is_none(),
                    channels: channels.is_none(),
                    template: template.is_none(),
                    frames,
                },
            );
        }
        out.push_str("    </AdaptationSet>\n");
    }

    /// What `get` gives for every Representation, if that is one and the same.
    fn shared<'s, T: PartialEq>(
        &'s self,
        get: impl Fn(&'s Representation) -> Option<T>,
    ) -> Option<T> {
        let (first, rest) = self.representations.split_first()?;
        let first = get(first)?;
        rest.iter()
            .all(|r| get(r).as_ref() == Some(&first))
            .then_some(first)
    }
}

/// What a Representation has to say itself, as its set does not say it for all.
struct Own<'a> {
    frame_rate: bool,
    sample_rate: bool,
    channels: bool,
    template: bool,
    /// It is of these alone.
    frames: Option<&'a KeyFrames>,
}

impl Representation {
    fn write(&self, out: &mut String, own: &Own<'_>) {
        out.push_str("      <Representation");
        match own.frames {
            None => attribute(out, "id", &self.id),
            Some(_) => attribute(out, "id", &format!("{}_keyframes", self.id)),
        }
        number_attribute(out, "bandwidth", self.bandwidth.into());
        attribute(out, "codecs", &self.codecs);
        if let Some((width, height)) = self.resolution {
            number_attribute(out, "width", width.into());
            number_attribute(out, "height", height.into());
        }
        if own.frame_rate {
            frame_rate_attribute(out, self.frame_rate);
        }
        if own.sample_rate {
            sample_rate_attribute(out, self.sample_rate);
        }
        let channels = self
            .channels
            .filter(|_| own.channels)
            .and_then(channel_configuration);
        if channels.is_none() && !own.template && self.objects == 0 {
            out.push_str("/>\n");
            return;
        }
        out.push_str(">\n");
        if let Some(value) = channels {
            out.push_str("        ");
            channel_element(out, value);
        }
        if self.objects > 0 {
            objects_elements(out, self.objects);
        }
        if own.template {
            out.push_str("        ");
            self.segments.write(out, own.frames);
        }
        out.push_str("      </Representation>\n");
    }
}

impl SegmentTemplate {
    /// `frames`: of these alone, which are there when their segments are.
    fn write(&self, out: &mut String, frames: Option<&KeyFrames>) {
        out.push_str("<SegmentTemplate");
        number_attribute(out, "timescale", self.timescale.get().into());
        number_attribute(out, "presentationTimeOffset", self.presentation_time_offset);
        attribute(out, "initialization", &self.initialization);
        attribute(
            out,
            "media",
            frames.map_or(&self.media, |frames| &frames.media),
        );
        if let Some(ms) = self.available_early_ms.filter(|_| frames.is_none()) {
            out.push_str(" availabilityTimeOffset=\"");
            seconds(out, ms.into());
            out.push_str("\" availabilityTimeComplete=\"false\"");
        }
        out.push('>');
        let count = frames.map_or(usize::MAX, |frames| frames.count);
        let listed = self.timeline.get(..count).unwrap_or(&self.timeline);
        timeline::write(out, listed);
        out.push_str("</SegmentTemplate>\n");
    }
}

fn frame_rate_attribute(out: &mut String, rate: Option<(u32, u32)>) {
    if let Some((frames, seconds)) = rate.filter(|(frames, seconds)| *frames > 0 && *seconds > 0) {
        let divisor = gcd(frames, seconds);
        let frames = frames.checked_div(divisor).unwrap_or(frames);
        let seconds = seconds.checked_div(divisor).unwrap_or(seconds);
        out.push_str(" frameRate=\"");
        number(out, frames.into());
        if seconds != 1 {
            out.push('/');
            number(out, seconds.into());
        }
        out.push('"');
    }
}

fn sample_rate_attribute(out: &mut String, rate: Option<u32>) {
    if let Some(rate) = rate {
        number_attribute(out, "audioSamplingRate", rate.into());
    }
}

fn channel_element(out: &mut String, configuration: u16) {
    out.push_str(
        "<AudioChannelConfiguration schemeIdUri=\"urn:mpeg:mpegB:cicp:ChannelConfiguration\"",
    );
    number_attribute(out, "value", configuration.into());
    out.push_str("/>\n");
}

fn objects_elements(out: &mut String, objects: u8) {
    out.push_str("        <SupplementalProperty schemeIdUri=\"tag:dolby.com,2018:dash:EC3_ExtensionType:2018\" value=\"JOC\"/>\n");
    out.push_str("        <SupplementalProperty schemeIdUri=\"tag:dolby.com,2018:dash:EC3_ExtensionComplexityIndex:2018\"");
    number_attribute(out, "value", objects.into());
    out.push_str("/>\n");
}

/// ISO/IEC 23091-3 channel configuration of the AAC layout with this many channels (ISO/IEC 14496-3 table 1.19).
/// `None` where the count says nothing about the layout.
fn channel_configuration(channels: u16) -> Option<u16> {
    match channels {
        1..=6 => Some(channels),
        8 => Some(7),
        _ => None,
    }
}

fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b > 0 {
        (a, b) = (b, a.checked_rem(b).unwrap_or_default());
    }
    a.max(1)
}
