//! Who may have what, when: decided from the locator and the clock alone.

use crate::address::{Encryption, Format, Options, Protocol, Target, TsVersion};
use crate::error::{Code, OriginError};
use crate::ports::{Protocols, Published};
use jiff::Timestamp;

/// Whether `target` of the locator may be served at `now`. Where it leaves the encryption open and there is no choice, it
/// says afterwards which it is.
///
/// Errors, in this order: 404 for a suppressed locator and before its start, 410 from its end on, 503 without a
/// running endpoint; then what [`settle`], [`admit_options`] and the policy say.
pub(crate) fn admit<L>(
    published: &Published<L>,
    target: &mut Target,
    now: Timestamp,
) -> Result<(), OriginError> {
    let not_found = || OriginError::new(Code::ResourceNotFound, "there is nothing at this address");
    if published.suppressed || published.start.is_some_and(|start| now < start) {
        return Err(not_found());
    }
    if published.end.is_some_and(|end| now >= end) {
        return Err(OriginError::new(
            Code::LocatorExpired,
            "the streaming locator has ended",
        ));
    }
    if published.endpoints.is_empty() {
        return Err(OriginError::new(
            Code::EndpointNotRunning,
            "no streaming endpoint is running",
        ));
    }
    match target {
        Target::Manifest { options, .. }
        | Target::Fragment { options, .. }
        | Target::MediaPlaylist { options, .. } => {
            settle(options, published)?;
            admit_options(options, published)
        }
        Target::Time => Ok(()),
        Target::File { path } => admit_file(path, published.protocols),
    }
}

/// Fills in the encryption that a URL leaves open, where the policy has its protocol in no other way than with this one. URLs
/// of CMAF always say it, as in AMS: there the same segments are for players of several kinds.
///
/// Errors: 400 if the URL has to say it.
fn settle<L>(options: &mut Options, published: &Published<L>) -> Result<(), OriginError> {
    let format = options.format;
    if options.encryption.is_some() || enables(published.protocols, format) {
        return Ok(());
    }
    let encrypted = &published.encrypted;
    let mut ways = [
        (Encryption::Envelope, encrypted.envelope),
        (Encryption::Cenc, encrypted.cenc),
        (Encryption::Cbcs, encrypted.cbcs),
    ]
    .into_iter()
    .filter(|(way, protocols)| enables(*protocols, format) && goes_with(*way, format))
    .map(|(way, _)| way);
    let Some(first) = ways.next() else {
        // Refused for what is not enabled.
        return Ok(());
    };
    let rest: Vec<_> = ways.collect();
    if rest.is_empty() && !matches!(format, Format::HlsCmaf | Format::DashCmaf) {
        options.encryption = Some(first);
        return Ok(());
    }
    let values: Vec<_> = std::iter::once(first)
        .chain(rest)
        .map(|way| format!("encryption={}", way.value()))
        .collect();
    Err(OriginError::new(
        Code::EncryptionNotSpecified,
        format!(
            "this is served encrypted only, and the URL has to say how: {}",
            values.join(" or ")
        ),
    ))
}

fn enables(protocols: Protocols, format: Format) -> bool {
    match format.protocol() {
        Protocol::Hls => protocols.hls,
        Protocol::Dash => protocols.dash,
        Protocol::Smooth => protocols.smooth,
    }
}

/// Formats: 403 for those whose protocol the policy does not enable, or not in the clear and in no encryption that the format
/// goes with.
/// Encryption: 403 where the policy has none of that kind, and 415 where the format does not go with it. What a
/// policy only lets out encrypted never goes out in the clear.
fn admit_options<L>(options: &Options, published: &Published<L>) -> Result<(), OriginError> {
    let protocols = match options.encryption {
        None => published.protocols,
        Some(Encryption::Envelope) => published.encrypted.envelope,
        Some(Encryption::Cenc | Encryption::Piff) => published.encrypted.cenc,
        Some(Encryption::Cbcs) => published.encrypted.cbcs,
    };
    if options.encryption.is_some() && protocols == Protocols::default() {
        return Err(OriginError::new(
            Code::EncryptionNotSetInDeliveryPolicy,
            "the streaming policy has no encryption of this kind",
        ));
    }
    if !enables(protocols, options.format) {
        let encrypted = &published.encrypted;
        let mut schemes = [encrypted.envelope, encrypted.cenc, encrypted.cbcs].into_iter();
        if options.encryption.is_none() && schemes.any(|p| enables(p, options.format)) {
            return Err(OriginError::new(
                Code::EncryptionRequired,
                "this protocol is served encrypted only, in a way that does not go with this format",
            ));
        }
        return Err(OriginError::new(
            Code::OutputFormatBlocked,
            match options.encryption {
                None => "the streaming policy does not enable this protocol without encryption",
                Some(_) => {
                    "the streaming policy does not enable this protocol with this encryption"
                }
            },
        ));
    }
    if options
        .encryption
        .is_some_and(|e| !goes_with(e, options.format))
    {
        return Err(OriginError::new(
            Code::EncryptionNotSupported,
            "this format is not served with this encryption",
        ));
    }
    Ok(())
}

