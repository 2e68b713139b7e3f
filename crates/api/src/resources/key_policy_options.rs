//! The options of a content key policy, read field by field, so that what is stored is what key delivery understands.
//! Spec: the management API reference, 2.7.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

use headwater_catalog::names;

use crate::error::ApiError;
use crate::fields::Object;

/// Most licences of a configuration, and most further keys of a restriction.
pub(crate) const MOST: usize = 30;
/// Longest name of an option.
pub(crate) const LONGEST_NAME: usize = 260;
/// Most claims that a token must have (AMS quota).
pub(crate) const MOST_CLAIMS: usize = 30;
/// Shortest shared secret of a token restriction: what `headwater_keys::VerificationKey` takes.
const LEAST_SYMMETRIC_BYTES: usize = 32;

const PREFIX: &str = "#Microsoft.Media.ContentKeyPolicy";

/// One option as it is kept: AMS's names, discriminators complete, secrets included.
pub(super) fn option(option: &Object<'_>) -> Result<Json, ApiError> {
    option.only(&["name", "policyOptionId", "configuration", "restriction"])?;
    let mut out = Map::new();
    if let Some(name) = option.text("name")? {
        names::text(&option.path("name"), Some(&name), LONGEST_NAME)?;
        out.insert("name".into(), name.into());
    }
    let configuration = option.required_object("configuration")?;
    out.insert("configuration".into(), self::configuration(&configuration)?);
    let restriction = option.required_object("restriction")?;
    out.insert("restriction".into(), self::restriction(&restriction)?);
    Ok(Json::Object(out))
}

/// What an object with a discriminator is made into: its members in AMS's names.
struct Made<'o, 'a> {
    from: &'o Object<'a>,
    members: Map<String, Json>,
}

impl<'o, 'a> Made<'o, 'a> {
    /// `kind`: without `#Microsoft.Media.ContentKeyPolicy`; `known`: the members it may have.
    fn new(from: &'o Object<'a>, kind: &str, known: &[&str]) -> Result<Self, ApiError> {
        let known: Vec<_> = known.iter().chain(&["@odata.type"]).copied().collect();
        from.only(&known)?;
        let mut members = Map::new();
        members.insert("@odata.type".into(), format!("{PREFIX}{kind}").into());
        Ok(Self { from, members })
    }

    /// An object without a discriminator.
    fn plain(from: &'o Object<'a>, known: &[&str]) -> Result<Self, ApiError> {
        from.only(known)?;
        Ok(Self {
            from,
            members: Map::new(),
        })
    }

    fn set(&mut self, member: &str, value: impl Into<Json>) {
        self.members.insert(member.into(), value.into());
    }

    fn keep(&mut self, member: &str, value: Option<impl Into<Json>>) {
        if let Some(value) = value {
            self.set(member, value);
        }
    }

    fn required(&mut self, member: &str, value: Option<impl Into<Json>>) -> Result<(), ApiError> {
        let value = self.from.required(member, value)?;
        self.set(member, value);
        Ok(())
    }

    fn text(&mut self, member: &str) -> Result<(), ApiError> {
        let value = self.from.text(member)?;
        self.keep(member, value);
        Ok(())
    }

    fn required_text(&mut self, member: &str) -> Result<(), ApiError> {
        let value = self.from.text(member)?;
        self.required(member, value)
    }

    fn required_flag(&mut self, member: &str) -> Result<(), ApiError> {
        let value = self.from.flag(member)?;
        self.required(member, value)
    }

    /// A number of at most `most`.
    fn number(&mut self, member: &str, most: u64) -> Result<(), ApiError> {
        let value = self.from.whole(member)?;
        if value.is_some_and(|value| value > most) {
            return Err(ApiError::invalid(
                self.from.path(member),
                format!("must be at most {most}"),
            ));
        }
        self.keep(member, value);
        Ok(())
    }

    fn required_number(&mut self, member: &str, most: u64) -> Result<(), ApiError> {
        self.number(member, most)?;
        self.there(member)
    }

    fn there(&self, member: &str) -> Result<(), ApiError> {
        self.from
            .required(member, self.members.get(member))
            .map(drop)
    }

    /// Base64, of at least `least` bytes.
    fn required_bytes(&mut self, member: &str, least: usize) -> Result<Vec<u8>, ApiError> {
        let text = self.from.required_text(member)?;
        let bytes = STANDARD
            .decode(&text)
            .map_err(|_| ApiError::invalid(self.from.path(member), "must be standard base64"))?;
        if bytes.len() < least {
            return Err(ApiError::invalid(
                self.from.path(member),
                format!("must have at least {least} bytes"),
            ));
        }
        self.set(member, text);
        Ok(bytes)
    }

