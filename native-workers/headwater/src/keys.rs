//! `headwater keys`: the keys that sign tokens. Works on the catalog itself, so it needs neither a token nor a running
//! installation: a key that has leaked can be refused when nobody can sign in any more.

use crate::secrets::Secrets;
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use headwater_catalog::keys::{self, KeyRecord};
use headwater_catalog::native::NativeSqlite;
use headwater_seal::Seal;
use std::path::PathBuf;

#[derive(Parser)]
pub(crate) struct Args {
    /// Folder of the installation.
    #[arg(
        long,
        env = "HEADWATER_DATA",
        default_value = ".headwater",
        global = true
    )]
    data: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the keys and what each is good for.
    List,
    /// Sign with a new key from now on. Tokens of the old one stay good until they run out.
    Rotate,
    /// Refuse a key and every token that it signed, at once. If it is the one that signs, a new one takes over; a running
    /// `headwater up` has to be started again, because its own tokens are refused too.
    Revoke {
        /// As `list` prints it.
        kid: String,
    },
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let secrets = Secrets::load(&args.data)?;
    let database = NativeSqlite::open(&args.data.join("catalog.db"))
        .with_context(|| format!("opening the catalog in {}", args.data.display()))?;
    let seal = Seal::new(&secrets.master_key).context("secrets.json: masterKey")?;
    let now = jiff::Timestamp::now();
    match args.command {
        Command::List => {
            for key in keys::list(&database).await? {
                print(&key);
            }
        }
        Command::Rotate => print(&keys::rotate(&database, &seal, now).await?),
        Command::Revoke { kid } => print(&keys::revoke_key(&database, &seal, &kid, now).await?),
    }
    Ok(())
}

fn print(key: &KeyRecord) {
    let state = match (key.revoked, key.verifies_until) {
        (Some(at), _) => format!("revoked {at}"),
        (None, Some(until)) => format!("verifies until {until}"),
        (None, None) => "signs".to_owned(),
    };
    println!("{}  made {}  {state}", key.kid, key.created);
}
