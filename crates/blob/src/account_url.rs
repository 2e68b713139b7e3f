//! The URL of a storage account: where its containers begin.
//!
//! | style | example | account |
//! |---|---|---|
//! | host | `https://films.blob.core.windows.net` | first label of the host |
//! | path | `http://127.0.0.1:10000/local` | the one path segment: emulators, our own blob store, private endpoints |

use http::Uri;

/// Longest URL that is read.
const MAX_URL: usize = 1024;

/// Why a URL is not that of a storage account. The texts are safe to show to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAccountUrl {
    #[error("must be an http or https URL of at most 1024 characters")]
    Scheme,
    #[error("must have no query: credentials are given by themselves")]
    Query,
    #[error("must not end with a slash")]
    TrailingSlash,
    #[error("must name an account and no container: https://ACCOUNT.host or https://host/ACCOUNT")]
    Account,
}

/// A checked URL, without a trailing slash and without a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountUrl {
    text: String,
    origin: String,
    account: String,
    https: bool,
    loopback: bool,
}

impl AccountUrl {
    pub fn parse(text: &str) -> Result<Self, InvalidAccountUrl> {
        if text.contains(['?', '#']) {
            return Err(InvalidAccountUrl::Query);
        }
        if text.ends_with('/') {
            return Err(InvalidAccountUrl::TrailingSlash);
        }
        let uri: Uri = Some(text)
            .filter(|text| text.len() <= MAX_URL)
            .and_then(|text| text.parse().ok())
            .ok_or(InvalidAccountUrl::Scheme)?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(InvalidAccountUrl::Scheme),
        };
        let authority = uri.authority().ok_or(InvalidAccountUrl::Scheme)?;
        if authority.as_str().contains('@') {
            return Err(InvalidAccountUrl::Scheme);
        }
        let host = authority.host().trim_matches(['[', ']']);
        let address: Option<std::net::IpAddr> = host.parse().ok();
        let account = match uri.path().trim_start_matches('/') {
            // An address, or a host of one label, names no account.
            "" if address.is_some() => None,
            "" => host.split_once('.').map(|(label, _)| label),
            path => Some(path),
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let account = account
            .filter(|name| (1..=63).contains(&name.len()) && name.chars().all(plain))
            .ok_or(InvalidAccountUrl::Account)?;
        Ok(Self {
            text: text.to_owned(),
            origin: format!("{}://{authority}", if https { "https" } else { "http" }),
            account: account.to_owned(),
            https,
            loopback: address.map_or(host == "localhost", |address| address.is_loopback()),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The account as the storage service and its events name it.
    pub fn account(&self) -> &str {
        &self.account
    }

    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_styles_name_their_account() {
        for (text, account, origin, loopback) in [
            (
                "https://films.blob.core.windows.net",
                "films",
                "https://films.blob.core.windows.net",
                false,
            ),
            (
                "http://127.0.0.1:10000/local",
                "local",
                "http://127.0.0.1:10000",
                true,
            ),
            (
                "http://localhost:10000/local",
                "local",
                "http://localhost:10000",
                true,
            ),
            ("http://[::1]:10000/a", "a", "http://[::1]:10000", true),
            (
                "https://store.internal/films",
                "films",
                "https://store.internal",
                false,
            ),
        ] {
            let url = AccountUrl::parse(text).unwrap();
            assert_eq!(
                (url.account(), url.origin(), url.is_loopback()),
                (account, origin, loopback),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_account_is_told_why() {
        for (text, why) in [
            ("ftp://a.b", InvalidAccountUrl::Scheme),
            ("films", InvalidAccountUrl::Scheme),
            ("", InvalidAccountUrl::Scheme),
            ("https://u:p@a.b", InvalidAccountUrl::Scheme),
            ("https://a.b?sv=1", InvalidAccountUrl::Query),
            ("https://a.b/", InvalidAccountUrl::TrailingSlash),
            ("https://a.b/films/container", InvalidAccountUrl::Account),
            ("http://127.0.0.1:10000", InvalidAccountUrl::Account),
            ("http://localhost", InvalidAccountUrl::Account),
            ("https://a.b/F%20", InvalidAccountUrl::Account),
        ] {
            assert_eq!(AccountUrl::parse(text), Err(why), "{text}");
        }
    }
}
