//! The filter graph of one run: sources in, one picture per rendition and one sound per track out. Every source is decoded
//! once, however many renditions there are; pictures are scaled step by step from the largest on.
//!
//! Everything that is written into the graph is a number or a word of ours: nothing of a file or a preset needs escaping.

use std::ops::Range;

use headwater_bmff::Colour;
use headwater_preset::{
    Crop, Deinterlace, Fade, Filters, Length, Overlay, OverlayKind, Parity, Place, SyncMode, Turn,
};

use super::channels::source;
use super::images::at;
use super::overlays::{laid_over, laid_under, place};
use super::pieces::{Cut, Piece, Window, frames_of, sequence_rate, whole};
use super::probe::{AudioStream, Interlacing, VideoStream};
use super::rungs::Rung;
use super::tools::Tools;
use crate::failure::{self, Step};
use crate::picture::Size;

/// A source as the graph sees it.
#[derive(Debug, Clone)]
pub struct Part {
    pub video: Option<VideoStream>,
    pub audios: Vec<AudioStream>,
    /// How long it is, after it was cut.
    pub seconds: f64,
    pub still: bool,
    /// When its first picture is shown, in seconds of its source, where that is opened elsewhere than at its start.
    pub first: Option<f64>,
}

/// What the pictures become before they are scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Canvas {
    /// Turned, cropped, in square pixels.
    pub size: Size,
    pub colour: Colour,
    /// Brightness beyond that of a usual screen stays. Otherwise it is mapped to that, in every part that has it.
    pub keeps_hdr: bool,
}

impl Canvas {
    /// Whether brightness of `video` is mapped to that of a usual screen.
    fn maps(&self, video: &VideoStream) -> bool {
        video.is_hdr() && !self.keeps_hdr
    }

    /// The name of its matrix, for `scale`.
    pub(super) fn matrix(&self) -> &'static str {
        matrix_name(self.colour.matrix)
    }
}

/// Pictures of `video` as they are before `filters` crop them: turned, in samples as coded.
fn turned(video: &VideoStream, filters: &Filters) -> (Size, bool) {
    let sideways = match filters.turn {
        Turn::Auto => video.rotation % 180 == 90,
        Turn::None | Turn::Zero | Turn::Half => false,
        Turn::Quarter | Turn::ThreeQuarters => true,
    };
    let coded = video.coded;
    let size = if sideways {
        Size {
            width: coded.height,
            height: coded.width,
        }
    } else {
        coded
    };
    (size, sideways)
}

pub(super) fn pixels(length: Length, whole: u32) -> u32 {
    match length {
        Length::Pixels(pixels) => pixels.min(whole),
        Length::Percent(percent) => (f64::from(whole) * percent.min(100.0) / 100.0).round() as u32,
    }
}

/// Left, top, width and height of `crop` in a picture of `size`; even, inside, at least two samples each way.
pub(super) fn rectangle(crop: &Crop, size: Size) -> (u32, u32, u32, u32) {
    let left = pixels(crop.left, size.width.saturating_sub(2)) & !1;
    let top = pixels(crop.top, size.height.saturating_sub(2)) & !1;
    let span = |length: Option<Length>, from: u32, whole: u32| {
        let rest = whole - from;
        let wanted = length.map_or(rest, |length| pixels(length, whole));
        (wanted.min(rest) & !1).max(2)
    };
    (
        left,
        top,
        span(crop.width, left, size.width),
        span(crop.height, top, size.height),
    )
}

