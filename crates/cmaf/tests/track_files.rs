//! Track files as the transcoder writes them: their index can be rebuilt from the file, and is served as stored.

mod support;

use bytes::Bytes;
use headwater_bmff::write::{ProgressiveSample, ProgressiveTrack, write_progressive};
use headwater_bmff::{EditList, TrackConfig, parse_movie};
use headwater_cmaf::index::{SegmentOrigin, SourceId, build_from_movie, parse_head, segment_bytes};
use headwater_cmaf::track_file::{MediaSample, SegmentRecord, TrackFile};
use headwater_time::Timescale;
use support::*;

/// The segments of a track of `name`, written as a track file: the file and its index.
fn transcoded(name: &str, track: usize) -> (Vec<u8>, Vec<u8>) {
    let file = std::fs::read(media(name)).unwrap();
    let movie = movie(&file);
    let track = &movie.tracks[track];
    let writer = TrackFile::new(track.config.clone()).unwrap();
    let all: Vec<_> = track.samples.iter().collect();
    let mut records: Vec<SegmentRecord> = Vec::new();
    let mut media = Vec::new();
    let mut start = 0;
    for (number, run) in all.chunks(50).enumerate() {
        let samples: Vec<MediaSample<'_>> = run
            .iter()
            .map(|sample| MediaSample {
                bytes: part(&file, sample.offset..sample.offset + u64::from(sample.size)),
                duration: sample.duration,
                cto: 0,
                sync: sample.sync,
            })
            .collect();
        let (bytes, record) = writer.segment(number as u32, start, &samples).unwrap();
        start += u64::from(record.duration().unwrap());
        assert_eq!(record.len() as usize, bytes.len());
        media.extend(bytes);
        // A checkpoint survives its way through bytes.
        records.push(SegmentRecord::from_bytes(&record.to_bytes()).unwrap());
    }
    let mut out = writer.init().to_vec();
    out.extend(writer.sidx(&records).unwrap());
    out.extend(media);
    assert_eq!(writer.file_len(&records), out.len() as u64);
    let index = writer.index(&records, &source(&out).etag).unwrap();
    (out, index)
}

#[test]
fn the_index_is_reproduced_from_the_file() {
    let (file, index) = transcoded("car-detection.mp4", 1);
    assert_eq!(
        build_from_movie(&movie(&file), &source(&file)).unwrap(),
        index
    );
}

#[test]
fn segments_are_served_as_stored() {
    let (file, index) = transcoded("car-detection.mp4", 1);
    let head = head(&index);
    let track = &head.tracks[0];
    assert_eq!(track.origin, SegmentOrigin::Stored);
    let mut at = None;
    for entry in entries(&index, &head, track) {
        assert!(
            entry.record.is_empty(),
            "nothing but the page has to be read"
        );
        let plan = segment_bytes(&head, track, &entry, &[]).unwrap();
        assert!(plan.inline.is_empty());
        let [range] = &plan.ranges[..] else {
            panic!("{plan:?}")
        };
        assert!(at.is_none_or(|at| at == range.start));
        assert_eq!(&part(&file, range.clone())[4..8], b"moof");
        at = Some(range.end);
    }
    assert_eq!(at, Some(file.len() as u64));
    let played = play(&file, &index, track);
    let media_at = file.len() - (played.len() - track.init.len());
    assert_eq!(played[track.init.len()..], file[media_at..]);
}

