//! Live presentations, and the recordings that they leave.
//!
//! [`load`] brings together what the event's worker and storage have, [`find`] a segment among it, [`chunks`] what its media is
//! made of; [`segment`], [`packets`] and [`fragments`] are media in CMAF, MPEG-2 TS and Smooth Streaming, [`texts`] what was added to
//! a recording. Answers about what is
//! live are not remembered: a playlist is another one a moment later.

mod captions;
mod chunks;
mod cues;
mod find;
mod fragments;
mod load;
mod packets;
mod segment;
mod texts;

use super::{Keep, Origin, SEGMENT_CACHE, Visit, fragment};
use crate::address::{
    AudioTrack, Encryption, Format, Options, Protocol, Target, TsVersion, child::Carried,
};
use crate::answer::{self, Body, Coding, Content, Meta, Request, Resource};
use crate::error::{Code, OriginError};
use crate::filter::{Instant, Selection};
use crate::index::Freshness;
use crate::live::hls::Listed;
use crate::live::show::{Show, Span, filter_kind};
use crate::live::{dash, hls, media, smooth};
use crate::ports::{Catalog, Storage};
use crate::presentation::Listing;
use crate::shield::Shield;
use crate::tag::Tag;
use crate::token_proxy::Proxied;
use crate::transport;
use headwater_cmaf::index::TrackHead;
use headwater_hls::Skip;
use headwater_live::CLOCK_PER_MS;
use headwater_live::edge::Place;
use headwater_live::group::RowsPerSegment;
use headwater_live::stream::Kind;
use headwater_time::{Rounding, Timescale};
use http::Response;
use load::Source;

pub(super) use load::Memory;

/// A client that waits for a moment which does not come is answered after so many target durations (§6.2.5.2).
const PATIENCE_TARGETS: u64 = 3;

/// Directives of a playlist's query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Directives {
    number: Option<u64>,
    part: Option<u64>,
    skip: bool,
}