    fn one_of(&mut self, member: &str, names: &[&'static str]) -> Result<(), ApiError> {
        let value = self.from.one_of(member, names, |text| {
            names.iter().find(|name| **name == text).copied()
        })?;
        self.keep(member, value);
        Ok(())
    }

    fn required_one_of(&mut self, member: &str, names: &[&'static str]) -> Result<(), ApiError> {
        self.one_of(member, names)?;
        self.there(member)
    }

    /// An ISO 8601 duration, as it came.
    fn duration(&mut self, member: &str) -> Result<(), ApiError> {
        let text = self.from.text(member)?;
        if let Some(text) = &text
            && !(text.starts_with('P') && text.parse::<jiff::Span>().is_ok())
        {
            return Err(ApiError::invalid(
                self.from.path(member),
                "must be an ISO 8601 duration, for instance PT1H",
            ));
        }
        self.keep(member, text);
        Ok(())
    }

    fn time(&mut self, member: &str) -> Result<(), ApiError> {
        let time = self.from.time(member)?;
        self.keep(member, time.map(|time| time.to_string()));
        Ok(())
    }

    fn json(self) -> Json {
        Json::Object(self.members)
    }
}

/// The discriminator, without its prefixes.
fn kind<'a>(object: &Object<'a>) -> Result<&'a str, ApiError> {
    let kind = object.required(
        "@odata.type",
        object.get("@odata.type").and_then(Json::as_str),
    )?;
    let bare = kind.strip_prefix("#Microsoft.Media.").unwrap_or(kind);
    Ok(bare.strip_prefix("ContentKeyPolicy").unwrap_or(bare))
}

fn unknown(object: &Object<'_>, kind: &str, known: &[&str]) -> ApiError {
    ApiError::invalid(
        object.path("@odata.type"),
        format!("'{kind}' is not one of {}", known.join(", ")),
    )
}

fn configuration(object: &Object<'_>) -> Result<Json, ApiError> {
    match kind(object)? {
        "ClearKeyConfiguration" => Ok(Made::new(object, "ClearKeyConfiguration", &[])?.json()),
        "WidevineConfiguration" => {
            let mut made = Made::new(object, "WidevineConfiguration", &["widevineTemplate"])?;
            made.required_text("widevineTemplate")?;
            let template = object.required_text("widevineTemplate")?;
            match serde_json::from_str::<Json>(&template) {
                Ok(Json::Object(_)) => Ok(made.json()),
                _ => Err(ApiError::invalid(
                    object.path("widevineTemplate"),
                    "must be a JSON object as text; {} takes the defaults",
                )),
            }
        }
        "PlayReadyConfiguration" => playready(object),
        "FairPlayConfiguration" => fairplay(object),
        other => Err(unknown(
            object,
            other,
            &[
                "ContentKeyPolicyClearKeyConfiguration",
                "ContentKeyPolicyWidevineConfiguration",
                "ContentKeyPolicyPlayReadyConfiguration",
                "ContentKeyPolicyFairPlayConfiguration",
            ],
        )),
    }
}

fn fairplay(object: &Object<'_>) -> Result<Json, ApiError> {
    let mut made = Made::new(
        object,
        "FairPlayConfiguration",
        &[
            "ask",
            "fairPlayPfx",
            "fairPlayPfxPassword",
            "rentalAndLeaseKeyType",
            "rentalDuration",
            "offlineRentalConfiguration",
        ],
    )?;
    let ask = made.required_bytes("ask", 16)?;
    if ask.len() != 16 {
        return Err(ApiError::invalid(object.path("ask"), "must have 16 bytes"));
    }
    made.required_bytes("fairPlayPfx", 1)?;
    made.required_text("fairPlayPfxPassword")?;
    made.required_one_of(
        "rentalAndLeaseKeyType",
        &[
            "Undefined",
            "DualExpiry",
            "PersistentUnlimited",
            "PersistentLimited",
        ],
    )?;
    made.required_number("rentalDuration", u32::MAX.into())?;
    if let Some(offline) = object.object("offlineRentalConfiguration")? {
        let known = ["playbackDurationSeconds", "storageDurationSeconds"];
        let mut rental = Made::plain(&offline, &known)?;
        for member in known {
            rental.required_number(member, u32::MAX.into())?;
        }
        let rental = rental.json();
        made.set("offlineRentalConfiguration", rental);
    }
    Ok(made.json())
}