/// In transport streams samples are encrypted in Apple's own way, which goes by the name of FairPlay's scheme; where sound is
/// in the segments of the pictures, AMS had whole segments only.
fn goes_with(encryption: Encryption, format: Format) -> bool {
    match (encryption, format) {
        (Encryption::Envelope, _) => true,
        (Encryption::Cenc | Encryption::Piff, Format::HlsTs(_)) => false,
        (Encryption::Cbcs, Format::HlsTs(version)) => version != TsVersion::V3,
        (Encryption::Cenc, _) => true,
        (Encryption::Cbcs, format) => format.protocol() != Protocol::Smooth,
        (Encryption::Piff, format) => format.protocol() == Protocol::Smooth,
    }
}

/// Files: never the server manifest's family nor our own side files, as if they were not there; all others only if
/// the policy enables downloads. That includes pictures, which AMS served in no other way either.
fn admit_file(path: &str, protocols: Protocols) -> Result<(), OriginError> {
    let hidden = path.split('/').any(|element| element.starts_with('.'));
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    let manifest = ["ism", "ismc", "ismv", "isma", "ismt"]
        .iter()
        .any(|e| extension.eq_ignore_ascii_case(e));
    if hidden || manifest {
        return Err(OriginError::new(
            Code::ResourceNotFound,
            "there is nothing at this address",
        ));
    }
    if !protocols.download {
        return Err(OriginError::new(
            Code::OutputFormatBlocked,
            "the streaming policy does not enable downloads",
        ));
    }
    Ok(())
}

