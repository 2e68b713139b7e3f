//! Writing the part of a document that a window of time shows.

use super::{Base, Document, Element, Node, local};
use crate::time::{Clock, Span, clock_time};
use std::ops::Range;

/// Attributes of the root that say how to read times: those written are of one kind.
const TIMING_PARAMETERS: [&str; 8] = [
    "timeBase",
    "frameRate",
    "frameRateMultiplier",
    "subFrameRate",
    "tickRate",
    "dropMode",
    "markerMode",
    "clockMode",
];

/// The namespace that a document's `tt` is in.
const TTML: &str = "http://www.w3.org/ns/ttml";

/// What times become.
struct Cutter<'a> {
    window: &'a Range<u64>,
    clock: Clock,
    /// The window in the document's time.
    shown: Span,
    /// Milliseconds to add to a time of the document, ...
    later: u64,
    /// ... and to take off it.
    earlier: u64,
}

impl Document {
    /// The part of the document that `window` shows, times cut at its edges. `language`: for a document that does not say.
    pub(crate) fn segment(
        &self,
        window: &Range<u64>,
        clock: Clock,
        base: Base,
        language: Option<&str>,
    ) -> String {
        let shown = clock.span(window);
        let (later, earlier) = match base {
            Base::Track => (clock.zero_ms(), 0),
            Base::Segment => (0, shown.start_ms),
        };
        let cutter = Cutter {
            window,
            clock,
            shown,
            later,
            earlier,
        };
        let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
        cutter.root(&self.root, language, &mut out);
        out.push('\n');
        out
    }
}

impl Cutter<'_> {
    fn root(&self, root: &Element, language: Option<&str>, out: &mut String) {
        out.push('<');
        out.push_str(&root.name);
        let kept = |(name, _): &&(String, String)| !TIMING_PARAMETERS.contains(&local(name));
        for (name, value) in root.attributes.iter().filter(kept) {
            match (name.as_str(), language) {
                ("xml:lang", Some(language)) if value.is_empty() => attribute(out, name, language),
                _ => attribute(out, name, value),
            }
        }
        // Required of every document (TTML2 §8.2.1).
        if root.get("lang").is_none() {
            attribute(out, "xml:lang", language.unwrap_or_default());
        }
        out.push('>');
        for child in root.elements() {
            match child.local() {
                "body" => {
                    let mut inside = String::new();
                    self.children(child, 0, &mut inside);
                    self.element(child, None, &inside, out);
                }
                _ => verbatim(child, out),
            }
        }
        out.push_str("</");
        out.push_str(&root.name);
        out.push('>');
    }

    /// Writes what of an element's content is shown. `base`: the document's time that written ones count from, milliseconds.
    /// Whether there is any text.
    fn children(&self, parent: &Element, base: u64, out: &mut String) -> bool {
        let mut found = false;
        for node in &parent.children {
            match node {
                Node::Text(text) => {
                    found |= !text.trim().is_empty();
                    // Between paragraphs it is the layout of the file.
                    if matches!(parent.local(), "p" | "span") {
                        escaped(out, text);
                    }
                }
                Node::Element(child) => found |= self.child(child, base, out),
            }
        }
        found
    }

    fn child(&self, child: &Element, base: u64, out: &mut String) -> bool {
        let visible = self.clock.touches(child.span, self.window);
        match child.local() {
            "div" => {
                let mut inside = String::new();
                let found = visible && self.children(child, base, &mut inside);
                if found {
                    self.element(child, None, &inside, out);
                }
                found
            }
            "p" | "span" => {
                let is_paragraph = child.local() == "p";
                let timed = is_paragraph || child.timed;
                let span = self.cut(child.span);
                let inner_base = if timed { span.start_ms } else { base };
                let mut inside = String::new();
                let found = visible && self.children(child, inner_base, &mut inside);
                if found {
                    let times =
                        timed.then_some((span, if is_paragraph { None } else { Some(base) }));
                    self.element(child, times, &inside, out);
                }
                found
            }
            "br" => {
                if visible {
                    self.element(child, None, "", out);
                }
                false
            }
            "set" => {
                if visible {
                    let mut inside = String::new();
                    child.elements().for_each(|e| verbatim(e, &mut inside));
                    let times = (self.cut(child.span), Some(base));
                    self.element(child, Some(times), &inside, out);
                }
                false
            }
            _ => {
                verbatim(child, out);
                false
            }
        }
    }

    /// The part of a span that is in the window, at least a millisecond long.
    fn cut(&self, span: Span) -> Span {
        let cut = span.intersection(self.shown);
        Span {
            start_ms: cut.start_ms,
            end_ms: cut.end_ms.max(cut.start_ms.saturating_add(1)),
        }
    }

    /// `times`: when it is shown, and the document's time that those written count from; without, the base of the segment.
    fn element(
        &self,
        element: &Element,
        times: Option<(Span, Option<u64>)>,
        inside: &str,
        out: &mut String,
    ) {
        out.push('<');
        out.push_str(&element.name);
        if let Some((span, base)) = times {
            for (name, ms) in [("begin", span.start_ms), ("end", span.end_ms)] {
                let ms = match base {
                    Some(base) => ms.saturating_sub(base),
                    None => ms.saturating_add(self.later).saturating_sub(self.earlier),
                };
                let mut time = String::new();
                clock_time(&mut time, ms);
                attribute(out, name, &time);
            }
        }
        for (name, value) in &element.attributes {
            if !matches!(name.as_str(), "begin" | "end" | "dur" | "timeContainer") {
                attribute(out, name, value);
            }
        }
        if inside.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        out.push_str(inside);
        out.push_str("</");
        out.push_str(&element.name);
        out.push('>');
    }
}

