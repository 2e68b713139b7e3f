//! A bucket of S3 for the blobs, behind the same Azure Blob protocol as the folder.

use crate::connect;
use crate::fault::{self, Fault, Kind, Setting};
use crate::files;
use anyhow::Result;
use headwater_blobstore::{OpenError, S3Config, S3Credentials, S3Error, StartError};
use std::path::PathBuf;

/// What AWS calls the region of a bucket that says nothing else; stores of others take any.
const REGION: &str = "us-east-1";

#[derive(clap::Args)]
pub(crate) struct BucketArgs {
    /// Keep blobs in this bucket rather than in the data folder. Clients and workers speak the Azure Blob protocol as before.
    #[arg(long, env = "HEADWATER_S3_BUCKET")]
    s3_bucket: Option<String>,
    /// Where the bucket is, e.g. `https://minio.example:9000`; AWS if not given.
    #[arg(long, env = "HEADWATER_S3_URL")]
    s3_url: Option<String>,
    /// The bucket's region.
    #[arg(long, env = "HEADWATER_S3_REGION", default_value = REGION)]
    s3_region: String,
    /// A folder of the bucket, so that others may keep things beside it.
    #[arg(long, env = "HEADWATER_S3_FOLDER", default_value = "")]
    s3_folder: String,
    /// Whether the bucket is part of the path rather than of the host's name. Default: with --s3-url.
    #[arg(long, env = "HEADWATER_S3_PATH_STYLE")]
    s3_path_style: Option<bool>,
    /// The access key's id; without it `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` count.
    #[arg(long, env = "HEADWATER_S3_ACCESS_KEY", requires = "s3_secret_key")]
    s3_access_key: Option<String>,
    /// The access key's secret. Better in the environment than on the command line.
    #[arg(long, env = "HEADWATER_S3_SECRET_KEY", hide_env_values = true)]
    s3_secret_key: Option<String>,
    /// A command that prints keys as AWS's `credential_process` does, run by the shell before they end: for roles.
    #[arg(
        long,
        env = "HEADWATER_S3_CREDENTIALS_COMMAND",
        conflicts_with = "s3_access_key"
    )]
    s3_credentials_command: Option<String>,
    /// A PEM file of roots to trust for the bucket besides the public ones.
    #[arg(long, env = "HEADWATER_S3_CA_FILE")]
    s3_ca_file: Option<PathBuf>,
}

impl BucketArgs {
    /// Ok `None`: the folder.
    pub(crate) fn config(&self) -> Result<Option<S3Config>> {
        let Some(bucket) = &self.s3_bucket else {
            for (given, setting) in [
                (self.s3_url.is_some(), fault::S3_URL),
                (!self.s3_folder.is_empty(), fault::S3_FOLDER),
                (self.s3_access_key.is_some(), fault::S3_ACCESS_KEY),
                (
                    self.s3_credentials_command.is_some(),
                    fault::S3_CREDENTIALS_COMMAND,
                ),
            ] {
                if given {
                    let why = format!("it is of no use without {}", fault::S3_BUCKET);
                    return Err(Fault::bad(setting, why));
                }
            }
            return Ok(None);
        };
        let endpoint = match &self.s3_url {
            Some(url) => {
                connect::base(url, fault::S3_URL)?;
                url.trim_end_matches('/').to_owned()
            }
            None => format!("https://s3.{}.amazonaws.com", self.s3_region),
        };
        let mut config = S3Config::new(endpoint, &self.s3_region, bucket, self.credentials()?);
        config.prefix.clone_from(&self.s3_folder);
        config.path_style = self.s3_path_style.unwrap_or(self.s3_url.is_some());
        config.ca_pem = files::ca(self.s3_ca_file.as_deref())?;
        Ok(Some(config))
    }

