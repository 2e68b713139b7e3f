//! `<BlockList>`: the body of Put Block List, and the answer of Get Block List.

use super::{XmlError, XmlWriter, child, child_text, with_root};

/// Most blocks of one blob.
pub const MAX_BLOCKS: usize = 50_000;

/// Where Put Block List takes a block from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockSource {
    Committed,
    Uncommitted,
    /// Uncommitted if there is one of that id, else committed.
    Latest,
}

/// One entry of a block list to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRef {
    pub source: BlockSource,
    /// Base64, as sent.
    pub id: String,
}

/// One block as Get Block List reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlock {
    /// Base64, as sent by Put Block.
    pub id: String,
    /// Bytes.
    pub len: u64,
}

/// The answer of Get Block List.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockList {
    /// In blob order. `None` when not asked for.
    pub committed: Option<Vec<StoredBlock>>,
    /// In the order of ids. `None` when not asked for.
    pub uncommitted: Option<Vec<StoredBlock>>,
}

/// Writes the body of Put Block List.
pub fn write_block_list(blocks: &[BlockRef]) -> String {
    let mut xml = XmlWriter::new();
    xml.open("BlockList");
    for block in blocks {
        let tag = match block.source {
            BlockSource::Committed => "Committed",
            BlockSource::Uncommitted => "Uncommitted",
            BlockSource::Latest => "Latest",
        };
        xml.text(tag, &block.id);
    }
    xml.close("BlockList");
    xml.finish()
}

/// Reads the body of Put Block List. The order is the order of the blob.
pub fn parse_block_list(body: &[u8]) -> Result<Vec<BlockRef>, XmlError> {
    with_root(body, "BlockList", |root| {
        let mut blocks = Vec::new();
        for node in root.children().filter(|n| n.is_element()) {
            let source = match node.tag_name().name() {
                "Committed" => BlockSource::Committed,
                "Uncommitted" => BlockSource::Uncommitted,
                "Latest" => BlockSource::Latest,
                _ => return Err(XmlError::Element("BlockList")),
            };
            if blocks.len() >= MAX_BLOCKS {
                return Err(XmlError::TooManyBlocks(MAX_BLOCKS));
            }
            let id = node
                .text()
                .map(str::trim)
                .filter(|id| !id.is_empty())
                .ok_or(XmlError::Element("Latest"))?;
            blocks.push(BlockRef {
                source,
                id: id.to_owned(),
            });
        }
        Ok(blocks)
    })
}

/// Writes the answer of Get Block List.
pub fn write_stored_blocks(list: &BlockList) -> String {
    let mut xml = XmlWriter::new();
    xml.open("BlockList");
    for (name, blocks) in [
        ("CommittedBlocks", &list.committed),
        ("UncommittedBlocks", &list.uncommitted),
    ] {
        let Some(blocks) = blocks else { continue };
        xml.open(name);
        for block in blocks {
            xml.open("Block")
                .text("Name", &block.id)
                .text("Size", &block.len.to_string())
                .close("Block");
        }
        xml.close(name);
    }
    xml.close("BlockList");
    xml.finish()
}

/// Reads the answer of Get Block List.
pub fn parse_stored_blocks(body: &[u8]) -> Result<BlockList, XmlError> {
    with_root(body, "BlockList", |root| {
        let read = |name: &str| -> Result<Option<Vec<StoredBlock>>, XmlError> {
            let Some(list) = child(root, name) else {
                return Ok(None);
            };
            let blocks = list.children().filter(|n| n.is_element()).map(|node| {
                let id = child_text(node, "Name")
                    .ok_or(XmlError::Element("Name"))?
                    .to_owned();
                let len = child_text(node, "Size")
                    .and_then(|t| t.parse().ok())
                    .ok_or(XmlError::Element("Size"))?;
                Ok(StoredBlock { id, len })
            });
            blocks.collect::<Result<Vec<_>, XmlError>>().map(Some)
        };
        Ok(BlockList {
            committed: read("CommittedBlocks")?,
            uncommitted: read("UncommittedBlocks")?,
        })
    })
}