/// An element that time does not touch.
fn verbatim(element: &Element, out: &mut String) {
    out.push('<');
    out.push_str(&element.name);
    for (name, value) in &element.attributes {
        attribute(out, name, value);
    }
    if element.children.is_empty() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for node in &element.children {
        match node {
            Node::Element(child) => verbatim(child, out),
            Node::Text(text) if text.trim().is_empty() => {}
            Node::Text(text) => escaped(out, text),
        }
    }
    out.push_str("</");
    out.push_str(&element.name);
    out.push('>');
}

fn attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    escaped(out, value);
    out.push('"');
}

/// Text with the characters of markup escaped, and those that XML 1.0 cannot hold dropped.
fn escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
}

/// The root of a document that we make: namespaces and profile of IMSC 1.1 text (§6.2).
pub(crate) fn imsc_root(children: Vec<Node>) -> Element {
    Element::new(
        "tt",
        &[
            ("xmlns", TTML),
            ("xmlns:ttp", "http://www.w3.org/ns/ttml#parameter"),
            ("xmlns:tts", "http://www.w3.org/ns/ttml#styling"),
            (
                "ttp:profile",
                "http://www.w3.org/ns/ttml/profile/imsc1/text",
            ),
        ],
        children,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ttml::parse;
    use headwater_time::Timescale;
    use proptest::prelude::*;

    const HEAD: &str =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<tt xmlns=\"http://www.w3.org/ns/ttml\"";

    fn clock(zero: u64) -> Clock {
        Clock {
            scale: Timescale::new(1000).unwrap(),
            zero,
        }
    }

    fn cut(text: &str, window: Range<u64>, zero: u64, base: Base) -> String {
        let document = parse(text, &mut Vec::new()).unwrap();
        document.segment(&window, clock(zero), base, Some("de"))
    }

    #[test]
    fn only_what_is_shown_stays() {
        let text = "<tt:tt xmlns:tt=\"http://www.w3.org/ns/ttml\" xmlns:ttp=\"p\" ttp:frameRate=\"25\" xml:lang=\"\">\n<tt:head><tt:layout>\n<tt:region xml:id=\"r\"/></tt:layout></tt:head><tt:body begin=\"10s\"><tt:div style=\"a&amp;b\">
<tt:p begin=\"0s\" end=\"1s\">gone</tt:p><tt:p begin=\"1s\" end=\"9s\" region=\"r\">one <tt:span begin=\"5s\">late &lt;</tt:span><tt:br/><m:x xmlns:m=\"n\" m:y=\"1\"/></tt:p></tt:div><tt:div><tt:p begin=\"30s\">later</tt:p></tt:div></tt:body></tt:tt>";
        let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<tt:tt xmlns:tt=\"http://www.w3.org/ns/ttml\" xmlns:ttp=\"p\" xml:lang=\"de\"><tt:head><tt:layout><tt:region xml:id=\"r\"/></tt:layout></tt:head><tt:body><tt:div style=\"a&amp;b\">";
        let tail = "</tt:div></tt:body></tt:tt>\n";
        assert_eq!(
            cut(text, 12_000..15_000, 0, Base::Track),
            format!(
                "{head}<tt:p begin=\"00:00:12.000\" end=\"00:00:15.000\" region=\"r\">one <tt:br/><m:x xmlns:m=\"n\" m:y=\"1\"/></tt:p>{tail}"
            )
        );
        // Times inside of a paragraph count from its start.
        assert_eq!(
            cut(text, 15_000..18_000, 0, Base::Segment),
            format!(
                "{head}<tt:p begin=\"00:00:00.000\" end=\"00:00:03.000\" region=\"r\">one <tt:span begin=\"00:00:01.000\" end=\"00:00:03.000\">late &lt;</tt:span><tt:br/><m:x xmlns:m=\"n\" m:y=\"1\"/></tt:p>{tail}"
            )
        );
        let none = cut(text, 20_000..21_000, 0, Base::Track);
        assert!(none.ends_with("</tt:head><tt:body/></tt:tt>\n"), "{none}");
    }

    #[test]
    fn times_are_of_the_track_or_of_the_segment() {
        let text = "<tt xmlns=\"http://www.w3.org/ns/ttml\"><body><div><p begin=\"1s\" end=\"3s\">x</p></div></body></tt>";
        let written = |begin: &str, end: &str| {
            format!(
                "{HEAD} xml:lang=\"de\"><body><div><p begin=\"{begin}\" end=\"{end}\">x</p></div></body></tt>\n"
            )
        };
        let (window, zero) = (100_000..102_000, 100_000);
        assert_eq!(
            cut(text, window.clone(), zero, Base::Track),
            written("00:01:41.000", "00:01:42.000")
        );
        assert_eq!(
            cut(text, 102_000..104_000, zero, Base::Segment),
            written("00:00:00.000", "00:00:01.000")
        );
    }

    proptest! {
        /// A cut document shows at every instant what the whole one does.
        #[test]
        fn segments_show_what_the_document_does(
            cues in proptest::collection::vec((0_u64..20_000, 1_u64..9000), 0..12),
            start in 0_u64..20_000, len in 1_u64..10_000, zero in 0_u64..5000,
        ) {
            let mut text = "<tt xmlns=\"http://www.w3.org/ns/ttml\"><body><div>".to_owned();
            for (at, (begin, len)) in cues.iter().enumerate() {
                text.push_str(&format!("<p begin=\"{begin}ms\" dur=\"{len}ms\">cue {at}</p>"));
            }
            text.push_str("</div></body></tt>");
            let window = zero + start..zero + start + len;
            let segment = cut(&text, window, zero, Base::Track);
            let read = crate::Text::parse(segment.as_bytes()).unwrap().0;
            let found: Vec<_> = read
                .cues()
                .cues
                .iter()
                .map(|c| (c.text.clone(), c.span.start_ms - zero, c.span.end_ms - zero))
                .collect();
            let mut expected: Vec<_> = cues
                .iter()
                .enumerate()
                .filter(|(_, (begin, d))| *begin < start + len && begin + d > start)
                .map(|(at, (begin, d))| (format!("cue {at}"), (*begin).max(start), (begin + d).min(start + len)))
                .collect();
            expected.sort_by_key(|c| c.1);
            prop_assert_eq!(found, expected);
        }
    }
}
