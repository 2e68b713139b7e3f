//! What is laid over a presentation: other inputs' pictures, and their sound.

use headwater_preset::{Length, Overlay, OverlayKind};

use super::graph::{Canvas, Part, Precision, SCALING, pixels, reading, rectangle, seconds};
use super::probe::VideoStream;
use crate::picture::Size;

/// Where the upper left corner of an overlay goes.
pub(super) fn place(overlay: &Overlay, size: Size) -> (u32, u32) {
    match &overlay.kind {
        OverlayKind::Picture {
            position: Some(position),
            ..
        } => (
            pixels(position.left, size.width),
            pixels(position.top, size.height),
        ),
        _ => (0, 0),
    }
}

/// Frames a second of a still picture that is laid over.
const STILL_RATE: f64 = 25.0;

/// When an overlay is first shown, and for how long, in seconds of a presentation of `total`.
pub(super) fn shown(overlay: &Overlay, part: &Part, total: f64) -> (f64, f64) {
    let start = overlay.start_ms as f64 / 1000.0;
    let end = overlay
        .end_ms
        .map_or(total, |end| (end as f64 / 1000.0).min(total));
    let length = if part.still {
        end - start
    } else {
        (end - start).min(part.seconds)
    };
    (start, length.max(0.04))
}

/// The picture of an overlay, ready at its time, in the colours of the canvas: `[o0]`, `[o1]`, ... `total`: seconds of the
/// presentation; `begins`: those of them that are over. `None`: it was over with them.
pub(super) fn laid_over(
    overlay: &Overlay,
    part: &Part,
    canvas: &Canvas,
    precision: Precision,
    (total, begins): (f64, f64),
    number: usize,
) -> Option<String> {
    let mut steps: Vec<String> = Vec::new();
    let (start, length) = shown(overlay, part, total);
    if part.still {
        // One frame more than has to be: that which is there when the first picture comes.
        let over = (((begins - start) * STILL_RATE).floor() - 1.0).max(0.0);
        if over / STILL_RATE >= length {
            return None;
        }
        steps.push(format!(
            "loop=loop=-1:size=1:start=0,setpts=(N+{over})/({STILL_RATE}*TB),trim=end={length:.3}"
        ));
    } else if let Some(first) = part.first {
        if begins >= start + length {
            return None;
        }
        // A hair earlier, so that no rounding leaves the first one out.
        let (from, to) = (first - 0.0005, first + length - 0.0005);
        steps.push(format!(
            "trim=start={from:.6}:end={to:.6},setpts=PTS-{first:.6}/TB"
        ));
    } else {
        steps.push(format!("trim=duration={length:.3},setpts=PTS-STARTPTS"));
    }
    let source = part.video.as_ref();
    let (input, index) = source.map_or((0, 0), |video| (video.input, video.index));
    if let (
        OverlayKind::Picture {
            position,
            crop,
            opacity,
        },
        Some(video),
    ) = (&overlay.kind, &part.video)
    {
        if let Some(crop) = crop {
            let (left, top, width, height) = rectangle(crop, video.coded);
            steps.push(format!("crop={width}:{height}:{left}:{top}"));
        }
        let side = |length: Option<Length>, whole: u32| {
            length.map_or("-1".to_owned(), |length| {
                pixels(length, whole).max(2).to_string()
            })
        };
        let size = match position {
            Some(position) if position.width.is_some() || position.height.is_some() => format!(
                "{}:{}",
                side(position.width, canvas.size.width),
                side(position.height, canvas.size.height)
            ),
            _ => "iw:ih".to_owned(),
        };
        steps.push(format!(
            "scale={size}:flags={SCALING}{}:out_color_matrix={}:out_range=tv,format={}",
            read_as(video),
            canvas.matrix(),
            precision.with_alpha()
        ));
        if *opacity < 1.0 {
            steps.push(format!("lutyuv=y=val:u=val:v=val:a=val*{opacity:.3}"));
        }
        if overlay.fade_in_ms > 0 {
            let duration = seconds(overlay.fade_in_ms);
            steps.push(format!("fade=t=in:st=0:d={duration}:alpha=1"));
        }
        if overlay.fade_out_ms > 0 {
            let duration = overlay.fade_out_ms as f64 / 1000.0;
            let from = (length - duration).max(0.0);
            steps.push(format!("fade=t=out:st={from:.3}:d={duration:.3}:alpha=1"));
        }
    }
    Some(format!(
        "[{input}:{index}]{},setpts=PTS+{start:.3}/TB[o{number}]",
        steps.join(",")
    ))
}

/// How `scale` is to read `video`. Of grey there is only brightness, which ffmpeg knows how to read.
fn read_as(video: &VideoStream) -> String {
    let grey = ["gray", "ya8", "ya16", "mono"];
    match reading(video) {
        Some((matrix, range)) if !grey.iter().any(|name| video.pixel_format.starts_with(name)) => {
            format!(":in_color_matrix={matrix}:in_range={range}")
        }
        _ => String::new(),
    }
}

/// The sound `from` of an overlay, ready at its time: `[t{label}]`.
pub(super) fn laid_under(
    overlay: &Overlay,
    part: &Part,
    from: &str,
    total: f64,
    label: &str,
) -> String {
    let start = overlay.start_ms;
    let end = overlay.end_ms.map_or(total, |end| end as f64 / 1000.0);
    let length = (end - start as f64 / 1000.0)
        .min(part.seconds.max(0.001))
        .max(0.001);
    let mut steps = vec![
        format!("atrim=duration={length:.3}"),
        "asetpts=PTS-STARTPTS".to_owned(),
        format!("volume={:.3}", overlay.gain),
    ];
    if overlay.fade_in_ms > 0 {
        steps.push(format!("afade=t=in:d={}", seconds(overlay.fade_in_ms)));
    }
    if overlay.fade_out_ms > 0 {
        let duration = overlay.fade_out_ms as f64 / 1000.0;
        let begin = (length - duration).max(0.0);
        steps.push(format!("afade=t=out:st={begin:.3}:d={duration:.3}"));
    }
    steps.push(format!("adelay=delays={start}:all=1"));
    format!("{from}{}[t{label}]", steps.join(","))
}
