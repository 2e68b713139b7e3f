//! What hosts of one installation have in common, and what each leaves to others.

use crate::fault::{self, Fault};
use crate::secrets::Secrets;
use anyhow::Result;
use headwater_events::Buckets;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What storage shows when it reports events, in place of the one in the data folder; the same on every host. At least 16
    /// characters. Better in the environment than on the command line.
    #[arg(long, env = "HEADWATER_EVENT_SECRET", hide_env_values = true)]
    event_secret: Option<String>,
    /// What scripts sign in with as the client `headwater`, in place of the one in the data folder; the same on every host. With
    /// --storage-url there is no such client unless this is given. At least 16 characters.
    #[arg(long, env = "HEADWATER_CLIENT_SECRET", hide_env_values = true)]
    client_secret: Option<String>,
    /// Buckets of S3 whose notifications are about a storage account, `{account}={bucket}[/{folder}]`, separated by commas: for
    /// hosts whose storage is a `headwater blobstore` with a bucket.
    #[arg(long, env = "HEADWATER_EVENT_BUCKETS", value_delimiter = ',')]
    pub(crate) event_buckets: Vec<String>,
    /// Encode nothing: `headwater transcoder` elsewhere does.
    #[arg(long, env = "HEADWATER_NO_TRANSCODER")]
    pub(crate) no_transcoder: bool,
    /// Send no webhooks: `headwater notifier` elsewhere does.
    #[arg(long, env = "HEADWATER_NO_NOTIFIER")]
    pub(crate) no_notifier: bool,
}

/// Shorter secrets can be guessed.
const SHORTEST: usize = 16;

impl Args {
    pub(crate) fn check(&self) -> Result<()> {
        for (secret, setting) in [
            (&self.event_secret, fault::EVENT_SECRET),
            (&self.client_secret, fault::CLIENT_SECRET),
        ] {
            if secret.as_ref().is_some_and(|text| text.len() < SHORTEST) {
                let why = format!("it must have at least {SHORTEST} characters");
                return Err(Fault::bad(setting, why));
            }
        }
        Buckets::parse(&self.event_buckets.join(" "))
            .map_err(|why| Fault::bad(fault::EVENT_BUCKETS, why))?;
        Ok(())
    }

    /// Puts what was given in the place of the folder's own. `common`: whether other hosts share the storage, so that a secret
    /// of this folder must not replace theirs.
    pub(crate) fn replace(&self, secrets: &mut Secrets, common: bool) {
        if let Some(secret) = &self.event_secret {
            secrets.event_secret.clone_from(secret);
        }
        match &self.client_secret {
            Some(secret) => secrets.client_secret.clone_from(secret),
            None if common => secrets.client_secret.clear(),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(event: Option<&str>, client: Option<&str>) -> Args {
        Args {
            event_secret: event.map(str::to_owned),
            client_secret: client.map(str::to_owned),
            event_buckets: Vec::new(),
            no_transcoder: false,
            no_notifier: false,
        }
    }

    #[test]
    fn a_host_among_several_brings_no_secret_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let load = || Secrets::load(folder.path(), true).unwrap();
        let own = load();
        let mut secrets = load();
        args(None, None).replace(&mut secrets, false);
        assert_eq!(secrets.client_secret, own.client_secret);
        args(None, None).replace(&mut secrets, true);
        assert_eq!(secrets.client_secret, "");
        let given = args(Some("an event secret!"), Some("a client secret!"));
        given.check().unwrap();
        given.replace(&mut secrets, true);
        assert_eq!(secrets.event_secret, "an event secret!");
        assert_eq!(secrets.client_secret, "a client secret!");
        let error = args(Some("short"), None).check().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("--event-secret (HEADWATER_EVENT_SECRET)")
        );
        let mut buckets = args(None, None);
        buckets.event_buckets.push("media".into());
        let error = buckets.check().unwrap_err().to_string();
        assert!(error.starts_with("--event-buckets"), "{error}");
    }
}
