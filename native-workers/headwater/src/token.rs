//! `headwater token`: an access token, signed with the installation's own key.

use crate::catalog::CatalogArgs;
use crate::connection::ConnectionFile;
use crate::master_key::MasterKeyArgs;
use crate::secrets::Secrets;
use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use headwater_auth::{AUDIENCE, Claims, Role, SigningKey};
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
    /// Who it is for; appears in the audit trail.
    #[arg(long, default_value = "operator")]
    subject: String,
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
    println!(
        "{}",
        issue(&key, &issuer, role, &args.subject, i64::from(args.hours))?
    );
    Ok(())
}

/// Signs a token that is good from now on.
pub(crate) fn issue(
    key: &SigningKey,
    issuer: &str,
    role: Role,
    subject: &str,
    hours: i64,
) -> Result<String> {
    let now = jiff::Timestamp::now().as_second();
    key.issue(&Claims {
        iss: issuer.into(),
        aud: AUDIENCE.into(),
        sub: subject.into(),
        iat: now,
        exp: now + hours * 3600,
        jti: uuid::Uuid::new_v4().to_string(),
        roles: vec![role],
        project: None,
    })
    .context("signing a token")
}
