//! Streams of what is said of moments: `StreamIndex` of the subtype `DATA` ([MS-SSTR] §2.2.2.3, with the scheme of its messages
//! as *Signaling Timed Metadata in Live Streaming* of Azure Media Services has it).
//!
//! Their fragments are few and far between, so the manifest holds what is in them (`ManifestOutput`). Two things are as they are for
//! players that look at every stream before they leave out those they cannot use: a codec is named (`DATA`), or dash.js and Shaka
//! Player stumble over what is missing; and chunks say no duration, or Shaka Player takes the time from the first message to the
//! last for that of the presentation. What lasts says so in its message.

use crate::text::{attribute, number_attribute};
use headwater_time::Timescale;

/// A stream of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sparse {
    /// Stream name.
    pub name: String,
    /// Name of the stream whose time it follows.
    pub parent: String,
    /// What the messages are.
    pub scheme: &'static str,
    /// With `{bitrate}`, which is 0, and `{start time}`.
    pub url: String,
    /// Of the messages' times.
    pub timescale: Timescale,
    /// By time. Of one moment there may be several.
    pub messages: Vec<Message>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When it plays, which is its fragment's time in the URL.
    pub start: u64,
    /// Base64.
    pub data: String,
}

impl Sparse {
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("  <StreamIndex");
        attribute(out, "Type", "text");
        attribute(out, "Subtype", "DATA");
        attribute(out, "Name", &self.name);
        number_attribute(out, "TimeScale", self.timescale.get().into());
        let count = u64::try_from(self.messages.len()).unwrap_or(u64::MAX);
        number_attribute(out, "Chunks", count);
        number_attribute(out, "QualityLevels", 1);
        attribute(out, "ParentStreamIndex", &self.parent);
        attribute(out, "ManifestOutput", "TRUE");
        attribute(out, "Url", &self.url);
        out.push_str(
            ">\n    <QualityLevel Index=\"0\" Bitrate=\"0\" FourCC=\"DATA\" CodecPrivateData=\"\">\
             <CustomAttributes><Attribute Name=\"Scheme\"",
        );
        attribute(out, "Value", self.scheme);
        out.push_str("/></CustomAttributes></QualityLevel>\n");
        for message in &self.messages {
            out.push_str("    <c");
            number_attribute(out, "t", message.start);
            out.push_str("><f>");
            // Base64 has nothing that XML would have to escape.
            out.push_str(&message.data);
            out.push_str("</f></c>\n");
        }
        out.push_str("  </StreamIndex>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_in_the_manifest() {
        let sparse = Sparse {
            name: "scte35".into(),
            parent: "video".into(),
            scheme: "urn:scte:scte35:2013:bin",
            url: "QualityLevels({bitrate})/Fragments(scte35={start time})".into(),
            timescale: Timescale::HUNDRED_NANOS,
            messages: vec![
                Message {
                    start: 600_000_000,
                    data: "/DA=".into(),
                },
                Message {
                    start: 900_000_000,
                    data: "/DB+".into(),
                },
            ],
        };
        let mut out = String::new();
        sparse.write(&mut out);
        let document = roxmltree::Document::parse(&out).unwrap();
        let stream = document.root_element();
        let of = |name: &str| stream.attribute(name).unwrap();
        assert_eq!(
            (of("Type"), of("Subtype"), of("Name"), of("Chunks")),
            ("text", "DATA", "scte35", "2")
        );
        assert_eq!(
            (of("ParentStreamIndex"), of("ManifestOutput")),
            ("video", "TRUE")
        );
        let scheme = document.descendants().find(|n| n.has_tag_name("Attribute"));
        let scheme = scheme.unwrap();
        assert_eq!(scheme.attribute("Name"), Some("Scheme"));
        assert_eq!(scheme.attribute("Value"), Some("urn:scte:scte35:2013:bin"));
        let chunks = stream.children().filter(|n| n.has_tag_name("c"));
        let chunks: Vec<_> = chunks
            .map(|c| {
                let data = c.children().find(|n| n.has_tag_name("f")).unwrap();
                (c.attribute("t"), data.text())
            })
            .collect();
        assert_eq!(
            chunks,
            [
                (Some("600000000"), Some("/DA=")),
                (Some("900000000"), Some("/DB+")),
            ]
        );
    }
}
