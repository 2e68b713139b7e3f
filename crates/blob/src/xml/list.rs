//! `<EnumerationResults>`: the answers of List Blobs and List Containers.

use jiff::Timestamp;
use roxmltree::Node;

use super::{XmlError, XmlWriter, child, child_text, with_root};
use crate::names::{decode, encode_blob};
use crate::time::{http_date, parse_http_date};

/// One blob of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobEntry {
    /// Full name in the container, not percent-encoded.
    pub name: String,
    /// Bytes.
    pub len: u64,
    /// With its quotes, as in the `ETag` header.
    pub etag: String,
    /// `None` if the server did not say or said nonsense.
    pub last_modified: Option<Timestamp>,
    pub content_type: Option<String>,
    /// Base64.
    pub content_md5: Option<String>,
    /// Only with `include=metadata`.
    pub metadata: Vec<(String, String)>,
}

/// One page of List Blobs as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlobPage {
    /// In name order.
    pub blobs: Vec<BlobEntry>,
    /// Folders, with the delimiter at their end; empty without a delimiter.
    pub prefixes: Vec<String>,
    /// Ask again with it for the next page. `None` on the last page. A page may be empty and still not the last.
    pub next_marker: Option<String>,
}

/// What a server says in List Blobs.
#[derive(Debug, Clone)]
pub struct ListBlobsAnswer<'a> {
    /// `http://host:port/account/`.
    pub service_endpoint: &'a str,
    pub container: &'a str,
    pub prefix: Option<&'a str>,
    pub marker: Option<&'a str>,
    pub max_results: Option<u32>,
    pub delimiter: Option<&'a str>,
    pub include_metadata: bool,
    pub page: &'a BlobPage,
}

/// One container of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerEntry {
    pub name: String,
    pub etag: String,
    pub last_modified: Timestamp,
    /// Written only with `include=metadata`.
    pub metadata: Vec<(String, String)>,
}

/// What a server says in List Containers.
#[derive(Debug, Clone)]
pub struct ListContainersAnswer<'a> {
    pub service_endpoint: &'a str,
    pub prefix: Option<&'a str>,
    pub marker: Option<&'a str>,
    pub max_results: Option<u32>,
    pub include_metadata: bool,
    pub containers: &'a [ContainerEntry],
    pub next_marker: Option<&'a str>,
}

/// Writes one page of List Blobs.
pub fn write_blob_page(answer: &ListBlobsAnswer<'_>) -> String {
    let mut xml = XmlWriter::new();
    xml.raw("<EnumerationResults ServiceEndpoint=\"")
        .attribute_value(answer.service_endpoint);
    xml.raw("\" ContainerName=\"")
        .attribute_value(answer.container)
        .raw("\">");
    write_name(&mut xml, "Prefix", answer.prefix);
    xml.text_if("Marker", answer.marker);
    xml.text_if(
        "MaxResults",
        answer.max_results.map(|n| n.to_string()).as_deref(),
    );
    write_name(&mut xml, "Delimiter", answer.delimiter);
    xml.open("Blobs");
    for blob in &answer.page.blobs {
        xml.open("Blob");
        write_name(&mut xml, "Name", Some(&blob.name));
        xml.open("Properties");
        xml.text_if(
            "Last-Modified",
            blob.last_modified.map(http_date).as_deref(),
        );
        xml.text("Etag", blob.etag.trim_matches('"'));
        xml.text("Content-Length", &blob.len.to_string());
        xml.text(
            "Content-Type",
            blob.content_type
                .as_deref()
                .unwrap_or("application/octet-stream"),
        );
        xml.text_if("Content-MD5", blob.content_md5.as_deref());
        xml.text("BlobType", "BlockBlob")
            .text("AccessTier", "Hot")
            .text("AccessTierInferred", "true");
        xml.text("LeaseStatus", "unlocked")
            .text("LeaseState", "available")
            .text("ServerEncrypted", "false");
        xml.close("Properties");
        if answer.include_metadata {
            write_metadata(&mut xml, &blob.metadata);
        }
        xml.close("Blob");
    }
    for prefix in &answer.page.prefixes {
        xml.open("BlobPrefix");
        write_name(&mut xml, "Name", Some(prefix));
        xml.close("BlobPrefix");
    }
    xml.close("Blobs");
    xml.text(
        "NextMarker",
        answer.page.next_marker.as_deref().unwrap_or_default(),
    );
    xml.close("EnumerationResults");
    xml.finish()
}