/// What the pictures of `parts` become: of the size of the first.
///
/// `hdr`: a high dynamic range may stay. It does where all parts have the same, since what comes of them is in one.
///
/// Errors: `ContentUnsupported` for high dynamic range that this ffmpeg has no filters for.
pub fn canvas(parts: &[Part], filters: &Filters, hdr: bool, tools: &Tools) -> Step<Canvas> {
    let video = parts
        .first()
        .and_then(|part| part.video.as_ref())
        .ok_or_else(|| failure::internal("There is no video to make pictures of."))?;
    let (coded, sideways) = turned(video, filters);
    let shown = video.shown(sideways);
    let size = match &filters.crop {
        None => shown,
        Some(crop) => {
            let (_, _, width, height) = rectangle(crop, coded);
            let part = |shown: u32, kept: u32, whole: u32| {
                u32::try_from(u64::from(shown) * u64::from(kept) / u64::from(whole.max(1)))
                    .unwrap_or(2)
                    .max(2)
            };
            Size::even(
                part(shown.width, width, coded.width),
                part(shown.height, height, coded.height),
            )
        }
    };
    let transfer = |video: &VideoStream| video.colour.map(|colour| colour.transfer);
    let videos = || parts.iter().filter_map(|part| part.video.as_ref());
    let alike = videos().all(|other| transfer(other) == transfer(video));
    let mut canvas = Canvas {
        size,
        colour: Colour {
            full_range: false,
            ..crate::colour::decided(video.colour, coded)
        },
        keeps_hdr: hdr && video.is_hdr() && alike,
    };
    let Some(mapped) = videos().find(|video| canvas.maps(video)) else {
        return Ok(canvas);
    };
    if !(tools.has_filter("zscale") && tools.has_filter("tonemap")) {
        return Err(failure::unsupported(format!(
            "Stream {} ({}) has a high dynamic range, which has to be mapped to that of the preset; the ffmpeg of this \
             worker ({}) lacks zscale and tonemap.",
            mapped.index, mapped.codec, tools.version
        )));
    }
    if canvas.maps(video) {
        canvas.colour = MAPPED;
    }
    Ok(canvas)
}

/// What brightness is mapped to: BT.709.
const MAPPED: Colour = Colour {
    primaries: 1,
    transfer: 1,
    matrix: 1,
    full_range: false,
};

fn matrix_name(code: u16) -> &'static str {
    match code {
        4 => "fcc",
        5 => "bt470",
        6 => "smpte170m",
        7 => "smpte240m",
        9 | 10 => "bt2020",
        _ => "bt709",
    }
}

fn is_rgb(video: &VideoStream) -> bool {
    ["rgb", "bgr", "gbr", "argb", "abgr", "pal8"]
        .iter()
        .any(|name| video.pixel_format.contains(name))
}

/// Matrix and range that the samples of `video` are to be read by; `None` for RGB. ffmpeg by itself takes whatever is not marked
/// to be in BT.601.
pub(super) fn reading(video: &VideoStream) -> Option<(&'static str, &'static str)> {
    if is_rgb(video) {
        return None;
    }
    let full = video.colour.is_some_and(|colour| colour.full_range)
        || video.pixel_format.starts_with("yuvj");
    let own = crate::colour::decided(video.colour, video.coded).matrix;
    Some((matrix_name(own), if full { "pc" } else { "tv" }))
}

/// As [`reading`], of pictures of `from` as [`prepared`] gives them; `None`: of those on the canvas.
fn reading_on(from: Option<&VideoStream>, canvas: &Canvas) -> Option<(&'static str, &'static str)> {
    match from {
        Some(video) if canvas.maps(video) => Some((matrix_name(MAPPED.matrix), "tv")),
        Some(video) => reading(video),
        None => Some((canvas.matrix(), "tv")),
    }
}

/// How pictures are scaled: with one result, whichever instructions the processor has. Of a ladder of 1080p that is 0.01 s of the
/// processor for a second.
pub(super) const SCALING: &str = "bicubic+accurate_rnd+bitexact";

/// `scale` to `size`, into limited range and the canvas' matrix.
fn scale(size: Size, from: Option<&VideoStream>, canvas: &Canvas) -> String {
    let matrix = canvas.matrix();
    let source = reading_on(from, canvas).map_or(String::new(), |(matrix, range)| {
        format!(":in_color_matrix={matrix}:in_range={range}")
    });
    format!(
        "scale={}:{}:flags={SCALING}{source}:out_color_matrix={matrix}:out_range=tv,setsar=1",
        size.width, size.height
    )
}

/// Options of an input whose pictures may change their size or format on the way, as where an encoder came back: the graph goes on. ffmpeg
/// would make it anew, and what its filters count would begin at 0 again.
const ONE_GRAPH: [&str; 2] = ["-reinit_filter:v", "0"];

/// Whether the graph begins with all pictures of `video` having the size of its first. What ffmpeg turns by itself comes before the graph.
fn is_steady(video: &VideoStream, filters: &Filters) -> bool {
    filters.turn != Turn::Auto || video.rotation == 0
}