impl Directives {
    /// Errors: 400 for values that are none, and for a part of no segment.
    fn read(query: &str) -> Result<Self, OriginError> {
        let bad = || OriginError::new(Code::BadUrlSyntax, "a delivery directive is not valid");
        let mut directives = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let number = || value.parse::<u64>().map_err(|_| bad());
            match name {
                "_HLS_msn" => directives.number = Some(number()?),
                "_HLS_part" => directives.part = Some(number()?),
                "_HLS_skip" => match value {
                    "YES" | "v2" => directives.skip = true,
                    _ => return Err(bad()),
                },
                _ => {}
            }
        }
        match directives {
            Self {
                number: None,
                part: Some(_),
                ..
            } => Err(bad()),
            directives => Ok(directives),
        }
    }
}

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    /// The answer, if the URL is of something that is live or a recording. `listing`: of the presentation, if it was looked at.
    pub(super) async fn live(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        target: &Target,
        proxied: Option<&Proxied>,
    ) -> Result<Option<Response<Body>>, OriginError> {
        let (name, options) = match target {
            Target::Manifest { name, options } => (name, options),
            Target::MediaPlaylist { track, options } | Target::Fragment { track, options, .. } => {
                (&track.manifest, options)
            }
            Target::Time | Target::File { .. } => return Ok(None),
        };
        let broadcast = visit.published.live.as_ref();
        if let Some(preview) = broadcast.filter(|live| live.preview.is_some()) {
            if !preview.admits(request.client) {
                return Err(OriginError::new(
                    Code::AddressNotAllowed,
                    "this preview is not for your address",
                ));
            }
            if preview.manifest != *name {
                return Err(OriginError::new(
                    Code::ResourceNotFound,
                    "there is nothing at this address",
                ));
            }
        }
        let source = match broadcast.filter(|live| live.manifest == *name) {
            Some(broadcast) => Source::Live(broadcast),
            None => {
                // Whether it is a recording does not change; who goes on looks with fresh eyes.
                let remembered = Visit {
                    freshness: Freshness::Remembered,
                    ..*visit
                };
                let found = self.listing(&remembered, name).await;
                let maybe = match &found {
                    Ok(listing) => Listing::is_recording(listing),
                    Err(error) => error.code() == Code::ResourceNotFound,
                };
                if !maybe || !self.has_head(visit, name).await? {
                    return Ok(None);
                }
                Source::Film(name)
            }
        };
        playable(target, options)?;
        // Previews are not for everybody.
        let is_public = broadcast.is_none_or(|live| live.preview.is_none());
        let coding = Coding::of(request.headers);
        let shield = self.shield(visit, options).await?;
        let shield = shield.as_ref();
        let (mut resource, keep) = match target {
            Target::Manifest { .. } => {
                self.live_manifest(visit, source, options, shield, coding)
                    .await?
            }
            Target::MediaPlaylist { track, .. } => {
                let query = Directives::read(request.query)?;
                self.live_playlist(visit, source, (track, options), shield, query, coding)
                    .await?
            }
            Target::Fragment {
                track, part, noun, ..
            } => {
                let asked = fragment::Asked {
                    track,
                    part: *part,
                    noun: *noun,
                    options,
                };
                match self.film_text_segment(visit, source, asked, shield).await? {
                    Some(resource) => (resource, Keep::Answer),
                    None => match self.live_segment(visit, source, asked, shield).await? {
                        segment::Media::Whole(resource) => (resource, Keep::Answer),
                        segment::Media::Growing(response) => {
                            return Ok(Some(match is_public && proxied.is_none() {
                                true => super::keepable(
                                    response,
                                    visit.published,
                                    visit.now,
                                    Keep::Growing,
                                ),
                                false => response,
                            }));
                        }
                    },
                }
            }
            Target::Time | Target::File { .. } => return Ok(None),
        };
        if let (Some(proxied), Some(shield)) = (proxied, shield) {
            super::carry_token(&mut resource, proxied, shield)?;
        }
        // Media of films is asked for by few at once, and lies in files.
        let asked_by_many = match source {
            Source::Live(_) => is_public,
            Source::Film(_) => matches!(resource.body, Content::Bytes(_)),
        };
        let response = answer::answer(request, resource)?;
        Ok(Some(match proxied {
            None if asked_by_many => super::keepable(response, visit.published, visit.now, keep),
            _ => response,
        }))
    }

    async fn live_manifest(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        options: &Options,
        shield: Option<&Shield>,
        coding: Coding,
    ) -> Result<(Resource, Keep), OriginError> {
        let filters = self.live_filters(visit, options).await?;
        let mut show = self
            .show(visit, source, options.format, None, &|start| {
                window(options, &filters, start)
            })
            .await?;
        show.captions = self.live_captions(visit, source, &show).await;
        in_whole_segments(&mut show, options);
        if options.format.protocol() == Protocol::Hls {
            show.holds_three_segments()?;
        }
        let has_periods = options.format.protocol() == Protocol::Dash && !show.ended;
        if let Some(shield) = shield.filter(|shield| has_periods && shield.rotates()) {
            show.keys_began = self.keys_began(visit, source, &show, shield).await?;
        }
        let tracks = shown(&show, &filters)?;
        if !show.has_begun(&tracks) {
            return Err(OriginError::new(
                Code::NotYetAvailable,
                "a track of the presentation has no whole segment yet",
            ));
        }
        let mut tracks = self.possible(tracks, options, shield)?;
        let with = with_pictures(&mut tracks, options)?;
        let with = names(with.as_ref(), &tracks, &show, options);
        let carried = Carried::new(options, with.as_ref());
        let texts = self
            .film_texts(visit, source, &show, (options, &filters), shield)
            .await?;
        let texts = texts.as_slice();
        match options.format {
            Format::DashCsf | Format::DashCmaf => {
                let texts = (texts, options.format);
                let mpd = dash::mpd(&show, (&tracks, texts), carried, shield, visit.now)?;
                Ok(text(mpd, headwater_dash::CONTENT_TYPE, &show, None, coding))
            }
            Format::Smooth(version) => {
                let written = smooth::manifest(&show, (&tracks, texts), version, carried, shield)?;
                for line in written.left_out {
                    (self.log)(&line);
                }
                let kind = headwater_smooth::CONTENT_TYPE;
                Ok(text(written.text, kind, &show, None, coding))
            }
            Format::HlsCmaf | Format::HlsTs(_) => {
                let asked = hls::Asked {
                    format: options.format,
                    carried,
                    shield,
                    audio_only: options.audio_only,
                    first_quality: filters.first_quality,
                    key_frames: false,
                };
                let playlist = hls::multivariant(&show, (&tracks, texts), asked)?;
                Ok(text(
                    playlist,
                    headwater_hls::CONTENT_TYPE,
                    &show,
                    None,
                    coding,
                ))
            }
        }
    }

    /// Leaves out tracks that the container does not carry, or that cannot be encrypted as asked: they must not go out in the
    /// clear.
    ///
    /// Errors: why, if none is left.
    fn possible<'a>(
        &self,
        tracks: Vec<Listed<'a>>,
        options: &Options,
        shield: Option<&Shield>,
    ) -> Result<Vec<Listed<'a>>, OriginError> {
        let mut last = None;
        let mut kept = Vec::with_capacity(tracks.len());
        for listed in tracks {
            let (_, track, config) = &listed;
            match fits(&media::head(track, config), options, shield) {
                Ok(()) => kept.push(listed),
                Err(error) => {
                    (self.log)(&format!("{}: {}", track.name, error.log_line()));
                    last = Some(error);
                }
            }
        }
        match last {
            Some(error) if kept.is_empty() => Err(error),
            _ => Ok(kept),
        }
    }

    async fn live_playlist(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        (address, options): (&crate::address::TrackAddress, &Options),
        shield: Option<&Shield>,
        asked: Directives,
        coding: Coding,
    ) -> Result<(Resource, Keep), OriginError> {
        let filters = self.live_filters(visit, options).await?;
        let windowed = |start| window(options, &filters, start);
        let format = options.format;
        let mut show = self.show(visit, source, format, None, &windowed).await?;
        in_whole_segments(&mut show, options);
        show.holds_three_segments()?;
        let find = |show: &Show| {
            show.timeline
                .find(&address.name, address.bitrate)
                .ok_or_else(|| {
                    OriginError::new(
                        Code::EgressTrackNotFound,
                        "the presentation has no track of this name and bit rate",
                    )
                })
        };
        if show.ended
            && find(&show).is_err()
            && let Some(track) = self.film_text(visit, source, address).await?
        {
            let playlist = self.film_text_playlist(&show, &track, (options, &filters), shield)?;
            let kind = headwater_hls::CONTENT_TYPE;
            return Ok(text(playlist, kind, &show, None, coding));
        }
        let mut index = find(&show)?;
        let waits = asked
            .number
            .filter(|_| show.part_ms.is_some() && !show.ended);
        if let Some(number) = waits {
            let place = Place {
                track: Some(index),
                number,
                part: asked.part.and_then(|part| usize::try_from(part).ok()),
            };
            if !place.is_in(&show.timeline) {
                refuse_far(&show, index, number, asked.part)?;
                let patience = u64::from(show.interval_ms).saturating_mul(PATIENCE_TARGETS);
                let wait = Some((place, patience.min(headwater_live::edge::MOST_WAIT_MS)));
                show = self.show(visit, source, format, wait, &windowed).await?;
                index = find(&show)?;
                if !show.ended && !place.is_in(&show.timeline) {
                    return Err(OriginError::new(
                        Code::StorageServerBusy,
                        "the moment that the playlist is to reach has not come",
                    ));
                }
            }
        }
        let mut tracks = shown(&show, &filters)?;
        let with = with_pictures(&mut tracks, options)?;
        let track = show
            .timeline
            .tracks
            .get(usize::from(index))
            .ok_or_else(|| OriginError::new(Code::Internal, "a track was lost"))?;
        if options.key_frames && track.kind != Kind::Video {
            return Err(OriginError::new(
                Code::EgressTrackNotFound,
                "only video has I-frame playlists",
            ));
        }
        for config in &track.configs {
            fits(&media::head(track, config), options, shield)?;
        }
        let named = names(with.as_ref(), &tracks, &show, options);
        let with = with.filter(|_| track.kind == Kind::Video);
        let named = named.filter(|_| track.kind == Kind::Video);
        let skip = match asked.skip {
            true => Skip::Old,
            false => Skip::No,
        };
        let asked = hls::Asked {
            format: options.format,
            carried: Carried::new(options, named.as_ref()),
            shield,
            audio_only: false,
            first_quality: None,
            key_frames: options.key_frames,
        };
        let playlist =
            hls::media_playlist(&show, (index, track), &tracks, with.as_ref(), (asked, skip))?;
        let kind = headwater_hls::CONTENT_TYPE;
        Ok(text(playlist, kind, &show, waits, coding))
    }

    async fn live_filters(
        &self,
        visit: &Visit<'_, C::Location>,
        options: &Options,
    ) -> Result<Selection, OriginError> {
        let mut names: Vec<String> = visit.published.filters.clone();
        for name in &options.filters {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Selection::of(self.filters(visit, names).await?)
    }
}