    fn credentials(&self) -> Result<S3Credentials> {
        if let Some(command) = &self.s3_credentials_command {
            return Ok(S3Credentials::Command(command.clone()));
        }
        let aws = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (id, secret, token) = match &self.s3_access_key {
            Some(id) => (Some(id.clone()), self.s3_secret_key.clone(), None),
            None => (
                aws("AWS_ACCESS_KEY_ID"),
                aws("AWS_SECRET_ACCESS_KEY"),
                aws("AWS_SESSION_TOKEN"),
            ),
        };
        let Some((id, secret)) = id.zip(secret) else {
            let why = "the bucket needs an access key, or a command that prints one";
            return Err(Fault::bad(fault::S3_ACCESS_KEY, why));
        };
        Ok(S3Credentials::Keys { id, secret, token })
    }

    /// Which events of the bucket are about which account, as the functions are told: `{account}={bucket}[/{folder}]`.
    pub(crate) fn events(&self, account: &str) -> Option<String> {
        let bucket = self.s3_bucket.as_ref()?;
        let place = format!("{account}={bucket}/{}", self.s3_folder.trim_matches('/'));
        Some(place.trim_end_matches('/').to_owned())
    }
}

/// Which setting a store that does not start is about. `data`: that of its folder.
pub(crate) fn blame(error: StartError, data: Setting) -> anyhow::Error {
    let (kind, setting) = match &error {
        StartError::Folder { .. } | StartError::Bucket(OpenError::Folder(_)) => {
            (Kind::CannotCreate, data)
        }
        StartError::Bucket(OpenError::Ca(_)) => (Kind::Configuration, fault::S3_CA_FILE),
        StartError::Bucket(OpenError::Bucket(S3Error::Credentials(_))) => {
            (Kind::Unavailable, fault::S3_CREDENTIALS_COMMAND)
        }
        StartError::Bucket(OpenError::Bucket(error)) if error.is_denied() => {
            (Kind::Refused, fault::S3_ACCESS_KEY)
        }
        StartError::Bucket(OpenError::Bucket(error)) if error.is_missing() => {
            (Kind::Configuration, fault::S3_BUCKET)
        }
        StartError::Bucket(OpenError::Bucket(error)) if error.is_passing() => {
            (Kind::Unavailable, fault::S3_URL)
        }
        StartError::Bucket(_) => (Kind::Configuration, fault::S3_URL),
        _ => (Kind::CannotCreate, fault::BLOB_LISTEN),
    };
    anyhow::Error::new(error).context(Fault::new(kind, setting))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        bucket: BucketArgs,
    }

    fn parse(arguments: &[&str]) -> BucketArgs {
        Only::parse_from([&["test"], arguments].concat()).bucket
    }

    const KEYS: [&str; 4] = ["--s3-access-key", "id", "--s3-secret-key", "secret"];

    #[test]
    fn a_bucket_is_at_aws_or_where_the_url_says() {
        let bucket = [
            &["--s3-bucket", "media", "--s3-region", "eu-west-1"],
            &KEYS[..],
        ]
        .concat();
        let config = parse(&bucket).config().unwrap().unwrap();
        assert_eq!(config.endpoint, "https://s3.eu-west-1.amazonaws.com");
        assert!(!config.path_style);
        let elsewhere = [
            &bucket[..],
            &["--s3-url", "http://minio:9000/", "--s3-folder", "/a/"],
        ]
        .concat();
        let args = parse(&elsewhere);
        let config = args.config().unwrap().unwrap();
        assert_eq!(config.endpoint, "http://minio:9000");
        assert!(config.path_style);
        assert_eq!(args.events("local").as_deref(), Some("local=media/a"));
        assert!(parse(&[]).config().unwrap().is_none());
    }

    #[test]
    fn halves_name_their_setting() {
        for (arguments, setting) in [
            (&["--s3-url", "http://minio:9000"][..], fault::S3_URL),
            (&["--s3-folder", "a"], fault::S3_FOLDER),
            (
                &["--s3-credentials-command", "true"],
                fault::S3_CREDENTIALS_COMMAND,
            ),
            (
                &[
                    "--s3-bucket",
                    "b",
                    "--s3-credentials-command",
                    "x",
                    "--s3-url",
                    "minio",
                ],
                fault::S3_URL,
            ),
        ] {
            let error = parse(arguments).config().unwrap_err().to_string();
            assert!(error.starts_with(&setting.to_string()), "{error}");
        }
    }
}