fn playready(object: &Object<'_>) -> Result<Json, ApiError> {
    let mut made = Made::new(
        object,
        "PlayReadyConfiguration",
        &["licenses", "responseCustomData"],
    )?;
    let licenses = object.objects("licenses")?;
    let licenses = object.required("licenses", licenses)?;
    if licenses.is_empty() || licenses.len() > MOST {
        return Err(ApiError::invalid(
            object.path("licenses"),
            format!("must have 1 to {MOST} members"),
        ));
    }
    let licenses: Vec<_> = licenses.iter().map(license).collect::<Result<_, _>>()?;
    made.set("licenses", licenses);
    made.text("responseCustomData")?;
    Ok(made.json())
}

fn license(license: &Object<'_>) -> Result<Json, ApiError> {
    let mut made = Made::plain(
        license,
        &[
            "allowTestDevices",
            "securityLevel",
            "beginDate",
            "expirationDate",
            "relativeBeginDate",
            "relativeExpirationDate",
            "gracePeriod",
            "playRight",
            "licenseType",
            "contentKeyLocation",
            "contentType",
        ],
    )?;
    made.required_flag("allowTestDevices")?;
    made.one_of("securityLevel", &["Unknown", "SL150", "SL2000", "SL3000"])?;
    for member in ["beginDate", "expirationDate"] {
        made.time(member)?;
    }
    for member in ["relativeBeginDate", "relativeExpirationDate", "gracePeriod"] {
        made.duration(member)?;
    }
    made.required_one_of("licenseType", &["NonPersistent", "Persistent"])?;
    made.required_one_of(
        "contentType",
        &["Unspecified", "UltraVioletDownload", "UltraVioletStreaming"],
    )?;
    let location = license.required_object("contentKeyLocation")?;
    let location = match kind(&location)? {
        "PlayReadyContentEncryptionKeyFromHeader" => {
            Made::new(&location, "PlayReadyContentEncryptionKeyFromHeader", &[])?.json()
        }
        "PlayReadyContentEncryptionKeyFromKeyIdentifier" => {
            let id = location.uuid("keyId")?;
            let id = location.required("keyId", id)?;
            let mut from = Made::new(
                &location,
                "PlayReadyContentEncryptionKeyFromKeyIdentifier",
                &["keyId"],
            )?;
            from.set("keyId", id.to_string());
            from.json()
        }
        other => {
            return Err(unknown(
                &location,
                other,
                &[
                    "ContentKeyPolicyPlayReadyContentEncryptionKeyFromHeader",
                    "ContentKeyPolicyPlayReadyContentEncryptionKeyFromKeyIdentifier",
                ],
            ));
        }
    };
    made.set("contentKeyLocation", location);
    if let Some(right) = license.object("playRight")? {
        made.set("playRight", play_right(&right)?);
    }
    Ok(made.json())
}

fn play_right(right: &Object<'_>) -> Result<Json, ApiError> {
    const FLAGS: [&str; 3] = [
        "digitalVideoOnlyContentRestriction",
        "imageConstraintForAnalogComponentVideoRestriction",
        "imageConstraintForAnalogComputerMonitorRestriction",
    ];
    const LEVELS: [&str; 5] = [
        "uncompressedDigitalVideoOpl",
        "compressedDigitalVideoOpl",
        "analogVideoOpl",
        "compressedDigitalAudioOpl",
        "uncompressedDigitalAudioOpl",
    ];
    const SMALL: [&str; 2] = ["scmsRestriction", "agcAndColorStripeRestriction"];
    let known: Vec<_> = FLAGS
        .into_iter()
        .chain(LEVELS)
        .chain(SMALL)
        .chain([
            "firstPlayExpiration",
            "explicitAnalogTelevisionOutputRestriction",
            "allowPassingVideoContentToUnknownOutput",
        ])
        .collect();
    let mut made = Made::plain(right, &known)?;
    for member in FLAGS {
        made.required_flag(member)?;
    }
    for member in SMALL {
        made.number(member, 3)?;
    }
    for member in LEVELS {
        made.number(member, 1000)?;
    }
    made.duration("firstPlayExpiration")?;
    made.required_one_of(
        "allowPassingVideoContentToUnknownOutput",
        &["NotAllowed", "Allowed", "AllowedWithVideoConstriction"],
    )?;
    if let Some(analog) = right.object("explicitAnalogTelevisionOutputRestriction")? {
        let mut restriction = Made::plain(&analog, &["bestEffort", "configurationData"])?;
        restriction.required_flag("bestEffort")?;
        restriction.required_number("configurationData", 3)?;
        let restriction = restriction.json();
        made.set("explicitAnalogTelevisionOutputRestriction", restriction);
    }
    Ok(made.json())
}

