//! What ffmpeg decodes of a file: pictures with their times, and sound.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::media;

/// The pictures of a file as a player shows them.
#[derive(Debug, Clone)]
pub(super) struct Pictures {
    /// ffprobe's name.
    pub(super) codec: String,
    /// Upright, with square pixels.
    pub(super) size: (f64, f64),
    /// The same before it is turned as the file says.
    pub(super) stored: (f64, f64),
    /// Of each decoded picture, seconds by the clock of a player.
    pub(super) times: Vec<f64>,
    /// When they turn white. Not the first one, which may be shown from an earlier time than its own.
    pub(super) flashes: Vec<f64>,
}

/// The first sound of a file.
#[derive(Debug, Clone)]
pub(super) struct Sound {
    pub(super) codec: String,
    pub(super) channels: u64,
    /// Seconds from the start of the file to the end of the sound.
    pub(super) end: f64,
    /// When it begins to be heard.
    pub(super) beeps: Vec<f64>,
}

/// How loud the first sound of a file is in each millisecond and the fourteen before.
pub(super) struct Envelope(Vec<f64>);

impl Envelope {
    pub(super) fn of(file: &Path) -> Result<Self, String> {
        const SMOOTHED: usize = 15;
        // What was recorded has times in milliseconds, which are no holes.
        let (samples, _) = samples(file, 0.1)?;
        let loud = samples.chunks(RATE as usize / 1000);
        let loud: Vec<f64> = loud
            .map(|some| some.iter().map(|&v| f64::from(v)).sum())
            .collect();
        let mut sum = 0.0;
        let smooth = (0..loud.len()).map(|at| {
            sum += loud[at] - at.checked_sub(SMOOTHED).map_or(0.0, |gone| loud[gone]);
            sum
        });
        Ok(Self(smooth.collect()))
    }

    /// Nobody hears it.
    pub(super) fn is_silent(&self) -> bool {
        self.0.iter().all(|&loud| loud < 1.0)
    }

    /// How much later than `own` it is, in seconds, and how much alike the two are then (1: as loud at all times). Of what is at most
    /// a tenth of a second apart.
    pub(super) fn behind(&self, own: &Self) -> (f64, f64) {
        const MOST: isize = 100;
        let alike = |shift: isize| {
            let pairs = own.0.iter().enumerate().filter_map(|(at, &value)| {
                let other = self.0.get(at.checked_add_signed(shift)?)?;
                Some((value, *other))
            });
            let pairs: Vec<(f64, f64)> = pairs.collect();
            let count = pairs.len().max(1) as f64;
            let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / count;
            let (a, b) = (mean(|pair| pair.0), mean(|pair| pair.1));
            let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
                pairs.iter().map(|pair| of(pair.0 - a, pair.1 - b)).sum()
            };
            let (both, own, other) = (sum(&|a, b| a * b), sum(&|a, _| a * a), sum(&|_, b| b * b));
            both / (own * other).sqrt().max(f64::MIN_POSITIVE)
        };
        let shifts = (-MOST..=MOST).map(|shift| (shift as f64 / 1000.0, alike(shift)));
        let best = shifts.max_by(|one, other| one.1.total_cmp(&other.1));
        best.unwrap_or((0.0, 0.0))
    }
}

/// A picture whose mean luma, of 255, is above this is a white one.
const WHITE: f64 = 140.0;
const RATE: u32 = 48_000;

/// Standard output, and what was complained of. Times are the file's own: by itself ffmpeg counts from the first of the
/// streams that are decoded.
fn decode(file: &Path, arguments: &[&str]) -> Result<(Vec<u8>, String), String> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-copyts", "-i"])
        .arg(file)
        .args(arguments)
        .output()
        .map_err(|error| format!("ffmpeg cannot be run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok((output.stdout, said))
    } else {
        Err(format!("{} cannot be decoded: {said}", file.display()))
    }
}

/// Of a file that has pictures. Err: it does not decode.
pub(super) fn pictures(file: &Path) -> Result<Option<(Pictures, String)>, String> {
    let found = media::probe(
        file,
        "-select_streams v:0 -show_entries format=start_time:stream=codec_name,width,height,sample_aspect_ratio:stream_side_data=rotation",
    );
    let stream = &found["streams"][0];
    if stream.is_null() {
        return Ok(None);
    }
    let filters = "scale=16:16:flags=area,format=gray,signalstats,metadata=print:file=-:key=lavfi.signalstats.YAVG";
    let arguments = ["-map", "0:v:0", "-fps_mode", "passthrough", "-vf", filters];
    let (out, said) = decode(file, &[&arguments[..], &["-f", "null", "-"]].concat())?;
    let start = start(file, &found);
    let (mut times, mut flashes, mut white) = (Vec::new(), Vec::new(), false);
    for line in String::from_utf8_lossy(&out).lines() {
        if let Some((_, time)) = line.split_once("pts_time:") {
            let time: f64 = time.trim().parse().map_err(|_| line.to_owned())?;
            times.push(time - start);
        } else if let Some((_, luma)) = line.split_once("YAVG=") {
            let luma: f64 = luma.trim().parse().map_err(|_| line.to_owned())?;
            if luma > WHITE && !white && times.len() > 1 {
                flashes.extend(times.last().copied());
            }
            white = luma > WHITE;
        }
    }
    let seen = Pictures {
        codec: text(&stream["codec_name"]),
        size: shown(stream),
        stored: stored(stream),
        times,
        flashes,
    };
    Ok(Some((seen, said)))
}

