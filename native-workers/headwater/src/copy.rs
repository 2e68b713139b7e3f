//! `headwater catalog`: the catalog from one database to another, and what comes after.

use crate::fault::{Fault, Kind, of_sql};
use crate::files;
use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use headwater_catalog::NativeSqlite;
use headwater_postgres::copy::{After, CopyError, copy, reopen};
use headwater_postgres::{Address, Catalog, Session, roots};
use std::path::{Path, PathBuf};

#[derive(Parser)]
pub(crate) struct Commands {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Copy a catalog, beside running processes, into an empty database: all of it or nothing, checked table by table.
    Copy(CopyArgs),
    /// Let writers into a SQLite catalog again that `copy --close` has closed.
    Reopen {
        /// sqlite:FILE
        #[arg(long, value_parser = place)]
        from: Place,
    },
}

#[derive(clap::Args)]
struct CopyArgs {
    /// Where the catalog is: sqlite:FILE (`catalog.db` in the data folder) or postgres://USER:PASSWORD@HOST/DATABASE.
    #[arg(long, value_parser = place)]
    from: Place,
    /// Where it goes, likewise. The database has to be there and empty; a SQLite file may be missing.
    #[arg(long, value_parser = place)]
    to: Place,
    /// The certificate that TLS to a server trusts, in PEM; without it those of the web.
    #[arg(long = "catalog-ca", env = "HEADWATER_CATALOG_CA")]
    ca: Option<PathBuf>,
    /// Close the source to writers from the moment that the copy shows, so that nothing acknowledged is left behind. Reads go on.
    #[arg(long)]
    close: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Sqlite(PathBuf),
    Postgres(String),
}

/// The password of an address is no part of an error.
fn place(text: &str) -> Result<Place, String> {
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(
                "sqlite: is followed by the file, as in sqlite:.headwater/catalog.db".into(),
            );
        }
        return Ok(Place::Sqlite(path.into()));
    }
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err("it starts neither with sqlite: nor with postgres://".into());
    }
    Address::parse(text).map_err(|error| error.to_string())?;
    Ok(Place::Postgres(text.to_owned()))
}

/// What to do with a SQLite file that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Refuse,
    Make,
}

impl Place {
    fn open(&self, option: &str, ca: Option<&Path>, missing: Missing) -> Result<Catalog> {
        match self {
            Self::Sqlite(path) => Ok(Catalog::Sqlite(sqlite(path, option, missing)?)),
            Self::Postgres(url) => {
                let trusted = match ca {
                    Some(path) => {
                        let (pem, _) = files::certificates(path, crate::fault::CATALOG_CA)?;
                        roots(&String::from_utf8_lossy(&pem))?
                    }
                    None => Vec::new(),
                };
                let session = Session::open(url, &trusted).map_err(|error| {
                    let fault = Fault::new(of_sql(&error), option);
                    anyhow::Error::new(error).context(fault)
                })?;
                Ok(Catalog::Postgres(session))
            }
        }
    }
}

fn sqlite(path: &Path, option: &str, missing: Missing) -> Result<NativeSqlite> {
    if missing == Missing::Refuse && !path.exists() {
        let what = format!("{option}: there is no {}", path.display());
        return Err(Fault::new(Kind::Configuration, what).into());
    }
    NativeSqlite::open(path).map_err(|error| {
        let fault = Fault::new(of_sql(&error), format_args!("{option}: {}", path.display()));
        anyhow::Error::new(error).context(fault)
    })
}

pub(crate) async fn run(commands: Commands) -> Result<()> {
    match commands.command {
        Action::Copy(wanted) => wanted.run().await,
        Action::Reopen { from } => {
            let Place::Sqlite(path) = &from else {
                bail!("only a SQLite catalog is ever closed");
            };
            reopen(&sqlite(path, "--from", Missing::Refuse)?).await?;
            println!("{} takes writes again.", path.display());
            Ok(())
        }
    }
}

impl CopyArgs {
    async fn run(&self) -> Result<()> {
        if self.from == self.to {
            let what = "--from and --to are the same database";
            return Err(Fault::new(Kind::Configuration, what).into());
        }
        let ca = self.ca.as_deref();
        let from = self.from.open("--from", ca, Missing::Refuse)?;
        let to = self.to.open("--to", ca, Missing::Make)?;
        let after = if self.close {
            After::Close
        } else {
            After::Leave
        };
        let copied = copy(&from, &to, after).await.map_err(|error| {
            let kind = match &error {
                CopyError::Source(_) | CopyError::Target(_) => Kind::Unavailable,
                _ => Kind::Configuration,
            };
            anyhow::Error::new(error).context(Fault::new(kind, "nothing was copied"))
        });
        let copied = copied.context("copying the catalog")?;
        let width = copied
            .iter()
            .map(|table| table.table.len())
            .max()
            .unwrap_or(0);
        for table in &copied {
            let sum = table.checksum.get(..16).unwrap_or_default();
            println!("{:width$}  {:>9}  {sum}", table.table, table.rows);
        }
        let rows: u64 = copied.iter().map(|table| table.rows).sum();
        println!(
            "{rows} rows of {} tables, the same on both sides.\n",
            copied.len()
        );
        println!("{}", self.advice());
        Ok(())
    }

    fn advice(&self) -> String {
        let start = match &self.to {
            Place::Postgres(_) => {
                "with `--catalog` (HEADWATER_CATALOG) at the new address".to_owned()
            }
            Place::Sqlite(path) => format!(
                "without `--catalog`, with {} as `catalog.db` in the data folder",
                path.display()
            ),
        };
        match (self.close, &self.from) {
            (true, Place::Sqlite(path)) => format!(
                "The old catalog takes no writes any more: clients are told to try again, playback goes on.\n\
                 Now start every process {start}, with the same master key as before.\n\
                 Back: `headwater catalog reopen --from sqlite:{}`; what was written to the copy by then is not in it.",
                path.display()
            ),
            _ => format!(
                "What is written to the old catalog from now on is not in the copy. To switch without a loss, stop what writes\n\
                 to the old one (or copy from SQLite with `--close`), copy into an empty database, and start every process\n\
                 {start}, with the same master key as before."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart_and_secrets_are_not_repeated() {
        assert_eq!(place("sqlite:a/b.db"), Ok(Place::Sqlite("a/b.db".into())));
        assert_eq!(
            place("sqlite:///a/b.db"),
            Ok(Place::Sqlite("/a/b.db".into()))
        );
        assert!(matches!(
            place("postgres://u:p@h/d"),
            Ok(Place::Postgres(_))
        ));
        for bad in [
            "",
            "sqlite:",
            "a.db",
            "mysql://u:secret@h",
            "postgres://u:secret@/d",
        ] {
            let error = place(bad).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
