//! WebVTT becomes TTML, and TTML WebVTT.

use crate::place::{Anchor, Place, written};
use crate::rich::{self, Look, Run};
use crate::time::Span;
use crate::ttml::{self, Element, Node, Styles, imsc_root};
use crate::vtt;

/// A document of the IMSC 1.1 text profile with the same cues. Cues that stand in the same place share a region.
pub(crate) fn to_ttml(document: &vtt::Document) -> ttml::Document {
    let mut places: Vec<Place> = vec![Place::DEFAULT];
    let mut paragraphs = Vec::new();
    for cue in &document.cues {
        let place = Place::from_settings(&cue.settings);
        let at = places.iter().position(|known| *known == place);
        let at = at.unwrap_or_else(|| {
            places.push(place);
            places.len().saturating_sub(1)
        });
        let children = nodes(&rich::from_vtt(&cue.text));
        let mut paragraph = Element::new("p", &[("region", &region_id(at))], children);
        paragraph.span = cue.span;
        paragraph.timed = true;
        paragraphs.push(Node::Element(paragraph));
    }
    let regions = places.iter().enumerate().map(|(at, place)| {
        let pair = |x, y| format!("{} {}", written(x), written(y));
        Node::Element(Element::new(
            "region",
            &[
                ("xml:id", &region_id(at)),
                ("tts:origin", &pair(place.left, place.top)),
                ("tts:extent", &pair(place.width, place.height)),
                (
                    "tts:displayAlign",
                    match place.anchor {
                        Anchor::Top => "before",
                        Anchor::Middle => "center",
                        Anchor::Bottom => "after",
                    },
                ),
                ("tts:textAlign", place.align.name()),
            ],
            Vec::new(),
        ))
    });
    let layout = Element::new("layout", &[], regions.collect());
    // Light text that can be read on every picture, as players show WebVTT.
    let style = Element::new(
        "style",
        &[
            ("xml:id", "s0"),
            ("tts:color", "white"),
            ("tts:backgroundColor", "#000000c0"),
        ],
        Vec::new(),
    );
    let styling = Element::new("styling", &[], vec![Node::Element(style)]);
    let head = Element::new(
        "head",
        &[],
        vec![Node::Element(styling), Node::Element(layout)],
    );
    let div = Element::new("div", &[], paragraphs);
    let body = Element::new("body", &[], vec![Node::Element(div)]);
    ttml::Document {
        root: imsc_root(vec![Node::Element(head), Node::Element(body)]),
    }
}

fn region_id(at: usize) -> String {
    format!("r{at}")
}

fn nodes(runs: &[Run]) -> Vec<Node> {
    let mut nodes = Vec::new();
    for run in runs {
        let mut inside = Vec::new();
        for (at, line) in run.text.split('\n').enumerate() {
            if at > 0 {
                inside.push(Node::Element(Element::new("br", &[], Vec::new())));
            }
            if !line.is_empty() {
                inside.push(Node::Text(line.to_owned()));
            }
        }
        let mut attributes = vec![("style", "s0")];
        if run.look.italic {
            attributes.push(("tts:fontStyle", "italic"));
        }
        if run.look.bold {
            attributes.push(("tts:fontWeight", "bold"));
        }
        if run.look.underline {
            attributes.push(("tts:textDecoration", "underline"));
        }
        if let Some(colour) = run.look.colour {
            attributes.push(("tts:color", colour));
        }
        nodes.push(Node::Element(Element::new("span", &attributes, inside)));
    }
    nodes
}

/// The cues that show the document's text: one for each stretch of time in which a paragraph stays the same.
pub(crate) fn to_vtt(document: &ttml::Document) -> vtt::Document {
    let mut cues = Vec::new();
    if let Some(body) = document.body() {
        let styles = Styles::of(document);
        paragraphs(body, &mut Vec::new(), &styles, &mut cues);
    }
    cues.sort_by_key(|cue: &vtt::Cue| cue.span.start_ms);
    vtt::Document {
        blocks: Vec::new(),
        cues,
    }
}

fn paragraphs<'a>(
    element: &'a Element,
    path: &mut Vec<&'a Element>,
    styles: &Styles<'_>,
    cues: &mut Vec<vtt::Cue>,
) {
    path.push(element);
    if element.local() == "p" {
        paragraph(element, path, styles, cues);
    } else {
        for child in element.elements() {
            paragraphs(child, path, styles, cues);
        }
    }
    path.pop();
}

fn paragraph(p: &Element, path: &[&Element], styles: &Styles<'_>, cues: &mut Vec<vtt::Cue>) {
    if p.span.is_empty() {
        return;
    }
    let around = path.iter().fold(styles.region_look(path), |look, element| {
        styles.look(element, look)
    });
    let mut edges = vec![p.span.start_ms, p.span.end_ms];
    changes(p, &mut edges);
    edges.sort_unstable();
    edges.dedup();
    let settings = styles.place(path).settings();
    let first = cues.len();
    for (start_ms, end_ms) in edges.iter().zip(edges.iter().skip(1)) {
        let span = Span {
            start_ms: *start_ms,
            end_ms: *end_ms,
        };
        let mut flow = Flow {
            runs: Vec::new(),
            at: *start_ms,
            preserve: false,
            space: true,
        };
        flow.content(p, around, styles);
        let text = rich::to_vtt(&flow.runs);
        let previous = cues.get_mut(first..).and_then(|own| own.last_mut());
        match previous {
            _ if text.is_empty() => {}
            Some(last) if last.span.end_ms == span.start_ms && last.text == text => {
                last.span.end_ms = span.end_ms;
            }
            _ => cues.push(vtt::Cue {
                id: None,
                span,
                settings: settings.clone(),
                text,
            }),
        }
    }
}

