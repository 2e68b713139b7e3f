//! The XML bodies of the protocol, written and read: listings, block lists, errors.
//!
//! Writing is string building with escaped text; reading is a bounded tree without DTDs, so that neither entity
//! expansion nor a deep document can cost more than its own size.

mod block_list;
mod error_body;
mod list;

pub use block_list::{
    BlockList, BlockRef, BlockSource, StoredBlock, parse_block_list, parse_stored_blocks,
};
pub use block_list::{MAX_BLOCKS, write_block_list, write_stored_blocks};
pub use error_body::{ErrorBody, parse_error, write_error};
pub use list::{BlobEntry, BlobPage, ContainerEntry, ListBlobsAnswer, ListContainersAnswer};
pub use list::{parse_blob_page, write_blob_page, write_containers};

use quick_xml::escape::escape;
use roxmltree::{Document, Node, ParsingOptions};

/// More nodes than any document of the protocol has: 50 000 blocks or 5 000 blobs, a few nodes each.
const MAX_NODES: u32 = 400_000;

/// The body is not the document that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    #[error("the body is not well-formed XML: {0}")]
    Malformed(String),
    #[error("the root element is not `{0}`")]
    Root(&'static str),
    #[error("the element `{0}` is missing or malformed")]
    Element(&'static str),
    #[error("more than {0} blocks are listed")]
    TooManyBlocks(usize),
}

/// Parses a body whose root element is `root`, and hands its root to `read`.
fn with_root<T>(
    body: &[u8],
    root: &'static str,
    read: impl FnOnce(Node<'_, '_>) -> Result<T, XmlError>,
) -> Result<T, XmlError> {
    let text =
        std::str::from_utf8(body).map_err(|_| XmlError::Malformed("not UTF-8".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options)
        .map_err(|e| XmlError::Malformed(e.to_string()))?;
    let element = document.root_element();
    if element.tag_name().name() != root {
        return Err(XmlError::Root(root));
    }
    read(element)
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children()
        .find(|n| n.is_element() && n.tag_name().name() == name)
}

/// The text of a child element, `None` if the element is missing or empty.
fn child_text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)
        .and_then(|n| n.text())
        .filter(|text| !text.is_empty())
}

/// Builds a document from the outside in.
struct XmlWriter(String);

impl XmlWriter {
    fn new() -> Self {
        Self(String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>"))
    }

    /// `tag`: a literal, written as it is.
    fn raw(&mut self, tag: &str) -> &mut Self {
        self.0.push_str(tag);
        self
    }

    /// `<name>text</name>`, escaped.
    fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.open(name);
        self.0.push_str(&escape(text));
        self.close(name)
    }

    /// [`Self::text`] unless there is none.
    fn text_if(&mut self, name: &str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    fn open(&mut self, name: &str) -> &mut Self {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
        self
    }

    fn close(&mut self, name: &str) -> &mut Self {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
        self
    }

    fn attribute_value(&mut self, value: &str) -> &mut Self {
        self.0.push_str(&escape(value));
        self
    }

    fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests;