fn restriction(object: &Object<'_>) -> Result<Json, ApiError> {
    match kind(object)? {
        "OpenRestriction" => Ok(Made::new(object, "OpenRestriction", &[])?.json()),
        "TokenRestriction" => token_restriction(object),
        other => Err(unknown(
            object,
            other,
            &[
                "ContentKeyPolicyOpenRestriction",
                "ContentKeyPolicyTokenRestriction",
            ],
        )),
    }
}

fn token_restriction(object: &Object<'_>) -> Result<Json, ApiError> {
    let mut made = Made::new(
        object,
        "TokenRestriction",
        &[
            "issuer",
            "audience",
            "restrictionTokenType",
            "primaryVerificationKey",
            "alternateVerificationKeys",
            "requiredClaims",
            "openIdConnectDiscoveryDocument",
        ],
    )?;
    made.required_text("issuer")?;
    made.required_text("audience")?;
    made.required_one_of("restrictionTokenType", &["Jwt", "Swt"])?;
    let discovery = object.text("openIdConnectDiscoveryDocument")?;
    if let Some(url) = &discovery
        && !url.parse::<http::Uri>().is_ok_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()
        })
    {
        return Err(ApiError::invalid(
            object.path("openIdConnectDiscoveryDocument"),
            "must be an http or https URL",
        ));
    }
    match object.object("primaryVerificationKey")? {
        Some(key) => {
            let key = verification_key(&key)?;
            made.set("primaryVerificationKey", key);
        }
        None if discovery.is_some() => {}
        None => {
            return Err(ApiError::invalid(
                object.path("primaryVerificationKey"),
                "is required, unless openIdConnectDiscoveryDocument says where keys are",
            ));
        }
    }
    made.keep("openIdConnectDiscoveryDocument", discovery);
    if let Some(keys) = object.objects("alternateVerificationKeys")? {
        if keys.len() > MOST {
            return Err(ApiError::invalid(
                object.path("alternateVerificationKeys"),
                format!("must have at most {MOST} members"),
            ));
        }
        let keys: Vec<_> = keys
            .iter()
            .map(verification_key)
            .collect::<Result<_, _>>()?;
        made.set("alternateVerificationKeys", keys);
    }
    if let Some(claims) = object.objects("requiredClaims")? {
        if claims.len() > MOST_CLAIMS {
            return Err(ApiError::invalid(
                object.path("requiredClaims"),
                format!("must have at most {MOST_CLAIMS} members"),
            ));
        }
        let claims: Vec<_> = claims
            .iter()
            .map(|claim| {
                let mut made = Made::plain(claim, &["claimType", "claimValue"])?;
                made.required_text("claimType")?;
                made.text("claimValue")?;
                Ok(made.json())
            })
            .collect::<Result<_, ApiError>>()?;
        made.set("requiredClaims", claims);
    }
    Ok(made.json())
}

fn verification_key(key: &Object<'_>) -> Result<Json, ApiError> {
    match kind(key)? {
        "SymmetricTokenKey" => {
            let mut made = Made::new(key, "SymmetricTokenKey", &["keyValue"])?;
            // Key delivery takes no shorter ones (RFC 7518 §3.2).
            made.required_bytes("keyValue", LEAST_SYMMETRIC_BYTES)?;
            Ok(made.json())
        }
        "RsaTokenKey" => {
            let mut made = Made::new(key, "RsaTokenKey", &["exponent", "modulus"])?;
            made.required_bytes("exponent", 1)?;
            made.required_bytes("modulus", 128)?;
            Ok(made.json())
        }
        "X509CertificateTokenKey" => {
            let mut made = Made::new(key, "X509CertificateTokenKey", &["rawBody"])?;
            made.required_bytes("rawBody", 1)?;
            Ok(made.json())
        }
        other => Err(unknown(
            key,
            other,
            &[
                "ContentKeyPolicySymmetricTokenKey",
                "ContentKeyPolicyRsaTokenKey",
                "ContentKeyPolicyX509CertificateTokenKey",
            ],
        )),
    }
}
