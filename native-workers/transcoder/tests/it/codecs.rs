//! The codec wrappers against ffmpeg: what we decode is what it decodes, bit for bit, and what we encode it can read.

use std::path::Path;

use crate::support::{media, shared_media};
use headwater_bmff::{CodecConfig, MovieReader, Step, TrackKind};
use headwater_transcoder::h264::decoder::Decoder;
use headwater_transcoder::h264::encoder::{Encoder, EncoderConfig, Profile};
use headwater_transcoder::picture::{Picture, Plane, Size};

/// What `measure` says of every picture of a file, in presentation order.
fn decoded<T>(path: &Path, measure: impl Fn(&Picture) -> T) -> Vec<T> {
    let file = std::fs::read(path).unwrap();
    let mut reader = MovieReader::new(file.len() as u64);
    let movie = loop {
        match reader.step().unwrap() {
            Step::Done(movie) => break movie,
            Step::Need { offset, len } => {
                let bytes = file[offset as usize..(offset + len) as usize].to_vec();
                reader.feed(offset, bytes.into()).unwrap();
            }
        }
    };
    let track = movie
        .tracks
        .iter()
        .find(|track| track.config.kind == TrackKind::Video)
        .unwrap();
    let CodecConfig::Avc(config) = &track.config.codec else {
        panic!("not H.264")
    };
    let sets = config.sps.iter().chain(&config.pps).map(Vec::as_slice);
    let mut decoder = Decoder::new(sets, config.nal_length_size).unwrap();
    let mut out = Vec::new();
    let mut sums = Vec::new();
    let mut collect = |out: &mut Vec<headwater_transcoder::h264::decoder::Decoded>| {
        for decoded in out.drain(..) {
            sums.push((decoded.sample, measure(&decoded.picture)));
        }
    };
    let mut times = Vec::new();
    for sample in track.samples.iter() {
        let bytes = &file[sample.offset as usize..][..sample.size as usize];
        decoder
            .decode(bytes, u64::from(sample.index), &mut out)
            .unwrap();
        collect(&mut out);
        times.push(sample.composition_time());
    }
    decoder.flush(&mut out);
    collect(&mut out);
    sums.sort_by_key(|(sample, _)| times[*sample as usize]);
    sums.into_iter().map(|(_, sum)| sum).collect()
}

fn checksum(picture: &Picture) -> u32 {
    media::adler([Plane::Y, Plane::Cb, Plane::Cr].map(|plane| picture.plane(plane)))
}

const PATTERN: &str = "-f lavfi -i testsrc2=s=320x180:r=25:d=12 -pix_fmt yuv420p -c:v libx264";

#[test]
fn pictures_are_those_that_ffmpeg_decodes() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = ["bigbuckbunny.mp4", "car-detection.mp4", "azure-bumper.mp4"]
        .map(|name| shared_media().join(name))
        .to_vec();
    for (name, options) in [
        (
            "weighted.mp4",
            "-bf 0 -refs 6 -g 300 -x264-params weightp=2",
        ),
        ("cavlc.mp4", "-profile:v main -coder 0 -bf 0"),
        ("slices.mp4", "-slices 4 -bf 0 -tune film"),
        ("baseline.mp4", "-profile:v baseline -refs 3"),
        (
            "bidirectional.mp4",
            "-bf 2 -x264-params direct=none:weightb=0:b-pyramid=none",
        ),
    ] {
        let path = folder.path().join(name);
        media::ffmpeg(&format!("{PATTERN} {options}"), &path);
        files.push(path);
    }
    for file in files {
        let (ours, theirs) = (decoded(&file, checksum), media::frame_sums(&file));
        assert_eq!(ours.len(), theirs.len(), "{}", file.display());
        let different = ours
            .iter()
            .zip(&theirs)
            .position(|(ours, theirs)| ours != theirs);
        assert_eq!(different, None, "{}", file.display());
    }
}

