//! Pictures of a source: the poster of built-in presets, thumbnails, and sheets of many with a WebVTT index.

use std::collections::HashSet;
use std::path::PathBuf;

use headwater_preset::formats::Values;
use headwater_preset::{Container, ImageFormat, ImageLayer, Images, Place, Turn, VideoCodec};

use super::graph::{self, Canvas, Part};
use super::inputs::{Input, milliseconds};
use super::output::OutputRun;
use super::tracks::unique;
use super::{fault, pack, rungs};
use crate::failure::{self, Step};
use crate::picture::Size;

/// Most pictures of one kind.
const MOST: u64 = 10_000;
/// Pictures that are looked for one by one; more are taken in one run over the whole source.
const ONE_BY_ONE: usize = 24;
/// Frames among which the most telling one is looked for.
const LOOKED_AT: u32 = 60;
/// Longest side of a sheet.
const LONGEST_SHEET: u32 = 16_384;

/// Takes all pictures of the output's preset; gives the files' names.
pub(super) async fn take(run: &OutputRun<'_>) -> Step<Vec<String>> {
    let mut names = Vec::new();
    // Names that are taken: an output of several kinds and sizes of pictures keeps them all.
    let mut used = HashSet::new();
    let part = run.part()?;
    if part.video.is_none() {
        if run.preset.images.is_empty() {
            return Ok(names);
        }
        return Err(failure::unsupported(format!(
            "The input file '{}' has no video to take pictures of.",
            run.sources.name
        )));
    }
    let encodes = |video: &VideoCodec| matches!(video, VideoCodec::Encode(_));
    if run.preset.poster && run.preset.videos.iter().any(encodes) {
        let name = format!("{}_Thumbnail000001.jpg", run.base);
        used.insert(name.to_lowercase());
        let shown = shown(run)?;
        let size = crate::poster::size(shown);
        let path = run.folder.join("poster.jpg");
        one(run, Place::Best, (size, size), ImageFormat::Jpeg, 85, &path).await?;
        pack::upload(&path, &name, "image/jpeg", &run.place).await?;
        names.push(name);
    }
    for images in &run.preset.images {
        for layer in &images.layers {
            names.extend(layer_of(run, images, layer, &mut used).await?);
        }
    }
    Ok(names)
}

/// What pictures are made on. JPEG and PNG know nothing of a high dynamic range.
fn canvas(run: &OutputRun<'_>) -> Step<Canvas> {
    let (parts, tools) = (&run.sources.parts, &run.engine.tools);
    graph::canvas(parts, &run.preset.filters, false, tools)
}

fn shown(run: &OutputRun<'_>) -> Step<Size> {
    Ok(canvas(run)?.size)
}

/// Seconds after the presentation's start.
pub(super) fn at(place: Place, total: f64, rate: f64) -> f64 {
    match place {
        Place::Best => total * 0.1,
        Place::Ms(ms) => ms as f64 / 1000.0,
        Place::Frames(count) => count as f64 / rate.max(1.0),
        Place::Percent(percent) => total * percent / 100.0,
    }
}

