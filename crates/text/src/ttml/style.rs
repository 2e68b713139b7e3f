//! What styles and regions say of an element (TTML2 §8 and §9), as far as other formats have words for it.

use super::{Document, Element, local};
use crate::place::{Align, Anchor, Place, percent};
use crate::rich::{Look, colour};
use std::collections::HashMap;

/// Styles and regions of a document, by their identifier.
pub(crate) struct Styles<'a> {
    styles: HashMap<&'a str, &'a Element>,
    regions: HashMap<&'a str, &'a Element>,
}

/// Styles that refer to styles: how far that is followed.
const MAX_CHAIN: u32 = 8;

impl<'a> Styles<'a> {
    pub(crate) fn of(document: &'a Document) -> Self {
        let by_id = |container: &str, name: &'static str| {
            let head = document.head().and_then(|head| head.child(container));
            let found = head.into_iter().flat_map(Element::elements);
            found
                .filter(|e| e.local() == name)
                .filter_map(|e| Some((e.get("id")?, e)))
                .collect()
        };
        Self {
            styles: by_id("styling", "style"),
            regions: by_id("layout", "region"),
        }
    }

    /// A style property of an element: its own, or of the styles that it refers to, the last one first.
    fn property<'e>(&self, element: &'e Element, name: &str, depth: u32) -> Option<&'e str>
    where
        'a: 'e,
    {
        let own = element
            .attributes
            .iter()
            .find(|(known, _)| known.contains(':') && local(known) == name);
        if let Some((_, value)) = own {
            return Some(value.trim());
        }
        if depth >= MAX_CHAIN {
            return None;
        }
        let refers = element
            .attributes
            .iter()
            .find(|(known, _)| known == "style");
        let ids = refers.map(|(_, ids)| ids.split_ascii_whitespace());
        let nested = element.elements().filter(|e| e.local() == "style");
        let inline = nested.filter(|_| element.local() == "region");
        ids.into_iter()
            .flatten()
            .rev()
            .filter_map(|id| self.styles.get(id).copied())
            .chain(inline)
            .find_map(|style| self.property(style, name, depth.saturating_add(1)))
    }

    /// How text in `element` looks, inside of what looks like `around`.
    pub(crate) fn look(&self, element: &Element, around: Look) -> Look {
        let mut look = around;
        let property = |name: &str| self.property(element, name, 0);
        match property("fontStyle") {
            Some("italic" | "oblique") => look.italic = true,
            Some(_) => look.italic = false,
            None => {}
        }
        if let Some(weight) = property("fontWeight") {
            look.bold = weight == "bold";
        }
        if let Some(decoration) = property("textDecoration") {
            look.underline = decoration
                .split_ascii_whitespace()
                .any(|d| d == "underline");
        }
        if let Some(value) = property("color") {
            // White is what text is anyway.
            look.colour = colour(value).filter(|name| *name != "white");
        }
        look
    }

    /// Where the text of `path`, elements from the body down to `p`, stands.
    pub(crate) fn place(&self, path: &[&Element]) -> Place {
        let inner_first = || path.iter().rev();
        let region = inner_first()
            .find_map(|e| e.get("region"))
            .and_then(|id| self.regions.get(id).copied());
        let mut place = Place::DEFAULT;
        let of_region = |name: &str| region.and_then(|r| self.property(r, name, 0));
        let pair = |value: &str| {
            let (x, y) = value.split_once(' ')?;
            Some((percent(x)?, percent(y.trim())?))
        };
        let origin = of_region("origin").and_then(pair);
        let extent = of_region("extent").and_then(pair);
        if let (Some((left, top)), Some((width, height))) = (origin, extent) {
            (place.left, place.top) = (left, top);
            (place.width, place.height) = (width, height);
            place.anchor = Anchor::Top;
        }
        if let Some(anchor) = of_region("displayAlign") {
            place.anchor = match anchor {
                "before" => Anchor::Top,
                "center" => Anchor::Middle,
                _ => Anchor::Bottom,
            };
        }
        let align = inner_first()
            .find_map(|e| self.property(e, "textAlign", 0))
            .or_else(|| of_region("textAlign"));
        place.align = match align {
            Some("center") => Align::Center,
            Some("left") => Align::Left,
            Some("right") => Align::Right,
            Some("end") => Align::End,
            // What it is unless a document says otherwise; one without regions leaves it to the player.
            Some(_) => Align::Start,
            None if region.is_some() => Align::Start,
            None => Align::Center,
        };
        place
    }

    /// The look that a region gives to the text in it.
    pub(crate) fn region_look(&self, path: &[&Element]) -> Look {
        let region = path.iter().rev().find_map(|e| e.get("region"));
        let region = region.and_then(|id| self.regions.get(id));
        region.map_or_else(Look::default, |r| self.look(r, Look::default()))
    }
}
