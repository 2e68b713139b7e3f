//! A TTML file becomes a tree whose times are settled.

use super::timing::Units;
use super::{Document, Element, Node};
use crate::error::{TextError, Warning, warn};
use crate::time::Span;
use roxmltree::ParsingOptions;

/// Most nodes of a document: the subtitles of a day, or some 40 MiB of memory.
const MAX_NODES: u32 = 150_000;
/// Elements inside of each other. Real documents have six.
const MAX_DEPTH: u32 = 32;

/// Reads a whole file, without its byte order mark.
///
/// Errors: [`TextError`] for what is no TTML, or has times that are none of a medium. An element whose times cannot be read
/// is passed over with a warning that names its line.
pub fn parse(text: &str, warnings: &mut Vec<Warning>) -> Result<Document, TextError> {
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    let document = roxmltree::Document::parse_with_options(text, options)
        .map_err(|error| TextError::Xml(error.to_string()))?;
    let root = document.root_element();
    if root.tag_name().name() != "tt" {
        let line = document.text_pos_at(root.range().start).row;
        return Err(TextError::NotTt(line));
    }
    let mut reader = Reader {
        source: text,
        units: Units::of(root)?,
        warnings,
    };
    let root = reader.element(root, None, Span::ALWAYS, None, 0)?;
    root.map(|root| Document { root })
        .ok_or(TextError::NotTt(1))
}

struct Reader<'a> {
    source: &'a str,
    units: Units,
    warnings: &'a mut Vec<Warning>,
}

type XmlNode<'a> = roxmltree::Node<'a, 'a>;

impl Reader<'_> {
    /// `around`: when the parent is shown. `after`: the end of what comes before it, in a sequence.
    ///
    /// Ok `None` for an element whose times cannot be read.
    fn element(
        &mut self,
        node: XmlNode<'_>,
        parent: Option<XmlNode<'_>>,
        around: Span,
        after: Option<u64>,
        depth: u32,
    ) -> Result<Option<Element>, TextError> {
        let line = node.document().text_pos_at(node.range().start).row;
        if depth > MAX_DEPTH {
            return Err(TextError::TooDeep(line));
        }
        let mut attributes = namespaces(node, parent);
        for attribute in node.attributes() {
            let name = self.source.get(attribute.range_qname());
            let name = name.unwrap_or(attribute.name()).to_owned();
            attributes.push((name, attribute.value().to_owned()));
        }
        // Metadata may have attributes of the same name that mean something else.
        let content = matches!(
            node.tag_name().name(),
            "body" | "div" | "p" | "span" | "br" | "set"
        );
        let (span, timed) = match content {
            true => match self.span(node, around, after) {
                Ok(found) => found,
                Err(value) => {
                    let reason = format!("'{value}' is not a time");
                    warn(self.warnings, line, reason);
                    return Ok(None);
                }
            },
            false => (around, false),
        };
        let sequence = content && node.attribute("timeContainer") == Some("seq");
        let mut after = sequence.then_some(span.start_ms);
        let mut children = Vec::new();
        for child in node.children() {
            if child.is_element() {
                let depth = depth.saturating_add(1);
                let Some(element) = self.element(child, Some(node), span, after, depth)? else {
                    continue;
                };
                if let Some(after) = &mut after {
                    *after = element.span.end_ms.max(*after);
                }
                children.push(Node::Element(element));
            } else if let Some(text) = child.text().filter(|_| child.is_text()) {
                children.push(Node::Text(text.to_owned()));
            }
        }
        Ok(Some(Element {
            name: self.name(node),
            attributes,
            children,
            span,
            timed,
        }))
    }

    /// Errors: the value that is no time.
    fn span<'n>(
        &self,
        node: XmlNode<'n>,
        around: Span,
        after: Option<u64>,
    ) -> Result<(Span, bool), &'n str> {
        let get = |name: &str| match node.attribute(name) {
            None => Ok(None),
            Some(text) => self.units.read(text).map(Some).ok_or(text),
        };
        let (begin, end, duration) = (get("begin")?, get("end")?, get("dur")?);
        let reference = after.unwrap_or(around.start_ms);
        let start_ms = reference.saturating_add(begin.unwrap_or_default());
        let ends = [
            end.map(|end| reference.saturating_add(end)),
            duration.map(|duration| start_ms.saturating_add(duration)),
        ];
        let own = Span {
            start_ms,
            end_ms: ends.into_iter().flatten().min().unwrap_or(u64::MAX),
        };
        let timed = begin.is_some() || end.is_some() || duration.is_some() || after.is_some();
        Ok((own.intersection(around), timed))
    }

    /// As it is written, with its prefix.
    fn name(&self, node: XmlNode<'_>) -> String {
        let tag = self.source.get(node.range().start..).unwrap_or_default();
        let tag = tag.strip_prefix('<').unwrap_or(tag);
        let end = tag.find(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/'));
        let name = tag.get(..end.unwrap_or(tag.len())).unwrap_or_default();
        name.to_owned()
    }
}

