//! Where media is: the embedded store, or an account that several hosts share (Azure Blob, Azurite, `headwater blobstore`).

use crate::connect;
use crate::fault::{self, Blame, Fault, Kind};
use crate::health::Ask;
use anyhow::{Context, Result};
use clap::Args;
use headwater_blob::{
    AccountKey, Auth, ClientError, Container, HyperClient, HyperOptions, List, Permissions,
    ServiceSas, Store,
};
use headwater_catalog::bootstrap::UPLOADS;
use std::sync::Arc;
use std::time::Duration;

/// The embedded store's account.
pub(crate) const EMBEDDED: &str = "local";

#[derive(Args)]
pub(crate) struct StorageArgs {
    /// A storage account for the installation's media in place of the embedded store, e.g.
    /// `https://account.blob.core.windows.net` or `http://azurite:10000/devstoreaccount1`. Several hosts may share it.
    #[arg(long, env = "HEADWATER_STORAGE_URL")]
    storage_url: Option<String>,
    /// The account's name, if it is not the first part of the host's name.
    #[arg(long, env = "HEADWATER_STORAGE_ACCOUNT")]
    storage_account: Option<String>,
    /// The account's key (base64). Better in the environment than on the command line.
    #[arg(long, env = "HEADWATER_STORAGE_KEY", hide_env_values = true)]
    storage_key: Option<String>,
}

/// An account of the Azure Blob protocol.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) key: AccountKey,
    /// base64.
    pub(crate) key_text: String,
    /// Without a slash at its end: as clients, workers and components reach it.
    pub(crate) url: String,
}

impl StorageArgs {
    /// Ok `None`: the embedded store. Settings that contradict each other are refused.
    pub(crate) fn account(&self) -> Result<Option<Account>> {
        let Some(url) = &self.storage_url else {
            for (given, setting) in [
                (self.storage_account.is_some(), fault::STORAGE_ACCOUNT),
                (self.storage_key.is_some(), fault::STORAGE_KEY),
            ] {
                if given {
                    let why = format!("it is of no use without {}", fault::STORAGE_URL);
                    return Err(Fault::bad(setting, why));
                }
            }
            return Ok(None);
        };
        let parsed = connect::base(url, fault::STORAGE_URL)?;
        if parsed.query().is_some() {
            let why = "a signature is not enough, the account's key is needed";
            return Err(Fault::bad(fault::STORAGE_URL, why));
        }
        let named = parsed.host().and_then(|host| {
            let (first, rest) = host.split_once('.')?;
            rest.starts_with("blob.").then(|| first.to_owned())
        });
        let in_path = parsed.path().trim_matches('/');
        let in_path = (!in_path.is_empty()).then(|| in_path.to_owned());
        let name = self
            .storage_account
            .clone()
            .or(named)
            .or(in_path)
            .ok_or_else(|| {
                let why = format!("{url:?} does not say which account it is");
                Fault::bad(fault::STORAGE_ACCOUNT, why)
            })?;
        let text = self.storage_key.as_deref().unwrap_or_default().trim();
        if text.is_empty() {
            let why = format!("{} needs the key of the account", fault::STORAGE_URL);
            return Err(Fault::bad(fault::STORAGE_KEY, why));
        }
        let key = AccountKey::from_base64(text);
        let key = key.blame(Kind::Configuration, fault::STORAGE_KEY)?;
        Ok(Some(Account {
            name,
            key,
            key_text: text.to_owned(),
            url: url.trim_end_matches('/').to_owned(),
        }))
    }
}

impl Account {
    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> Result<String> {
        let url: http::Uri = self.url.parse()?;
        let (scheme, authority) = (url.scheme_str(), url.authority());
        let (scheme, authority) = scheme
            .zip(authority)
            .context("the storage URL has a host")?;
        Ok(format!("{scheme}://{authority}"))
    }

    /// As Azure's storage clients are told.
    pub(crate) fn connection_string(&self) -> String {
        let (scheme, _) = self.url.split_once(':').unwrap_or(("http", ""));
        format!(
            "DefaultEndpointsProtocol={scheme};AccountName={};AccountKey={};BlobEndpoint={};",
            self.name, self.key_text, self.url
        )
    }

