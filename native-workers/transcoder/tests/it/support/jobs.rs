//! Whole jobs of either engine, and what is measured of their results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use headwater_transcoder::auto::Choice;
use headwater_work::{JobErrorCode, Outcome};
use serde_json::{Value, json};

use super::{Fake, media, save};

/// What a job made, on disk.
pub struct Made {
    pub folder: tempfile::TempDir,
    pub files: BTreeMap<String, bytes::Bytes>,
    pub manifest: String,
    pub engine: String,
    pub reason: String,
}

impl Made {
    pub fn names(&self, part: &str) -> Vec<String> {
        self.files
            .keys()
            .filter(|name| name.contains(part) && !name.starts_with(".headwater/"))
            .cloned()
            .collect()
    }

    pub fn path(&self, part: &str) -> PathBuf {
        let names = self.names(part);
        assert_eq!(names.len(), 1, "{part}: {:?}", self.files.keys());
        self.folder.path().join(&names[0])
    }
}

pub async fn run(fake: &Fake) -> Made {
    let outcome = fake.finish(2).await;
    let Outcome::Finished { manifests, .. } = outcome else {
        panic!("{outcome:?}");
    };
    let folder = tempfile::tempdir().unwrap();
    let files = fake.files("out0");
    save(&files, folder.path());
    let choice = fake.state.lock().unwrap().engines.pop().unwrap();
    Made {
        folder,
        files,
        manifest: manifests[0].clone(),
        engine: choice.name,
        reason: choice.reason,
    }
}

pub async fn fake(choice: Choice) -> Fake {
    let mut fake = Fake::start().await;
    fake.engine = choice;
    fake
}

pub async fn encode(source: &Path, preset: Value) -> Made {
    let fake = fake(Choice::Auto).await;
    let name = source.file_name().unwrap().to_str().unwrap();
    fake.upload(name, std::fs::read(source).unwrap());
    fake.queue_with(fake.input(name), vec![preset]);
    run(&fake).await
}

pub fn named(name: &str) -> Value {
    json!({"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": name})
}

/// A preset whose tracks are looked at one by one: each label has an MP4 file of its own, where all sound would lie in every file of
/// pictures otherwise.
pub fn standard(mut codecs: Value, filters: Value) -> Value {
    let mut labels = Vec::new();
    for (number, codec) in codecs.as_array_mut().unwrap().iter_mut().enumerate() {
        if codec["@odata.type"].as_str().unwrap().ends_with("Image") {
            continue;
        }
        let label = format!("c{number}");
        let mut called = |labelled: &mut Value, label: String| {
            if labelled["label"].is_null() {
                labelled["label"] = json!(label);
            }
            labels.push(labelled["label"].clone());
        };
        match codec["layers"].as_array_mut() {
            Some(layers) => {
                for (layer, number) in layers.iter_mut().zip(0..) {
                    called(layer, format!("{label}l{number}"));
                }
            }
            None => called(codec, label),
        }
    }
    let files: Vec<Value> = labels
        .iter()
        .map(|label| json!({ "labels": [label] }))
        .collect();
    let mut preset = muxed(codecs, filters);
    preset["formats"][0]["outputFiles"] = json!(files);
    preset
}

