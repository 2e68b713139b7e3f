//! Events of a Period: `EventStream` (ISO/IEC 23009-1 §5.10.2) and what media carries of them (§5.10.3).

use crate::text::{attribute, number_attribute};
use headwater_time::Timescale;

/// Scheme of events that hold a splice section in XML (ANSI/SCTE 214-1).
pub const SPLICE_SCHEME: &str = "urn:scte:scte35:2014:xml+bin";

/// Scheme of Adobe's simple mode, whose events have no content.
pub const SIMPLE_SCHEME: &str = "urn:com:adobe:dpi:simple:2015";

/// Events of one scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventStream {
    /// `@schemeIdUri`.
    pub scheme: &'static str,
    /// `@value`.
    pub value: Option<&'static str>,
    /// Of every tick here.
    pub timescale: Timescale,
    /// The time that is Period time 0.
    pub presentation_time_offset: u64,
    /// By their times.
    pub events: Vec<Event>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `@id`: the same event has the same in every update.
    pub id: u32,
    /// `@presentationTime`.
    pub time: u64,
    /// `@duration`; `None`: nobody knows.
    pub duration: Option<u64>,
    /// A splice section in base64.
    pub section: Option<String>,
}

impl EventStream {
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("    <EventStream");
        attribute(out, "schemeIdUri", self.scheme);
        if let Some(value) = self.value {
            attribute(out, "value", value);
        }
        number_attribute(out, "timescale", self.timescale.get().into());
        number_attribute(out, "presentationTimeOffset", self.presentation_time_offset);
        out.push_str(">\n");
        for event in &self.events {
            out.push_str("      <Event");
            number_attribute(out, "presentationTime", event.time);
            if let Some(duration) = event.duration {
                number_attribute(out, "duration", duration);
            }
            number_attribute(out, "id", event.id.into());
            match &event.section {
                None => out.push_str("/>\n"),
                Some(section) => {
                    out.push_str("><Signal xmlns=\"http://www.scte.org/schemas/35/2016\"><Binary>");
                    out.push_str(section);
                    out.push_str("</Binary></Signal></Event>\n");
                }
            }
        }
        out.push_str("    </EventStream>\n");
    }
}

/// Messages that media carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inband {
    /// `@schemeIdUri`.
    pub scheme: String,
    /// `@value`; empty: left out.
    pub value: String,
}

impl Inband {
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("      <InbandEventStream");
        attribute(out, "schemeIdUri", &self.scheme);
        if !self.value.is_empty() {
            attribute(out, "value", &self.value);
        }
        out.push_str("/>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_written_with_their_sections() {
        let mut out = String::new();
        EventStream {
            scheme: SPLICE_SCHEME,
            value: Some("scte35"),
            timescale: Timescale::MPEG,
            presentation_time_offset: 90_000,
            events: vec![
                Event {
                    id: 7,
                    time: 180_000,
                    duration: Some(2_700_000),
                    section: Some("/Ao=".into()),
                },
                Event {
                    id: 8,
                    time: 270_000,
                    duration: None,
                    section: None,
                },
            ],
        }
        .write(&mut out);
        let document = roxmltree::Document::parse(&out).unwrap();
        let stream = document.root_element();
        assert_eq!(stream.attribute("presentationTimeOffset"), Some("90000"));
        let events: Vec<_> = stream.children().filter(|node| node.is_element()).collect();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].attribute("duration"), Some("2700000"));
        let binary = events[0]
            .descendants()
            .find(|node| node.has_tag_name(("http://www.scte.org/schemas/35/2016", "Binary")));
        assert_eq!(binary.and_then(|node| node.text()), Some("/Ao="));
        assert_eq!(events[1].attribute("duration"), None);
    }
}