/// Errors: 415 for what is not made of live media.
fn playable(target: &Target, options: &Options) -> Result<(), OriginError> {
    let refused = |why: &str| OriginError::new(Code::OutputFormatNotSupported, why.to_owned());
    if options.key_frames && options.format == Format::HlsTs(TsVersion::V3) {
        return Err(refused("format=m3u8-aapl-v3 has no I-frame playlists"));
    }
    match target {
        Target::MediaPlaylist { .. } if options.format.protocol() != Protocol::Hls => {
            Err(refused("only HLS has media playlists"))
        }
        _ => Ok(()),
    }
}

/// Whether parts of segments are for players. With `encryption=cbc` segments are encrypted as a whole, which a player does not
/// have before it has the last part; and what still grows cannot be encrypted as it comes, which is how DASH has it.
fn is_by_parts(options: &Options) -> bool {
    match options.format {
        Format::HlsCmaf => options.encryption != Some(Encryption::Envelope),
        Format::DashCsf | Format::DashCmaf => options.encryption.is_none(),
        Format::HlsTs(_) | Format::Smooth(_) => false,
    }
}

fn in_whole_segments(show: &mut Show, options: &Options) {
    let pictures = options.key_frames && options.format.protocol() == Protocol::Hls;
    if !is_by_parts(options) || pictures {
        show.part_ms = None;
    }
    if pictures {
        // Every row has one.
        show.rows_per_segment = RowsPerSegment::ONE;
    }
}

