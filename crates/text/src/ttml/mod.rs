//! TTML (W3C TTML2; IMSC 1.1 text profile): documents as trees whose times are settled.
//!
//! [`parse`] settles when every element of the body is shown (TTML2 §12.2: `begin`, `end`, `dur`, `par` and `seq`), in
//! milliseconds of the document. `Document::segment` writes the part of it that a window of time shows, with times of its
//! own; what it does not understand it hands on as it is.

mod cut;
mod read;
mod style;
mod timing;

pub(crate) use cut::imsc_root;
pub use read::parse;
pub(crate) use style::Styles;

use crate::time::Span;

/// What a segment's times count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Base {
    /// The track's own 0 (ISO/IEC 14496-30 §6: `stpp`).
    Track,
    /// The segment's start (Smooth Streaming, as its players have it).
    Segment,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// `tt`.
    pub(crate) root: Element,
}

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    /// As written, with its prefix.
    pub(crate) name: String,
    /// As written, namespaces among them; values unescaped.
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) children: Vec<Node>,
    /// When it is shown, what is around it considered.
    pub(crate) span: Span,
    /// It has times of its own.
    pub(crate) timed: bool,
}

/// What an element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Element(Element),
    Text(String),
}

/// A name without its prefix.
pub(crate) fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

impl Element {
    /// An element without times.
    pub(crate) fn new(name: &str, attributes: &[(&str, &str)], children: Vec<Node>) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            name: name.to_owned(),
            attributes: attributes.iter().map(owned).collect(),
            children,
            span: Span::ALWAYS,
            timed: false,
        }
    }

    pub(crate) fn local(&self) -> &str {
        local(&self.name)
    }

    /// The value of an attribute, by its name without prefix.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self
            .attributes
            .iter()
            .find(|(known, _)| local(known) == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.elements().find(|e| e.local() == name)
    }
}

impl Document {
    /// `xml:lang`, unless it is empty.
    #[must_use]
    pub fn language(&self) -> Option<&str> {
        self.root.get("lang").filter(|lang| !lang.is_empty())
    }

    pub(crate) fn body(&self) -> Option<&Element> {
        self.root.child("body")
    }

    pub(crate) fn head(&self) -> Option<&Element> {
        self.root.child("head")
    }
}
