//! Sources of every kind through presets of every kind, held against what ffmpeg decodes of the source.
//!
//! The tests take one preset for each source, another one for the next: every source and every preset is there.
//! `cargo xtask matrix` takes all presets for all sources, or other pairs, or some of them by name (`HEADWATER_MATRIX`).

mod presets;
mod seen;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use headwater_transcoder::auto::Choice;
use headwater_work::{JobErrorCode, Outcome};

use crate::support::jobs::{fake, keys};
use crate::support::{media, save};
use presets::{Case, Shape};
use seen::{Envelope, Pictures, Sound};
use sources::Recipe;

/// What goes wrong takes the time of what goes well; a job that hangs is a fault.
const LONGEST: Duration = Duration::from_secs(120);
/// How far pictures and sound may come apart, seconds.
const APART: f64 = 0.02;
/// Rounding of containers whose unit is a millisecond, seconds.
const ROUNDING: f64 = 0.0035;
/// Seconds from key frame to key frame, of all presets.
const GRID: f64 = 2.0;
/// SSIM that every rendition reaches. The smallest ones of a moving pattern are the worst.
const LIKENESS: f64 = 0.8;

/// Codecs of which copies are made.
const FIT: [&str; 10] = [
    "h264", "hevc", "av1", "vp9", "mpeg4", "aac", "ac3", "eac3", "flac", "opus",
];

/// A source that was made, and what is seen of it.
struct Source {
    recipe: Recipe,
    file: PathBuf,
    bytes: bytes::Bytes,
    pictures: Option<Pictures>,
    sound: Option<Sound>,
}

impl Source {
    fn make(recipe: Recipe, folder: &Path) -> Self {
        let file = recipe.make(folder);
        let (mut pictures, mut sound) = (None, None);
        if !recipe.traits.damaged {
            pictures = seen::pictures(&file).unwrap().map(|(seen, _)| seen);
            sound = seen::sound(&file).unwrap().map(|(seen, _)| seen);
            assert!(pictures.is_some() || sound.is_some(), "{}", recipe.file);
        }
        Self {
            recipe,
            bytes: std::fs::read(&file).unwrap().into(),
            file,
            pictures,
            sound,
        }
    }

    /// The times of the pictures that a preset keeps.
    fn kept(&self, case: &Case) -> Vec<f64> {
        let times = self.pictures.as_ref().map_or(&[][..], |seen| &seen.times);
        let length = times.last().zip(times.first()).map_or(0.0, |(l, f)| l - f);
        let rate = times.len().saturating_sub(1) as f64 / length.max(0.001);
        let step = if case.thins && rate > 35.0 { 2 } else { 1 };
        times.iter().copied().step_by(step).collect()
    }
}

/// What a job left.
struct Left {
    outcome: Outcome,
    folder: tempfile::TempDir,
    files: Vec<PathBuf>,
    /// Track files that have an index beside them.
    indexed: BTreeSet<String>,
    engine: String,
}

impl Left {
    fn with(&self, ending: &[&str]) -> Vec<&PathBuf> {
        let ends = |path: &&PathBuf| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|extension| ending.contains(&extension))
        };
        self.files.iter().filter(ends).collect()
    }
}

async fn run(source: &Source, case: &Case) -> Result<Left, String> {
    let fake = fake(Choice::Auto).await;
    fake.upload(source.recipe.file, source.bytes.clone());
    fake.queue_with(fake.input(source.recipe.file), vec![case.json.clone()]);
    let outcome = tokio::time::timeout(LONGEST, fake.finish(2))
        .await
        .map_err(|_| format!("no end after {LONGEST:?}"))?;
    let files: BTreeMap<String, bytes::Bytes> = fake.files("out0");
    let folder = tempfile::tempdir().unwrap();
    save(&files, folder.path());
    let engine = fake.state.lock().unwrap().engines.pop();
    let indexed = |name: &String| {
        let own = name.strip_prefix(".headwater/")?.strip_suffix(".hwx")?;
        Some(own.to_owned())
    };
    Ok(Left {
        outcome,
        indexed: files.keys().filter_map(indexed).collect(),
        files: files
            .keys()
            .filter(|name| !name.starts_with(".headwater/"))
            .map(|name| folder.path().join(name))
            .collect(),
        folder,
        engine: engine.map_or_else(String::new, |engine| engine.name),
    })
}

