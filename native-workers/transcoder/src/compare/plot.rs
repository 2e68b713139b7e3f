//! Two plots over time, one above the other, as SVG 1.1: a line a rendition.

use std::fmt::Write as _;

use super::{Measured, Second};

/// Of the whole picture, and of the plots in it.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 32.0;
const PLOT: f64 = 220.0;
const BETWEEN: f64 = 56.0;
const LEGEND_LINE: f64 = 20.0;
/// Told apart by people who do not see all colours (Okabe and Ito).
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
];
/// Equal pictures are drawn at so many dB.
const HIGHEST_DECIBELS: f64 = 100.0;

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A step between lines of a scale that leaves `lines` of them or fewer: 1, 2 or 5 times a power of ten.
fn step(span: f64, lines: f64) -> f64 {
    let rough = (span / lines).max(1e-9);
    let power = 10.0_f64.powf(rough.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|nice| nice * power >= rough);
    nice.unwrap_or(10.0) * power
}

/// One plot: its name, where it is, and what it shows of a second.
struct Plot {
    name: &'static str,
    top: f64,
    of: fn(&Second) -> f64,
    /// Decimals of the scale.
    decimals: usize,
    /// Highest that makes sense.
    most: f64,
}

impl Plot {
    fn draw(&self, out: &mut String, measured: &[Measured], length: f64) {
        let values = measured.iter().flat_map(|one| &one.seconds).map(self.of);
        let values: Vec<f64> = values.map(|value| value.min(self.most)).collect();
        let most = values.iter().copied().fold(f64::MIN, f64::max);
        let least = values.iter().copied().fold(f64::MAX, f64::min);
        let pad = ((most - least) * 0.05).max(10.0_f64.powi(-(self.decimals as i32)));
        let (least, most) = (least - pad, (most + pad).min(self.most.max(most)));
        let bottom = self.top + PLOT;
        let across = |time: f64| LEFT + time / length * (WIDTH - LEFT - RIGHT);
        let down = |value: f64| bottom - (value - least) / (most - least) * PLOT;
        let _ = write!(
            out,
            "<text x=\"{LEFT}\" y=\"{:.1}\" font-weight=\"bold\">{}</text>",
            self.top - 10.0,
            self.name
        );
        let lines = step(most - least, 6.0);
        let mut line = (least / lines).ceil() * lines;
        while line <= most {
            let y = down(line);
            let _ = write!(
                out,
                "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{line:.*}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                self.decimals
            );
            line += lines;
        }
        let lines = step(length, 12.0).max(1.0);
        let mut line = 0.0;
        while line <= length {
            let x = across(line);
            let _ = write!(
                out,
                "<path d=\"M{x:.1} {bottom:.1}v4\" stroke=\"#888\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{line:.0} s</text>",
                bottom + 18.0
            );
            line += lines;
        }
        let _ = write!(
            out,
            "<path d=\"M{LEFT} {:.1}V{bottom:.1}H{:.1}\" fill=\"none\" stroke=\"#888\"/>",
            self.top,
            WIDTH - RIGHT
        );
        for (one, colour) in measured.iter().zip(COLOURS.into_iter().cycle()) {
            let points: Vec<String> = one
                .seconds
                .iter()
                .map(|second| {
                    let value = (self.of)(second).min(self.most);
                    // In the middle of its second.
                    format!("{:.1},{:.1}", across(second.time as f64 + 0.5), down(value))
                })
                .collect();
            let _ = write!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
                points.join(" ")
            );
        }
    }
}

/// The document. `measured` is not empty, and each has a second.
pub fn svg(measured: &[Measured]) -> String {
    let last = measured
        .iter()
        .flat_map(|one| &one.seconds)
        .map(|second| second.time);
    let length = last.max().unwrap_or(0) as f64 + 1.0;
    let plots = [
        Plot {
            name: "PSNR in dB",
            top: TOP,
            of: Second::psnr,
            decimals: 1,
            most: HIGHEST_DECIBELS,
        },
        Plot {
            name: "SSIM",
            top: TOP + PLOT + BETWEEN,
            of: Second::ssim,
            decimals: 3,
            most: 1.0,
        },
    ];
    let below = TOP + 2.0 * PLOT + BETWEEN + 44.0;
    let height = below + LEGEND_LINE * measured.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>"
    );
    for plot in &plots {
        plot.draw(&mut out, measured, length);
    }
    for (line, (one, colour)) in measured.iter().zip(COLOURS.into_iter().cycle()).enumerate() {
        let y = below + LEGEND_LINE * line as f64;
        let rate = one
            .video
            .kbps
            .map_or_else(String::new, |kbps| format!(", {kbps} kbit/s"));
        let _ = write!(
            out,
            "<path d=\"M{LEFT} {y:.1}h24\" stroke=\"{colour}\" stroke-width=\"3\"/><text x=\"{:.1}\" y=\"{:.1}\">{} ({}, {}x{}{rate})</text>",
            LEFT + 32.0,
            y + 4.0,
            escaped(&one.name),
            escaped(&one.video.codec),
            one.video.width,
            one.video.height
        );
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::measured;
    use super::*;

    #[test]
    fn every_rendition_is_a_line_in_both_plots() {
        let svg = svg(&[
            measured("a<b.mp4", &[(0, 4.0, 0.98), (1, 9.0, 0.95)]),
            // Equal pictures do not run out of the plot.
            measured("same.mp4", &[(0, 0.0, 1.0), (1, 0.0, 1.0)]),
        ]);
        assert_eq!(svg.matches("<polyline").count(), 4);
        assert!(svg.contains("a&lt;b.mp4 (h264, 320x180, 300 kbit/s)"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        // Well formed: what is opened is closed.
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    }

    #[test]
    fn scales_have_round_numbers() {
        assert!((step(0.3, 6.0) - 0.05).abs() < 1e-9);
        assert!((step(100.0, 12.0) - 10.0).abs() < 1e-9);
        assert!((step(7.0, 6.0) - 2.0).abs() < 1e-9);
    }
}
