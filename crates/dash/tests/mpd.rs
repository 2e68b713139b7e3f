//! Manifests, compared whole.

mod schema;

use headwater_dash::*;
use headwater_time::Timescale;

fn timeline(runs: &[(u64, u64)]) -> Vec<Segment> {
    let mut start = 0;
    let mut out = Vec::new();
    for (duration, count) in runs {
        for _ in 0..*count {
            out.push(Segment {
                start,
                duration: *duration,
            });
            start += duration;
        }
    }
    out
}

fn template(name: &str, scale: u32, timeline: &[Segment]) -> SegmentTemplate {
    SegmentTemplate {
        available_early_ms: None,
        timescale: Timescale::new(scale).unwrap(),
        presentation_time_offset: 0,
        initialization: format!(
            "QualityLevels($Bandwidth$)/Fragments({name}=i,format=mpd-time-cmaf)"
        ),
        media: format!("QualityLevels($Bandwidth$)/Fragments({name}=$Time$,format=mpd-time-cmaf)"),
        timeline: timeline.to_vec(),
    }
}

fn video(bandwidth: u32, resolution: (u32, u32), segments: SegmentTemplate) -> Representation {
    Representation {
        id: format!("video_{bandwidth}"),
        bandwidth,
        codecs: "avc1.640020".to_owned(),
        resolution: Some(resolution),
        frame_rate: Some((60_000, 2002)),
        sample_rate: None,
        channels: None,
        objects: 0,
        segments,
        key_frames: None,
    }
}

fn set(content_type: ContentType, representations: Vec<Representation>) -> AdaptationSet {
    AdaptationSet {
        colour: None,
        protection: vec![],
        inband: vec![],
        content_type,
        language: None,
        label: None,
        accessibility: vec![],
        roles: vec![],
        segment_alignment: true,
        starts_with: AccessPoint::Closed,
        representations,
    }
}

#[test]
fn ladder_with_audio() {
    let videos = timeline(&[(60_060, 29), (12_012, 1)]);
    let audios = timeline(&[(96_256, 1), (95_232, 2), (96_256, 1)]);
    let mut audio = set(
        ContentType::Audio,
        vec![Representation {
            id: "aac_eng_2_128041_2_1_128041".to_owned(),
            bandwidth: 128_041,
            codecs: "mp4a.40.2".to_owned(),
            resolution: None,
            frame_rate: None,
            sample_rate: Some(48_000),
            channels: Some(2),
            objects: 0,
            segments: template("aac_eng_2_128041_2_1", 48_000, &audios),
            key_frames: None,
        }],
    );
    audio.language = Some("en".to_owned());
    audio.label = Some("Director & friends".to_owned());
    audio.accessibility = vec![Descriptor {
        scheme: ROLE_SCHEME,
        value: "description".to_owned(),
    }];
    audio.roles = vec![Descriptor {
        scheme: ROLE_SCHEME,
        value: "alternate".to_owned(),
    }];
    let mpd = Mpd {
        namespaces: vec![],
        profile: Profile::Cmaf,
        duration_ticks: 1_753_752,
        timescale: Timescale::new(30_000).unwrap(),
        tiles: vec![],
        adaptation_sets: vec![
            set(
                ContentType::Video,
                vec![
                    video(3_400_123, (1280, 720), template("video", 30_000, &videos)),
                    video(900_000, (640, 360), template("video", 30_000, &videos)),
                ],
            ),
            audio,
        ],
    };
    let text = mpd.write();
    assert_eq!(
        text,
        r#"<?xml version="1.0" encoding="utf-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" profiles="urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019" mediaPresentationDuration="PT58.4584S" minBufferTime="PT2S">
  <Period id="p0" start="PT0S">
    <AdaptationSet id="1" contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1" maxWidth="1280" maxHeight="720" par="16:9" frameRate="30000/1001">
      <SegmentTemplate timescale="30000" presentationTimeOffset="0" initialization="QualityLevels($Bandwidth$)/Fragments(video=i,format=mpd-time-cmaf)" media="QualityLevels($Bandwidth$)/Fragments(video=$Time$,format=mpd-time-cmaf)"><SegmentTimeline><S t="0" d="60060" r="28"/><S d="12012"/></SegmentTimeline></SegmentTemplate>
      <Representation id="video_3400123" bandwidth="3400123" codecs="avc1.640020" width="1280" height="720"/>
      <Representation id="video_900000" bandwidth="900000" codecs="avc1.640020" width="640" height="360"/>
    </AdaptationSet>
    <AdaptationSet id="2" contentType="audio" mimeType="audio/mp4" lang="en" segmentAlignment="true" startWithSAP="1" audioSamplingRate="48000">
      <AudioChannelConfiguration schemeIdUri="urn:mpeg:mpegB:cicp:ChannelConfiguration" value="2"/>
      <Label>Director &amp; friends</Label>
      <Accessibility schemeIdUri="urn:mpeg:dash:role:2011" value="description"/>
      <Role schemeIdUri="urn:mpeg:dash:role:2011" value="alternate"/>
      <SegmentTemplate timescale="48000" presentationTimeOffset="0" initialization="QualityLevels($Bandwidth$)/Fragments(aac_eng_2_128041_2_1=i,format=mpd-time-cmaf)" media="QualityLevels($Bandwidth$)/Fragments(aac_eng_2_128041_2_1=$Time$,format=mpd-time-cmaf)"><SegmentTimeline><S t="0" d="96256"/><S d="95232" r="1"/><S d="96256"/></SegmentTimeline></SegmentTemplate>
      <Representation id="aac_eng_2_128041_2_1_128041" bandwidth="128041" codecs="mp4a.40.2"/>
    </AdaptationSet>
  </Period>
</MPD>
"#
    );
    schema::check(&text);
}