async fn layer_of(
    run: &OutputRun<'_>,
    images: &Images,
    layer: &ImageLayer,
    used: &mut HashSet<String>,
) -> Step<Vec<String>> {
    let (total, rate) = (run.seconds(), graph::frame_rate(&run.sources.parts));
    let asked = (layer.width, layer.height);
    let sizes = rungs::sizes(asked, images.stretch, shown(run)?);
    let (size, _) = sizes;
    let label = layer.label.clone().or_else(|| images.label.clone());
    let container = match images.format {
        ImageFormat::Jpeg => Container::Jpeg,
        ImageFormat::Png => Container::Png,
    };
    let pattern = run
        .preset
        .formats
        .iter()
        .find(|format| format.container == container)
        .map(|format| &format.pattern)
        .ok_or_else(|| failure::configuration("The preset has no format for its pictures."))?;
    let mut name = |index: Option<u32>, extension: &str| {
        let name = pattern.expand(&Values {
            basename: run.basename(),
            extension: extension.into(),
            label: label.clone(),
            index,
            resolution: Some((size.width, size.height)),
            ..Values::default()
        });
        unique(name.replace(".jpg.vtt", ".vtt"), used)
    };
    let start = at(images.start, total, rate);
    if total > 0.0 && start >= total {
        return Err(failure::configuration(format!(
            "The first picture is to be taken at {start:.1} s, after the end of the source at {total:.1} s."
        )));
    }
    let content_type = match images.format {
        ImageFormat::Jpeg => "image/jpeg",
        ImageFormat::Png => "image/png",
    };
    let Some(step) = images.step else {
        let path = run.folder.join("image");
        one(
            run,
            images.start,
            sizes,
            images.format,
            layer.quality,
            &path,
        )
        .await?;
        let name = name(Some(1), images.format.extension());
        pack::upload(&path, &name, content_type, &run.place).await?;
        return Ok(vec![name]);
    };
    let step = at(step, total, rate).max(0.04);
    // A range counts from the first picture.
    let end = images.range.map_or(total, |range| {
        let end = start + at(range, total, rate);
        if total > 0.0 { end.min(total) } else { end }
    });
    let count = ((end - start) / step).ceil().max(1.0);
    if count > MOST as f64 {
        return Err(failure::configuration(format!(
            "The preset takes {count:.0} pictures of the source; at most {MOST} are taken."
        )));
    }
    let times: Vec<f64> = (0..count as u32)
        .map(|index| start + f64::from(index) * step)
        .collect();
    if let Some(columns) = images.sprite_columns {
        return sheets(run, layer, sizes, &times, end, columns, &mut name).await;
    }
    if pattern.uses("Index") || times.len() == 1 {
        let paths = taken(run, &times, step, sizes, images.format, layer.quality).await?;
        let mut names = Vec::with_capacity(paths.len());
        for (index, path) in (1..).zip(&paths) {
            let name = name(Some(index), images.format.extension());
            pack::upload(path, &name, content_type, &run.place).await?;
            let _ = std::fs::remove_file(path);
            names.push(name);
        }
        return Ok(names);
    }
    Err(failure::configuration(
        "The preset takes several pictures, and its pattern of file names has no {Index} to tell them apart.",
    ))
}

/// Of a picture: its size, and that of the frame in it.
type Sizes = (Size, Size);

/// The part that is seen at `seconds` of the presentation, and how far into it that is.
fn placed(parts: &[Part], seconds: f64) -> Option<(&Part, f64)> {
    let (last, before) = parts.split_last()?;
    let mut inside = seconds;
    for part in before {
        if inside < part.seconds {
            return Some((part, inside));
        }
        inside -= part.seconds;
    }
    Some((last, inside))
}

/// The options of the encoder: JPEG's scale goes from 2 (best) to 31.
fn encoder(format: ImageFormat, quality: u32) -> Vec<String> {
    match format {
        ImageFormat::Jpeg => {
            let scale = 2 + (100 - quality.min(100)) * 29 / 100;
            ["-c:v", "mjpeg", "-q:v", &scale.to_string()]
                .map(str::to_owned)
                .to_vec()
        }
        ImageFormat::Png => ["-c:v", "png"].map(str::to_owned).to_vec(),
    }
}

/// What opens the source at `seconds` and makes pictures of `sizes` of its frames; `before`: filters that come first.
fn opened(run: &OutputRun<'_>, seconds: f64, sizes: Sizes, before: &str) -> Step<Vec<String>> {
    let parts = &run.sources.parts;
    let missing = || failure::internal("There is no video to take pictures of.");
    let (part, inside) = placed(parts, seconds).ok_or_else(missing)?;
    let video = part.video.as_ref().ok_or_else(missing)?;
    let input = run
        .sources
        .inputs
        .get(video.input)
        .ok_or_else(|| failure::internal("A source is missing."))?;
    let from = (inside.max(0.0) * 1000.0) as u64;
    let input = Input {
        start_ms: input.start_ms + from,
        length_ms: input
            .length_ms
            .map(|length| length.saturating_sub(from).max(1)),
        ..input.clone()
    };
    let filters = &run.preset.filters;
    let mut arguments = run.opening(run.threads());
    arguments.extend(graph::input_options([video], filters));
    arguments.extend(input.arguments(filters.turn == Turn::Auto));
    let map = format!("0:{}", video.index);
    let chain = graph::still(video, filters, &canvas(run)?, sizes, parts.len() == 1);
    arguments.extend(["-map", &map, "-vf", &format!("{before}{chain}")].map(str::to_owned));
    Ok(arguments)
}

