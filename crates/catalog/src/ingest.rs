//! Storage events that start work.
//!
//! An event is a hint that a blob is there. Whoever receives it checks its sender, looks at the blob again and then calls
//! [`storage_event`], which in one transaction remembers the event, finds the upload rules that are for this blob, and
//! makes for each an input asset, an output asset, a job and a locator. Delivering the same event again, or two events
//! for the same version of a blob, changes nothing.
//!
//! Rules do not depend on each other: one that does not work any more starts nothing, and the others do. An event that
//! a rule refused is not remembered, so that sending it again, once the rule is mended, starts what is missing.
//!
//! Names follow from the blob and its version: `film.mp4` becomes `film-1f3c9a02`, its input asset
//! `film-1f3c9a02-source`. The locator exists at once, so its address is known before the job is done; it plays when the
//! job has finished. Containers of output assets are made when a worker claims the job.

use headwater_seal::Seal;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

use crate::assets::{self, AssetWrite};
use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::jobs::{self, JobInput, MissingAssets, NewJob, NewOutput, Priority};
use crate::locators::{self, NewLocator};
use crate::sql::{Sql, Value, part, transaction};
use crate::upload_rules::{self, UploadRule};

/// How long event ids are remembered. Event Grid gives up after a day.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(72);

/// What happened to the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobEventKind {
    Created,
    Deleted,
}

/// A storage event, in our words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobEvent {
    pub kind: BlobEventKind,
    /// The account as the storage service names it.
    pub account: String,
    pub container: String,
    /// Decoded, without a leading slash.
    pub blob: String,
    /// Of the version that is there now. Quotes do not matter.
    pub etag: String,
    /// Unique per event and sender.
    pub event_id: String,
}

/// A job that an event started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    pub rule: String,
    pub job_id: Uuid,
    pub job_name: String,
    pub output_asset: String,
    pub locator_id: Uuid,
}

/// A rule that was for the blob and could not be followed. Nothing is left of the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub rule: String,
    /// A [refusal](CatalogError::is_refusal): the operator's to mend.
    pub error: CatalogError,
}

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The event was taken in before.
    Duplicate,
    /// No rule is for this blob, or its version was turned into a job before, or it was deleted.
    Ignored,
    /// One job or one refusal per rule; not both are empty.
    Applied {
        started: Vec<Started>,
        refused: Vec<Refused>,
    },
}

/// Takes in one event.
///
/// Errors: [`CatalogError::Sql`] (send the event again later), [`CatalogError::Corrupt`], [`CatalogError::Seal`].
pub async fn storage_event<S: Sql>(
    sql: &S,
    seal: &Seal,
    event: &BlobEvent,
    moment: Moment<'_>,
) -> Result<Outcome, CatalogError> {
    transaction(sql, async |sql| {
        let fresh = sql
            .query(
                "INSERT INTO storage_events (id, seen) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING RETURNING id",
                &[Value::from(&event.event_id), moment.now.into()],
            )
            .await?;
        if fresh.is_empty() {
            return Ok(Outcome::Duplicate);
        }
        let oldest = moment.now.checked_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
        sql.query("DELETE FROM storage_events WHERE seen < ?1", &[oldest.into()])
            .await?;
        if event.kind == BlobEventKind::Deleted {
            return Ok(Outcome::Ignored);
        }
        let (mut started, mut refused) = (Vec::new(), Vec::new());
        for (project, rule) in rules_for(sql, event).await? {
            let applied = part(sql, async |sql| {
                apply(sql, seal, &project, &rule, event, moment).await
            })
            .await;
            match applied {
                Ok(job) => started.extend(job),
                Err(error) if error.is_refusal() => refused.push(Refused {
                    rule: rule.name,
                    error,
                }),
                Err(error) => return Err(error),
            }
        }
        if !refused.is_empty() {
            let id = [Value::from(&event.event_id)];
            sql.query("DELETE FROM storage_events WHERE id = ?1", &id)
                .await?;
        } else if started.is_empty() {
            return Ok(Outcome::Ignored);
        }
        Ok(Outcome::Applied { started, refused })
    })
    .await
}

/// Whether an event was taken in before: another cheap look before the blob itself is looked at.
pub async fn is_known<S: Sql>(sql: &S, event_id: &str) -> Result<bool, CatalogError> {
    let rows = sql
        .query(
            "SELECT 1 FROM storage_events WHERE id = ?1",
            &[event_id.into()],
        )
        .await?;
    Ok(!rows.is_empty())
}

/// Remembers events that came to nothing, so that they are known when they are sent again.
pub async fn remember<S: Sql>(
    sql: &S,
    event_ids: &[&str],
    now: Timestamp,
) -> Result<(), CatalogError> {
    transaction(sql, async |sql| {
        for id in event_ids {
            sql.query(
                "INSERT INTO storage_events (id, seen) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING",
                &[Value::from(*id), now.into()],
            )
            .await?;
        }
        Ok(())
    })
    .await
}