/// Whether a track can be had as asked.
///
/// Errors: 415 if not.
fn fits(head: &TrackHead, options: &Options, shield: Option<&Shield>) -> Result<(), OriginError> {
    if let Format::HlsTs(_) = options.format {
        transport::carriage(head).map_err(|why| OriginError::new(Code::FormatNotSupported, why))?;
    }
    match shield {
        Some(shield) => shield.check(head),
        None => Ok(()),
    }
}

/// Where the segments of the pictures hold the sound, leaves only that which they hold, and gives it back.
///
/// Errors: 404 if there is none of the name asked for.
fn with_pictures<'a>(
    tracks: &mut Vec<Listed<'a>>,
    options: &Options,
) -> Result<Option<Listed<'a>>, OriginError> {
    let has_pictures = tracks.iter().any(|(_, track, _)| track.kind == Kind::Video);
    if options.format != Format::HlsTs(TsVersion::V3) || !has_pictures {
        return Ok(None);
    }
    let known = tracks.iter().map(|(index, track, _)| (*index, *track));
    let wanted = options.audio_track.as_ref();
    let sound = packets::sound_with_pictures(known, wanted)?;
    tracks.retain(|(index, track, _)| track.kind == Kind::Video || Some(*index) == sound);
    let found = tracks.iter().find(|(index, _, _)| Some(*index) == sound);
    Ok(found.copied())
}