/// A preset that says nothing of which tracks go into which file.
pub fn muxed(codecs: Value, filters: Value) -> Value {
    json!({
        "@odata.type": "#Microsoft.Media.StandardEncoderPreset",
        "codecs": codecs,
        "filters": filters,
        "formats": [
            {"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "{Basename}_{Label}_{Resolution}_{AudioStream}{Extension}"},
            {"@odata.type": "#Microsoft.Media.JpgFormat", "filenamePattern": "{Basename}_{Label}_{Index}{Extension}"},
            {"@odata.type": "#Microsoft.Media.PngFormat", "filenamePattern": "{Basename}_{Index}{Extension}"},
        ],
    })
}

pub fn small(kind: &str) -> Value {
    json!({"@odata.type": format!("#Microsoft.Media.{kind}"), "complexity": "Speed",
        "layers": [{"width": 320, "height": 180, "bitrate": 300_000, "label": "small"},
                   {"width": 160, "height": 90, "bitrate": 100_000, "label": "tiny"}]})
}

pub fn aac() -> Value {
    json!({"@odata.type": "#Microsoft.Media.AacAudio", "bitrate": 96_000})
}

/// Every second a white picture of 0.1 s and a beep, exactly together: what is measured afterwards.
pub fn flash(folder: &Path, name: &str, arguments: &str) -> PathBuf {
    let path = folder.join(name);
    let video = "color=black:s=32x18:r=25:d=6,geq=lum='if(lt(mod(T\\,1)\\,0.099)\\,235\\,16)':cb=128:cr=128,\
                 scale=320:180:flags=neighbor";
    // To the sample: a filter would switch it on and off with its frames.
    let sound = "aevalsrc='0.125*sin(2000*PI*t)*lt(mod(t\\,1)\\,0.1)':s=48000:d=6";
    let status = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", video])
        .args(["-f", "lavfi", "-i", sound])
        .args(arguments.split_whitespace())
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    path
}

/// When pictures turn bright.
pub fn flashes(file: &Path) -> Vec<f64> {
    let pictures = media::brightness(file);
    (0..pictures.len())
        .filter(|&at| pictures[at].1 > 128.0 && (at == 0 || pictures[at - 1].1 < 128.0))
        .map(|at| pictures[at].0)
        .collect()
}

/// When sound begins.
pub fn beeps(file: &Path) -> Vec<f64> {
    const RATE: u32 = 48_000;
    let sound = media::sound(file, RATE);
    let loud = |at: usize| sound[at].abs() > 0.05;
    let mut found = Vec::new();
    let mut quiet_since = usize::MAX / 2;
    for at in 0..sound.len() {
        if loud(at) {
            if quiet_since == usize::MAX / 2 || at - quiet_since > RATE as usize / 4 {
                found.push(at as f64 / f64::from(RATE));
            }
            quiet_since = at;
        }
    }
    found
}

/// Start of the decoded sound: ffmpeg leaves out what an edit list or a late start does.
pub fn sound_start(file: &Path) -> f64 {
    media::packets(file, "a:0")[0].pts
}

/// Pictures and sound are at most 20 ms apart.
pub fn assert_in_step(video: &Path, sound: &Path, what: &str) {
    let (seen, heard) = (flashes(video), beeps(sound));
    let shift = sound_start(sound);
    assert!(
        seen.len() >= 5 && heard.len() >= 5,
        "{what}: {seen:?} {heard:?}"
    );
    // The first may be cut by an encoder's run-up.
    for (seen, heard) in seen.iter().zip(&heard).skip(1) {
        let apart = seen - (heard + shift);
        assert!(
            apart.abs() < 0.02,
            "{what}: {apart} s apart, {seen} {heard} {shift}"
        );
    }
}

/// Pictures and sound are as far apart as they are in the source `film`, but for 20 ms at most: at an odd frame rate the
/// first bright picture is up to a picture later than the beep.
pub fn assert_as_in(film: &Path, video: &Path, sound: &Path) {
    let apart = |video: &Path, sound: &Path| -> Vec<f64> {
        let shift = sound_start(sound);
        let (seen, heard) = (flashes(video), beeps(sound));
        assert_eq!(seen.len(), heard.len(), "{seen:?} {heard:?}");
        // The first may be cut by an encoder's run-up.
        let both = seen.iter().zip(&heard).skip(1);
        both.map(|(seen, heard)| seen - (heard + shift)).collect()
    };
    let (own, made) = (apart(film, film), apart(video, sound));
    assert!(
        own.len() >= 5 && own.len() == made.len(),
        "{own:?} {made:?}"
    );
    for (own, made) in own.iter().zip(&made) {
        assert!((own - made).abs() < 0.02, "{own} {made}");
    }
}

pub fn keys(file: &Path) -> Vec<f64> {
    media::packets(file, "v:0")
        .iter()
        .filter(|packet| packet.key)
        .map(|packet| packet.pts)
        .collect()
}

pub fn stream(file: &Path, which: &str) -> Value {
    let found = media::probe(
        file,
        &format!(
            "-select_streams {which} -show_entries stream=codec_name,profile,width,height,channels,sample_rate,pix_fmt,color_transfer,codec_tag_string,duration"
        ),
    );
    found["streams"][0].clone()
}

/// The language of a stream, as the container has it.
pub fn language(file: &Path, which: &str) -> String {
    let wanted = format!("-select_streams {which} -show_entries stream_tags=language");
    let found = media::probe(file, &wanted);
    found["streams"][0]["tags"]["language"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// A job of the ffmpeg engine that fails: code and message.
pub async fn failure(name: &str, bytes: Vec<u8>, preset: Value) -> (JobErrorCode, String) {
    let fake = fake(Choice::Ffmpeg).await;
    fake.upload(name, bytes);
    fake.queue_with(fake.input(name), vec![preset]);
    match fake.finish(2).await {
        Outcome::Error(failure) => (
            failure.code,
            format!("{} {:?}", failure.message, failure.details),
        ),
        other => panic!("{name}: {other:?}"),
    }
}