/// Writes one page of List Containers.
pub fn write_containers(answer: &ListContainersAnswer<'_>) -> String {
    let mut xml = XmlWriter::new();
    xml.raw("<EnumerationResults ServiceEndpoint=\"")
        .attribute_value(answer.service_endpoint)
        .raw("\">");
    xml.text_if("Prefix", answer.prefix)
        .text_if("Marker", answer.marker);
    xml.text_if(
        "MaxResults",
        answer.max_results.map(|n| n.to_string()).as_deref(),
    );
    xml.open("Containers");
    for container in answer.containers {
        xml.open("Container")
            .text("Name", &container.name)
            .open("Properties");
        xml.text("Last-Modified", &http_date(container.last_modified))
            .text("Etag", &container.etag);
        xml.text("LeaseStatus", "unlocked")
            .text("LeaseState", "available");
        xml.text("HasImmutabilityPolicy", "false")
            .text("HasLegalHold", "false");
        xml.close("Properties");
        if answer.include_metadata {
            write_metadata(&mut xml, &container.metadata);
        }
        xml.close("Container");
    }
    xml.close("Containers")
        .text("NextMarker", answer.next_marker.unwrap_or_default());
    xml.close("EnumerationResults");
    xml.finish()
}

/// Names may hold characters that XML 1.0 cannot: those are percent-encoded and marked, as in Azure since 2021-02-12.
fn write_name(xml: &mut XmlWriter, tag: &str, name: Option<&str>) {
    let Some(name) = name else { return };
    let forbidden = |c: char| matches!(c, '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    if name.contains(forbidden) {
        xml.raw("<")
            .raw(tag)
            .raw(" Encoded=\"true\">")
            .raw(&encode_blob(name))
            .close(tag);
    } else {
        xml.text(tag, name);
    }
}

fn write_metadata(xml: &mut XmlWriter, metadata: &[(String, String)]) {
    xml.open("Metadata");
    for (name, value) in metadata {
        xml.text(name, value);
    }
    xml.close("Metadata");
}

/// Reads one page of List Blobs. Entries that are not committed block blobs are kept: the caller sees what is there.
pub fn parse_blob_page(body: &[u8]) -> Result<BlobPage, XmlError> {
    with_root(body, "EnumerationResults", |root| {
        let list = child(root, "Blobs").ok_or(XmlError::Element("Blobs"))?;
        let mut page = BlobPage {
            next_marker: child_text(root, "NextMarker").map(str::to_owned),
            ..BlobPage::default()
        };
        for node in list.children().filter(|n| n.is_element()) {
            match node.tag_name().name() {
                "Blob" => page.blobs.push(read_blob(node)?),
                "BlobPrefix" => page.prefixes.push(read_name(node)?),
                _ => {}
            }
        }
        Ok(page)
    })
}

fn read_blob(node: Node<'_, '_>) -> Result<BlobEntry, XmlError> {
    let properties = child(node, "Properties").ok_or(XmlError::Element("Properties"))?;
    let len = child_text(properties, "Content-Length").and_then(|t| t.parse().ok());
    let etag = child_text(properties, "Etag")
        .unwrap_or_default()
        .trim_matches('"');
    let metadata = child(node, "Metadata").map(|list| {
        let pairs = list.children().filter(|n| n.is_element());
        pairs
            .map(|n| {
                (
                    n.tag_name().name().to_owned(),
                    n.text().unwrap_or_default().to_owned(),
                )
            })
            .collect()
    });
    Ok(BlobEntry {
        name: read_name(node)?,
        len: len.ok_or(XmlError::Element("Content-Length"))?,
        etag: format!("\"{etag}\""),
        last_modified: child_text(properties, "Last-Modified").and_then(parse_http_date),
        content_type: child_text(properties, "Content-Type").map(str::to_owned),
        content_md5: child_text(properties, "Content-MD5").map(str::to_owned),
        metadata: metadata.unwrap_or_default(),
    })
}

fn read_name(node: Node<'_, '_>) -> Result<String, XmlError> {
    let name = child(node, "Name").ok_or(XmlError::Element("Name"))?;
    let text = name.text().unwrap_or_default();
    if name.attribute("Encoded") == Some("true") {
        return decode(text).map_err(|_| XmlError::Element("Name"));
    }
    Ok(text.to_owned())
}
