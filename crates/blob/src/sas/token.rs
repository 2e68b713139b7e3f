//! A signature that somebody else made: what can be read from it without the key.
//!
//! Only an account SAS opens a whole storage account; one for a single container or blob is told apart by its `sr`.

use jiff::Timestamp;

use crate::query::Query;
use crate::time::parse_sas_time;

/// Longest token that is read. Azure's own have a few hundred characters.
const MAX_TOKEN: usize = 4096;

/// Why a token is not an account SAS. The texts are safe to show to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSas {
    #[error("must be the query string of a shared access signature, at most 4096 characters")]
    Malformed,
    #[error("must be an account SAS: this one is for a single container or blob")]
    NotForAnAccount,
    #[error("must be for the blob service, containers and objects (ss with b, srt with c and o)")]
    Scope,
    #[error("must say when it expires (se)")]
    NoExpiry,
    #[error("must carry a signature (sig)")]
    Unsigned,
}

/// An account SAS for blobs. `Debug` shows nothing of the signature.
#[derive(Clone, PartialEq, Eq)]
pub struct SasToken {
    text: String,
    expiry: Timestamp,
}

impl SasToken {
    /// `text`: with or without the leading `?`.
    pub fn parse(text: &str) -> Result<Self, InvalidSas> {
        let text = text.strip_prefix('?').unwrap_or(text);
        // It becomes part of a URL as it is.
        let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'#' | b'"' | b'<' | b'>' | b'\\');
        if text.is_empty() || text.len() > MAX_TOKEN || !text.bytes().all(plain) {
            return Err(InvalidSas::Malformed);
        }
        let query = Query::parse(text).map_err(|_| InvalidSas::Malformed)?;
        let value = |name: &str| query.get(name).unwrap_or_default();
        if value("sig").is_empty() {
            return Err(InvalidSas::Unsigned);
        }
        if !value("sr").is_empty() {
            return Err(InvalidSas::NotForAnAccount);
        }
        let types = value("srt");
        if !value("ss").contains('b') || !types.contains('c') || !types.contains('o') {
            return Err(InvalidSas::Scope);
        }
        Ok(Self {
            expiry: expiry(value("se")).ok_or(InvalidSas::NoExpiry)?,
            text: text.to_owned(),
        })
    }

    /// Without a leading `?`. A secret.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The end of what it allows (`se`).
    pub fn expiry(&self) -> Timestamp {
        self.expiry
    }

    /// The token without its signature, with a leading `?`: opens nothing, and says which one it is.
    pub fn sanitized(&self) -> String {
        let shown: Vec<_> = self
            .text
            .split('&')
            .filter(|part| {
                let name = part.split('=').next().unwrap_or_default();
                let name = crate::names::decode(name).unwrap_or_default();
                !name.eq_ignore_ascii_case("sig")
            })
            .collect();
        format!("?{}", shown.join("&"))
    }
}

/// The last day of the year 9999 stands for "never", and is beyond what an instant can be here.
fn expiry(text: &str) -> Option<Timestamp> {
    parse_sas_time(text).or_else(|| text.starts_with("9999-12-31").then_some(Timestamp::MAX))
}

impl std::fmt::Debug for SasToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SasToken")
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::AccountKey;
    use crate::sas::{AccountSas, Permissions};

    fn account_sas(expiry: &str) -> String {
        let sas = AccountSas {
            permissions: Permissions::READ.with(Permissions::LIST),
            resource_types: "co".into(),
            start: None,
            expiry: expiry.parse().unwrap(),
            protocol: None,
            ip: None,
            version: "2021-12-02".into(),
        };
        sas.sign("films", &AccountKey::from_bytes(vec![7; 32]).unwrap())
    }

    #[test]
    fn an_account_sas_says_when_it_ends_and_shows_itself_unsigned() {
        let text = account_sas("2027-01-02T03:04:05Z");
        let token = SasToken::parse(&format!("?{text}")).unwrap();
        assert_eq!(token.expose(), text);
        assert_eq!(token.expiry().to_string(), "2027-01-02T03:04:05Z");
        let shown = token.sanitized();
        assert!(
            shown.starts_with("?sv=2021-12-02&ss=b&srt=co") && !shown.contains("sig"),
            "{shown}"
        );
        assert!(!format!("{token:?}").contains("sig"));
        let never = SasToken::parse(&text.replace("2027-01-02", "9999-12-31")).unwrap();
        assert_eq!(never.expiry(), Timestamp::MAX);
        // A name may be written in other ways.
        let odd = format!("{text}&%73ig=more&SIG=more");
        assert!(!SasToken::parse(&odd).unwrap().sanitized().contains("more"));
    }

    #[test]
    fn what_opens_no_account_is_told_why() {
        let good = account_sas("2027-01-02T03:04:05Z");
        for (text, why) in [
            (String::new(), InvalidSas::Malformed),
            ("a b".into(), InvalidSas::Malformed),
            (format!("{good}\r\nx: y"), InvalidSas::Malformed),
            ("x".repeat(5000), InvalidSas::Malformed),
            (good.replace("sig=", "no="), InvalidSas::Unsigned),
            (format!("{good}&sr=c"), InvalidSas::NotForAnAccount),
            (good.replace("srt=co", "srt=o"), InvalidSas::Scope),
            (good.replace("ss=b", "ss=q"), InvalidSas::Scope),
            (good.replace("se=", "si="), InvalidSas::NoExpiry),
        ] {
            assert_eq!(SasToken::parse(&text), Err(why), "{text}");
        }
    }
}
