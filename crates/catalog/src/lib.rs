//! Resources, rules and SQL.