    /// A container of the account.
    pub(crate) fn container(
        &self,
        name: &str,
        ca_pem: Option<Vec<u8>>,
    ) -> Result<Store<HyperClient>> {
        let client = HyperClient::new(HyperOptions {
            extra_ca_pem: ca_pem,
            timeout: Duration::from_secs(20),
            ..HyperOptions::default()
        })?;
        let auth = Auth::SharedKey {
            account: self.name.clone(),
            key: self.key.clone(),
        };
        let container = Container::new(&format!("{}/{name}", self.url), auth)?;
        Ok(Store::new(client, container, jiff::Timestamp::now))
    }

    /// Makes the container whose uploads start work.
    ///
    /// Ok: a signed URL to get in as any client would, and what asks whether storage answers.
    pub(crate) async fn prepare(&self, ca_pem: Option<Vec<u8>>) -> Result<(String, Ask)> {
        let store = self.container(UPLOADS, ca_pem)?;
        store.create_container().await.map_err(|error| {
            let (kind, setting) = match &error {
                ClientError::PermissionDenied { .. } => (Kind::Refused, fault::STORAGE_KEY),
                error if error.is_retryable() => (Kind::Unavailable, fault::STORAGE_URL),
                _ => (Kind::Configuration, fault::STORAGE_URL),
            };
            anyhow::Error::new(error).context(Fault::new(kind, setting))
        })?;
        let expiry = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
        let rights = Permissions::parse("rcwl").map_err(|_| anyhow::anyhow!("permissions"))?;
        let sas = ServiceSas::for_container(UPLOADS, rights, expiry).sign(&self.name, &self.key);
        let url = format!("{}/{UPLOADS}?{sas}", self.url);
        let store = Arc::new(store);
        let ask: Ask = Box::new(move || {
            let store = store.clone();
            Box::pin(async move {
                let first = List {
                    max_results: Some(1),
                    ..List::default()
                };
                match store.list(&first).await {
                    Ok(_) => Ok(()),
                    Err(error) => Err(error.to_string()),
                }
            })
        });
        Ok((url, ask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(
        url: Option<&str>,
        account: Option<&str>,
        key: Option<&str>,
    ) -> Result<Option<Account>> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        StorageArgs {
            storage_url: owned(url),
            storage_account: owned(account),
            storage_key: owned(key),
        }
        .account()
    }

    const KEY: &str =
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

    #[test]
    fn accounts_are_named_by_their_host_their_path_or_the_operator() {
        for (url, name, expected, origin) in [
            (
                "https://acme.blob.core.windows.net/",
                None,
                "acme",
                "https://acme.blob.core.windows.net",
            ),
            (
                "http://azurite:10000/devstoreaccount1",
                None,
                "devstoreaccount1",
                "http://azurite:10000",
            ),
            (
                "https://media.acme.example",
                Some("acme"),
                "acme",
                "https://media.acme.example",
            ),
        ] {
            let found = account(Some(url), name, Some(KEY)).unwrap().unwrap();
            assert_eq!(found.name, expected);
            assert_eq!(found.origin().unwrap(), origin);
            assert!(!found.url.ends_with('/'));
        }
        assert!(account(None, None, None).unwrap().is_none());
    }

    #[test]
    fn halves_and_contradictions_name_their_setting() {
        let azure = Some("https://acme.blob.core.windows.net");
        for (found, setting) in [
            (account(None, None, Some(KEY)), fault::STORAGE_KEY),
            (account(None, Some("acme"), None), fault::STORAGE_ACCOUNT),
            (account(azure, None, None), fault::STORAGE_KEY),
            (account(azure, None, Some("short")), fault::STORAGE_KEY),
            (account(Some("acme"), None, Some(KEY)), fault::STORAGE_URL),
            (
                account(Some("https://a.blob.x/?sig=1"), None, Some(KEY)),
                fault::STORAGE_URL,
            ),
            (
                account(Some("http://10.0.0.1:10000"), None, Some(KEY)),
                fault::STORAGE_ACCOUNT,
            ),
        ] {
            let error = found.err().unwrap();
            assert_eq!(
                error.downcast_ref::<Fault>().unwrap().kind,
                Kind::Configuration
            );
            assert!(
                error.to_string().starts_with(&setting.to_string()),
                "{error:#}"
            );
        }
    }
}