/// What is wrong with a job, if anything.
async fn fault(source: &Source, case: &Case) -> Result<(), String> {
    let left = run(source, case).await?;
    match &left.outcome {
        // A copy of what is damaged is as damaged.
        Outcome::Finished { .. } if source.recipe.traits.damaged && case.copies => Ok(()),
        Outcome::Finished { .. } if source.recipe.traits.damaged => decoded(&left).map(drop),
        Outcome::Finished { .. } => {
            finished(source, case, &left).map_err(|why| format!("{why} (engine {})", left.engine))
        }
        Outcome::Error(failure) => {
            let said = format!(
                "{:?}: {} {:?}",
                failure.code, failure.message, failure.details
            );
            if said.contains("/tmp") || said.contains(&*left.folder.path().to_string_lossy()) {
                return Err(format!("the error names a folder of the machine: {said}"));
            }
            match refusable(source, case) {
                Some(codes) if codes.contains(&failure.code) => Ok(()),
                Some(codes) => Err(format!("expected one of {codes:?}: {said}")),
                None => Err(said),
            }
        }
        other => Err(format!("{other:?}")),
    }
}

/// The errors that a job may end in, if it may.
fn refusable(source: &Source, case: &Case) -> Option<&'static [JobErrorCode]> {
    use JobErrorCode::{ConfigurationUnsupported, ContentMalformed, ContentUnsupported};
    const NOT_THERE: [JobErrorCode; 2] = [ConfigurationUnsupported, ContentUnsupported];
    if source.recipe.traits.damaged {
        return Some(&[ContentMalformed]);
    }
    let only_pictures = case.audio.is_none();
    let only_sound = case.video.is_none() && !case.images;
    // Others may fit into MP4 files, too; these do.
    let fits = |codec: &str| FIT.contains(&codec);
    let video_fits = source
        .pictures
        .as_ref()
        .is_none_or(|seen| fits(&seen.codec));
    let audio_fits = source.sound.as_ref().is_none_or(|seen| fits(&seen.codec));
    let refused = (source.pictures.is_none() && only_pictures)
        || (source.sound.is_none() && only_sound)
        || (case.copies && !(video_fits && audio_fits));
    refused.then_some(&NOT_THERE)
}

type Seen<'a, T> = Vec<(&'a PathBuf, T)>;

/// Pictures and sound of every file, each of which decodes without a complaint.
fn decoded(left: &Left) -> Result<(Seen<'_, Pictures>, Seen<'_, Sound>), String> {
    let calm = |file: &Path, said: &str| match said {
        "" => Ok(()),
        said => Err(format!("{}: {said}", name(file))),
    };
    let (mut videos, mut sounds) = (Vec::new(), Vec::new());
    for file in left.with(&["mp4", "ts"]) {
        if let Some((seen, said)) = seen::pictures(file)? {
            calm(file, &said)?;
            videos.push((file, seen));
        }
        if let Some((seen, said)) = seen::sound(file)? {
            calm(file, &said)?;
            sounds.push((file, seen));
        }
    }
    Ok((videos, sounds))
}

