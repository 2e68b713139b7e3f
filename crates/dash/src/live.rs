//! MPDs of recordings: dynamic while they are made (ISO/IEC 23009-1 §5.3, §5.4 and DASH-IF IOP, low latency included),
//! static afterwards.
//!
//! A dynamic presentation's media times count from the Unix epoch, which is its availability start for ever; so nothing
//! that players remember of it changes from update to update. A Period ends where the parameters of a track change; time that
//! is missing within it counts to the segment in front.

use crate::events::EventStream;
use crate::mpd::{AdaptationSet, Profile, write_key_frames};
use crate::text::{attribute, duration, duration_attribute, number_attribute};
use headwater_time::Timescale;

/// A recording, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// What the segments are.
    pub profile: Profile,
    /// Whether it goes on.
    pub timing: Timing,
    /// Longest segment, milliseconds.
    pub longest_segment_ms: u64,
    /// Prefixes and URIs of the namespaces that adaptation sets' `protection` uses.
    pub namespaces: Vec<(&'static str, &'static str)>,
    /// Oldest first, not empty.
    pub periods: Vec<Period>,
}

/// Whether a recording goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timing {
    /// `type="dynamic"`.
    Dynamic(Dynamic),
    /// `type="static"`.
    Static {
        /// Length of the presentation.
        duration_ticks: u64,
        /// Of `duration_ticks`.
        timescale: Timescale,
    },
}

/// What clients of a dynamic presentation need to know. Times of day are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dynamic {
    /// When this description became true.
    pub published: String,
    /// The server's clock, for `urn:mpeg:dash:utc:direct:2014`.
    pub now: String,
    /// URL of that clock, relative to the MPD's, for `urn:mpeg:dash:utc:http-xsdate:2014`.
    pub clock: String,
    /// How soon to ask again, milliseconds.
    pub update_ms: u64,
    /// How far back segments are there, milliseconds.
    pub window_ms: u64,
    /// How far behind the newest moment to play, milliseconds.
    pub delay_ms: u64,
    /// With low latency: so far behind, and players may change their rate for it.
    pub latency_ms: Option<u64>,
}

/// A time with the same parameters of all tracks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// `@id`, the same in every update.
    pub id: String,
    /// From the presentation's start.
    pub start_ticks: u64,
    /// Of `start_ticks`.
    pub timescale: Timescale,
    /// Events whose moments are in it.
    pub events: Vec<EventStream>,
    /// In the order in which players list them.
    pub adaptation_sets: Vec<AdaptationSet>,
}

impl Recording {
    /// Renders the MPD.
    pub fn write(&self) -> String {
        let mut out = String::with_capacity(8 << 10);
        out.push_str(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"",
        );
        for (prefix, uri) in &self.namespaces {
            attribute(&mut out, &format!("xmlns:{prefix}"), uri);
        }
        out.push_str(match self.timing {
            Timing::Dynamic(_) => " type=\"dynamic\"",
            Timing::Static { .. } => " type=\"static\"",
        });
        out.push_str(" profiles=\"urn:mpeg:dash:profile:isoff-live:2011");
        if self.profile == Profile::Cmaf {
            out.push_str(",urn:mpeg:dash:profile:cmaf:2019");
        }
        out.push('"');
        match &self.timing {
            Timing::Static {
                duration_ticks,
                timescale,
            } => {
                out.push_str(" mediaPresentationDuration=\"");
                duration(&mut out, *duration_ticks, *timescale);
                out.push('"');
            }
            Timing::Dynamic(dynamic) => {
                attribute(&mut out, "availabilityStartTime", "1970-01-01T00:00:00Z");
                attribute(&mut out, "publishTime", &dynamic.published);
                duration_attribute(&mut out, "minimumUpdatePeriod", dynamic.update_ms);
                duration_attribute(&mut out, "timeShiftBufferDepth", dynamic.window_ms);
                duration_attribute(&mut out, "suggestedPresentationDelay", dynamic.delay_ms);
            }
        }
        duration_attribute(&mut out, "maxSegmentDuration", self.longest_segment_ms);
        let buffer = match &self.timing {
            Timing::Dynamic(Dynamic {
                latency_ms: Some(_),
                ..
            }) => 1_000,
            _ => self.longest_segment_ms,
        };
        duration_attribute(&mut out, "minBufferTime", buffer);
        out.push_str(">\n");
        if let Timing::Dynamic(Dynamic {
            latency_ms: Some(latency),
            ..
        }) = &self.timing
        {
            out.push_str("  <ServiceDescription id=\"0\"><Latency");
            number_attribute(&mut out, "target", *latency);
            number_attribute(&mut out, "min", latency.checked_div(2).unwrap_or_default());
            number_attribute(&mut out, "max", latency.saturating_mul(3));
            out.push_str("/><PlaybackRate min=\"0.96\" max=\"1.04\"/></ServiceDescription>\n");
        }
        for period in &self.periods {
            out.push_str("  <Period");
            attribute(&mut out, "id", &period.id);
            out.push_str(" start=\"");
            duration(&mut out, period.start_ticks, period.timescale);
            out.push_str("\">\n");
            for events in &period.events {
                events.write(&mut out);
            }
            for (index, set) in period.adaptation_sets.iter().enumerate() {
                let id = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
                set.write(&mut out, id, self.profile);
            }
            write_key_frames(&mut out, &period.adaptation_sets, self.profile);
            out.push_str("  </Period>\n");
        }
        if let Timing::Dynamic(dynamic) = &self.timing {
            // In the order of preference (ISO/IEC 23009-1 §5.8.4.11): what the text itself says is as old as the copy of it that
            // somebody has kept. It has to be last: ExoPlayer takes the last one, and does not resolve URLs there.
            let clocks = [("http-xsdate", &dynamic.clock), ("direct", &dynamic.now)];
            for (scheme, value) in clocks {
                out.push_str("  <UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:");
                out.push_str(scheme);
                out.push_str(":2014\"");
                attribute(&mut out, "value", value);
                out.push_str("/>\n");
            }
        }
        out.push_str("</MPD>\n");
        out
    }
}