#[test]
fn players_read_the_whole_file_through_its_sidx() {
    let (file, _) = transcoded("car-detection.mp4", 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("track.mp4");
    std::fs::write(&path, &file).unwrap();
    assert_eq!(
        frame_hashes(&path, 0, &[]),
        frame_hashes(&media("car-detection.mp4"), 1, &["-ignore_editlist", "1"])
    );
}

#[test]
fn records_that_do_not_tile_are_refused() {
    let config = headwater_bmff::AacConfig::lc(48_000, 2).unwrap();
    let scale = Timescale::new(48_000).unwrap();
    let writer = TrackFile::new(TrackConfig::audio(1, scale, "eng", config)).unwrap();
    let sample = MediaSample {
        bytes: &[1, 2, 3],
        duration: 1024,
        cto: 0,
        sync: true,
    };
    let (_, first) = writer.segment(0, 0, &[sample]).unwrap();
    let (_, gap) = writer.segment(1, 2048, &[sample]).unwrap();
    let error = writer.index(&[first, gap], "e").unwrap_err();
    assert_eq!(
        error.to_string(),
        "segment 1: it does not start where the previous one ends"
    );
    let late = MediaSample { cto: 1, ..sample };
    assert!(writer.segment(0, 0, &[late]).is_err());
    let dependent = MediaSample {
        sync: false,
        ..sample
    };
    assert!(writer.segment(0, 0, &[dependent]).is_err());
    assert!(writer.segment(0, 0, &[]).is_err());
}

/// Twelve hours of two-second segments: the head fits the first read of 16 KiB, and pages lead to any time.
#[test]
fn twelve_hours_cost_what_a_minute_costs() {
    let config = headwater_bmff::AacConfig::lc(48_000, 2).unwrap();
    let scale = Timescale::new(48_000).unwrap();
    let writer = TrackFile::new(TrackConfig::audio(1, scale, "eng", config)).unwrap();
    let bytes = [7_u8; 300];
    let frame = MediaSample {
        bytes: &bytes,
        duration: 1024,
        cto: 0,
        sync: true,
    };
    let samples = vec![frame; 94];
    let records: Vec<SegmentRecord> = (0..21_600_u64)
        .map(|n| writer.segment(n as u32, n * 94 * 1024, &samples).unwrap().1)
        .collect();
    let index = writer.index(&records, "e").unwrap();
    let head = head(&index[..]);
    assert!(
        parse_head(&index[..16 << 10])
            .is_ok_and(|parse| { matches!(parse, headwater_cmaf::index::HeadParse::Complete(_)) })
    );
    let track = &head.tracks[0];
    let time = 20_000 * 94 * 1024;
    let page = track.page_of_time(time + 5).unwrap();
    let range = track.page_range(page).unwrap();
    assert!(range.end - range.start < 6 << 10);
    let bytes = part(&index, range);
    let page = headwater_cmaf::index::parse_page(&head, track, page, bytes).unwrap();
    assert!(
        page.iter()
            .any(|entry| entry.start == time && entry.number == 20_000)
    );
    assert_eq!(track.bitrate, track.peak_bitrate);
}

#[test]
fn a_progressive_file_comes_back_as_it_was() {
    for name in ["bigbuckbunny.mp4", "azure-bumper.mp4"] {
        let file = std::fs::read(media(name)).unwrap();
        let movie = movie(&file);
        let tracks: Vec<ProgressiveTrack<'_>> = movie
            .tracks
            .iter()
            .map(|track| ProgressiveTrack {
                config: track.config.clone(),
                edits: EditList::default(),
                samples: track
                    .samples
                    .iter()
                    .map(|sample| ProgressiveSample {
                        bytes: part(&file, sample.offset..sample.offset + u64::from(sample.size)),
                        duration: sample.duration,
                        cto: sample.cto,
                        sync: sample.sync,
                    })
                    .collect(),
            })
            .collect();
        let written = write_progressive(movie.timescale, &tracks).unwrap();
        let read = parse_movie(Bytes::from(written.clone())).unwrap();
        for (was, is) in movie.tracks.iter().zip(&read.tracks) {
            assert_eq!(was.config, is.config);
            let samples = was.samples.iter().zip(&is.samples);
            assert!(samples.clone().all(|(a, b)| {
                (a.dts, a.cto, a.size, a.sync) == (b.dts, b.cto, b.size, b.sync)
                    && part(&file, a.offset..a.offset + 1) == part(&written, b.offset..b.offset + 1)
            }));
            assert_eq!(was.samples.len(), is.samples.len());
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("written.mp4");
        std::fs::write(&path, &written).unwrap();
        for stream in 0..2 {
            let raw = ["-ignore_editlist", "1"];
            let theirs = frame_hashes(&media(name), stream, &raw);
            assert_eq!(frame_hashes(&path, stream, &raw), theirs);
        }
    }
}

#[test]
fn an_index_knows_its_file() {
    let (file, index) = transcoded("car-detection.mp4", 1);
    let SourceId { etag, len } = head(&index).source;
    assert_eq!((etag.as_str(), len), ("\"0x8DBF00\"", file.len() as u64));
}