/// Whether any rule is for blobs of this name: a cheap look before the blob itself is looked at.
pub async fn concerns_a_rule<S: Sql>(sql: &S, event: &BlobEvent) -> Result<bool, CatalogError> {
    Ok(event.kind == BlobEventKind::Created && !rules_for(sql, event).await?.is_empty())
}

async fn rules_for<S: Sql>(
    sql: &S,
    event: &BlobEvent,
) -> Result<Vec<(ProjectId, UploadRule)>, CatalogError> {
    let rows = sql
        .query(
            &format!(
                "SELECT r.project_id, {} FROM upload_rules r
                 JOIN storage_accounts s ON s.project_id = r.project_id AND s.name = r.storage_account
                 WHERE s.account = ?1 AND r.container = ?2 AND r.enabled = 1 ORDER BY r.project_id, r.name",
                upload_rules::ENTITY.columns_of("r")
            ),
            &[Value::from(&event.account), Value::from(&event.container)],
        )
        .await?;
    let mut found = Vec::new();
    for row in rows.iter() {
        let rule = (upload_rules::ENTITY.read)(&row)?;
        if rule.rule.matches(&event.blob) {
            found.push((ProjectId(row.text("project_id")?), rule));
        }
    }
    Ok(found)
}

async fn apply<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    rule: &UploadRule,
    event: &BlobEvent,
    moment: Moment<'_>,
) -> Result<Option<Started>, CatalogError> {
    let version = json!([
        event.account,
        event.container,
        event.blob,
        event.etag.trim_matches('"'),
        rule.name
    ]);
    let fingerprint = crate::fingerprint(&version);
    let short = fingerprint.get(..8).unwrap_or(&fingerprint);
    let name = format!("{}-{short}", stem(&event.blob));
    let source = format!("{name}-source");

    let seen = sql
        .query(
            "SELECT 1 FROM ingested_blobs WHERE account = ?1 AND container = ?2 AND blob = ?3 AND etag = ?4
             AND project_id = ?5 AND rule_name = ?6",
            &ingested_key(project, rule, event),
        )
        .await?;
    if !seen.is_empty() {
        return Ok(None);
    }
    let input = AssetWrite {
        storage_account: Some(rule.rule.storage_account_name.clone()),
        container: Some(event.container.clone()),
        ..AssetWrite::default()
    };
    assets::insert(sql, project, &source, &input, moment.ids.uuid(), moment.now).await?;
    let output = AssetWrite {
        storage_account: Some(rule.rule.storage_account_name.clone()),
        ..AssetWrite::default()
    };
    assets::insert(sql, project, &name, &output, moment.ids.uuid(), moment.now).await?;
    let job = NewJob {
        input: JobInput::Asset {
            asset_name: source,
            files: vec![event.blob.clone()],
            label: None,
            cut: Default::default(),
        },
        outputs: vec![NewOutput {
            asset_name: name.clone(),
            label: None,
            preset_override: None,
        }],
        description: Some(format!("Upload rule '{}'", rule.name)),
        correlation: [("uploadRule".to_owned(), rule.name.clone())].into(),
        priority: Priority::Normal,
        missing_assets: MissingAssets::Refuse,
        fingerprint: fingerprint.clone(),
    };
    let transform = &rule.rule.transform_name;
    let job_id = jobs::insert(sql, seal, project, transform, &name, &job, moment).await?;
    let locator = NewLocator {
        asset_name: name.clone(),
        policy_name: rule.rule.streaming_policy_name.clone(),
        fingerprint,
        ..NewLocator::default()
    };
    let locator = locators::insert(sql, seal, project, &name, &locator, moment).await?;
    let mut row = ingested_key(project, rule, event).to_vec();
    row.extend([job_id.into(), moment.now.into()]);
    sql.query(
        "INSERT INTO ingested_blobs (account, container, blob, etag, project_id, rule_name, job_id, created)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        &row,
    )
    .await?;
    Ok(Some(Started {
        rule: rule.name.clone(),
        job_id,
        job_name: name.clone(),
        output_asset: name,
        locator_id: locator.locator_id,
    }))
}

fn ingested_key(project: &ProjectId, rule: &UploadRule, event: &BlobEvent) -> [Value; 6] {
    [
        Value::from(&event.account),
        Value::from(&event.container),
        Value::from(&event.blob),
        event.etag.trim_matches('"').into(),
        project.into(),
        Value::from(&rule.name),
    ]
}

/// The blob's file name without folder and extension, in characters that any resource name may have.
fn stem(blob: &str) -> String {
    let file = blob.rsplit('/').next().unwrap_or(blob);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let plain: String = stem
        .chars()
        .take(64)
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '-'
            }
        })
        .collect();
    let trimmed = plain.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if trimmed.is_empty() {
        "upload".to_owned()
    } else {
        trimmed.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn stems_are_plain() {
        for (blob, expected) in [
            ("film.mp4", "film"),
            ("a/b/My film (1).final.mp4", "My-film--1-.final"),
            ("größe.mov", "gr--e"),
            ("....mp4", "upload"),
            ("noext", "noext"),
            (".mp4", "upload"),
        ] {
            assert_eq!(stem(blob), expected, "{blob}");
        }
    }
}
