//! `headwater token`: an access token, signed with the installation's own key.

use crate::catalog::CatalogArgs;
use crate::connection::ConnectionFile;
use crate::master_key::MasterKeyArgs;
use crate::secrets::Secrets;
use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use headwater_auth::{Claims, Role, SigningKey, SubjectKind};
use headwater_catalog::teams;
use std::path::PathBuf;

#[derive(Parser)]
pub(crate) struct Args {
    /// Folder of the installation.
    #[arg(long, env = "HEADWATER_DATA", default_value = ".headwater")]
    data: PathBuf,
    #[command(flatten)]
    catalog: CatalogArgs,
    #[command(flatten)]
    master_key: MasterKeyArgs,
    /// What the token may do.
    #[arg(long, value_enum, default_value_t = RoleName::Owner)]
    role: RoleName,
    /// For how long, in hours. At most a year.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=8784))]
    hours: u32,
    /// A name for the audit trail, in place of the user who owns the installation. Such a token keeps its rights whatever
    /// becomes of that user.
    #[arg(long)]
    subject: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    Owner,
    Operator,
    Viewer,
    Worker,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let secrets = Secrets::load(&args.data, args.master_key.is_given())?;
    let catalog = args.catalog.open(&args.data)?;
    let seal = args.master_key.seal(&secrets)?;
    let key = headwater_catalog::keys::signing_key(&catalog, &seal)
        .await?
        .context("the catalog has no signing key yet: start the installation once")?;
    let issuer = ConnectionFile::read(&args.data)
        .map(|connection| connection.api_url)
        .context("a token names the installation's address as its issuer, so start it first")?;
    let role = match args.role {
        RoleName::Owner => Role::Owner,
        RoleName::Operator => Role::Operator,
        RoleName::Viewer => Role::Viewer,
        RoleName::Worker => Role::Worker,
    };
    let who = match (args.subject, role) {
        (Some(name), _) => Who::Installation(name),
        (None, Role::Worker) => Who::Installation("worker".into()),
        (None, _) => Who::User(
            teams::first_owner(&catalog)
                .await?
                .context("nobody owns the installation yet: start it once")?,
        ),
    };
    println!(
        "{}",
        issue(&key, &issuer, role, &who, i64::from(args.hours))?
    );
    Ok(())
}

/// Whom a token stands for.
pub(crate) enum Who {
    /// A user by id, whose rights are looked up with each request.
    User(String),
    /// The installation itself, under some name.
    Installation(String),
}

/// Signs a token that is good from now on, for no more than `role`.
pub(crate) fn issue(
    key: &SigningKey,
    issuer: &str,
    role: Role,
    who: &Who,
    hours: i64,
) -> Result<String> {
    let now = jiff::Timestamp::now().as_second();
    let (subject, idtyp) = match who {
        Who::User(id) => (id, Some(SubjectKind::User)),
        Who::Installation(name) => (name, None),
    };
    key.issue(&Claims {
        idtyp,
        roles: Some(vec![role]),
        ..Claims::bare(
            issuer,
            subject,
            &uuid::Uuid::new_v4().to_string(),
            now,
            now + hours * 3600,
        )
    })
    .context("signing a token")
}
