//! Real and hostile server manifests.

use headwater_ism::{
    EntryKind, FORMATS_CMAF, IsmError, MAX_BYTES, ServerManifest, TrackEntry, parse, with_track,
    write,
};
use proptest::prelude::*;

const MEDIA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/media");

#[test]
fn real_hand_made_manifest_is_read() {
    let bytes = std::fs::read(format!("{MEDIA}/ElephantsDream_MultiAudio.ism"))
        .expect("shared media is present");
    let manifest = parse(&bytes).unwrap();
    assert_eq!(manifest.formats.as_deref(), Some("mp4"));
    assert_eq!(manifest.client_manifest, None);
    let kinds: Vec<_> = manifest.tracks.iter().map(|t| t.kind).collect();
    assert_eq!(
        kinds,
        [
            EntryKind::Video,
            EntryKind::Video,
            EntryKind::Video,
            EntryKind::Audio,
            EntryKind::Audio
        ]
    );
    let mut spanish = TrackEntry::new(EntryKind::Audio, "ElephantsDream_audio_spa.mp4");
    spanish.title = Some("Spanish".to_owned());
    spanish.language = Some("spa".to_owned());
    assert_eq!(manifest.tracks[3], spanish);
    assert_eq!(
        manifest.tracks[0],
        TrackEntry::new(
            EntryKind::Video,
            "ElephantsDream_H264_1000kbps_AAC_und_ch2_128kbps.mp4"
        )
    );
}

#[test]
fn encoder_manifest_with_params_is_read() {
    let manifest = parse(
        br#"<?xml version="1.0" encoding="utf-8"?>
<smil xmlns="http://www.w3.org/2001/SMIL20/Language">
  <head>
    <meta name="clientManifestRelativePath" content="film.ismc" />
    <meta name="formats" content="mp4-v3" />
    <meta name="fragmentsPerHLSSegment" content="1" />
  </head>
  <body><switch>
    <video src="film &amp; more_3400.mp4" systemBitrate="3400123">
      <param name="systemBitrate" value="3400123" valuetype="data" />
      <param name="trackID" value="1" valueType="data" />
      <param name="trackName" value="video" valuetype="data" />
      <param name="trackIndex" value="film_3400_1.mpi" valuetype="data" />
    </video>
    <audio src="film &amp; more_3400.mp4">
      <param name="systemBitrate" value="128041" valuetype="data" />
      <param name="systemLanguage" value="eng" valuetype="data" />
      <param name="trackID" value="2" valuetype="data" />
      <param name="trackName" value="aac_eng_2_128041_2_1" valuetype="data" />
      <param name="accessibility" value="description" valuetype="data" />
    </audio>
    <textstream src="fr-fr.cmft" systemBitrate="52" systemLanguage="fr-FR">
      <param name="transcriptsrc" value="fr-fr.vtt" valuetype="data" />
      <param name="textDisplayName" value="Fran&#231;ais" valuetype="data" />
      <param name="textIsDefault" value="TRUE" valuetype="data" />
      <param name="textHlsCharacteristic" value="public.accessibility.transcribes-spoken-dialog" valuetype="data" />
      <param name="outputFlag" value="3" valuetype="data" />
    </textstream>
    <novelty src="x"/>
  </switch></body>
</smil>"#,
    )
    .unwrap();
    assert_eq!(manifest.client_manifest.as_deref(), Some("film.ismc"));
    assert_eq!(manifest.tracks.len(), 3);
    assert_eq!(manifest.tracks[0].source, "film & more_3400.mp4");
    assert_eq!(manifest.tracks[0].bitrate, Some(3_400_123));
    assert_eq!(manifest.tracks[0].track_id, Some(1));
    let audio = &manifest.tracks[1];
    assert_eq!(
        (audio.bitrate, audio.language.as_deref(), audio.track_id),
        (Some(128_041), Some("eng"), Some(2))
    );
    assert_eq!(audio.track_name.as_deref(), Some("aac_eng_2_128041_2_1"));
    assert_eq!(audio.accessibility.as_deref(), Some("description"));
    assert_eq!(manifest.fragments_per_hls_segment, Some(1));
    assert_eq!(
        manifest.tracks[0].track_index.as_deref(),
        Some("film_3400_1.mpi")
    );
    let text = &manifest.tracks[2];
    assert_eq!(text.kind, EntryKind::Text);
    assert_eq!(text.transcript.as_deref(), Some("fr-fr.vtt"));
    assert_eq!(text.display_name.as_deref(), Some("Français"));
    assert!(text.is_default);
    assert_eq!(text.output_flag, Some(3));
    assert_eq!(parse(write(&manifest).as_bytes()).unwrap(), manifest);
}

#[test]
fn our_own_manifest_is_the_expected_text() {
    let mut video = TrackEntry::new(EntryKind::Video, "a \"b\" & c.mp4");
    video.bitrate = Some(900_000);
    video.track_id = Some(1);
    video.track_name = Some("video".to_owned());
    let manifest = ServerManifest {
        formats: Some(FORMATS_CMAF.to_owned()),
        fragments_per_hls_segment: Some(2),
        tracks: vec![video, TrackEntry::new(EntryKind::Audio, "b.mp4")],
        ..ServerManifest::default()
    };
    let text = write(&manifest);
    assert_eq!(
        text,
        r#"<?xml version="1.0" encoding="utf-8"?>
<smil xmlns="http://www.w3.org/2001/SMIL20/Language">
  <head>
    <meta name="formats" content="cmaf" />
    <meta name="fragmentsPerHLSSegment" content="2" />
  </head>
  <body>
    <switch>
      <video src="a &quot;b&quot; &amp; c.mp4" systemBitrate="900000">
        <param name="systemBitrate" value="900000" valuetype="data" />
        <param name="trackID" value="1" valuetype="data" />
        <param name="trackName" value="video" valuetype="data" />
      </video>
      <audio src="b.mp4" />
    </switch>
  </body>
</smil>
"#
    );
    assert_eq!(parse(text.as_bytes()).unwrap(), manifest);
}