/// Options for the input that `videos` are taken from.
pub(super) fn input_options<'a>(
    videos: impl IntoIterator<Item = &'a VideoStream>,
    filters: &Filters,
) -> Vec<String> {
    let mut videos = videos.into_iter().peekable();
    let one_graph = videos.peek().is_some() && videos.all(|video| is_steady(video, filters));
    let options = ONE_GRAPH.iter().filter(|_| one_graph);
    options.map(|&word| word.to_owned()).collect()
}

/// The filters that make a source's pictures upright, whole and of usual brightness.
fn prepared(video: &VideoStream, filters: &Filters, canvas: &Canvas) -> Vec<String> {
    let mut out = Vec::new();
    if is_steady(video, filters) {
        // Pictures that have it pass through as they are.
        let Size { width, height } = video.coded;
        out.push(format!("scale={width}:{height}:flags={SCALING}:interl=-1"));
    }
    match (filters.deinterlace, video.interlaced) {
        (Some(Deinterlace::Off), _) | (None, Interlacing::No) => {}
        (Some(Deinterlace::On(parity)), _) => {
            let parity = match parity {
                Parity::Auto => "auto",
                Parity::Top => "tff",
                Parity::Bottom => "bff",
            };
            // Whoever names the parity knows better than the file.
            let which = if parity == "auto" {
                "interlaced"
            } else {
                "all"
            };
            out.push(format!(
                "bwdif=mode=send_frame:parity={parity}:deint={which}"
            ));
        }
        (None, Interlacing::Yes | Interlacing::Unknown) => {
            out.push("bwdif=mode=send_frame:parity=auto:deint=interlaced".into());
        }
    }
    match filters.turn {
        Turn::Auto | Turn::None | Turn::Zero => {}
        Turn::Quarter => out.push("transpose=clock".into()),
        Turn::Half => out.push("hflip,vflip".into()),
        Turn::ThreeQuarters => out.push("transpose=cclock".into()),
    }
    if let Some(crop) = &filters.crop {
        let (coded, _) = turned(video, filters);
        let (left, top, width, height) = rectangle(crop, coded);
        out.push(format!("crop={width}:{height}:{left}:{top}"));
    }
    if canvas.maps(video) {
        let transfer = match video.colour.map(|colour| colour.transfer) {
            Some(18) => "arib-std-b67",
            _ => "smpte2084",
        };
        out.push(format!(
            "zscale=tin={transfer}:pin=bt2020:min=bt2020nc:t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,\
             zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
        ));
    }
    out
}

/// Seconds for a filter.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// `rate`: frames a second, by which the start may be counted.
fn fade(fade: &Fade, into: bool, total: f64, rate: f64) -> (String, String) {
    let start = match (fade.start, into) {
        (Some(Place::Ms(start)), _) => seconds(start),
        (Some(start), _) => format!("{:.3}", at(start, total, rate)),
        (None, true) => "0".into(),
        (None, false) => {
            let start = (total - fade.duration_ms as f64 / 1000.0).max(0.0);
            format!("{start:.3}")
        }
    };
    let kind = if into { "in" } else { "out" };
    let duration = seconds(fade.duration_ms);
    let [red, green, blue] = fade.colour;
    (
        format!("fade=t={kind}:st={start}:d={duration}:color=0x{red:02x}{green:02x}{blue:02x}"),
        format!("afade=t={kind}:st={start}:d={duration}"),
    )
}

/// Frames a second of the first part.
pub(super) fn frame_rate(parts: &[Part]) -> f64 {
    let video = parts.first().and_then(|part| part.video.as_ref());
    video.map_or(25.0, |video| video.frames_per_second)
}

/// The fades of `filters`, for pictures as of [`reading_on`]. All that is not black is faded to in RGB.
fn fades(
    filters: &Filters,
    (total, rate): (f64, f64),
    from: Option<&VideoStream>,
    canvas: &Canvas,
) -> Vec<String> {
    let wanted: Vec<(&Fade, bool)> = [(&filters.fade_in, true), (&filters.fade_out, false)]
        .into_iter()
        .filter_map(|(fade, into)| Some((fade.as_ref()?, into)))
        .collect();
    let mut steps: Vec<String> = wanted
        .iter()
        .map(|(wanted, into)| fade(wanted, *into, total, rate).0)
        .collect();
    if wanted.iter().any(|(fade, _)| fade.colour != [0, 0, 0])
        && let Some((matrix, range)) = reading_on(from, canvas)
    {
        steps.insert(
            0,
            format!(
                "scale=flags={FULL_CHROMA}:in_color_matrix={matrix}:in_range={range},format=gbrp"
            ),
        );
        steps.push(format!(
            "scale=flags={FULL_CHROMA}:out_color_matrix={matrix}:out_range={range},format=yuv444p"
        ));
    }
    steps
}