/// Where a player's clock starts: at zero of an MP4 file, whose tracks may begin later; elsewhere at the first time of all
/// streams, as the file has it.
fn start(file: &Path, found: &Value) -> f64 {
    let extension = file.extension().and_then(|extension| extension.to_str());
    if matches!(extension, Some("mp4" | "mov" | "m4a" | "3gp")) {
        return 0.0;
    }
    let start = found["format"]["start_time"].as_str();
    start.and_then(|start| start.parse().ok()).unwrap_or(0.0)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The size in square pixels, as it is coded.
fn stored(stream: &Value) -> (f64, f64) {
    let side = |name: &str| stream[name].as_f64().unwrap_or_default();
    let ratio = stream["sample_aspect_ratio"].as_str().and_then(|ratio| {
        let (wide, high) = ratio.split_once(':')?;
        let (wide, high): (f64, f64) = (wide.parse().ok()?, high.parse().ok()?);
        (wide > 0.0 && high > 0.0).then_some(wide / high)
    });
    (side("width") * ratio.unwrap_or(1.0), side("height"))
}

/// The size in square pixels, turned as the file says.
fn shown(stream: &Value) -> (f64, f64) {
    let (wide, high) = stored(stream);
    let turned = stream["side_data_list"].as_array().is_some_and(|list| {
        let mut turns = list.iter().filter_map(|data| data["rotation"].as_i64());
        turns.any(|degrees| degrees % 180 != 0)
    });
    if turned { (high, wide) } else { (wide, high) }
}

/// Of a file that has sound.
pub(super) fn sound(file: &Path) -> Result<Option<(Sound, String)>, String> {
    let found = media::probe(
        file,
        "-select_streams a:0 -show_entries stream=codec_name,channels",
    );
    let stream = &found["streams"][0];
    if stream.is_null() {
        return Ok(None);
    }
    // Holes of a hundredth of a second are filled, as players do.
    let (samples, said) = samples(file, 0.01)?;
    let seen = Sound {
        codec: text(&stream["codec_name"]),
        channels: stream["channels"].as_u64().unwrap_or_default(),
        end: samples.len() as f64 / f64::from(RATE),
        beeps: beeps(&samples),
    };
    Ok(Some((seen, said)))
}

/// The first sound of a file, without its sign, by the clock of a player, and what was complained of. Holes of `hole` seconds are filled.
fn samples(file: &Path, hole: f64) -> Result<(Vec<f32>, String), String> {
    let found = media::probe(
        file,
        "-select_streams a:0 -show_entries format=start_time:stream=sample_rate",
    );
    let rate = RATE.to_string();
    // Of what is decoded, in which the filter counts.
    let own_rate: f64 = text(&found["streams"][0]["sample_rate"])
        .parse()
        .unwrap_or_default();
    let first = (start(file, &found) * own_rate).round();
    let filters = format!("aresample=async=1:min_hard_comp={hole}:first_pts={first}");
    let (out, said) = decode(
        file,
        &[
            "-map", "0:a:0", "-af", &filters, "-ac", "1", "-ar", &rate, "-f", "f32le", "-",
        ],
    )?;
    let samples = out
        .chunks_exact(4)
        .filter_map(|bytes| Some(f32::from_le_bytes(bytes.try_into().ok()?).abs()));
    Ok((samples.collect(), said))
}

/// Where it is loud after a quarter of a second that was not.
fn beeps(samples: &[f32]) -> Vec<f64> {
    let loudest = samples.iter().fold(0.0_f32, |most, value| most.max(*value));
    let mut found = Vec::new();
    let mut last: Option<usize> = None;
    for (at, value) in samples.iter().enumerate() {
        if *value > 0.3 * loudest && *value > 0.01 {
            if last.is_none_or(|last| at - last > RATE as usize / 4) {
                found.push(at as f64 / f64::from(RATE));
            }
            last = Some(at);
        }
    }
    found
}

/// SSIM of all planes of `made` against `source`, picture by picture, after `filters` (a comma behind each) on the source, which is read
/// as `reading` says.
pub(super) fn likeness(
    made: &Path,
    (source, reading): (&Path, &[&str]),
    filters: &str,
) -> Result<f64, String> {
    let graph = format!(
        "[1:v:0]bwdif=deint=interlaced,{filters}format=yuv420p[source];[0:v:0]format=yuv420p[made];\
         [source][made]scale2ref=flags=bicubic[one][other];[other]settb=AVTB,setpts=N/25/TB[m];\
         [one]setsar=1,settb=AVTB,setpts=N/25/TB[r];[m][r]ssim"
    );
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i"])
        .arg(made)
        .args(reading)
        .arg("-i")
        .arg(source)
        .args(["-filter_complex", &graph, "-f", "null", "-"])
        .output()
        .map_err(|error| format!("ffmpeg cannot be run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.rsplit("All:")
        .next()
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .ok_or(said)
}