fn name(file: &Path) -> String {
    file.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn finished(source: &Source, case: &Case, left: &Left) -> Result<(), String> {
    let (videos, sounds) = decoded(left)?;
    let wanted = |kind: Option<&str>, there: bool| kind.is_some() && there;
    if wanted(case.video, source.pictures.is_some()) == videos.is_empty() {
        return Err(format!("{} files with pictures", videos.len()));
    }
    if wanted(case.audio, source.sound.is_some()) == sounds.is_empty() {
        return Err(format!("{} files with sound", sounds.len()));
    }
    if case.images && source.pictures.is_some() {
        images(source, case, left)?;
    }
    if let Some(own) = &source.pictures {
        for (file, seen) in &videos {
            video(source, own, case, file, seen).map_err(|why| format!("{}: {why}", name(file)))?;
        }
        aligned(case, &videos)?;
    }
    let unindexed = |file: &&&PathBuf| !left.indexed.contains(&name(file));
    if !case.copies
        && let Some(file) = left.with(&["mp4"]).iter().find(unindexed)
    {
        return Err(format!("{} has no index", name(file)));
    }
    if let Some(own) = &source.sound {
        let recorded = source.recipe.traits.recorded;
        for (file, seen) in &sounds {
            sound(own, case, seen)
                .and_then(|()| {
                    if recorded {
                        Ok(())
                    } else {
                        beeps(own, case, seen)
                    }
                })
                .map_err(|why| format!("{}: {why}", name(file)))?;
        }
        if recorded && !sounds.is_empty() {
            return heard(source, (&videos, &sounds));
        }
    }
    if let (Some(pictures), Some(sound)) = (&source.pictures, &source.sound) {
        for (file, seen) in &videos {
            for (_, heard) in &sounds {
                in_step((pictures, sound), (seen, heard))
                    .map_err(|why| format!("{}: {why}", name(file)))?;
            }
        }
    }
    Ok(())
}

fn video(
    source: &Source,
    own: &Pictures,
    case: &Case,
    file: &Path,
    seen: &Pictures,
) -> Result<(), String> {
    let codec = if case.copies {
        Some(own.codec.as_str())
    } else {
        case.video
    };
    if codec != Some(seen.codec.as_str()) {
        return Err(format!("codec {}", seen.codec));
    }
    let kept = source.kept(case);
    let lost = kept.len().abs_diff(seen.times.len());
    if lost > source.recipe.traits.loose {
        return Err(format!("{} pictures of {}", seen.times.len(), kept.len()));
    }
    if !seen.times.is_sorted_by(|a, b| a < b) {
        return Err(format!("times do not climb: {:?}", seen.times));
    }
    if lost == 0 && kept.len() > 1 {
        // What is first on screen is so from the start. Sound, which is as far off, is looked at elsewhere.
        let start = kept[1] - seen.times[1];
        let mut others = kept.iter().zip(&seen.times).skip(1);
        if let Some((kept, seen)) =
            others.find(|(kept, seen)| (*kept - *seen - start).abs() > ROUNDING)
        {
            return Err(format!("a picture of {kept} s is shown at {seen} s"));
        }
    }
    shape(own, case, seen)?;
    if case.copies {
        let (ours, theirs) = (media::frame_sums(file), media::frame_sums(&source.file));
        return if ours == theirs {
            Ok(())
        } else {
            Err("the copy decodes to other pictures".into())
        };
    }
    let (wide, high) = seen.size;
    if wide % 2.0 != 0.0 || high % 2.0 != 0.0 {
        return Err(format!("{wide}x{high} is odd"));
    }
    if case.video != Some("av1") {
        // The clock of a transport stream starts with its first sound, which is before that of the source.
        let late = match (kept.get(1), seen.times.get(1)) {
            (Some(kept), Some(seen)) if lost == 0 && !is_mp4(file) => seen - kept,
            _ => 0.0,
        };
        let times: Vec<f64> = seen.times.iter().map(|time| time - late).collect();
        on_grid(&times, &keys(file))?;
    }
    if case.other_pictures || source.recipe.traits.other_pictures || lost > 0 {
        return Ok(());
    }
    let every = if kept.len() < own.times.len() {
        "select=not(mod(n\\,2)),"
    } else {
        ""
    };
    let filters = format!("{every}{}", case.shape.filters());
    let alike = seen::likeness(file, (&source.file, case.shape.reading()), &filters)?;
    if alike < LIKENESS {
        return Err(format!("SSIM {alike}"));
    }
    Ok(())
}

/// The shape that the preset makes of the source's.
fn shape(own: &Pictures, case: &Case, seen: &Pictures) -> Result<(), String> {
    let (wide, high) = own.size;
    let (wide, high) = match case.shape {
        Shape::Same => (wide, high),
        Shape::Turned => (own.stored.1, own.stored.0),
        Shape::Coded => own.stored,
        Shape::Half => (wide / 2.0, high),
        Shape::Fixed(wide, high) => (wide as f64, high as f64),
    };
    let (seen_wide, seen_high) = seen.size;
    // A side that was rounded to even is at most a line off at each end.
    let off = (seen_wide - seen_high * wide / high).abs();
    let most = 1.0 + wide / high;
    if off > most.max(2.0) {
        return Err(format!("{seen_wide}x{seen_high} of {wide}x{high}"));
    }
    Ok(())
}

fn is_mp4(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "mp4")
}