/// `Content-Type` of a stored file, by its name. What the store says is not repeated: a page that somebody uploaded
/// must not run as one of ours.
pub(crate) fn content_type(path: &str) -> &'static str {
    let extension = path
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
        .to_ascii_lowercase();
    match extension.as_str() {
        "mp4" | "m4v" | "cmfv" => "video/mp4",
        "m4a" | "cmfa" => "audio/mp4",
        "cmft" => "application/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "ts" => "video/mp2t",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "bmp" => "image/bmp",
        "webp" => "image/webp",
        "vtt" => "text/vtt; charset=utf-8",
        "ttml" => "application/ttml+xml",
        "json" => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::SmoothVersion;
    use crate::endpoints::Endpoint;
    use crate::ports::Encrypted;

    fn published() -> Published<()> {
        Published {
            start: Some("2026-06-01T00:00:00Z".parse().unwrap()),
            end: Some("2026-07-01T00:00:00Z".parse().unwrap()),
            suppressed: false,
            endpoints: vec![Endpoint::default()],
            protocols: Protocols {
                hls: true,
                dash: false,
                smooth: false,
                download: false,
            },
            encrypted: Encrypted::default(),
            filters: Vec::new(),
            place: String::new(),
            location: (),
            live: None,
        }
    }

    fn manifest(format: Format, encryption: Option<Encryption>) -> Target {
        Target::Manifest {
            name: "f".to_owned(),
            options: Options {
                encryption,
                ..Options::of(format)
            },
        }
    }

    fn refusal(published: &Published<()>, target: &Target, now: &str) -> Option<Code> {
        admit(published, &mut target.clone(), now.parse().unwrap())
            .err()
            .map(|e| e.code())
    }

    #[test]
    fn time_window_suppression_and_endpoint() {
        let hls = manifest(Format::HlsCmaf, None);
        assert_eq!(
            refusal(&published(), &hls, "2026-05-31T23:59:59Z"),
            Some(Code::ResourceNotFound)
        );
        assert_eq!(refusal(&published(), &hls, "2026-06-01T00:00:00Z"), None);
        assert_eq!(
            refusal(&published(), &hls, "2026-07-01T00:00:00Z"),
            Some(Code::LocatorExpired)
        );
        let suppressed = Published {
            suppressed: true,
            ..published()
        };
        assert_eq!(
            refusal(&suppressed, &hls, "2026-06-15T00:00:00Z"),
            Some(Code::ResourceNotFound)
        );
        let stopped = Published {
            endpoints: Vec::new(),
            ..published()
        };
        assert_eq!(
            refusal(&stopped, &hls, "2026-06-15T00:00:00Z"),
            Some(Code::EndpointNotRunning)
        );
    }

    #[test]
    fn formats_and_encryption() {
        let now = "2026-06-15T00:00:00Z";
        for (format, expected) in [
            (Format::HlsCmaf, None),
            (Format::DashCmaf, Some(Code::OutputFormatBlocked)),
            (
                Format::Smooth(SmoothVersion::V22),
                Some(Code::OutputFormatBlocked),
            ),
            (Format::HlsTs(TsVersion::V3), None),
            (Format::DashCsf, Some(Code::OutputFormatBlocked)),
        ] {
            assert_eq!(
                refusal(&published(), &manifest(format, None), now),
                expected,
                "{format:?}"
            );
        }
        let encrypted = manifest(Format::HlsCmaf, Some(Encryption::Cbcs));
        assert_eq!(
            refusal(&published(), &encrypted, now),
            Some(Code::EncryptionNotSetInDeliveryPolicy)
        );
    }

    #[test]
    fn what_is_to_be_encrypted_is_refused_and_never_plain() {
        let now = "2026-06-15T00:00:00Z";
        let hls = Protocols {
            hls: true,
            ..Protocols::default()
        };
        let dash = Protocols {
            dash: true,
            ..Protocols::default()
        };
        // HLS in the clear, DASH with cenc, HLS with cbcs.
        let mixed = Published {
            protocols: hls,
            encrypted: Encrypted {
                cenc: dash,
                cbcs: hls,
                ..Encrypted::default()
            },
            ..published()
        };
        let drm = Published {
            protocols: Protocols::default(),
            ..mixed.clone()
        };
        let blocked = Some(Code::OutputFormatBlocked);
        let unset = Some(Code::EncryptionNotSetInDeliveryPolicy);
        let unsupported = Some(Code::EncryptionNotSupported);
        let unspecified = Some(Code::EncryptionNotSpecified);
        let required = Some(Code::EncryptionRequired);
        let ts = Format::HlsTs(TsVersion::V4);
        let smooth = Format::Smooth(SmoothVersion::V22);
        for (format, encryption, on_mixed, on_drm) in [
            (Format::HlsCmaf, None, None, unspecified),
            (Format::DashCmaf, None, unspecified, unspecified),
            (smooth, None, blocked, blocked),
            (Format::HlsTs(TsVersion::V3), None, None, required),
            (Format::DashCmaf, Some(Encryption::Cenc), None, None),
            (Format::HlsCmaf, Some(Encryption::Cenc), blocked, blocked),
            (Format::HlsCmaf, Some(Encryption::Cbcs), None, None),
            (ts, Some(Encryption::Cbcs), None, None),
            (
                Format::HlsTs(TsVersion::V3),
                Some(Encryption::Cbcs),
                unsupported,
                unsupported,
            ),
            (Format::HlsCmaf, Some(Encryption::Envelope), unset, unset),
        ] {
            let target = manifest(format, encryption);
            let got = [&mixed, &drm].map(|published| refusal(published, &target, now));
            assert_eq!(got, [on_mixed, on_drm], "{format:?} {encryption:?}");
        }
    }

    #[test]
    fn an_encryption_that_is_left_open_is_the_only_one_there_is() {
        let all = Protocols {
            hls: true,
            dash: true,
            smooth: true,
            download: false,
        };
        let settled = |encrypted: Encrypted, format: Format| {
            let published = Published {
                protocols: Protocols::default(),
                encrypted,
                ..published()
            };
            let mut target = manifest(format, None);
            let now = "2026-06-15T00:00:00Z".parse().unwrap();
            admit(&published, &mut target, now)
                .map(|()| match target {
                    Target::Manifest { options, .. } => options.encryption,
                    other => panic!("{other:?}"),
                })
                .map_err(|e| e.code())
        };
        let envelope = Encrypted {
            envelope: all,
            ..Encrypted::default()
        };
        let both = Encrypted {
            cenc: all,
            cbcs: all,
            ..Encrypted::default()
        };
        let smooth = Format::Smooth(SmoothVersion::V22);
        let v3 = Format::HlsTs(TsVersion::V3);
        let v4 = Format::HlsTs(TsVersion::V4);
        let open = Err(Code::EncryptionNotSpecified);
        for (format, with_envelope, with_both) in [
            (smooth, Ok(Encryption::Envelope), Ok(Encryption::Cenc)),
            (Format::DashCsf, Ok(Encryption::Envelope), open),
            (v4, Ok(Encryption::Envelope), Ok(Encryption::Cbcs)),
            (v3, Ok(Encryption::Envelope), Err(Code::EncryptionRequired)),
            (Format::HlsCmaf, open, open),
            (Format::DashCmaf, open, open),
        ] {
            assert_eq!(
                settled(envelope, format),
                with_envelope.map(Some),
                "{format:?}"
            );
            assert_eq!(settled(both, format), with_both.map(Some), "{format:?}");
        }
    }

    #[test]
    fn files() {
        let now = "2026-06-15T00:00:00Z";
        let file = |path: &str| Target::File {
            path: path.to_owned(),
        };
        assert_eq!(
            refusal(&published(), &file("poster.jpg"), now),
            Some(Code::OutputFormatBlocked)
        );
        let mut open = published();
        open.protocols.download = true;
        assert_eq!(refusal(&open, &file("poster.jpg"), now), None);
        for hidden in [
            "film.ism",
            "film.ISMC",
            "sub/film.ismv",
            ".headwater/film.mp4.hwx",
            "sub/.headwater/x",
        ] {
            assert_eq!(
                refusal(&open, &file(hidden), now),
                Some(Code::ResourceNotFound),
                "{hidden}"
            );
        }
        assert_eq!(content_type("a.b/page.html"), "application/octet-stream");
        assert_eq!(content_type("x.JPG"), "image/jpeg");
    }
}