/// How URLs of pictures say which sound is in their segments. `with`: that is; `tracks`: all that are listed with it.
fn names(
    with: Option<&Listed<'_>>,
    tracks: &[Listed<'_>],
    show: &Show,
    options: &Options,
) -> Option<AudioTrack> {
    let has_pictures = tracks.iter().any(|(_, track, _)| track.kind == Kind::Video);
    if options.format != Format::HlsTs(TsVersion::V3) || !has_pictures {
        return None;
    }
    let mut all = show.timeline.tracks.iter();
    match with {
        Some((_, track, _)) => Some(AudioTrack::Named(track.name.clone())),
        // Of what has no sound, URLs say nothing of it.
        None => all
            .any(|track| track.kind == Kind::Audio)
            .then_some(AudioTrack::Silent),
    }
}

/// What of a recording a URL shows. `start`: where the recording starts, on the event's clock.
fn window(options: &Options, filters: &Selection, start: i64) -> Span {
    let of_instant = |instant: Instant| {
        let (ticks, scale) = instant.parts();
        let clock = ticks
            .saturating_mul(90_000)
            .checked_div(scale.into())
            .unwrap_or(0);
        i64::try_from(clock).unwrap_or(i64::MAX)
    };
    let of_micros = |micros: u64| {
        let micro = Timescale::new(1_000_000).unwrap_or(Timescale::MILLIS);
        let ticks = headwater_time::rescale(micros, micro, headwater_live::CLOCK, Rounding::Floor);
        let ticks = ticks.and_then(|ticks| i64::try_from(ticks).ok());
        start.saturating_add(ticks.unwrap_or(i64::MAX))
    };
    let of_clock =
        |clock: crate::address::Clock| clock.0.as_millisecond().saturating_mul(CLOCK_PER_MS);
    let (from, to) = filters.bounds();
    let window = &options.window;
    let starts = [
        from.map(of_instant),
        window.begin.map(of_micros),
        window.clock_start.map(of_clock),
    ];
    let forced = filters.live.forced_end.map(of_instant);
    let ends = [
        forced,
        window.end.map(of_micros),
        window.clock_end.map(of_clock),
    ];
    let ticks = |micros: u64| of_micros(micros).saturating_sub(start);
    Span {
        start: starts.into_iter().flatten().max(),
        end: ends.into_iter().flatten().min(),
        forced: forced.is_some(),
        end_of_film: to.map(of_instant),
        window: filters.live.window_micros.map(ticks),
        back_off: filters.live.back_off_micros.map_or(0, ticks),
    }
}

/// The tracks that a manifest lists.
///
/// Errors: 404 if nothing is there yet or the time has nothing, 415 if the filters leave none.
fn shown<'a>(show: &'a Show, filters: &Selection) -> Result<Vec<Listed<'a>>, OriginError> {
    let all = show.tracks();
    if all.is_empty() {
        return Err(OriginError::new(
            Code::NotYetAvailable,
            "nothing of the presentation is there yet",
        ));
    }
    let kept: Vec<Listed<'a>> = all
        .into_iter()
        .filter(|(_, track, config)| {
            let kind = filter_kind(track.kind);
            let address = (track.name.as_str(), track.bitrate);
            let language = media::language(track);
            filters.keeps_live(kind, address, &config.codec, language.as_deref())
        })
        .collect();
    if kept.is_empty() {
        return Err(OriginError::new(
            Code::FilterRemovedAllStreams,
            "the filters leave no track",
        ));
    }
    Ok(kept)
}

