//! Who asks the bucket: a pair of keys, or a command that prints one which ends.

use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rusty_s3::Credentials;
use serde::Deserialize;

/// Keys are renewed so long before they end.
const EARLY: SignedDuration = SignedDuration::from_mins(5);

/// What a bucket's requests are signed with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum S3Credentials {
    Keys {
        id: String,
        secret: String,
        /// Of temporary keys.
        token: Option<String>,
    },
    /// A command for the shell that prints keys as AWS's `credential_process` does: `{"Version": 1, "AccessKeyId",
    /// "SecretAccessKey", "SessionToken"?, "Expiration"?}`. It is run again before they end.
    Command(String),
}

/// Why there are no keys. Never shows what the command printed.
#[derive(Debug, thiserror::Error)]
#[error("the command for the bucket's credentials {0}")]
pub struct CredentialsError(String);

/// Keys, kept for as long as they are good.
#[derive(Debug)]
pub(super) struct Source {
    from: S3Credentials,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug, Clone)]
struct Kept {
    keys: Credentials,
    until: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<Timestamp>,
}

impl Source {
    pub(super) fn new(from: S3Credentials) -> Self {
        Self {
            from,
            kept: Mutex::default(),
        }
    }

    /// Keys that are good now.
    pub(super) async fn current(&self) -> Result<Credentials, CredentialsError> {
        let command = match &self.from {
            S3Credentials::Keys { id, secret, token } => {
                return Ok(match token {
                    Some(token) => Credentials::new_with_token(id, secret, token),
                    None => Credentials::new(id, secret),
                });
            }
            S3Credentials::Command(command) => command,
        };
        if let Some(keys) = self
            .kept()
            .clone()
            .and_then(|kept| kept.at(Timestamp::now()))
        {
            return Ok(keys);
        }
        let kept = run(command).await?;
        let keys = kept.keys.clone();
        *self.kept() = Some(kept);
        Ok(keys)
    }

    /// Whether other keys may come: those that were refused are not given again.
    pub(super) fn forget(&self) -> bool {
        self.kept().take().is_some()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn at(self, now: Timestamp) -> Option<Credentials> {
        let good = self.until.is_none_or(|until| now < until);
        good.then_some(self.keys)
    }
}

/// Its errors go to our own standard error; what it prints goes nowhere else.
async fn run(command: &str) -> Result<Kept, CredentialsError> {
    let output = tokio::process::Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| CredentialsError(format!("did not start: {error}")))?;
    if !output.status.success() {
        return Err(CredentialsError(format!("ended with {}", output.status)));
    }
    parse(&output.stdout)
}

fn parse(printed: &[u8]) -> Result<Kept, CredentialsError> {
    // The parser's own message would repeat what it stumbled over.
    let printed: Printed = serde_json::from_slice(printed).map_err(|error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        CredentialsError(format!(
            "printed something else than `credential_process` has ({at})"
        ))
    })?;
    if printed.version != 1 {
        let version = printed.version;
        return Err(CredentialsError(format!(
            "printed version {version}, not 1"
        )));
    }
    let (id, secret) = (printed.access_key_id, printed.secret_access_key);
    Ok(Kept {
        keys: match printed.session_token {
            Some(token) => Credentials::new_with_token(id, secret, token),
            None => Credentials::new(id, secret),
        },
        until: printed
            .expiration
            .map(|end| end.checked_sub(EARLY).unwrap_or(end)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_commands_keys_are_kept_until_they_end() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        let command = |end: &str| {
            S3Credentials::Command(format!(
                r#"echo x >> {0}; printf '{{"Version":1,"AccessKeyId":"id'; wc -l < {0} | tr -d '\n'; printf '","SecretAccessKey":"s","SessionToken":"t","Expiration":"{end}"}}'"#,
                count.display()
            ))
        };
        let lasting = Source::new(command("2999-01-01T00:00:00Z"));
        assert_eq!(lasting.current().await.unwrap().key(), "id1");
        assert_eq!(lasting.current().await.unwrap().token(), Some("t"));
        assert!(lasting.forget());
        assert_eq!(lasting.current().await.unwrap().key(), "id2");
        let ended = Source::new(command("2020-01-01T00:00:00Z"));
        assert_eq!(ended.current().await.unwrap().key(), "id3");
        assert_eq!(ended.current().await.unwrap().key(), "id4");
    }

    #[test]
    fn what_a_command_prints_is_not_repeated() {
        for printed in [
            "secret",
            r#"{"Version":2,"AccessKeyId":"secret","SecretAccessKey":"secret"}"#,
            r#"{"Version":1,"AccessKeyId":"secret"}"#,
            r#"{"Version":1,"AccessKeyId":"secret","SecretAccessKey":"secret","Expiration":"secret"}"#,
        ] {
            let error = parse(printed.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
