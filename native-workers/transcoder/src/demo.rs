//! A source made from nothing: a test pattern with a running frame counter over flowing water, and a beep and a flash at
//! every second, so that a new installation has something to encode and a viewer can see and hear that it plays in step.
//! The water is there because every rendition of a still pattern looks and weighs the same.
//!
//! 1280x720, 25 frames a second, H.264 and AAC-LC in a progressive MP4, sync samples every two seconds, the encoder's
//! audio delay in an edit list as usual. The same seconds, the same bytes.

mod font;

use std::path::Path;

use headwater_bmff::write::{ProgressiveSample, ProgressiveTrack, write_progressive};
use headwater_bmff::{AacConfig, AvcConfig, BmffError, Colour, Edit, EditList, TrackConfig};
use headwater_time::Timescale;

use crate::aac;
use crate::h264::encoder::{EncodeError, Encoder, EncoderConfig, Profile};
use crate::h264::level;
use crate::picture::{Picture, Plane, Size};

pub const SIZE: Size = Size {
    width: 1280,
    height: 720,
};
pub const FRAMES_PER_SECOND: u32 = 25;
/// Of the colour bars.
const BT709: Colour = Colour {
    primaries: 1,
    transfer: 1,
    matrix: 1,
    full_range: false,
};
const SAMPLE_RATE: u32 = 48_000;
/// Flash and beep, in milliseconds.
const SIGNAL_MS: u32 = 80;
const BEEP_HZ: f64 = 1000.0;
const QUANTISER: u8 = 24;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    #[error(transparent)]
    Video(#[from] EncodeError),
    #[error(transparent)]
    Audio(#[from] aac::encoder::EncodeError),
    #[error(transparent)]
    File(#[from] BmffError),
    #[error("the demo source cannot be written: {0}")]
    Io(#[from] std::io::Error),
    #[error("no audio configuration for the sample rate")]
    AudioConfig,
}

/// Writes a demo source of `seconds` (at least 1) to `path`. Takes about a fifth of that in CPU time.
pub fn demo_source(path: &Path, seconds: u32) -> Result<(), DemoError> {
    std::fs::write(path, demo_bytes(seconds.max(1))?)?;
    Ok(())
}

/// The bytes of [`demo_source`].
pub fn demo_bytes(seconds: u32) -> Result<Vec<u8>, DemoError> {
    let scale = |units: u32| Timescale::new(units).unwrap_or(Timescale::SECONDS);
    let (pictures, video_config) = pictures(seconds * FRAMES_PER_SECOND)?;
    let (sound, delay) = sound(seconds)?;
    let audio_config = AacConfig::lc(SAMPLE_RATE, 2).ok_or(DemoError::AudioConfig)?;
    let side = |side: u32| side as u16;
    let video = ProgressiveTrack {
        config: TrackConfig::video(
            1,
            scale(FRAMES_PER_SECOND * 512),
            video_config,
            (side(SIZE.width), side(SIZE.height)),
        ),
        edits: EditList::default(),
        samples: pictures
            .iter()
            .map(|(bytes, sync)| ProgressiveSample {
                bytes,
                duration: 512,
                cto: 0,
                sync: *sync,
            })
            .collect(),
    };
    let audio = ProgressiveTrack {
        config: TrackConfig::audio(2, scale(SAMPLE_RATE), "und", audio_config),
        edits: EditList {
            entries: vec![Edit {
                duration: u64::from(seconds) * u64::from(SAMPLE_RATE),
                media_time: Some(delay),
                rate: 0x1_0000,
            }],
        },
        samples: sound
            .iter()
            .map(|bytes| ProgressiveSample {
                bytes,
                duration: aac::FRAME as u32,
                cto: 0,
                sync: true,
            })
            .collect(),
    };
    Ok(write_progressive(scale(SAMPLE_RATE), &[video, audio])?)
}

/// Coded pictures, each with whether it is a sync sample.
type Coded = Vec<(Vec<u8>, bool)>;

fn pictures(count: u32) -> Result<(Coded, AvcConfig), DemoError> {
    let mut encoder = Encoder::new(EncoderConfig {
        size: SIZE,
        profile: Profile::High,
        level: level::lowest(SIZE, f64::from(FRAMES_PER_SECOND), 4000),
        frames_per_second: FRAMES_PER_SECOND as f32,
        colour: Some(BT709),
    })?;
    let background = background();
    let water = Water::new();
    let mut coded = Vec::with_capacity(count as usize);
    for frame in 0..count {
        let mut picture = background.clone();
        water.flow(&mut picture, frame);
        paint(&mut picture, frame);
        let sync = frame % (2 * FRAMES_PER_SECOND) == 0;
        coded.push((encoder.encode(&picture, sync, QUANTISER)?.bytes, sync));
    }
    let sets = encoder
        .parameter_sets()
        .ok_or(EncodeError::Missing("parameter sets"))?
        .clone();
    Ok((
        coded,
        AvcConfig::from_parameter_sets(vec![sets.sps], vec![sets.pps])?,
    ))
}

/// Where the bars end and the water begins.
const SHORE: usize = 480;

/// Colour bars of 75 % (ITU-R BT.801, in BT.709) over the colour of water.
fn background() -> Picture {
    const BARS: [[u8; 3]; 8] = [
        [180, 128, 128],
        [168, 44, 136],
        [145, 147, 44],
        [133, 63, 52],
        [63, 193, 204],
        [51, 109, 212],
        [28, 212, 120],
        [16, 128, 128],
    ];
    let mut picture = Picture::black(SIZE);
    for (index, plane) in crate::picture::PLANES.into_iter().enumerate() {
        let (width, _) = SIZE.plane(plane);
        let bars_end = if plane == Plane::Y { SHORE } else { SHORE / 2 };
        for (y, row) in picture.plane_mut(plane).chunks_exact_mut(width).enumerate() {
            for (x, sample) in row.iter_mut().enumerate() {
                *sample = if y < bars_end {
                    BARS[x * BARS.len() / width][index]
                } else {
                    [0, 158, 104][index]
                };
            }
        }
    }
    picture
}

/// Waves of three lengths under a drifting surface. Tables and whole numbers only: every machine makes the same bytes.
struct Water {
    /// One turn of a sine, from -64 to 64.
    sine: [i32; 256],
    /// What the light does on the surface, from -16 to 15: smooth noise that repeats every 256 samples each way.
    surface: Vec<i32>,
}

impl Water {
    fn new() -> Self {
        // Marsaglia's xorshift.
        let mut state = 0x9e37_79b9_u32;
        let mut rough = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 26) as i32 - 32
        };
        let rough: Vec<i32> = std::iter::repeat_with(&mut rough).take(256 * 256).collect();
        let surface = (0..256 * 256)
            .map(|at| {
                let near = [
                    at,
                    at ^ 1,
                    (at + 256) % (256 * 256),
                    (at + 257) % (256 * 256),
                ];
                near.iter().map(|&at| rough[at]).sum::<i32>() / 8
            })
            .collect();
        let turn = |at: usize| (at as f64 / 256.0 * std::f64::consts::TAU).sin() * 64.0;
        Self {
            sine: std::array::from_fn(|at| turn(at).round() as i32),
            surface,
        }
    }

    fn flow(&self, picture: &mut Picture, frame: u32) {
        let (width, _) = SIZE.plane(Plane::Y);
        let frame = frame as usize;
        let sine = |angle: usize| self.sine[angle % 256];
        let rows = picture.plane_mut(Plane::Y).chunks_exact_mut(width);
        for (y, row) in rows.enumerate().skip(SHORE) {
            // Nearer waves are longer and faster.
            let near = y - SHORE + 80;
            let drift = frame * near / 64;
            let swell = sine(y * 5 + frame * 3);
            for (x, sample) in row.iter_mut().enumerate() {
                let long = sine(x * 160 / near + drift * 2);
                let short = sine(x * 3 + y * 7 + frame * 6);
                let surface = self.surface[y % 256 * 256 + (x + drift) % 256];
                *sample = (104 + swell / 4 + long / 3 + short / 8 + surface) as u8;
            }
        }
    }
}

fn paint(picture: &mut Picture, frame: u32) {
    let second = frame / FRAMES_PER_SECOND;
    let within = frame % FRAMES_PER_SECOND;
    // A block that crosses the picture in four seconds: motion to look at.
    let travel = SIZE.width - 160;
    let x = frame % (4 * FRAMES_PER_SECOND) * travel / (4 * FRAMES_PER_SECOND);
    fill(picture, (x as usize, 500), (160, 60), 210);
    // The flash that goes with the beep, on the black bar: on the ramp's bright end it is hard to see.
    if within * 1000 < SIGNAL_MS * FRAMES_PER_SECOND {
        fill(picture, (1140, 20), (120, 100), 235);
    }
    fill(picture, (40, 180), (904, 216), 16);
    text(picture, (64, 204), 8, "HEADWATER");
    let clock = format!(
        "{:02}:{:02}:{within:02} #{frame:05}",
        second / 60,
        second % 60
    );
    text(picture, (64, 308), 8, &clock);
}

fn fill(picture: &mut Picture, (x, y): (usize, usize), (width, height): (usize, usize), luma: u8) {
    for plane in crate::picture::PLANES {
        let divisor = if plane == Plane::Y { 1 } else { 2 };
        let value = if plane == Plane::Y { luma } else { 128 };
        let (stride, _) = SIZE.plane(plane);
        let (from, to) = (x / divisor, (x + width) / divisor);
        let rows = picture.plane_mut(plane).chunks_exact_mut(stride);
        for row in rows.skip(y / divisor).take(height / divisor) {
            row[from..to].fill(value);
        }
    }
}

/// `size`: picture samples for one dot of the font.
fn text(picture: &mut Picture, (x, y): (usize, usize), size: usize, text: &str) {
    for (index, character) in text.chars().enumerate() {
        for (row, dots) in font::glyph(character).into_iter().enumerate() {
            for column in 0..5 {
                if dots >> (4 - column) & 1 == 1 {
                    let at = (x + (index * 6 + column) * size, y + row * size);
                    fill(picture, at, (size, size), 235);
                }
            }
        }
    }
}

/// Access units, and by how many samples the sound in them lags.
fn sound(seconds: u32) -> Result<(Vec<Vec<u8>>, u64), DemoError> {
    let mut encoder = aac::encoder::Encoder::new(SAMPLE_RATE, 128_000)?;
    let delay = encoder.delay();
    let length = u64::from(seconds) * u64::from(SAMPLE_RATE) + delay;
    let mut units = Vec::new();
    for frame in 0..length.div_ceil(aac::FRAME) {
        let pcm: Vec<i16> = (frame * aac::FRAME..(frame + 1) * aac::FRAME)
            .flat_map(|at| [sample(at); 2])
            .collect();
        if let Some(unit) = encoder.encode(&pcm)? {
            units.push(unit.to_vec());
        }
    }
    Ok((units, delay))
}

fn sample(at: u64) -> i16 {
    let within = at % u64::from(SAMPLE_RATE);
    if within * 1000 >= u64::from(SIGNAL_MS) * u64::from(SAMPLE_RATE) {
        return 0;
    }
    let turns = within as f64 * BEEP_HZ / f64::from(SAMPLE_RATE);
    ((turns * std::f64::consts::TAU).sin() * 12_000.0) as i16
}