/// Errors: 400 for a moment that is too far ahead to wait for (§6.2.5.2).
fn refuse_far(
    show: &Show,
    track: headwater_live::timeline::TrackIndex,
    number: u64,
    part: Option<u64>,
) -> Result<(), OriginError> {
    let lane = show.lane(track);
    let there = lane.growing.map_or(0, |(_, segment)| segment.parts.len());
    let there = u64::try_from(there).unwrap_or(u64::MAX);
    let part_ms = u64::from(show.part_ms.unwrap_or(1_000)).max(1);
    let ahead = match part_ms {
        ..1_000 => 3_000_u64.div_ceil(part_ms),
        _ => 3,
    };
    let far_segment = number > lane.next_number.saturating_add(1);
    let far_part =
        number == lane.next_number && part.is_some_and(|part| part > there.saturating_add(ahead));
    if far_segment || far_part {
        return Err(OriginError::new(
            Code::BadUrlSyntax,
            "the playlist is not to reach so far ahead",
        ));
    }
    Ok(())
}

/// A manifest that changes with time, and how long others may have it, too. `waited`: for this number, so that it stays what it
/// is under its URL.
fn text(
    text: String,
    content_type: &'static str,
    show: &Show,
    waited: Option<u64>,
    coding: Coding,
) -> (Resource, Keep) {
    let mut tag = Tag::new();
    tag.text(&text);
    let target = show.segment_ms().div_ceil(1000);
    // MPDs say what time it is.
    let short = show.part_ms.is_some() || content_type == headwater_dash::CONTENT_TYPE;
    let keep = match (show.ended || waited.is_some(), short) {
        (true, _) => Keep::Answer,
        (false, true) => Keep::Part,
        (false, false) => Keep::Moment,
    };
    let resource = Resource {
        body: Content::Bytes(coding.encode(text).into()),
        meta: Meta {
            content_type,
            etag: coding.tag(&tag.finish()),
            last_modified: None,
            cache_control: match (show.ended, waited) {
                (true, _) => "public, max-age=10",
                (false, Some(_)) => of_targets(target),
                (false, None) => half_of(show.segment_ms()),
            },
            coding,
            prefetch: None,
        },
    };
    (resource, keep)
}

/// Half of a segment, in whole seconds.
fn half_of(interval_ms: u32) -> &'static str {
    match interval_ms {
        ..2_000 => "public, no-cache",
        2_000..4_000 => "public, max-age=1",
        4_000..6_000 => "public, max-age=2",
        _ => "public, max-age=3",
    }
}

/// Six target durations (appendix B of the HLS draft).
fn of_targets(seconds: u32) -> &'static str {
    match seconds {
        ..=1 => "public, max-age=6",
        2 => "public, max-age=12",
        3..=4 => "public, max-age=24",
        _ => "public, max-age=36",
    }
}

fn media_meta(content_type: &'static str, tag: Tag) -> Meta {
    Meta {
        content_type,
        etag: tag.finish(),
        last_modified: None,
        cache_control: SEGMENT_CACHE,
        coding: Coding::Plain,
        prefetch: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_and_a_part_needs_its_segment() {
        let read = |query: &str| Directives::read(query).ok();
        assert_eq!(read("sv=1"), Some(Directives::default()));
        assert_eq!(
            read("_HLS_msn=7&_HLS_part=2&_HLS_skip=YES"),
            Some(Directives {
                number: Some(7),
                part: Some(2),
                skip: true
            })
        );
        assert_eq!(read("_HLS_part=2"), None);
        assert_eq!(read("_HLS_msn=x"), None);
        assert_eq!(read("_HLS_skip=maybe"), None);
    }
}