#[test]
fn tracks_with_timelines_of_their_own_carry_them() {
    let (a, b) = (timeline(&[(10, 2)]), timeline(&[(20, 1)]));
    let mut mixed = set(
        ContentType::Video,
        vec![
            video(2, (4, 2), template("video", 5, &a)),
            video(1, (2, 4), template("video", 5, &b)),
        ],
    );
    mixed.segment_alignment = false;
    mixed.representations[1].frame_rate = Some((25, 1));
    let text = Mpd {
        namespaces: vec![],
        profile: Profile::Cmaf,
        duration_ticks: 20,
        timescale: Timescale::new(5).unwrap(),
        tiles: vec![],
        adaptation_sets: vec![mixed],
    }
    .write();
    assert!(
        text.contains(r#"segmentAlignment="false" startWithSAP="1" maxWidth="4" maxHeight="4">"#),
        "{text}"
    );
    assert_eq!(text.matches("<SegmentTemplate").count(), 2);
    assert!(
        text.contains(r#"frameRate="30000/1001">"#) && text.contains(r#"frameRate="25">"#),
        "{text}"
    );
    assert!(text.contains(r#"mediaPresentationDuration="PT4S""#));
}

#[test]
fn open_groups_are_access_points_of_another_type_and_not_cmaf() {
    let segments = timeline(&[(10, 2)]);
    let write = |starts_with| {
        let representation = video(2, (4, 2), template("video", 5, &segments));
        let mut set = set(ContentType::Video, vec![representation]);
        set.starts_with = starts_with;
        Mpd {
            namespaces: vec![],
            profile: Profile::Cmaf,
            duration_ticks: 20,
            timescale: Timescale::new(5).unwrap(),
            tiles: vec![],
            adaptation_sets: vec![set],
        }
        .write()
    };
    let (closed, open) = (write(AccessPoint::Closed), write(AccessPoint::Open));
    let cmaf = ",urn:mpeg:dash:profile:cmaf:2019";
    assert!(closed.contains(cmaf), "{closed}");
    let expected = closed
        .replace(cmaf, "")
        .replace("startWithSAP=\"1\"", "startWithSAP=\"3\"");
    assert_eq!(open, expected);
}

#[test]
fn missing_time_counts_to_the_segment_in_front_and_empty_segments_are_not_shown() {
    let segments = [(100, 10), (110, 10), (120, 0), (130, 10)]
        .map(|(start, duration)| Segment { start, duration });
    let text = Mpd {
        namespaces: vec![],
        profile: Profile::Cmaf,
        duration_ticks: 40,
        timescale: Timescale::new(3).unwrap(),
        tiles: vec![],
        adaptation_sets: vec![set(
            ContentType::Video,
            vec![video(1, (2, 2), template("video", 3, &segments))],
        )],
    }
    .write();
    assert!(
        text.contains(
            r#"<SegmentTimeline><S t="100" d="10"/><S d="20"/><S d="10"/></SegmentTimeline>"#
        ),
        "{text}"
    );
    // 40/3 s, rounded up.
    assert!(text.contains("PT13.333334S"), "{text}");
}

#[test]
fn key_frames_are_a_set_of_their_own_that_old_players_leave_alone() {
    let segments = timeline(&[(50, 3)]);
    let key_frames = |count| {
        Some(KeyFrames {
            media: "QualityLevels($Bandwidth$)/KeyFrames(video=$Time$)".to_owned(),
            count,
            rate: 50,
        })
    };
    let mut set = with_everything(ContentType::Video, "v");
    set.representations[0].channels = None;
    set.representations[0].segments = template("video", 25, &segments);
    set.representations[0].segments.available_early_ms = Some(1000);
    set.representations[0].key_frames = key_frames(2);
    let mut mpd = Mpd {
        namespaces: vec![],
        profile: Profile::Cmaf,
        duration_ticks: 150,
        timescale: Timescale::new(25).unwrap(),
        tiles: vec![],
        adaptation_sets: vec![with_everything(ContentType::Audio, "a"), set],
    };
    let text = mpd.write();
    schema::check(&text);
    let expected = r#"    <AdaptationSet id="3" contentType="video" mimeType="video/mp4" lang="de-AT" segmentAlignment="true" startWithSAP="1" maxWidth="4" maxHeight="2" par="2:1" maxPlayoutRate="50" codingDependency="false">
      <ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cenc"/>
      <EssentialProperty schemeIdUri="http://dashif.org/guidelines/trickmode" value="2"/>
      <SupplementalProperty schemeIdUri="urn:mpeg:mpegB:cicp:ColourPrimaries" value="9"/>
      <SupplementalProperty schemeIdUri="urn:mpeg:mpegB:cicp:TransferCharacteristics" value="16"/>
      <SupplementalProperty schemeIdUri="urn:mpeg:mpegB:cicp:MatrixCoefficients" value="9"/>
      <SegmentTemplate timescale="25" presentationTimeOffset="0" initialization="QualityLevels($Bandwidth$)/Fragments(video=i,format=mpd-time-cmaf)" media="QualityLevels($Bandwidth$)/KeyFrames(video=$Time$)"><SegmentTimeline><S t="0" d="50" r="1"/></SegmentTimeline></SegmentTemplate>
      <Representation id="v_keyframes" bandwidth="1" codecs="avc1.640020" width="4" height="2"/>
    </AdaptationSet>
"#;
    assert!(text.contains(expected), "{text}");
    // Only those that have some.
    let set = &mut mpd.adaptation_sets[1];
    let mut other = set.representations[0].clone();
    (other.id, other.key_frames) = ("w".to_owned(), None);
    set.representations.push(other);
    let text = mpd.write();
    schema::check(&text);
    assert!(
        text.contains("v_keyframes") && !text.contains("w_keyframes"),
        "{text}"
    );
}

fn with_everything(content_type: ContentType, id: &str) -> AdaptationSet {
    let mut representation = video(1, (4, 2), template("video", 5, &timeline(&[(10, 2)])));
    representation.id = id.to_owned();
    representation.channels = Some(2);
    let role = |value: &str| Descriptor {
        scheme: ROLE_SCHEME,
        value: value.to_owned(),
    };
    let mut set = set(content_type, vec![representation]);
    set.language = Some("de-AT".to_owned());
    set.colour = Some([9, 16, 9]);
    set.label = Some("<&\"'\u{1}>".to_owned());
    set.accessibility = vec![role("caption")];
    set.roles = vec![role("main"), role("caption")];
    set.protection = vec![
        "<ContentProtection schemeIdUri=\"urn:mpeg:dash:mp4protection:2011\" value=\"cenc\"/>"
            .to_owned(),
    ];
    set.inband = vec![Inband {
        scheme: SPLICE_SCHEME.to_owned(),
        value: "1".to_owned(),
    }];
    set
}

#[test]
fn all_there_is_comes_in_the_order_of_the_schema() {
    let sets = || {
        vec![
            with_everything(ContentType::Video, "v"),
            with_everything(ContentType::Audio, "a"),
            with_everything(ContentType::Text, "t"),
        ]
    };
    let film = Mpd {
        namespaces: vec![("cenc", "urn:mpeg:cenc:2013")],
        profile: Profile::CommonStreamingFormat,
        duration_ticks: 20,
        timescale: Timescale::new(5).unwrap(),
        adaptation_sets: sets(),
        tiles: vec![TileSet {
            id: "thumbnails_1".to_owned(),
            bandwidth: 1,
            size: (320, 180),
            layout: (2, 2),
            sheet_ms: 8000,
            start_number: 1,
            media: "$Number$.jpg".to_owned(),
        }],
    };
    schema::check(&film.write());
    let mut live = Recording {
        profile: Profile::Cmaf,
        timing: Timing::Dynamic(Dynamic {
            published: "2026-06-01T13:15:00.000Z".to_owned(),
            now: "2026-06-01T13:15:00.250Z".to_owned(),
            clock: "time".into(),
            update_ms: 2000,
            window_ms: 3_600_000,
            delay_ms: 6000,
            latency_ms: Some(2500),
        }),
        longest_segment_ms: 2002,
        namespaces: vec![],
        periods: vec![Period {
            id: "p0".to_owned(),
            start_ticks: 7,
            timescale: Timescale::MPEG,
            events: vec![EventStream {
                scheme: SPLICE_SCHEME,
                value: Some("scte35"),
                timescale: Timescale::MPEG,
                presentation_time_offset: 1,
                events: vec![Event {
                    id: u32::MAX,
                    time: u64::MAX,
                    duration: Some(u64::MAX),
                    section: Some("/Ao=".to_owned()),
                }],
            }],
            adaptation_sets: sets(),
        }],
    };
    for set in &mut live.periods[0].adaptation_sets {
        set.representations[0].segments.available_early_ms = Some(1750);
    }
    schema::check(&live.write());
    live.timing = Timing::Static {
        duration_ticks: 20,
        timescale: Timescale::new(3).unwrap(),
    };
    schema::check(&live.write());
}
