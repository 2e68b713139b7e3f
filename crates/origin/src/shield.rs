//! What a URL's `encryption` does to a presentation: key for track, bytes around samples, words for players.

use crate::address::{Encryption, Format};
use crate::codec::Decoder;
use crate::error::{Code, OriginError};
use crate::protection::{ContentKey, KeyOffer, KeySystem, Protection, SchemeProtection, Way};
use crate::tag::Tag;
use crate::transport;
use headwater_bmff::{BoxedKind, CodecConfig};
use headwater_cmaf::index::{TrackHead, TrackKind};
use headwater_live::CLOCK;
use headwater_plan::{SampleKey, ScanCodec};
use headwater_protect::hls::{KeyTag, Method};
use headwater_protect::init::InitProtection;
use headwater_protect::playready::PlayReadyHeader;
use headwater_protect::pssh::Pssh;
use headwater_protect::widevine::WidevineData;
use headwater_protect::{
    IvSpace, Kid, Period, ProtectError, Rotation, Scheme, SegmentProtection, dash, init, rotation,
    smooth, template,
};
use std::sync::Arc;

/// The encryption of one request. Where keys rotate, that of one period of it: of films, unless another is asked for.
#[derive(Clone)]
pub(crate) struct Shield {
    /// As it is stored.
    stored: Arc<Protection>,
    /// With the keys of the period.
    protection: Arc<Protection>,
    /// `None`: keys do not rotate.
    period: Option<Period>,
    /// Index of the scheme.
    scheme: usize,
    encryption: Encryption,
    /// Samples are those of MPEG-2 TS.
    transport: bool,
}

impl Shield {
    /// Errors: 403 if the locator has no such scheme.
    pub(crate) fn of(
        protection: Arc<Protection>,
        encryption: Encryption,
        format: Format,
    ) -> Result<Self, OriginError> {
        let way = match encryption {
            Encryption::Envelope => Way::Envelope,
            Encryption::Cenc | Encryption::Piff => Way::Cenc,
            Encryption::Cbcs => Way::Cbcs,
        };
        let scheme = protection.schemes.iter().position(|s| s.way == way);
        let scheme = scheme.ok_or_else(|| {
            OriginError::new(
                Code::EncryptionNotSetInDeliveryPolicy,
                "the streaming policy has no encryption of this kind",
            )
        })?;
        let shield = Self {
            stored: Arc::clone(&protection),
            protection,
            period: None,
            scheme,
            encryption,
            transport: matches!(format, Format::HlsTs(_)),
        };
        // A stored key is never given out, nor used, where keys rotate: it would be that of all periods.
        Ok(match shield.rotation() {
            Some(_) => shield.within(Period::FILM),
            None => shield,
        })
    }

    fn rotation(&self) -> Option<Rotation> {
        let scheme = self.stored.schemes.get(self.scheme);
        scheme.and_then(|scheme| scheme.rotation)
    }

    /// The period that live media is in which begins at `clock` of the event; `None` if keys do not rotate.
    ///
    /// What counts is when its row begins, which is the same for all tracks: keys change between segments only.
    pub(crate) fn period(&self, clock: i64) -> Option<Period> {
        let ticks = u64::try_from(clock).unwrap_or(0);
        Some(self.rotation()?.period(ticks, CLOCK.get()))
    }

    /// When a period of live media begins at the earliest, on the event's clock.
    pub(crate) fn earliest(&self, period: Period) -> Option<i64> {
        let start = period.start(self.rotation()?);
        i64::try_from(start.saturating_mul(CLOCK.get().into())).ok()
    }

    /// The encryption of live media in `period`; itself if keys do not rotate.
    pub(crate) fn in_period(&self, period: Option<Period>) -> Self {
        match (period, self.rotation()) {
            (Some(period), Some(_)) => self.within(period),
            _ => self.clone(),
        }
    }

    /// The encryption of live media whose row begins at `clock`.
    pub(crate) fn at(&self, clock: i64) -> Self {
        self.in_period(self.period(clock))
    }

    /// Whether keys rotate.
    pub(crate) fn rotates(&self) -> bool {
        self.rotation().is_some()
    }