/// What opens the source for one picture every `step` seconds from `start` on, at most `count`; `after`: filters that come last.
/// [`SEEN`] is to be the last output.
fn opened_for_many(
    run: &OutputRun<'_>,
    (start, step, count): (f64, f64, u32),
    sizes: Sizes,
    after: &str,
) -> Step<Vec<String>> {
    let parts = &run.sources.parts;
    let filters = &run.preset.filters;
    let canvas = canvas(run)?;
    let alone = match parts.as_slice() {
        [part] => part.video.as_ref(),
        _ => None,
    };
    let mut arguments = run.opening(run.threads());
    let mut from = start;
    for (number, input) in run.sources.inputs.iter().enumerate() {
        let mut input = input.clone();
        if let Some(video) = alone {
            if video.input != number {
                continue;
            }
            let skipped = (start * 1000.0) as u64;
            input.start_ms += skipped;
            input.length_ms = input
                .length_ms
                .map(|length| length.saturating_sub(skipped).max(1));
            from = 0.0;
        }
        let videos = parts.iter().filter_map(|part| part.video.as_ref());
        let own = videos.filter(|video| video.input == number);
        arguments.extend(graph::input_options(own, filters));
        arguments.extend(input.arguments(filters.turn == Turn::Auto));
    }
    // Nothing of interest comes later, but the last may have to be waited for.
    let end = from + f64::from(count) * step + LAST_WAIT;
    let which = format!(
        "trim=end={end:.6},split=2[x][seen];[x]select=gte(t+0.0005\\,{from:.6}+selected_n*{step:.6})*lt(selected_n\\,{count})"
    );
    let graph = match alone {
        Some(video) => format!(
            "[0:{}]{which},{}{after}[out]",
            video.index,
            graph::still(video, filters, &canvas, sizes, true)
        ),
        None => graph::stills(parts, filters, &canvas, sizes, &which) + after + "[out]",
    };
    arguments.extend(["-filter_complex", &graph, "-map", "[out]"].map(str::to_owned));
    arguments.extend(["-fps_mode", "passthrough"].map(str::to_owned));
    Ok(arguments)
}

/// Counts all pictures that go by: there may be hours between two that are taken.
const SEEN: [&str; 5] = ["-map", "[seen]", "-f", "null", "-"];
/// How long after its time a picture may come, in a source where they are far apart.
const LAST_WAIT: f64 = 60.0;

async fn finish(run: &OutputRun<'_>, arguments: Vec<String>) -> Step<()> {
    let program = run.program(arguments, 1);
    let ended = program.run_counted(&run.job.stop, &mut |_| ()).await;
    fault::outcome(&run.sources.name, ended)?;
    Ok(())
}

/// One picture at `place`, into `path`. Near the end of a source there may be none: then one from further ahead.
async fn one(
    run: &OutputRun<'_>,
    place: Place,
    sizes: Sizes,
    format: ImageFormat,
    quality: u32,
    path: &PathBuf,
) -> Step<()> {
    let wanted = at(place, run.seconds(), graph::frame_rate(&run.sources.parts));
    let before = match place {
        Place::Best => format!("thumbnail=n={LOOKED_AT},"),
        _ => String::new(),
    };
    for seconds in [wanted, (wanted - 1.0).max(0.0), 0.0] {
        if shot(run, seconds, &before, sizes, (format, quality), path).await? {
            return Ok(());
        }
    }
    Err(failure::malformed(format!(
        "The input file '{}' has no picture that could be taken.",
        run.sources.name
    )))
}

/// The first picture at or after `seconds`, into `path`. False: there is none. `before`: as of [`opened`].
async fn shot(
    run: &OutputRun<'_>,
    seconds: f64,
    before: &str,
    sizes: Sizes,
    (format, quality): (ImageFormat, u32),
    path: &PathBuf,
) -> Step<bool> {
    let mut arguments = opened(run, seconds, sizes, before)?;
    arguments.extend(["-frames:v", "1"].map(str::to_owned));
    arguments.extend(encoder(format, quality));
    arguments.extend(["-f".into(), "image2".into(), "-update".into(), "1".into()]);
    arguments.push(OutputRun::argument(path));
    let _ = std::fs::remove_file(path);
    finish(run, arguments).await?;
    Ok(std::fs::metadata(path).is_ok_and(|made| made.len() > 0))
}

/// Pictures at `times`, which are `step` apart.
async fn taken(
    run: &OutputRun<'_>,
    times: &[f64],
    step: f64,
    sizes: Sizes,
    format: ImageFormat,
    quality: u32,
) -> Step<Vec<PathBuf>> {
    let mut paths = Vec::with_capacity(times.len());
    if times.len() <= ONE_BY_ONE {
        for (index, &time) in times.iter().enumerate() {
            let path = run.folder.join(format!("image{index}"));
            // Sound may go on when the pictures are over: the last is not taken twice.
            let may_be_over = index > 0 && run.sources.parts.len() == 1;
            if may_be_over {
                if !shot(run, time, "", sizes, (format, quality), &path).await? {
                    break;
                }
            } else {
                let place = Place::Ms((time * 1000.0) as u64);
                one(run, place, sizes, format, quality, &path).await?;
            }
            paths.push(path);
        }
        return Ok(paths);
    }
    let start = times.first().copied().unwrap_or(0.0);
    let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
    let mut arguments = opened_for_many(run, (start, step, count), sizes, "")?;
    arguments.extend(["-frames:v".into(), times.len().to_string()]);
    arguments.extend(encoder(format, quality));
    arguments.extend(["-f".into(), "image2".into()]);
    arguments.push(OutputRun::argument(&run.folder.join("image%d")));
    arguments.extend(SEEN.map(str::to_owned));
    finish(run, arguments).await?;
    paths.extend(
        (1..=times.len())
            .map(|index| run.folder.join(format!("image{index}")))
            .filter(|path| path.exists()),
    );
    Ok(paths)
}

