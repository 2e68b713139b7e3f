//! What keeps a command from doing its work, in the words of its settings, and the exit codes that say it to whatever
//! started it. docs/scale-out.md lists both.
//!
//! The codes are those of BSD's `sysexits.h`: systemd (`RestartPreventExitStatus=64 77 78`), container runtimes and people
//! can tell what passes by itself from what somebody has to mend.

use std::fmt;
use std::process::ExitCode;

use headwater_catalog::{CatalogError, SqlError};

/// Who has to do what. The number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A command line that is not understood. `EX_USAGE`.
    Usage = 64,
    /// Something that we depend on is away. Starting again may help. `EX_UNAVAILABLE`.
    Unavailable = 69,
    /// A folder or file that we cannot make or write, an address that we cannot listen on. `EX_CANTCREAT`.
    CannotCreate = 73,
    /// Somebody else holds what we need for now. `EX_TEMPFAIL`.
    Taken = 75,
    /// A credential that is refused or has run out. `EX_NOPERM`.
    Refused = 77,
    /// A setting that is wrong, or contradicts another. `EX_CONFIG`.
    Configuration = 78,
}

/// A setting, as it is given on the command line and in the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) flag: &'static str,
    pub(crate) variable: &'static str,
}

macro_rules! settings {
    ($($name:ident = $flag:literal $variable:literal;)*) => {
        $(pub(crate) const $name: Setting = Setting { flag: $flag, variable: $variable };)*
        /// All of them, so that a test can hold them against the command line.
        #[cfg(test)]
        pub(crate) const ALL: &[Setting] = &[$($name),*];
    };
}

settings! {
    DATA = "--data" "HEADWATER_DATA";
    INGEST_DATA = "--data" "HEADWATER_INGEST_DATA";
    CATALOG = "--catalog" "HEADWATER_CATALOG";
    CATALOG_CA = "--catalog-ca" "HEADWATER_CATALOG_CA";
    MASTER_KEY = "--master-key" "HEADWATER_MASTER_KEY";
    MASTER_KEY_FILE = "--master-key-file" "HEADWATER_MASTER_KEY_FILE";
    MASTER_KEY_COMMAND = "--master-key-command" "HEADWATER_MASTER_KEY_COMMAND";
    LISTEN = "--listen" "HEADWATER_LISTEN";
    BLOB_LISTEN = "--blob-listen" "HEADWATER_BLOB_LISTEN";
    METRICS_LISTEN = "--metrics-listen" "HEADWATER_METRICS_LISTEN";
    HEALTH_LISTEN = "--health-listen" "HEADWATER_HEALTH_LISTEN";
    PUBLIC_URL = "--public-url" "HEADWATER_PUBLIC_URL";
    BLOB_PUBLIC_URL = "--blob-public-url" "HEADWATER_BLOB_PUBLIC_URL";
    STORAGE_URL = "--storage-url" "HEADWATER_STORAGE_URL";
    STORAGE_ACCOUNT = "--storage-account" "HEADWATER_STORAGE_ACCOUNT";
    STORAGE_KEY = "--storage-key" "HEADWATER_STORAGE_KEY";
    EVENT_SECRET = "--event-secret" "HEADWATER_EVENT_SECRET";
    CLIENT_SECRET = "--client-secret" "HEADWATER_CLIENT_SECRET";
    OIDC_CONFIG = "--oidc-config" "HEADWATER_OIDC_CONFIG";
    LICENCE_CONFIG = "--licence-config" "HEADWATER_LICENCE_CONFIG";
    API_URL = "--api-url" "HEADWATER_API_URL";
    TOKEN = "--token" "HEADWATER_TOKEN";
    CA_FILE = "--ca-file" "HEADWATER_CA_FILE";
    TLS_CERT = "--tls-cert" "HEADWATER_INGEST_CERT";
    EDGE_URL = "--edge-url" "HEADWATER_EDGE_URL";
    STREAMING_URL = "--streaming-url" "HEADWATER_STREAMING_URL";
    S3_BUCKET = "--s3-bucket" "HEADWATER_S3_BUCKET";
    S3_URL = "--s3-url" "HEADWATER_S3_URL";
    S3_FOLDER = "--s3-folder" "HEADWATER_S3_FOLDER";
    S3_ACCESS_KEY = "--s3-access-key" "HEADWATER_S3_ACCESS_KEY";
    S3_CREDENTIALS_COMMAND = "--s3-credentials-command" "HEADWATER_S3_CREDENTIALS_COMMAND";
    S3_CA_FILE = "--s3-ca-file" "HEADWATER_S3_CA_FILE";
    EVENT_BUCKETS = "--event-buckets" "HEADWATER_EVENT_BUCKETS";
    SCRATCH = "--scratch" "HEADWATER_SCRATCH";
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.flag, self.variable)
    }
}