/// Namespace declarations that are the element's own, as attributes.
fn namespaces(node: XmlNode<'_>, parent: Option<XmlNode<'_>>) -> Vec<(String, String)> {
    let around: Vec<_> = parent.iter().flat_map(|p| p.namespaces()).collect();
    let own = node.namespaces().filter(|found| {
        let known = around
            .iter()
            .any(|n| n.name() == found.name() && n.uri() == found.uri());
        !known && found.name() != Some("xml")
    });
    let attribute = own.map(|namespace| match namespace.name() {
        Some(prefix) => (format!("xmlns:{prefix}"), namespace.uri().to_owned()),
        None => ("xmlns".to_owned(), namespace.uri().to_owned()),
    });
    attribute.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(body: &str) -> (Vec<(u64, u64)>, Vec<Warning>) {
        let text = format!("<tt xmlns=\"http://www.w3.org/ns/ttml\">{body}</tt>");
        let mut warnings = Vec::new();
        let document = parse(&text, &mut warnings).unwrap();
        fn leaves(element: &Element, found: &mut Vec<(u64, u64)>) {
            for child in element.elements() {
                if child.local() == "p" || child.local() == "span" {
                    found.push((child.span.start_ms, child.span.end_ms));
                }
                leaves(child, found);
            }
        }
        let mut found = Vec::new();
        leaves(&document.root, &mut found);
        (found, warnings)
    }

    #[test]
    fn times_count_from_what_is_around() {
        let (found, warnings) = spans(
            "<body begin=\"10s\" dur=\"60s\"><div begin=\"1s\"><p begin=\"1s\" end=\"3s\"><span begin=\"500ms\">x</span></p><p dur=\"2s\" end=\"1s\">y</p><p begin=\"100s\">z</p></div></body>",
        );
        assert_eq!(
            found,
            [
                (12_000, 14_000),
                (12_500, 14_000),
                (11_000, 12_000),
                (111_000, 70_000)
            ]
        );
        assert_eq!(warnings, []);
    }

    #[test]
    fn a_sequence_counts_from_what_is_before() {
        let (found, _) = spans(
            "<body><div timeContainer=\"seq\"><p dur=\"2s\">a</p><p begin=\"1s\" dur=\"2s\">b</p><p>c</p></div></body>",
        );
        assert_eq!(found, [(0, 2000), (3000, 5000), (5000, u64::MAX)]);
    }

    #[test]
    fn elements_without_usable_times_are_passed_over() {
        let (found, warnings) =
            spans("<body>\n<div><p begin=\"x\">a</p><p begin=\"1s\" end=\"2s\">b</p></div></body>");
        assert_eq!(found, [(1000, 2000)]);
        let line: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(line, ["line 2: 'x' is not a time"]);
    }

    #[test]
    fn what_is_no_ttml_is_refused() {
        let refused = |text: &str| parse(text, &mut Vec::new()).unwrap_err();
        assert!(matches!(refused("<tt>"), TextError::Xml(_)));
        assert!(matches!(refused("<!DOCTYPE tt><tt/>"), TextError::Xml(_)));
        assert_eq!(refused("\n<html/>"), TextError::NotTt(2));
        let deep = format!("<tt>{}{}</tt>", "<div>".repeat(40), "</div>".repeat(40));
        assert_eq!(refused(&deep), TextError::TooDeep(1));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "(<tt>|</tt>|<body>|</body>|<p begin=\"1s\"( end=\"[0-9:.sft]{0,9}\")?>|</p>|<br/>|[a-z<>&\u{e9} ]){0,30}") {
            let _ = parse(&text, &mut Vec::new());
            let _ = parse(&format!("<tt><body>{text}</body></tt>"), &mut Vec::new());
        }
    }
}