/// Every key frame is the first picture of two seconds; the first one of a file may come later.
fn on_grid(times: &[f64], keys: &[f64]) -> Result<(), String> {
    let Some((start, first)) = times.first().zip(keys.first()) else {
        return Err("there is no key frame".into());
    };
    // By the clock of a player: a transport stream has another.
    let keys: Vec<f64> = keys.iter().map(|key| key - first + start).collect();
    for key in &keys {
        let grid = (key / GRID + 0.01).floor() * GRID;
        let begins = times.iter().find(|time| **time > grid - ROUNDING);
        if begins.is_none_or(|begins| (begins - key).abs() > ROUNDING) {
            return Err(format!("key frames at {keys:?}"));
        }
    }
    Ok(())
}

/// Key frames of all renditions are at the same times.
fn aligned(case: &Case, videos: &[(&PathBuf, Pictures)]) -> Result<(), String> {
    if case.copies {
        return Ok(());
    }
    let grids: Vec<Vec<f64>> = videos.iter().map(|(file, _)| keys(file)).collect();
    let same = |one: &Vec<f64>, other: &Vec<f64>| {
        one.len() == other.len() && one.iter().zip(other).all(|(a, b)| (a - b).abs() < 0.001)
    };
    match grids.iter().find(|grid| !same(grid, &grids[0])) {
        // libaom puts a second key frame behind one that it was told to make.
        Some(_) if case.video == Some("av1") => Ok(()),
        Some(grid) => Err(format!("key frames at {:?} and {grid:?}", grids[0])),
        None => Ok(()),
    }
}

fn sound(own: &Sound, case: &Case, seen: &Sound) -> Result<(), String> {
    let codec = if case.copies {
        Some(own.codec.as_str())
    } else {
        case.audio
    };
    // What MP4 files have no names for: ffprobe calls all layers of MPEG audio the third.
    let layer = |codec: &str| match codec {
        "mp2" if case.copies => "mp3".to_owned(),
        other => other.to_owned(),
    };
    if codec.map(layer) != Some(layer(&seen.codec)) {
        return Err(format!("codec {}", seen.codec));
    }
    let channels = if case.copies {
        own.channels
    } else {
        case.channels
    };
    if seen.channels != channels {
        return Err(format!("{} channels, not {channels}", seen.channels));
    }
    if (seen.end - own.end).abs() > 0.08 {
        return Err(format!("sound ends at {} s, not {}", seen.end, own.end));
    }
    Ok(())
}

fn beeps(own: &Sound, case: &Case, seen: &Sound) -> Result<(), String> {
    // The first one may fade.
    let least = own.beeps.len() - usize::from(case.other_pictures);
    if !(least..=own.beeps.len()).contains(&seen.beeps.len()) {
        return Err(format!("beeps at {:?}, not {:?}", seen.beeps, own.beeps));
    }
    Ok(())
}

/// What was recorded is heard as in the source, and when it is seen. There may be other tracks of sound, which are files of their own.
fn heard(
    source: &Source,
    (videos, sounds): (&Seen<'_, Pictures>, &Seen<'_, Sound>),
) -> Result<(), String> {
    const ALIKE: f64 = 0.9;
    let own = Envelope::of(&source.file)?;
    let mut best = (0.0, 0.0);
    for (file, _) in sounds {
        let seen = Envelope::of(file)?;
        let compared = match own.is_silent() {
            true => (0.0, f64::from(u8::from(seen.is_silent()))),
            false => seen.behind(&own),
        };
        if compared.1 > best.1 {
            best = compared;
        }
    }
    let (behind, alike) = best;
    if alike < ALIKE {
        return Err(format!("the sound is another: {alike} at {behind} s"));
    }
    if own.is_silent() {
        return Ok(());
    }
    let second = |times: &[f64]| times.get(1).copied();
    let own = source.pictures.as_ref();
    let own = own.and_then(|own| second(&own.times)).unwrap_or(0.0);
    for (file, seen) in videos {
        let later = second(&seen.times).map_or(0.0, |seen| seen - own);
        if (later - behind).abs() > APART {
            let name = name(file);
            return Err(format!(
                "{name}: pictures are {later} s later, sound {behind} s"
            ));
        }
    }
    Ok(())
}

