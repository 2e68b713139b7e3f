//! A new master key for what an older one sealed.
//!
//! The order in which a key is replaced without a moment in which something cannot be read: every process is given the new
//! key and the old one (`NEW OLD`: the first seals, both open), then [`reseal`] runs, then the old key is taken away.
//! It may be broken off and run again at any time, beside a running installation.

use headwater_seal::Seal;

use crate::error::CatalogError;
use crate::sql::{Row, Sql, Value, transaction};

/// One column with secrets.
struct Sealed {
    table: &'static str,
    column: &'static str,
    /// Rows with the same value here hold the same secret.
    id: &'static str,
    /// What a row's secret is sealed for.
    context: fn(&Row<'_>) -> Result<String, CatalogError>,
}

/// Every column whose name ends in `_sealed`.
const SEALED: &[Sealed] = &[
    Sealed {
        table: "storage_credentials",
        column: "secret_sealed",
        id: "id",
        context: |row| Ok(format!("storage/{}", row.text("id")?)),
    },
    Sealed {
        table: "jobs",
        column: "input_sealed",
        id: "id",
        context: |row| Ok(format!("job/{}", row.text("id")?)),
    },
    Sealed {
        table: "signing_keys",
        column: "private_sealed",
        id: "kid",
        context: |row| Ok(format!("signing-key/{}", row.text("kid")?)),
    },
    Sealed {
        table: "live_events",
        column: "access_token_sealed",
        id: "id",
        context: |row| Ok(format!("live-event/{}/access-token", row.text("id")?)),
    },
    Sealed {
        table: "live_events",
        column: "endpoints_sealed",
        id: "id",
        context: |row| Ok(format!("live-event/{}/endpoints", row.text("id")?)),
    },
    Sealed {
        table: "live_events",
        column: "edge_sealed",
        id: "id",
        context: |row| Ok(format!("live-event/{}/edge", row.text("id")?)),
    },
    Sealed {
        table: "locator_keys",
        column: "value_sealed",
        id: "key_id",
        context: |row| {
            let (project, key) = (row.text("project_id")?, row.text("key_id")?);
            Ok(format!("content-key/{project}/{key}"))
        },
    },
    Sealed {
        table: "content_key_policies",
        column: "options_sealed",
        id: "policy_id",
        context: |row| Ok(format!("content-key-policy/{}", row.text("policy_id")?)),
    },
    Sealed {
        table: "streaming_endpoints",
        column: "akamai_sealed",
        id: "akamai_id",
        context: |row| {
            Ok(format!(
                "streaming-endpoint/{}/akamai",
                row.text("akamai_id")?
            ))
        },
    },
    Sealed {
        table: "webhook_rules",
        column: "authentication_sealed",
        id: "rule_id",
        context: |row| Ok(format!("webhook-rule/{}", row.text("rule_id")?)),
    },
];

/// Rows in one transaction: writers in between wait for no more than these.
const BATCH: usize = 100;

/// Seals under the active key of `seal` whatever is sealed under another of its keys. Says how many secrets that were.
///
/// Errors: [`CatalogError::Seal`] for a secret that none of the keys opens; what was done until then stays done.
pub async fn reseal<S: Sql>(sql: &S, seal: &Seal) -> Result<usize, CatalogError> {
    let mut done = 0usize;
    for place in SEALED {
        let mut after = String::new();
        loop {
            let (last, count) =
                transaction(sql, async |sql| place.batch(sql, seal, &after).await).await?;
            done = done.saturating_add(count);
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
    }
    Ok(done)
}

impl Sealed {
    /// Works on the rows behind `after`; gives the last one, if there were any, and the number of secrets.
    async fn batch<S: Sql>(
        &self,
        sql: &S,
        seal: &Seal,
        after: &str,
    ) -> Result<(Option<String>, usize), CatalogError> {
        let Self {
            table,
            column,
            id,
            context,
        } = self;
        // Empty is what holds no secret any more: a signing key that was replaced.
        let rows = sql
            .query(
                &format!(
                    "SELECT * FROM {table} WHERE {id} > ?1 AND length({column}) > 0
                     ORDER BY {id} LIMIT {BATCH}"
                ),
                &[after.into()],
            )
            .await?;
        let mut last = None;
        let mut count = 0usize;
        for row in rows.iter() {
            let key = row.text(id)?;
            let sealed = row.blob(column)?;
            if !seal.is_current(&sealed) {
                let context = context(&row)?;
                let secret = seal.open(&context, &sealed)?;
                let fresh = seal.seal(&context, secret.expose())?;
                sql.query(
                    &format!("UPDATE {table} SET {column} = ?1 WHERE {id} = ?2"),
                    &[Value::Blob(fresh), key.as_str().into()],
                )
                .await?;
                count = count.saturating_add(1);
            }
            last = Some(key);
        }
        Ok((last, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations;

    #[test]
    fn no_sealed_column_is_forgotten() {
        for migration in migrations::all() {
            let words = migration
                .sql
                .lines()
                .filter(|line| !line.trim_start().starts_with("--"))
                .flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
            for column in words.filter(|word| word.ends_with("_sealed")) {
                let dropped = format!("DROP COLUMN {column}");
                assert!(
                    migrations::all().iter().any(|m| m.sql.contains(&dropped))
                        || SEALED.iter().any(|place| place.column == column),
                    "{column} of migration {}",
                    migration.name
                );
            }
        }
    }
}