/// How colours are interpolated where pictures go through RGB.
const FULL_CHROMA: &str = "bicubic+accurate_rnd+bitexact+full_chroma_int+full_chroma_inp";

/// What is laid over the presentation: the filter's words and the source.
pub type Overlaid<'a> = (&'a Overlay, &'a Part);

/// The pictures of `parts` one after the other, on the canvas: chains of which the last ends in `[whole]`. `pieces`: only
/// those, shown when they are in the whole.
fn in_sequence(
    parts: &[Part],
    filters: &Filters,
    canvas: &Canvas,
    pieces: Option<&[Piece]>,
) -> Vec<String> {
    let mut chains: Vec<String> = Vec::new();
    let mut labels = String::new();
    let rate = sequence_rate(parts).unwrap_or(25.0);
    let all;
    let pieces = match pieces {
        Some(pieces) => pieces,
        None => {
            all = whole(parts, rate);
            all.as_slice()
        }
    };
    for (number, piece) in pieces.iter().enumerate() {
        let Some(video) = parts.get(piece.part).and_then(|part| part.video.as_ref()) else {
            continue;
        };
        let mut steps = prepared(video, filters, canvas);
        piece.limits.inside(&mut steps);
        // From 0 on, in so many frames, whatever the part's own are.
        let Range { start, end } = piece.frames;
        let from = match start {
            0 => String::new(),
            start => format!("start_frame={start}:"),
        };
        steps.push(format!(
            "fps={rate:.6}:start_time=0,tpad=stop=-1:stop_mode=clone,trim={from}end_frame={end}"
        ));
        steps.push(fitted(video, filters, canvas));
        let format = match canvas.keeps_hdr {
            true => "yuv420p10le",
            false => "yuv420p",
        };
        steps.push(format!("format={format}[p{number}]"));
        chains.push(format!(
            "[{}:{}]{}",
            video.input,
            video.index,
            steps.join(",")
        ));
        labels += &format!("[p{number}]");
    }
    let first = pieces.first().map_or(0, |first| {
        let before = parts.iter().take(first.part);
        before.map(|part| frames_of(part, rate)).sum::<u64>() + first.frames.start
    });
    let joint = match pieces.len() {
        // Of the same precision as what is put together.
        1 => "settb=AVTB".to_owned(),
        count => format!("concat=n={count}:v=1:a=0"),
    };
    // By number: parts end when their sources do for `concat`, which may be a frame later.
    chains.push(format!(
        "{labels}{joint},setpts=(N+{first})/({rate:.6}*TB)[whole]"
    ));
    chains
}