/// OpenH264 does not follow the specification to the bit in every B picture (its issues 3269 and 3712): some
/// macroblocks are deblocked or predicted a little differently. What matters is that it stays little, and in order.
#[test]
fn pictures_with_bidirectional_prediction_stay_close() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [
        (
            "pyramid.mp4",
            "-bf 5 -b_strategy 2 -refs 6 -g 300 -x264-params b-pyramid=normal:weightp=2:weightb=1",
        ),
        ("open.mp4", "-bf 3 -g 30 -x264-params open-gop=1"),
        ("temporal.mp4", "-bf 2 -x264-params direct=temporal"),
        ("cavlc.mp4", "-profile:v main -coder 0 -bf 2"),
    ] {
        let path = folder.path().join(name);
        media::ffmpeg(&format!("{PATTERN} {options}"), &path);
        let raw = folder.path().join("raw.yuv");
        media::ffmpeg(
            &format!("-i {} -fps_mode passthrough -f rawvideo", path.display()),
            &raw,
        );
        let raw = std::fs::read(raw).unwrap();
        let ours = decoded(&path, |picture| picture.plane(Plane::Y).to_vec());
        let theirs: Vec<&[u8]> = raw.chunks_exact(320 * 180 * 3 / 2).collect();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        let worst = ours
            .iter()
            .zip(theirs)
            .map(|(ours, theirs)| psnr(ours, theirs))
            .fold(f64::INFINITY, f64::min);
        println!("{name}: worst picture {worst:.1} dB");
        assert!(worst > 45.0, "{name}: {worst}");
    }
}

fn psnr(ours: &[u8], theirs: &[u8]) -> f64 {
    let error: u64 = ours
        .iter()
        .zip(theirs)
        .map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2))
        .sum();
    10.0 * (255.0 * 255.0 * ours.len() as f64 / error as f64).log10()
}

fn noise(size: Size, seed: u32) -> Picture {
    let mut picture = Picture::black(size);
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
    for plane in [Plane::Y, Plane::Cb, Plane::Cr] {
        for sample in picture.plane_mut(plane) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = 100 + (state >> 28) as u8;
        }
    }
    picture
}

#[test]
fn streams_have_cabac_one_slice_and_idr_pictures_where_asked() {
    let size = Size {
        width: 334,
        height: 190,
    };
    for (profile, name) in [(Profile::Main, "Main"), (Profile::High, "High")] {
        let config = EncoderConfig {
            size,
            profile,
            level: 30,
            frames_per_second: 25.0,
            colour: Some(headwater_bmff::Colour {
                primaries: 1,
                transfer: 1,
                matrix: 1,
                full_range: false,
            }),
        };
        let mut encoder = Encoder::new(config).unwrap();
        let mut stream = Vec::new();
        let mut pictures = Vec::new();
        for index in 0..40_u32 {
            let idr = index % 15 == 0;
            let coded = encoder
                .encode(&noise(size, index), idr, 20 + (index % 20) as u8)
                .unwrap();
            assert_eq!(coded.idr, idr, "{index}");
            pictures.push(coded.bytes);
        }
        let sets = encoder.parameter_sets().unwrap();
        for nal in [&sets.sps, &sets.pps] {
            stream.extend_from_slice(&[0, 0, 0, 1]);
            stream.extend_from_slice(nal);
        }
        for picture in &pictures {
            let length = u32::from_be_bytes(picture[..4].try_into().unwrap()) as usize;
            assert_eq!(picture.len(), 4 + length, "one slice a picture");
            stream.extend_from_slice(&[0, 0, 0, 1]);
            stream.extend_from_slice(&picture[4..]);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stream.264");
        std::fs::write(&path, stream).unwrap();
        let found = media::probe(
            &path,
            "-count_frames -show_entries stream=profile,width,height,nb_read_frames,has_b_frames,color_space,level,refs",
        );
        let stream = &found["streams"][0];
        assert_eq!(stream["profile"], name);
        assert_eq!(
            (&stream["width"], &stream["height"]),
            (&334.into(), &190.into())
        );
        assert_eq!(stream["nb_read_frames"], "40");
        assert_eq!(stream["has_b_frames"], 0);
        assert_eq!(stream["color_space"], "bt709");
        // entropy_coding_mode_flag follows the two ids of the PPS, each coded as a single 1 bit for id 0.
        assert_eq!(sets.pps[1] >> 5 & 1, 1, "CABAC: {:02x?}", sets.pps);
    }
}

#[test]
fn rubbish_is_an_error_and_not_a_crash() {
    let mut state = 1_u32;
    for _ in 0..50 {
        let mut decoder = Decoder::new([&[0x67, 1, 2, 3][..], &[0x68, 4]], 4).unwrap();
        let mut out = Vec::new();
        for number in 0..20 {
            let length = (state >> 24) as usize + 1;
            let mut sample = (length as u32).to_be_bytes().to_vec();
            for _ in 0..length {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                sample.push((state >> 24) as u8);
            }
            let _ = decoder.decode(&sample, number, &mut out);
            let _ = decoder.decode(&sample[..sample.len() / 2], number, &mut out);
        }
        decoder.flush(&mut out);
    }
}
