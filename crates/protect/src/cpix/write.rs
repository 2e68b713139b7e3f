//! CPIX documents as XML, members in the order of the schema.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{AudioFilter, ContentKey, Cpix, DrmSystem, KeyPeriod, UsageRule, VideoFilter};
use crate::text::Element;

impl Cpix {
    /// The document. It has the keys in it.
    pub fn to_xml(&self) -> String {
        let root = Element::new("CPIX")
            .with("xmlns", "urn:dashif:org:cpix")
            .with("xmlns:pskc", "urn:ietf:params:xml:ns:keyprov:pskc")
            .maybe("contentId", self.content_id.clone())
            .maybe("version", self.version.clone())
            .list("ContentKeyList", self.keys.iter().map(key))
            .list("DRMSystemList", self.systems.iter().map(system))
            .list("ContentKeyPeriodList", self.periods.iter().map(period))
            .list("ContentKeyUsageRuleList", self.rules.iter().map(rule));
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{root}\n")
    }
}

fn number(value: Option<u64>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn flag(value: Option<bool>) -> Option<&'static str> {
    value.map(|value| if value { "true" } else { "false" })
}

fn key(key: &ContentKey) -> Element {
    let made = Element::new("ContentKey")
        .with("kid", key.kid.to_string())
        .maybe("explicitIV", key.explicit_iv.map(|iv| STANDARD.encode(iv)))
        .maybe(
            "commonEncryptionScheme",
            key.scheme.map(|scheme| scheme.name()),
        );
    match &key.value {
        None => made,
        Some(value) => {
            let value = Element::new("pskc:PlainValue").text(STANDARD.encode(value.expose()));
            made.child(Element::new("Data").child(Element::new("pskc:Secret").child(value)))
        }
    }
}

fn system(system: &DrmSystem) -> Element {
    let mut made = Element::new("DRMSystem")
        .maybe("kid", system.kid.map(|kid| kid.to_string()))
        .with("systemId", system.system.to_string());
    let text = |name, value: &[u8]| Element::new(name).text(STANDARD.encode(value));
    if let Some(pssh) = &system.pssh {
        made = made.child(text("PSSH", pssh));
    }
    if let Some(xml) = &system.content_protection {
        made = made.child(text("ContentProtectionData", xml.as_bytes()));
    }
    for (playlist, lines) in [("media", &system.hls_media), ("master", &system.hls_master)] {
        if let Some(lines) = lines {
            made =
                made.child(text("HLSSignalingData", lines.as_bytes()).with("playlist", playlist));
        }
    }
    if let Some(header) = &system.smooth_header {
        made = made.child(Element::new("SmoothStreamingProtectionHeaderData").text(header.clone()));
    }
    made
}

fn period(period: &KeyPeriod) -> Element {
    Element::new("ContentKeyPeriod")
        .with("id", period.id.clone())
        .maybe("index", number(period.index))
        .maybe("start", period.start.clone())
        .maybe("end", period.end.clone())
}

fn rule(rule: &UsageRule) -> Element {
    let mut made = Element::new("ContentKeyUsageRule")
        .maybe("kid", rule.kid.map(|kid| kid.to_string()))
        .maybe("intendedTrackType", rule.intended_track_type.clone());
    for period in &rule.periods {
        made = made.child(Element::new("KeyPeriodFilter").with("periodId", period.clone()));
    }
    for label in &rule.labels {
        made = made.child(Element::new("LabelFilter").with("label", label.clone()));
    }
    for filter in &rule.video {
        made = made.child(video(filter));
    }
    for filter in &rule.audio {
        made = made.child(audio(filter));
    }
    for (least, most) in &rule.bitrate {
        made = made.child(
            Element::new("BitrateFilter")
                .maybe("minBitrate", number(*least))
                .maybe("maxBitrate", number(*most)),
        );
    }
    made
}

fn video(filter: &VideoFilter) -> Element {
    Element::new("VideoFilter")
        .maybe("minPixels", number(filter.min_pixels))
        .maybe("maxPixels", number(filter.max_pixels))
        .maybe("hdr", flag(filter.hdr))
        .maybe("wcg", flag(filter.wcg))
        .maybe("minFps", number(filter.min_fps))
        .maybe("maxFps", number(filter.max_fps))
}

fn audio(filter: &AudioFilter) -> Element {
    Element::new("AudioFilter")
        .maybe("minChannels", number(filter.min_channels))
        .maybe("maxChannels", number(filter.max_channels))
}