    fn within(&self, period: Period) -> Self {
        if self.period == Some(period) {
            return self.clone();
        }
        let mut protection = Protection::clone(&self.stored);
        let scheme = protection.schemes.get_mut(self.scheme);
        for key in scheme.into_iter().flat_map(|scheme| &mut scheme.keys) {
            (key.kid, key.key) = rotation::derive(key.kid, &key.key, period);
        }
        Self {
            protection: Arc::new(protection),
            period: Some(period),
            ..self.clone()
        }
    }

    /// What Widevine is told of a key.
    fn widevine(&self, kid: Kid, scheme: Scheme) -> WidevineData {
        let data = WidevineData::new([kid], scheme);
        let keys = |protection: &Arc<Protection>| {
            let scheme = protection.schemes.get(self.scheme);
            scheme.map(|scheme| scheme.keys.iter().map(|key| key.kid).collect::<Vec<_>>())
        };
        let both = keys(&self.protection).zip(keys(&self.stored));
        let stored = both.and_then(|(own, stored)| {
            let mut pairs = own.into_iter().zip(stored);
            pairs.find(|(own, _)| *own == kid).map(|(_, stored)| stored)
        });
        match (self.period, stored) {
            (Some(period), Some(stored)) => data.in_period(stored, period),
            _ => data,
        }
    }

    fn scheme(&self) -> Result<&SchemeProtection, OriginError> {
        let scheme = self.protection.schemes.get(self.scheme);
        scheme.ok_or_else(|| OriginError::new(Code::Internal, "the streaming policy lost a scheme"))
    }

    /// Where our own key delivery is.
    pub(crate) fn delivery(&self) -> &str {
        &self.protection.key_url
    }

    /// How samples are encrypted; `None`: whole segments are.
    pub(crate) fn samples(&self) -> Option<Scheme> {
        match self.encryption {
            Encryption::Envelope => None,
            Encryption::Cenc => Some(Scheme::Cenc),
            Encryption::Cbcs => Some(Scheme::Cbcs),
            Encryption::Piff => Some(Scheme::Piff),
        }
    }

    /// The key of a track; `None` if the policy leaves it clear.
    ///
    /// Errors: 500 if there is none for it: nothing goes out in the clear for want of a key.
    pub(crate) fn key(&self, head: &TrackHead) -> Result<Option<&ContentKey>, OriginError> {
        self.key_for(&head.codec)
    }

    /// The key of a text track, by its codec: text is never encrypted sample by sample.
    ///
    /// Errors: as of [`Self::key`].
    pub(crate) fn text_key(&self, codec: &str) -> Result<Option<&ContentKey>, OriginError> {
        match self.samples() {
            Some(_) => Ok(None),
            None => self.key_for(codec),
        }
    }

    /// The same, by the track's codec string.
    pub(crate) fn key_for(&self, codec: &str) -> Result<Option<&ContentKey>, OriginError> {
        let scheme = self.scheme()?;
        if scheme.clear.select(codec) {
            return Ok(None);
        }
        let own = scheme.keys.iter().find(|k| k.tracks.select(codec));
        let key = own.or_else(|| scheme.keys.iter().find(|key| key.tracks.is_empty()));
        let none = || OriginError::new(Code::Internal, "the locator has no key for the track");
        key.map(Some).ok_or_else(none)
    }