/// The pictures of all renditions: graph text whose ends are `[v0]`, `[v1]`, ...
///
/// `parts`: one after the other, each with video. `thin`: every so many pictures one is kept. `window`: what of it, if not
/// all; inputs are those of that, then.
#[allow(clippy::too_many_arguments)] // all of them are what pictures are made from
pub fn video(
    parts: &[Part],
    filters: &Filters,
    canvas: &Canvas,
    rungs: &[Rung],
    overlays: &[Overlaid<'_>],
    thin: u32,
    window: Option<&Window>,
) -> String {
    let mut chains: Vec<String> = Vec::new();
    let total: f64 = parts.iter().map(|part| part.seconds).sum();
    let several = parts.len() > 1;
    let mut tail: Vec<String> = Vec::new();
    let mut from = String::new();
    if several {
        let pieces = window.and_then(|window| match &window.cut {
            Cut::Sequence(pieces) => Some(pieces.as_slice()),
            Cut::Single(_) => None,
        });
        chains = in_sequence(parts, filters, canvas, pieces);
        from = "[whole]".to_owned();
    } else if let Some(video) = parts.first().and_then(|part| part.video.as_ref()) {
        tail = prepared(video, filters, canvas);
        if let Some(Cut::Single(limits)) = window.map(|window| &window.cut) {
            limits.inside(&mut tail);
        }
        from = format!("[{}:{}]", video.input, video.index);
    }
    if thin > 1 {
        tail.push(format!("select=not(mod(n\\,{thin}))"));
    }
    let mut scaled = several;
    let source = parts.first().and_then(|part| part.video.as_ref());
    tail.extend(fades(
        filters,
        (total, frame_rate(parts)),
        source.filter(|_| !scaled),
        canvas,
    ));
    let mut number = 0;
    let precision = Precision::of(rungs);
    for (overlay, part) in overlays {
        let OverlayKind::Picture { .. } = overlay.kind else {
            continue;
        };
        let begins = window.map_or(0.0, |window| window.begins);
        let times = (total, begins);
        let Some(over) = laid_over(overlay, part, canvas, precision, times, number) else {
            continue;
        };
        // Positions are those of the presentation's own size.
        if !scaled {
            tail.push(scale(canvas.size, source, canvas));
            scaled = true;
        }
        chains.push(format!("{from}{}[u{number}]", joined(&tail)));
        tail.clear();
        chains.push(over);
        from = format!("[u{number}][o{number}]");
        // The overlay's picture is away before it begins and after it ends.
        let (left, top) = place(overlay, canvas.size);
        tail.push(format!(
            "overlay=x={left}:y={top}:eof_action=pass:format={}",
            precision.overlay()
        ));
        number += 1;
    }
    // What is first on screen is so from the start; encoders count key frames from their first picture.
    if window.is_none_or(|window| window.begins <= 0.0) {
        tail.push("setpts=if(eq(N\\,0)\\,0\\,PTS)".into());
    }
    // Scaled step by step: from the canvas to the largest, from there to the next.
    let source = source.filter(|_| !scaled);
    for (index, rung) in rungs.iter().enumerate() {
        // A rung that keeps the step's picture as it is, for the next one to be made from.
        let first = if index == 0 { source } else { None };
        tail.push(scale(rung.inner, first, canvas));
        let last = index + 1 == rungs.len();
        let out = if last {
            String::new()
        } else {
            format!(",split=2[n{index}][m{index}];[m{index}]")
        };
        let mut end = Vec::new();
        if rung.inner != rung.size {
            end.push(format!(
                "pad={}:{}:(ow-iw)/2:(oh-ih)/2",
                rung.size.width, rung.size.height
            ));
        }
        if let Some((up, down)) = rung.frame_rate {
            end.push(format!("fps={up}/{down}"));
            let steady = window.and_then(|window| window.steady.as_ref());
            end.extend(steady.iter().flat_map(|steady| steady.filters()));
        }
        end.push(format!("format={}", pixel_format(rung)));
        let joint = if last { "," } else { "" };
        chains.push(format!(
            "{from}{}{out}{joint}{}[v{index}]",
            joined(&tail),
            end.join(",")
        ));
        tail.clear();
        from = format!("[n{index}]");
    }
    chains.join(";")
}

/// How finely pictures are kept while something is laid over them: as the finest rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Precision {
    ten_bits: bool,
    chroma: Chroma,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Chroma {
    Quarter,
    Half,
    Full,
}

impl Precision {
    fn of(rungs: &[Rung]) -> Self {
        Self {
            ten_bits: rungs.iter().any(|rung| rung.ten_bits),
            chroma: rungs.iter().map(chroma).max().unwrap_or(Chroma::Quarter),
        }
    }

    /// The word of `overlay`, which has none for full chroma in ten bits.
    fn overlay(self) -> &'static str {
        match (self.ten_bits, self.chroma) {
            (true, Chroma::Quarter) => "yuv420p10",
            (true, _) => "yuv422p10",
            (false, Chroma::Quarter) => "yuv420",
            (false, Chroma::Half) => "yuv422",
            (false, Chroma::Full) => "yuv444",
        }
    }

    /// The format of what is laid over: in eight bits, as far as filters that make it fade go.
    pub(super) fn with_alpha(self) -> &'static str {
        match self.chroma {
            Chroma::Quarter => "yuva420p",
            Chroma::Half => "yuva422p",
            Chroma::Full if self.ten_bits => "yuva422p",
            Chroma::Full => "yuva444p",
        }
    }
}

fn chroma(rung: &Rung) -> Chroma {
    let profile = |name: &str| rung.options.iter().any(|option| option == name);
    if profile("high444") {
        Chroma::Full
    } else if profile("high422") {
        Chroma::Half
    } else {
        Chroma::Quarter
    }
}