#[test]
fn hostile_documents_are_refused() {
    let dtd = br#"<!DOCTYPE smil [<!ENTITY a "aaaa">]><smil><body>&a;</body></smil>"#;
    assert!(matches!(parse(dtd), Err(IsmError::Xml(_))));
    assert!(matches!(
        parse(&vec![b' '; MAX_BYTES + 1]),
        Err(IsmError::TooLong(_))
    ));
    assert!(matches!(parse(b"\xff"), Err(IsmError::NotUtf8(0))));
    assert!(matches!(parse(b"\xff\xfe<"), Err(IsmError::NotUtf16(2))));
    assert!(matches!(parse(b"<\0\0\xd8<\0"), Err(IsmError::NotUtf16(2))));
    assert!(matches!(
        parse(b"<html><body/></html>"),
        Err(IsmError::NotSmil("smil"))
    ));
    assert!(matches!(
        parse(b"<smil><head/></smil>"),
        Err(IsmError::NotSmil("body"))
    ));
    let many = format!(
        "<smil><body>{}</body></smil>",
        "<video src='a'/>".repeat(300)
    );
    assert!(matches!(
        parse(many.as_bytes()),
        Err(IsmError::TooManyTracks)
    ));
    let deep = format!("<smil><body>{}", "<a>".repeat(30_000));
    assert!(parse(deep.as_bytes()).is_err());
}

#[test]
fn a_broken_track_does_not_take_the_others_down() {
    let manifest = parse(
        b"<smil><body><video/><video src='a.mp4' systemBitrate='99999999999'/><video src='b.mp4'/>\
          <audio src='c.mp4'><param name='trackID' value='two'/></audio></body></smil>",
    )
    .unwrap();
    let files: Vec<&str> = manifest.tracks.iter().map(|t| t.source.as_str()).collect();
    assert_eq!(files, ["b.mp4"]);
    let warnings: Vec<(usize, &str)> = manifest
        .warnings
        .iter()
        .map(|w| (w.index, w.reason.as_str()))
        .collect();
    assert_eq!(
        warnings,
        [
            (0, "it names no file"),
            (1, "systemBitrate is not a number: '99999999999'"),
            (3, "trackID is not a number: 'two'"),
        ]
    );
}

#[test]
fn zero_bitrate_means_unknown_and_folders_have_no_extension() {
    let manifest =
        parse(b"<smil><body><video src='video_1' systemBitrate='0'/></body></smil>").unwrap();
    assert_eq!(manifest.tracks[0].bitrate, None);
    assert!(manifest.tracks[0].is_folder());
    assert!(!TrackEntry::new(EntryKind::Video, "a.b/c.mp4").is_folder());
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 <>&\"'_.äß-]{0,20}[a-z0-9]".prop_map(|s| s.trim().to_owned())
}

fn entry() -> impl Strategy<Value = TrackEntry> {
    let kind = prop_oneof![
        Just(EntryKind::Video),
        Just(EntryKind::Audio),
        Just(EntryKind::Text)
    ];
    let optional = || proptest::option::of(text());
    (
        kind,
        text(),
        proptest::option::of(1u32..),
        optional(),
        optional(),
        proptest::option::of(any::<u32>()),
        optional(),
    )
        .prop_map(
            |(kind, source, bitrate, language, title, track_id, track_name)| TrackEntry {
                bitrate,
                language,
                title,
                track_id,
                track_name,
                ..TrackEntry::new(kind, source)
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(tracks in proptest::collection::vec(entry(), 0..6), formats in proptest::option::of(text())) {
        let manifest = ServerManifest { formats, tracks, ..ServerManifest::default() };
        prop_assert_eq!(parse(write(&manifest).as_bytes()).unwrap(), manifest);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn mutated_manifests_are_answered(cut in 0usize..600, byte in any::<u8>()) {
        let mut bytes = write(&ServerManifest { tracks: vec![TrackEntry::new(EntryKind::Audio, "b.mp4"); 3], ..ServerManifest::default() }).into_bytes();
        if let Some(at) = bytes.get_mut(cut) { *at = byte; }
        let _ = parse(&bytes);
    }
}

/// As Expression Encoder and IIS Media Services write it.
#[test]
fn utf_16_is_read_and_comes_back_as_utf_8() {
    let text = "<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n<smil xmlns=\"http://www.w3.org/2001/SMIL20/Language\">\
                <head/><body><switch><video src=\"Fl\u{fc}sse \u{1f30a}.ismv\" systemBitrate=\"500000\"/></switch></body></smil>";
    let bare: Vec<u16> = text.encode_utf16().collect();
    let marked: Vec<u16> = std::iter::once(0xfeff)
        .chain(bare.iter().copied())
        .collect();
    for units in [&bare, &marked] {
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for bytes in [little, big] {
            let manifest = parse(&bytes).unwrap();
            assert_eq!(manifest.tracks.len(), 1);
            assert_eq!(manifest.tracks[0].source, "Fl\u{fc}sse \u{1f30a}.ismv");
            let mut entry = TrackEntry::new(EntryKind::Text, "subtitles.vtt");
            entry.track_name = Some("text".into());
            let edited = with_track(&bytes, &entry).unwrap();
            assert!(!edited.contains("utf-16"), "{edited}");
            assert_eq!(parse(edited.as_bytes()).unwrap().tracks.len(), 2);
        }
    }
}
