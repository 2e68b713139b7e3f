//! `headwater token`: an access token, signed with the installation's own key.

use crate::secrets::Secrets;
use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use headwater_auth::Role;
use headwater_catalog::native::NativeSqlite;
use std::path::PathBuf;

#[derive(Parser)]
pub(crate) struct Args {
    /// Folder of the installation.
    #[arg(long, env = "HEADWATER_DATA", default_value = ".headwater")]
    data: PathBuf,
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

pub(crate) fn run(args: Args) -> Result<()> {
    let secrets = Secrets::load(&args.data)?;
    let database = NativeSqlite::open(&args.data.join("catalog.db"))
        .with_context(|| format!("opening the catalog in {}", args.data.display()))?;
    let role = match args.role {
        RoleName::Owner => Role::Owner,
        RoleName::Operator => Role::Operator,
        RoleName::Viewer => Role::Viewer,
        RoleName::Worker => Role::Worker,
    };
    let issuer = crate::connection::ConnectionFile::read(&args.data)
        .map(|connection| connection.api_url)
        .context("a token names the installation's address as its issuer, so start it first")?;
    let token = issue(
        &database,
        &secrets.master_key,
        &issuer,
        role,
        &args.subject,
        i64::from(args.hours),
    )?;
    println!("{token}");
    Ok(())
}

/// Signs a token with the catalog's newest key.
pub(crate) fn issue(
    database: &NativeSqlite,
    master_key: &str,
    issuer: &str,
    role: Role,
    subject: &str,
    hours: i64,
) -> Result<String> {
    let now = jiff::Timestamp::now();
    headwater_catalog::bootstrap::issue_token(
        database,
        master_key,
        &headwater_catalog::bootstrap::TokenRequest {
            issuer,
            subject,
            role,
            now,
            hours,
        },
    )
    .context("signing a token")
}