    /// The key of a segment that holds several tracks: that of the first which is not clear.
    pub(crate) fn key_of<'a>(
        &self,
        heads: impl IntoIterator<Item = &'a TrackHead>,
    ) -> Result<Option<&ContentKey>, OriginError> {
        for head in heads {
            if let Some(key) = self.key(head)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// How a track's samples are protected; `None` if they are not.
    pub(crate) fn of_samples(
        &self,
        head: &TrackHead,
    ) -> Result<Option<(SegmentProtection, &ContentKey)>, OriginError> {
        let (Some(scheme), Some(key)) = (self.samples(), self.key(head)?) else {
            return Ok(None);
        };
        let protection = SegmentProtection {
            scheme,
            kid: key.kid,
            video: head.kind == TrackKind::Video,
            constant_iv: IvSpace::constant(key.kid),
        };
        Ok(Some((protection, key)))
    }

    /// What the samples of a track are encrypted with in a transport stream; `None` if they are not.
    pub(crate) fn stream_key(&self, head: &TrackHead) -> Result<Option<SampleKey>, OriginError> {
        if !self.transport || self.samples().is_none() {
            return Ok(None);
        }
        Ok(self.key(head)?.map(|key| SampleKey {
            key: key.key.clone(),
            iv: IvSpace::constant(key.kid),
        }))
    }

    /// Whether the track can be encrypted as asked.
    ///
    /// Errors: 415 for pictures whose samples nobody here can take apart, and for sound that transport streams have no
    /// encryption for.
    pub(crate) fn check(&self, head: &TrackHead) -> Result<(), OriginError> {
        if self.stream_key(head)?.is_some() {
            let refused = |why| OriginError::new(Code::FormatNotSupported, why);
            return transport::encryptable(head).map_err(refused);
        }
        let parted = head.kind == TrackKind::Video && self.of_samples(head)?.is_some();
        if parted && scan_codec(head).is_none() {
            let why = format!("{} cannot be encrypted sample by sample", head.codec);
            return Err(OriginError::new(Code::FormatNotSupported, why));
        }
        Ok(())
    }

    /// The init segment of a track.
    pub(crate) fn init(
        &self,
        head: &TrackHead,
        licence_data: LicenceData,
    ) -> Result<Vec<u8>, OriginError> {
        let Some((protection, key)) = self.of_samples(head)? else {
            return Ok(head.init.to_vec());
        };
        let pssh = self.pssh(protection.scheme, key, licence_data)?;
        let rewritten = InitProtection {
            scheme: protection.scheme,
            encryption: protection.encryption(),
            pssh: &pssh,
        };
        init::protect(&head.init, &rewritten).map_err(unprotectable)
    }

    fn pssh(
        &self,
        scheme: Scheme,
        key: &ContentKey,
        licence_data: LicenceData,
    ) -> Result<Vec<Vec<u8>>, OriginError> {
        let mut boxes = Vec::new();
        for offer in &self.scheme()?.offers {
            if !licence_data.is_for(offer.system) {
                continue;
            }
            let pssh = match offer.system {
                KeySystem::Widevine => self.widevine(key.kid, scheme).pssh(),
                KeySystem::PlayReady => self.playready(offer, scheme, &[key])?.pssh,
                KeySystem::ClearKey => Pssh::common([key.kid]),
                KeySystem::FairPlay => continue,
            };
            boxes.push(pssh.to_box().map_err(unprotectable)?);
        }
        Ok(boxes)
    }

    /// Where players get the key from, or a licence.
    fn url(&self, offer: &KeyOffer, kid: Kid) -> Result<String, OriginError> {
        let base = &self.protection.key_url;
        let envelope = self.encryption == Encryption::Envelope;
        let own = match offer.system {
            // Players of transport streams want the key itself; there is no EME for these.
            _ if envelope || (self.transport && offer.system == KeySystem::ClearKey) => {
                format!("{base}/?kid={kid}")
            }
            KeySystem::ClearKey => format!("{base}/ClearKey"),
            KeySystem::Widevine => format!("{base}/Widevine/?kid={kid}"),
            KeySystem::PlayReady => format!("{base}/PlayReady/"),
            KeySystem::FairPlay => format!("{base}/FairPlay/?kid={kid}"),
        };
        match offer.url_template.as_deref().filter(|t| !t.is_empty()) {
            None => Ok(own),
            Some(text) => {
                let media_id = self.protection.media_id.as_deref();
                template::fill(text, kid, media_id).map_err(unprotectable)
            }
        }
    }

    fn playready(
        &self,
        offer: &KeyOffer,
        scheme: Scheme,
        keys: &[&ContentKey],
    ) -> Result<PlayReady, OriginError> {
        let first = keys.first().ok_or_else(lost)?;
        let url = self.url(offer, first.kid)?;
        let keys: Vec<_> = keys.iter().map(|k| (k.kid, k.key.clone())).collect();
        let header = PlayReadyHeader {
            keys: &keys,
            scheme,
            license_url: Some(&url),
            custom_attributes: offer.custom_attributes.as_deref(),
        };
        let object = header.object().map_err(unprotectable)?;
        let pssh = header.pssh().map_err(unprotectable)?;
        Ok(PlayReady { url, object, pssh })
    }

    /// The key tags of a media playlist under `key`.
    ///
    /// Errors: 415 if none of the systems that the policy offers has a place in a transport stream.
    pub(crate) fn hls(&self, key: &ContentKey) -> Result<Vec<KeyTag>, OriginError> {
        let mut tags = Vec::new();
        for offer in &self.scheme()?.offers {
            let url = self.url(offer, key.kid)?;
            let Some(scheme) = self.samples() else {
                let iv = IvSpace::constant(key.kid);
                tags.push(KeyTag::identity(Method::Aes128, url, iv));
                continue;
            };
            tags.push(match offer.system {
                KeySystem::PlayReady | KeySystem::Widevine if self.transport => continue,
                KeySystem::ClearKey if self.transport => {
                    let iv = IvSpace::constant(key.kid);
                    KeyTag::identity(Method::SampleAes, url, iv)
                }
                KeySystem::ClearKey => KeyTag::clearkey(scheme, key.kid),
                KeySystem::FairPlay => KeyTag::fairplay(template::skd(&url)),
                KeySystem::PlayReady => {
                    KeyTag::playready(scheme, &self.playready(offer, scheme, &[key])?.object)
                }
                KeySystem::Widevine => {
                    let pssh = self.widevine(key.kid, scheme).pssh();
                    KeyTag::widevine(scheme, key.kid, &pssh).map_err(unprotectable)?
                }
            });
        }
        if tags.is_empty() {
            return Err(OriginError::new(
                Code::EncryptionNotSupported,
                "transport streams have FairPlay and ClearKey, which the policy does not offer",
            ));
        }
        Ok(tags)
    }

    /// The session keys of a multivariant playlist with these tracks.
    pub(crate) fn hls_session<'a>(
        &self,
        heads: impl IntoIterator<Item = &'a TrackHead>,
    ) -> Result<Vec<String>, OriginError> {
        let mut lines: Vec<String> = Vec::new();
        if self.samples().is_none() {
            return Ok(lines);
        }
        for head in heads {
            let Some(key) = self.key(head)? else { continue };
            for tag in self.hls(key)? {
                let line = tag.session_key_line();
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
        Ok(lines)
    }

    /// The `ContentProtection` elements of an adaptation set under `key`.
    pub(crate) fn dash(&self, key: &ContentKey) -> Result<Vec<String>, OriginError> {
        let offers = &self.scheme()?.offers;
        let mut elements = Vec::new();
        let Some(scheme) = self.samples() else {
            for offer in offers {
                let url = self.url(offer, key.kid)?;
                let iv = IvSpace::constant(key.kid);
                elements.push(dash::ContentProtection::envelope(&url, iv).to_string());
            }
            return Ok(elements);
        };
        elements.push(dash::ContentProtection::common(scheme, key.kid).to_string());
        for offer in offers {
            let url = self.url(offer, key.kid)?;
            match offer.system {
                KeySystem::Widevine => {
                    let pssh = self.widevine(key.kid, scheme).pssh();
                    elements.push(
                        dash::ContentProtection::widevine(&pssh, Some(&url))
                            .map_err(unprotectable)?
                            .to_string(),
                    );
                }
                KeySystem::PlayReady => {
                    let playready = self.playready(offer, scheme, &[key])?;
                    elements.push(
                        dash::ContentProtection::playready(&playready.pssh, Some(&playready.url))
                            .map_err(unprotectable)?
                            .to_string(),
                    );
                }
                KeySystem::ClearKey => {
                    // In this order: of several periods Shaka Player 5.2 joins the elements of a system with the first of the
                    // next period, and has no server if that names none.
                    elements.push(dash::ContentProtection::clearkey(&url).to_string());
                    let common = dash::ContentProtection::w3c(key.kid).map_err(unprotectable)?;
                    elements.push(common.to_string());
                }
                // HLS only.
                KeySystem::FairPlay => {}
            }
        }
        Ok(elements)
    }

    /// The `Protection` element of a Smooth manifest with these tracks; `None` if all of them are clear.
    ///
    /// Errors: 415 if nothing that the policy offers has a place there, or whole fragments are under several keys.
    pub(crate) fn smooth<'a>(
        &self,
        heads: impl IntoIterator<Item = &'a TrackHead>,
    ) -> Result<Option<String>, OriginError> {
        let mut keys: Vec<&ContentKey> = Vec::new();
        for head in heads {
            if let Some(key) = self.key(head)?
                && !keys.contains(&key)
            {
                keys.push(key);
            }
        }
        let Some(first) = keys.first() else {
            return Ok(None);
        };
        let scheme = self.scheme()?;
        let refused = |why: &str| OriginError::new(Code::EncryptionNotSupported, why.to_owned());
        let offer = |system: KeySystem| scheme.offers.iter().find(|o| o.system == system);
        let header = match self.samples() {
            None if keys.len() > 1 => {
                return Err(refused(
                    "Smooth Streaming has one key for whole fragments, and the tracks have several",
                ));
            }
            None => {
                let offer = offer(KeySystem::ClearKey).ok_or_else(lost)?;
                let iv = IvSpace::constant(first.kid);
                smooth::ProtectionHeader::envelope(&self.url(offer, first.kid)?, iv)
            }
            Some(scheme) => {
                let offer = offer(KeySystem::PlayReady).ok_or_else(|| {
                    refused("Smooth Streaming has PlayReady alone, which the policy does not offer")
                })?;
                let object = self.playready(offer, scheme, &keys)?.object;
                smooth::ProtectionHeader::playready(&object)
            }
        };
        Ok(Some(header.to_string()))
    }

    /// What the bytes of a track depend on: the scheme and the key's id, never the key.
    pub(crate) fn tag_bytes(&self, key: Option<&ContentKey>, tag: &mut Tag) {
        tag.text(self.encryption.value());
        tag.text(&key.map(|key| key.kid.to_string()).unwrap_or_default());
    }

    /// What manifests depend on.
    pub(crate) fn tag(&self, tag: &mut Tag) -> Result<(), OriginError> {
        let scheme = self.scheme()?;
        tag.text(self.encryption.value());
        tag.text(&self.protection.key_url);
        tag.text(self.protection.media_id.as_deref().unwrap_or_default());
        tag.text(&format!("{:?}", scheme.clear));
        if let Some(rotation) = scheme.rotation {
            tag.number(rotation.seconds().into());
        }
        for key in &scheme.keys {
            tag.text(&key.kid.to_string());
            tag.text(&format!("{:?}", key.tracks));
        }
        for offer in &scheme.offers {
            tag.text(&format!("{offer:?}"));
        }
        Ok(())
    }
}

/// Which systems' licence data an init segment has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LicenceData {
    /// None: CMAF has it in manifests.
    None,
    /// ClearKey's alone. hls.js has a licence of others from the playlist, but waits for the browser to find the keys of
    /// ClearKey in the media.
    ClearKey,
    /// All: older clients look for it here.
    All,
}