/// Why a command cannot go on. As the context of another error it says which setting that one is about.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    text: String,
}

impl Fault {
    /// `what`: the setting, or a sentence that names it.
    pub(crate) fn new(kind: Kind, what: impl fmt::Display) -> Self {
        Self {
            kind,
            text: what.to_string(),
        }
    }

    /// A setting that has to be mended, and what is wrong with it.
    pub(crate) fn bad(setting: Setting, why: impl fmt::Display) -> anyhow::Error {
        Self::new(Kind::Configuration, format_args!("{setting}: {why}")).into()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}

/// Says which setting an error is about.
pub(crate) trait Blame<T> {
    fn blame(self, kind: Kind, what: impl fmt::Display) -> anyhow::Result<T>;
}

impl<T, E> Blame<T> for Result<T, E>
where
    Result<T, E>: anyhow::Context<T, E>,
{
    fn blame(self, kind: Kind, what: impl fmt::Display) -> anyhow::Result<T> {
        anyhow::Context::with_context(self, || Fault::new(kind, what))
    }
}

/// What the process ends with. The outermost fault knows best; without one it is 1.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    let kind = error.downcast_ref::<Fault>().map(|fault| fault.kind);
    kind.map_or(ExitCode::FAILURE, |kind| ExitCode::from(kind as u8))
}

/// What the catalog's answer to the first questions means for a start. `sealed`: the setting of the master key.
pub(crate) fn of_catalog(error: &CatalogError) -> Kind {
    match error {
        CatalogError::Sql(error) => of_sql(error),
        // What is sealed does not open.
        _ => Kind::Configuration,
    }
}

/// PostgreSQL tells a wrong password (28P01, 28000), a database that is not there (3D000) and missing rights (42501) from being
/// away; SQLite says that a file cannot be opened or is none.
pub(crate) fn of_sql(error: &SqlError) -> Kind {
    let text = error.to_string();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["password", "authentication", "role \"", "28P01", "28000"]) {
        return Kind::Refused;
    }
    let config = [
        "certificate",
        "does not exist",
        "newer version",
        "not an address",
        "names no host",
        "not a database",
        "permission denied",
        "readonly",
        "TLS handshake",
        "does not support TLS",
        "was copied to another",
    ];
    if says(&config) {
        return Kind::Configuration;
    }
    Kind::Unavailable
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    fn code(error: &anyhow::Error) -> String {
        format!("{:?}", exit_code(error))
    }

    #[test]
    fn the_outermost_fault_decides_and_every_layer_is_told() {
        let inner: Result<(), _> = Err(std::io::Error::other("no route"));
        let error = inner
            .blame(Kind::Unavailable, "the server")
            .blame(Kind::Configuration, CATALOG)
            .context("starting")
            .unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "starting: --catalog (HEADWATER_CATALOG): the server: no route"
        );
        assert_eq!(code(&error), format!("{:?}", ExitCode::from(78)));
        let plain = anyhow::anyhow!("something else");
        assert_eq!(code(&plain), format!("{:?}", ExitCode::FAILURE));
    }

    #[test]
    fn what_a_database_says_is_sorted() {
        for (text, kind) in [
            (
                "error connecting to server: Connection refused",
                Kind::Unavailable,
            ),
            (
                "db error: FATAL: password authentication failed for user \"x\"",
                Kind::Refused,
            ),
            (
                "db error: FATAL: database \"nope\" does not exist",
                Kind::Configuration,
            ),
            (
                "error performing TLS handshake: invalid peer certificate: UnknownIssuer",
                Kind::Configuration,
            ),
            (
                "the database is of a newer version (schema 99, this program knows 15)",
                Kind::Configuration,
            ),
            ("file is not a database", Kind::Configuration),
        ] {
            assert_eq!(of_sql(&SqlError::Failed(text.into())), kind, "{text}");
        }
    }
}