/// Pictures and sound are as far apart as they are in the source.
fn in_step(own: (&Pictures, &Sound), made: (&Pictures, &Sound)) -> Result<(), String> {
    let apart = |of: (&Pictures, &Sound)| -> Vec<f64> {
        // What is first may be cut by an encoder's run-up: from the end.
        let (flashes, beeps) = (of.0.flashes.iter().rev(), of.1.beeps.iter().rev());
        flashes
            .zip(beeps)
            .map(|(seen, heard)| seen - heard)
            .take(2)
            .collect()
    };
    let (own, made) = (apart(own), apart(made));
    if own.is_empty() || made.is_empty() {
        return Err(format!("no flash with a beep: {own:?} {made:?}"));
    }
    match own
        .iter()
        .zip(&made)
        .find(|(own, made)| (*own - *made).abs() > APART)
    {
        Some((own, made)) => Err(format!(
            "pictures and sound are {made} s apart, {own} in the source"
        )),
        None => Ok(()),
    }
}

/// Pictures that were taken are there, of the source's shape.
fn images(source: &Source, case: &Case, left: &Left) -> Result<(), String> {
    let files = left.with(&["jpg", "png"]);
    if files.is_empty() {
        return Err("no image was taken".into());
    }
    let sheet = case.name == "sprite";
    for file in files {
        let Some((seen, said)) = seen::pictures(file)? else {
            return Err(format!("{} has no picture", name(file)));
        };
        if !said.is_empty() || seen.times.len() != 1 {
            return Err(format!("{}: {said} {:?}", name(file), seen.times));
        }
        if let (Some(own), false) = (&source.pictures, sheet) {
            shape(own, case, &seen).map_err(|why| format!("{}: {why}", name(file)))?;
        }
    }
    Ok(())
}

/// Which presets a source is put through.
enum Breadth {
    /// One for each source, another one for the next; by this number further on in the list.
    One(usize),
    All,
    /// The ones with a word in their name or the source's.
    Word(String),
}

impl Breadth {
    fn get() -> Self {
        match std::env::var("HEADWATER_MATRIX") {
            Err(_) => Self::One(0),
            Ok(all) if all == "all" => Self::All,
            Ok(word) => word.parse().map_or(Self::Word(word), Self::One),
        }
    }

    fn has(&self, index: usize, recipe: &Recipe, preset: usize, case: &Case, cases: usize) -> bool {
        match self {
            Self::One(further) => preset == (index + further) % cases,
            Self::All => true,
            Self::Word(word) => recipe.file.contains(word) || case.name.contains(word),
        }
    }
}

/// Puts `recipes` through presets, the first source through the one of number `first`; panics with all that was wrong.
async fn through(recipes: &[Recipe], first: usize) {
    let cases = presets::all();
    let breadth = Breadth::get();
    let mut faults = Vec::new();
    let mut count = 0;
    for (index, recipe) in recipes.iter().enumerate() {
        let chosen: Vec<&Case> = cases
            .iter()
            .enumerate()
            .filter(|(preset, case)| breadth.has(first + index, recipe, *preset, case, cases.len()))
            .map(|(_, case)| case)
            .collect();
        if chosen.is_empty() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let source = Source::make(*recipe, folder.path());
        for case in chosen {
            count += 1;
            let begun = std::time::Instant::now();
            let found = fault(&source, case).await;
            println!(
                "{} with {}: {:?}, {found:?}",
                recipe.file,
                case.name,
                begun.elapsed()
            );
            if let Err(why) = found {
                faults.push(format!("{} with {}: {why}", recipe.file, case.name));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {count}:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn codecs_and_containers_come_through_presets() {
    through(&sources::CODECS, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shapes_of_pictures_come_through_presets() {
    through(&sources::SHAPES, sources::CODECS.len()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sounds_come_through_presets() {
    through(
        &sources::SOUNDS,
        sources::CODECS.len() + sources::SHAPES.len(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_files_come_through_presets() {
    through(&sources::GIVEN, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_refused_or_decode() {
    through(&sources::DAMAGED, 0).await;
}