/// Instants at which something in an element appears or goes.
fn changes(element: &Element, edges: &mut Vec<u64>) {
    for child in element.elements().filter(|e| !e.span.is_empty()) {
        if child.timed && matches!(child.local(), "span" | "br") {
            edges.extend([child.span.start_ms, child.span.end_ms]);
        }
        changes(child, edges);
    }
}

/// Text of a paragraph at one instant.
struct Flow {
    runs: Vec<Run>,
    at: u64,
    preserve: bool,
    /// The last character was a space or a break: more space does not count.
    space: bool,
}

impl Flow {
    fn content(&mut self, element: &Element, look: Look, styles: &Styles<'_>) {
        let outer = self.preserve;
        if let Some(space) = element.get("space") {
            self.preserve = space == "preserve";
        }
        for node in &element.children {
            match node {
                Node::Text(text) => self.text(text, look),
                Node::Element(child) => {
                    let shown = (child.span.start_ms..child.span.end_ms).contains(&self.at);
                    match child.local() {
                        "br" if shown => {
                            // Space in front of a break is no more there than space behind it.
                            if let Some(last) = self.runs.last_mut().filter(|_| !self.preserve)
                                && last.text.ends_with(' ')
                            {
                                last.text.pop();
                            }
                            rich::push(&mut self.runs, "\n", look);
                            self.space = true;
                        }
                        "span" if shown => self.content(child, styles.look(child, look), styles),
                        _ => {}
                    }
                }
            }
        }
        self.preserve = outer;
    }

    fn text(&mut self, text: &str, look: Look) {
        if self.preserve {
            rich::push(&mut self.runs, text, look);
            return;
        }
        let mut out = String::new();
        for c in text.chars() {
            let space = matches!(c, ' ' | '\t' | '\n' | '\r');
            if space && !self.space {
                out.push(' ');
            }
            if !space {
                out.push(c);
            }
            self.space = space;
        }
        rich::push(&mut self.runs, &out, look);
    }
}

#[cfg(test)]
mod tests {
    use crate::{Format, Text};

    fn cues(text: &str) -> Vec<(u64, u64, String, String)> {
        let (text, warnings) = Text::parse(text.as_bytes()).unwrap();
        assert_eq!(warnings, []);
        let all = text.cues().cues.iter();
        all.map(|c| {
            (
                c.span.start_ms,
                c.span.end_ms,
                c.settings.clone(),
                c.text.clone(),
            )
        })
        .collect()
    }

    #[test]
    fn ttml_becomes_webvtt() {
        let text = "\u{feff}<?xml version=\"1.0\"?>
<tt xmlns=\"http://www.w3.org/ns/ttml\" xmlns:tts=\"http://www.w3.org/ns/ttml#styling\" xml:lang=\"en\">
 <head><styling>
   <style xml:id=\"base\" tts:textAlign=\"center\" tts:color=\"#ffffff\"/>
   <style xml:id=\"shout\" style=\"base\" tts:color=\"yellow\" tts:fontStyle=\"italic\"/>
 </styling><layout>
   <region xml:id=\"top\" tts:origin=\"10% 5%\" tts:extent=\"80% 20%\" tts:displayAlign=\"before\" style=\"base\"/>
   <region xml:id=\"left\" tts:displayAlign=\"after\"><style tts:origin=\"0% 50%\"/><style tts:extent=\"40% 25%\"/></region>
 </layout></head>
 <body region=\"top\"><div>
  <p begin=\"1s\" end=\"2s\">
    Hello   <span style=\"shout\">you</span> <br/> and
    others &lt;3
  </p>
  <p begin=\"3s\" end=\"6s\" region=\"left\">One<span begin=\"1s\" end=\"2s\" tts:textDecoration=\"underline\"> two</span></p>
  <p begin=\"7s\" end=\"8s\" xml:space=\"preserve\">a
b</p>
  <p begin=\"9s\" end=\"10s\"> </p>
 </div></body></tt>";
        let cue = |s, e, settings: &str, text: &str| (s, e, settings.to_owned(), text.to_owned());
        let left = "line:75%,end position:0% size:40% align:start";
        assert_eq!(
            cues(text),
            [
                cue(
                    1000,
                    2000,
                    "line:5%",
                    "Hello <c.yellow><i>you</i></c>\nand others &lt;3"
                ),
                cue(3000, 4000, left, "One"),
                cue(4000, 5000, left, "One<u> two</u>"),
                cue(5000, 6000, left, "One"),
                cue(7000, 8000, "line:5%", "a\nb"),
            ]
        );
        assert_eq!(
            Text::parse(text.as_bytes()).unwrap().0.format(),
            Format::Ttml
        );
    }

    #[test]
    fn webvtt_comes_back_from_ttml() {
        let vtt = "WEBVTT\n\n00:01.000 --> 00:02.000\nplain\nand <i>slanted</i> &amp; <c.yellow><b>loud</b></c>\n\n00:03.000 --> 00:04.000 line:10% align:start\nup\n";
        let (text, _) = Text::parse(vtt.as_bytes()).unwrap();
        let document = super::to_ttml(text.cues());
        assert_eq!(super::to_vtt(&document).cues, {
            let mut cues = text.cues().cues.clone();
            // With sides that the default has, too.
            cues[1].settings = "line:10% align:start".to_owned();
            cues
        });
    }
}
