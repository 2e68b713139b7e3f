//! Numbered changes of the schema.
//!
//! The binary applies them at start under the database's own write lock (feature `native`); components never change
//! the schema. They are written in what SQLite takes, and [`postgres`](crate::postgres) translates the types. A migration
//! that has been released is never edited: the next one changes what it made.

use crate::error::CatalogError;
use crate::sql::{Rows, Sql, SqlError, Value};

/// A database whose schema can be brought up to date.
#[allow(async_fn_in_trait, reason = "as `Sql`")]
pub trait Migrate: Sql {
    /// Brings the schema up to date: all pending steps or none. Says how many steps were taken.
    ///
    /// Errors: [`CatalogError::Sql`], also for a database of a newer version.
    async fn migrate(&self) -> Result<usize, CatalogError>;
}

/// Makes the table of the steps that were taken.
pub const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL)";
/// Selects the newest step that was taken, as `newest`.
pub const NEWEST: &str = "SELECT coalesce(max(number), 0) AS newest FROM schema_migrations";
/// Notes a step: [`Migration::record`].
pub const RECORD: &str = "INSERT INTO schema_migrations (number, name) VALUES (?1, ?2)";

/// The steps that are still to be taken. `newest`: what [`NEWEST`] selected.
///
/// Errors: [`SqlError::Failed`] for a database of a newer version.
pub fn pending(newest: &Rows) -> Result<&'static [Migration], SqlError> {
    let done = newest
        .first()
        .and_then(|row| row.unsigned("newest").ok())
        .ok_or_else(|| SqlError::Failed("the schema's version cannot be read".into()))?;
    let known = all().last().map_or(0, |migration| migration.number);
    if done > known {
        return Err(SqlError::Failed(format!(
            "the database is of a newer version (schema {done}, this program knows {known})"
        )));
    }
    let first = all()
        .iter()
        .take_while(|migration| migration.number <= done)
        .count();
    Ok(all().get(first..).unwrap_or_default())
}

/// One step of the schema.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Counted from 1, without gaps.
    pub number: u32,
    pub name: &'static str,
    /// Several statements.
    pub sql: &'static str,
}

impl Migration {
    /// Parameters of [`RECORD`].
    pub fn record(&self) -> [Value; 2] {
        [self.number.into(), self.name.into()]
    }
}

/// All migrations, in order.
pub fn all() -> &'static [Migration] {
    &[
        Migration {
            number: 1,
            name: "vod",
            sql: include_str!("../migrations/sqlite/0001_vod.sql"),
        },
        Migration {
            number: 2,
            name: "labels and length",
            sql: include_str!("../migrations/sqlite/0002_labels_and_length.sql"),
        },
        Migration {
            number: 3,
            name: "filters and key policies",
            sql: include_str!("../migrations/sqlite/0003_filters_and_key_policies.sql"),
        },
        Migration {
            number: 4,
            name: "api tokens",
            sql: include_str!("../migrations/sqlite/0004_api_tokens.sql"),
        },
        Migration {
            number: 5,
            name: "account tags",
            sql: include_str!("../migrations/sqlite/0005_account_tags.sql"),
        },
        Migration {
            number: 6,
            name: "live",
            sql: include_str!("../migrations/sqlite/0006_live.sql"),
        },
        Migration {
            number: 7,
            name: "storage and projects",
            sql: include_str!("../migrations/sqlite/0007_storage_and_projects.sql"),
        },
        Migration {
            number: 8,
            name: "people",
            sql: include_str!("../migrations/sqlite/0008_people.sql"),
        },
        Migration {
            number: 10,
            name: "tracks and locator keys",
            sql: include_str!("../migrations/sqlite/0010_tracks_and_locator_keys.sql"),
        },
        Migration {
            number: 11,
            name: "events and audit",
            sql: include_str!("../migrations/sqlite/0011_events_and_audit.sql"),
        },
        Migration {
            number: 12,
            name: "token uses",
            sql: include_str!("../migrations/sqlite/0012_token_uses.sql"),
        },
        Migration {
            number: 13,
            name: "live edge",
            sql: include_str!("../migrations/sqlite/0013_live_edge.sql"),
        },
        Migration {
            number: 15,
            name: "engines and inputs",
            sql: include_str!("../migrations/sqlite/0015_engines_and_inputs.sql"),
        },
        Migration {
            number: 16,
            name: "live health",
            sql: include_str!("../migrations/sqlite/0016_live_health.sql"),
        },
        Migration {
            number: 17,
            name: "turns",
            sql: include_str!("../migrations/sqlite/0017_turns.sql"),
        },
        Migration {
            number: 18,
            name: "organization",
            sql: include_str!("../migrations/sqlite/0018_organization.sql"),
        },
        Migration {
            number: 19,
            name: "shared chunks",
            sql: include_str!("../migrations/sqlite/0019_shared_chunks.sql"),
        },
        Migration {
            number: 20,
            name: "last input",
            sql: include_str!("../migrations/sqlite/0020_last_input.sql"),
        },
        Migration {
            number: 21,
            name: "endpoint rules",
            sql: include_str!("../migrations/sqlite/0021_endpoint_rules.sql"),
        },
        Migration {
            number: 22,
            name: "key rotation",
            sql: include_str!("../migrations/sqlite/0022_key_rotation.sql"),
        },
        Migration {
            number: 23,
            name: "endpoint keys",
            sql: include_str!("../migrations/sqlite/0023_endpoint_keys.sql"),
        },
        Migration {
            number: 24,
            name: "invites by address",
            sql: include_str!("../migrations/sqlite/0024_invites_by_address.sql"),
        },
    ]
}