fn pixel_format(rung: &Rung) -> &'static str {
    match (rung.ten_bits, chroma(rung)) {
        (true, _) => "yuv420p10le",
        (false, Chroma::Quarter) => "yuv420p",
        (false, Chroma::Half) => "yuv422p",
        (false, Chroma::Full) => "yuv444p",
    }
}

fn joined(steps: &[String]) -> String {
    if steps.is_empty() {
        "null".into()
    } else {
        steps.join(",")
    }
}

/// A later part of a sequence within the canvas of the first, with bars where its proportions differ.
fn fitted(video: &VideoStream, filters: &Filters, canvas: &Canvas) -> String {
    let (_, sideways) = turned(video, filters);
    let own = video.shown(sideways);
    let (width, height) = (u64::from(own.width), u64::from(own.height));
    let (across, down) = (u64::from(canvas.size.width), u64::from(canvas.size.height));
    let narrow = |value: u64| u32::try_from(value.max(2)).unwrap_or(2);
    let inner = if filters.crop.is_some() {
        canvas.size
    } else if width * down >= height * across {
        Size::even(canvas.size.width, narrow(height * across / width.max(1)))
    } else {
        Size::even(narrow(width * down / height.max(1)), canvas.size.height)
    };
    format!(
        "{},pad={}:{}:(ow-iw)/2:(oh-ih)/2",
        scale(inner, Some(video), canvas),
        canvas.size.width,
        canvas.size.height
    )
}

/// The filter that has sound from 0 on, and without holes: what is missing is silent.
///
/// A packet that is missing is noticed, which is 20 ms or more, unless times jitter by as much: what fills that, and what takes it out
/// again, cuts the sound up. The packets of Vorbis are of two lengths, and FFmpeg has some of them late by half of the difference.
fn unbroken(audio: &AudioStream) -> String {
    const MOST: f64 = 0.25;
    let least = match audio.codec.as_str() {
        "vorbis" => 0.05,
        _ => 0.02,
    };
    let hole = (audio.jitter * 1.25).clamp(least, MOST);
    let hole = (hole * 1000.0).ceil() / 1000.0;
    format!("aresample=async=1:min_hard_comp={hole}:first_pts=0")
}

/// The sound that is laid over, if it is to be heard.
pub(super) fn audible<'a>((overlay, part): &Overlaid<'a>) -> Option<&'a AudioStream> {
    part.audios.first().filter(|_| overlay.gain > 0.0)
}

