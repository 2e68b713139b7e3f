//! `headwater keys`: the keys that sign tokens. Works on the catalog itself, so it needs neither a token nor a running
//! installation: a key that has leaked can be refused when nobody can sign in any more.

use crate::catalog::CatalogArgs;
use crate::master_key::MasterKeyArgs;
use crate::secrets::Secrets;
use anyhow::Result;
use clap::{Parser, Subcommand};
use headwater_catalog::keys::{self, KeyRecord};
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
    #[command(flatten)]
    catalog: CatalogArgs,
    #[command(flatten)]
    master_key: MasterKeyArgs,
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
        // One in 64 begins with a hyphen: base64url.
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let secrets = Secrets::load(&args.data, args.master_key.is_given())?;
    let catalog = args.catalog.open(&args.data)?;
    let seal = args.master_key.seal(&secrets)?;
    let now = jiff::Timestamp::now();
    match args.command {
        Command::List => {
            for key in keys::list(&catalog).await? {
                print(&key);
            }
        }
        Command::Rotate => print(&keys::rotate(&catalog, &seal, now).await?),
        Command::Revoke { kid } => print(&keys::revoke_key(&catalog, &seal, &kid, now).await?),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_whose_name_begins_with_a_hyphen_is_revoked() {
        for kid in [
            "-MhdouMPQoBVPbdTqewz0l_rEQ",
            "--hdouMPQoBVPbdTqewz0l_rEQ",
            "-hhV",
            "NzbL",
        ] {
            let args = Args::try_parse_from(["keys", "--data=d", "revoke", kid]).unwrap();
            assert!(
                matches!(args.command, Command::Revoke { kid: read } if read == kid),
                "{kid}"
            );
        }
        // What is an option of the command stays one.
        let args = Args::try_parse_from(["keys", "revoke", "NzbL", "--data=d"]).unwrap();
        assert_eq!(args.data, PathBuf::from("d"));
    }
}