/// Sheets of small pictures, and the WebVTT file that says where each is.
async fn sheets(
    run: &OutputRun<'_>,
    layer: &ImageLayer,
    sizes: Sizes,
    times: &[f64],
    end: f64,
    columns: u32,
    name: &mut dyn FnMut(Option<u32>, &str) -> String,
) -> Step<Vec<String>> {
    let (size, _) = sizes;
    let columns = columns.clamp(1, (LONGEST_SHEET / size.width).max(1));
    let most_rows = (LONGEST_SHEET / size.height).max(1);
    let count = times.len() as u32;
    let rows = count.div_ceil(columns).min(most_rows);
    let start = times.first().copied().unwrap_or(0.0);
    let step = times
        .get(1)
        .map_or(end - start, |second| second - start)
        .max(0.04);
    let tile = format!(",tile={columns}x{rows}");
    let mut arguments = opened_for_many(run, (start, step, count), sizes, &tile)?;
    arguments.extend(encoder(ImageFormat::Jpeg, layer.quality));
    arguments.extend(["-f".into(), "image2".into()]);
    arguments.push(OutputRun::argument(&run.folder.join("sheet%d")));
    arguments.extend(SEEN.map(str::to_owned));
    finish(run, arguments).await?;
    let mut names = Vec::new();
    for number in 1.. {
        let path = run.folder.join(format!("sheet{number}"));
        if !path.exists() {
            break;
        }
        let name = name(Some(number), "jpg");
        pack::upload(&path, &name, "image/jpeg", &run.place).await?;
        let _ = std::fs::remove_file(&path);
        names.push(name);
    }
    if names.is_empty() {
        return Err(failure::malformed(format!(
            "The input file '{}' has no picture that could be taken.",
            run.sources.name
        )));
    }
    let index = webvtt(times, end, &names, (columns, rows), size);
    let index_name = name(None, "vtt");
    run.place
        .put(&index_name, "text/vtt", index.into_bytes().into())
        .await?;
    names.push(index_name);
    Ok(names)
}

/// Cues of WebVTT whose text is a picture's place in its sheet (Media Fragments URI 1.0, §4.2.2).
fn webvtt(
    times: &[f64],
    end: f64,
    sheets: &[String],
    (columns, rows): (u32, u32),
    size: Size,
) -> String {
    let mut text = String::from("WEBVTT\n");
    let clock = |seconds: f64| {
        let ms = (seconds * 1000.0).round().max(0.0) as u64;
        format!(
            "{:02}:{:02}:{}",
            ms / 3_600_000,
            ms / 60_000 % 60,
            padded(ms % 60_000)
        )
    };
    for (index, &time) in (0_u32..).zip(times) {
        let Some(sheet) = sheets.get((index / (columns * rows)) as usize) else {
            break;
        };
        let next = times.get(index as usize + 1).copied().unwrap_or(end);
        let inside = index % (columns * rows);
        text.push_str(&format!(
            "\n{} --> {}\n{sheet}#xywh={},{},{},{}\n",
            clock(time),
            clock(next.max(time + 0.001)),
            inside % columns * size.width,
            inside / columns * size.height,
            size.width,
            size.height
        ));
    }
    text
}

fn padded(ms: u64) -> String {
    let text = milliseconds(ms);
    if ms < 10_000 {
        format!("0{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_is_indexed() {
        let size = Size {
            width: 160,
            height: 90,
        };
        let text = webvtt(
            &[0.0, 5.0, 10.0],
            12.5,
            &["s1.jpg".into(), "s2.jpg".into()],
            (2, 1),
            size,
        );
        assert_eq!(
            text,
            "WEBVTT\n\n00:00:00.000 --> 00:00:05.000\ns1.jpg#xywh=0,0,160,90\n\n\
             00:00:05.000 --> 00:00:10.000\ns1.jpg#xywh=160,0,160,90\n\n\
             00:00:10.000 --> 00:00:12.500\ns2.jpg#xywh=0,0,160,90\n"
        );
    }
}