/// The sound of track `track`, a place among the parts' own, for `copies` encoders: graph text whose ends are `[a{first}]`,
/// `[a{first + 1}]`, ... Parts that have none there are silent.
pub fn audio(
    parts: &[Part],
    track: usize,
    filters: &Filters,
    overlays: &[Overlaid<'_>],
    first: usize,
    copies: usize,
) -> String {
    let total: f64 = parts.iter().map(|part| part.seconds).sum();
    let mut chains = Vec::new();
    let mut tail = Vec::new();
    let mut from;
    if parts.len() > 1 {
        let rate = parts
            .iter()
            .find_map(|part| part.audios.get(track))
            .map_or(48_000, |audio| audio.sample_rate);
        let form = format!("aformat=sample_fmts=fltp:sample_rates={rate}:channel_layouts=stereo");
        for (number, part) in parts.iter().enumerate() {
            let seconds = part.seconds.max(0.001);
            let chain = match part.audios.get(track) {
                Some(audio) => {
                    let (before, label) =
                        source(audio, &unbroken(audio), &format!("{first}p{number}"));
                    chains.extend(before);
                    let unbroken = unbroken(audio);
                    format!(
                        "{label}{unbroken},apad,atrim=duration={seconds:.6},{form}[q{first}p{number}]"
                    )
                }
                None => format!(
                    "anullsrc=r={rate}:cl=stereo,atrim=duration={seconds:.6},{form}[q{first}p{number}]"
                ),
            };
            chains.push(chain);
        }
        let labels: String = (0..parts.len())
            .map(|number| format!("[q{first}p{number}]"))
            .collect();
        chains.push(format!(
            "{labels}concat=n={}:v=0:a=1[q{first}]",
            parts.len()
        ));
        from = format!("[q{first}]");
    } else {
        match parts.first().and_then(|part| part.audios.get(track)) {
            Some(audio) => {
                let (before, label) = source(audio, &unbroken(audio), &first.to_string());
                chains.extend(before);
                tail.push(unbroken(audio));
                from = label;
            }
            None => {
                let over = overlays.iter().find_map(audible);
                let rate = over.map_or(48_000, |audio| audio.sample_rate);
                chains.push(format!(
                    "anullsrc=r={rate}:cl=stereo,atrim=duration={total:.6}[q{first}]"
                ));
                from = format!("[q{first}]");
            }
        }
    }
    for (wanted, into) in [(&filters.fade_in, true), (&filters.fade_out, false)] {
        if let Some(wanted) = wanted {
            tail.push(fade(wanted, into, total, frame_rate(parts)).1);
        }
    }
    for (number, overlaid) in overlays.iter().enumerate() {
        let (overlay, part) = overlaid;
        let Some(audio) = audible(overlaid) else {
            continue;
        };
        let label = format!("{first}x{number}");
        let tailed = if tail.is_empty() {
            "anull".to_owned()
        } else {
            tail.join(",")
        };
        chains.push(format!("{from}{tailed}[s{label}]"));
        let (before, own) = source(audio, &unbroken(audio), &format!("x{label}"));
        chains.extend(before);
        chains.push(laid_under(overlay, part, &own, total, &label));
        from = format!("[s{label}][t{label}]");
        tail = vec!["amix=inputs=2:duration=first:dropout_transition=0:normalize=0".into()];
    }
    let tailed = if tail.is_empty() {
        "anull".to_owned()
    } else {
        tail.join(",")
    };
    let labels: String = (first..first + copies)
        .map(|number| format!("[a{number}]"))
        .collect();
    if copies > 1 {
        chains.push(format!("{from}{tailed},asplit={copies}{labels}"));
    } else {
        chains.push(format!("{from}{tailed}{labels}"));
    }
    chains.join(";")
}

/// `-fps_mode` for a way of treating frame times.
pub fn fps_mode(sync: SyncMode) -> &'static str {
    match sync {
        SyncMode::Cfr => "cfr",
        SyncMode::Auto | SyncMode::Passthrough | SyncMode::Vfr => "vfr",
    }
}

/// When key frames are wanted: at the first picture in every stretch of `ms`, whatever the renditions' frame rates.
pub fn key_frames(ms: u32) -> String {
    let step = f64::from(ms) / 1000.0;
    // Times are multiples of a tick: a hair is added so that a picture at the very beginning counts as inside.
    format!(
        "expr:if(isnan(prev_forced_t),1,gt(floor((t+0.0005)/{step}),floor((prev_forced_t+0.0005)/{step})))"
    )
}

/// The filters that make a picture of a frame of `video`. `sizes`: of the picture, and of the frame in it. `alone`: the video is
/// all there is; otherwise its frame is shown on the canvas, as in the sequence.
pub fn still(
    video: &VideoStream,
    filters: &Filters,
    canvas: &Canvas,
    sizes: (Size, Size),
    alone: bool,
) -> String {
    let mut steps = prepared(video, filters, canvas);
    if !alone {
        steps.push(fitted(video, filters, canvas));
    }
    steps.extend(finished(alone.then_some(video), canvas, sizes));
    steps.join(",")
}

/// As [`still`], of those frames of a sequence that the filters `which` pick: graph text whose end is open.
pub fn stills(
    parts: &[Part],
    filters: &Filters,
    canvas: &Canvas,
    sizes: (Size, Size),
    which: &str,
) -> String {
    let mut chains = in_sequence(parts, filters, canvas, None);
    let steps = finished(None, canvas, sizes).join(",");
    chains.push(format!("[whole]{which},{steps}"));
    chains.join(";")
}

/// What a frame goes through on its way into a file of pictures. `from`: as of [`scale`].
fn finished(
    from: Option<&VideoStream>,
    canvas: &Canvas,
    (whole, inner): (Size, Size),
) -> Vec<String> {
    let mut steps = vec![scale(inner, from, canvas)];
    if inner != whole {
        steps.push(format!(
            "pad={}:{}:(ow-iw)/2:(oh-ih)/2",
            whole.width, whole.height
        ));
    }
    // JPEG and PNG have their own range and matrix.
    steps.push(format!(
        "scale=in_color_matrix={}:in_range=tv:out_color_matrix=bt601:out_range=pc,format=yuvj420p",
        matrix_name(canvas.colour.matrix)
    ));
    steps
}