impl LicenceData {
    /// What clients of a format look for.
    pub(crate) fn of(format: Format) -> Self {
        match format {
            Format::DashCsf => Self::All,
            Format::HlsCmaf => Self::ClearKey,
            Format::DashCmaf | Format::HlsTs(_) | Format::Smooth(_) => Self::None,
        }
    }

    fn is_for(self, system: KeySystem) -> bool {
        match self {
            Self::None => false,
            Self::ClearKey => system == KeySystem::ClearKey,
            Self::All => true,
        }
    }
}

struct PlayReady {
    url: String,
    object: Vec<u8>,
    pssh: Pssh,
}

/// What it takes to find the subsamples of a track's samples.
pub(crate) fn scan_codec(head: &TrackHead) -> Option<ScanCodec> {
    match Decoder::of(head)?.config {
        CodecConfig::Avc(avc) => Some(ScanCodec::Avc {
            nal_length_size: avc.nal_length_size,
            sets: avc.sps.into_iter().chain(avc.pps).collect(),
        }),
        CodecConfig::Boxed(boxed) if boxed.kind == BoxedKind::Hevc => {
            Some(ScanCodec::Hevc(boxed.config))
        }
        CodecConfig::Boxed(boxed) if boxed.kind == BoxedKind::Av1 => {
            Some(ScanCodec::Av1(boxed.config))
        }
        _ => None,
    }
}

fn lost() -> OriginError {
    OriginError::new(Code::Internal, "the streaming policy offers no key system")
}

pub(crate) fn unprotectable(error: ProtectError) -> OriginError {
    OriginError::new(
        Code::FormatNotSupported,
        "the track cannot be encrypted as the streaming policy says",
    )
    .because(error)
}
