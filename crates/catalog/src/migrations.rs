//! Numbered changes of the schema.
//!
//! The binary applies them at start under the database's own write lock (feature `native`); components never change
//! the schema. A migration that has been released is never edited: the next one changes what it made.

/// One step of the schema.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Counted from 1, without gaps.
    pub number: u32,
    pub name: &'static str,
    /// Several statements.
    pub sql: &'static str,
}

/// All migrations for SQLite, in order.
pub fn sqlite() -> &'static [Migration] {
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
            number: 9,
            name: "events and audit",
            sql: include_str!("../migrations/sqlite/0009_events_and_audit.sql"),
        },
    ]
}
