//! Webhook rules: who is told of which events, and where. Spec: the management API reference, 1.14.
//!
//! What a rule authenticates with is kept twice: as everybody may see it, every value asterisks, and sealed. A writer that
//! sends the asterisks back, as one does that reads a rule, changes it and writes it, keeps what is there.

mod check;

use std::collections::BTreeMap;

use headwater_seal::{Seal, Secret};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::events::EventType;
use crate::ids::{Moment, ProjectId};
use crate::query::{Field, FieldKind, Listing, Page};
use crate::sql::{Row, Sql, Value, transaction};
use crate::{Written, deliveries, names};

/// What a secret reads back as.
pub const MASK: &str = "********";

/// Most rules of one project.
pub const MOST: u32 = 50;

/// Text by name.
pub type Texts = BTreeMap<String, String>;

/// What a rule authenticates with at its receiver. Shows nothing of it in logs.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    pub headers: Texts,
    pub query_params: Texts,
    /// What deliveries are signed with (Standard Webhooks): `whsec_` and the base64 of 24 to 64 bytes.
    pub signing_secret: Option<String>,
}

impl std::fmt::Debug for Authentication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authentication(..)")
    }
}

impl Authentication {
    /// The same with asterisks for every value.
    fn masked(&self) -> Self {
        let mask = |texts: &Texts| {
            texts
                .keys()
                .map(|name| (name.clone(), MASK.to_owned()))
                .collect()
        };
        Self {
            headers: mask(&self.headers),
            query_params: mask(&self.query_params),
            signing_secret: self.signing_secret.as_ref().map(|_| MASK.to_owned()),
        }
    }

    /// Puts what `old` holds in the place of asterisks.
    fn keeping(&self, old: &Self) -> Result<Self, CatalogError> {
        let kept = |value: &String, old: Option<&String>, field: String| {
            if value != MASK {
                return Ok(value.clone());
            }
            old.cloned().ok_or_else(|| {
                CatalogError::invalid(field, "is asterisks, and there is no such secret to keep")
            })
        };
        let all = |new: &Texts, old: &Texts, member: &str| {
            new.iter()
                .map(|(name, value)| {
                    let field = format!("spec.authentication.{member}.{name}");
                    Ok((name.clone(), kept(value, old.get(name), field)?))
                })
                .collect::<Result<Texts, CatalogError>>()
        };
        let secret = |value| {
            let field = "spec.authentication.signingSecret".to_owned();
            kept(value, old.signing_secret.as_ref(), field)
        };
        Ok(Self {
            headers: all(&self.headers, &old.headers, "headers")?,
            query_params: all(&self.query_params, &old.query_params, "queryParams")?,
            signing_secret: self.signing_secret.as_ref().map(secret).transpose()?,
        })
    }
}

/// A rule's own part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleWrite {
    /// A rule that is off is told nothing.
    pub enabled: bool,
    /// `http` or `https`, without user information.
    pub url: String,
    pub events: Vec<EventType>,
    /// Sent with every delivery.
    pub headers: Texts,
    /// Added to the URL.
    pub query_params: Texts,
    /// As `headers` and `query_params`, but secret.
    pub authentication: Authentication,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub id: Uuid,
    pub name: String,
    /// Its secrets are asterisks.
    pub rule: RuleWrite,
    pub created: Timestamp,
    pub modified: Timestamp,
}

pub(crate) const ENTITY: Entity<Rule> = Entity {
    one: "Webhook rule",
    many: "webhook rules",
    table: "webhook_rules",
    columns: "rule_id, name, enabled, url, events_json, headers_json, query_json, authentication_json, created, modified",
    read: from_row,
    tie: Field::new("name", "name", FieldKind::Text),
    fields: &[
        Field::new("name", "name", FieldKind::Text),
        Field::new("metadata/created", "created", FieldKind::Time),
        Field::new("spec/url", "url", FieldKind::Text),
    ],
    labels: None,
};

fn from_row(row: &Row<'_>) -> Result<Rule, CatalogError> {
    let events: Vec<String> = row.json("events_json")?;
    Ok(Rule {
        id: row.uuid("rule_id")?,
        name: row.text("name")?,
        rule: RuleWrite {
            enabled: row.flag("enabled")?,
            url: row.text("url")?,
            // A type that this version does not know is told of no more.
            events: events
                .iter()
                .filter_map(|name| EventType::parse(name))
                .collect(),
            headers: row.json("headers_json")?,
            query_params: row.json("query_json")?,
            authentication: row.json("authentication_json")?,
        },
        created: row.time("created")?,
        modified: row.time("modified")?,
    })
}

fn seal_context(rule_id: Uuid) -> String {
    format!("webhook-rule/{rule_id}")
}

/// Opens a rule's `authentication_sealed`.
pub(crate) fn open(
    seal: &Seal,
    rule_id: Uuid,
    sealed: &[u8],
) -> Result<Authentication, CatalogError> {
    let opened = seal.open(&seal_context(rule_id), sealed)?;
    serde_json::from_slice(opened.expose())
        .map_err(|_| CatalogError::corrupt("authentication_sealed", "not the JSON expected"))
}

/// One rule, its secrets asterisks.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(sql: &S, project: &ProjectId, name: &str) -> Result<Rule, CatalogError> {
    ENTITY.get(sql, project, name).await
}

/// A page of rules.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
    listing: &Listing,
) -> Result<Page<Rule>, CatalogError> {
    ENTITY.list(sql, project, listing).await
}

/// Creates or replaces a rule. What waits for one that is switched off is given up; what waits for one that is changed goes
/// to its new address.
///
/// Errors: [`CatalogError::Invalid`]; [`CatalogError::Conflict`] beyond [`MOST`].
pub async fn put<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
    write: &RuleWrite,
    moment: Moment<'_>,
) -> Result<(Rule, Written), CatalogError> {
    names::plain("name", name)?;
    transaction(sql, async |sql| {
        let (id, old, written) = match find_sealed(sql, seal, project, name).await? {
            Some((id, old)) => (id, old, Written::Existing),
            None => {
                check_room(sql, project).await?;
                let id = moment.ids.uuid();
                (id, Authentication::default(), Written::Created)
            }
        };
        let complete = write.authentication.keeping(&old)?;
        check::rule(write, &complete)?;
        let plain = Secret::new(serde_json::to_vec(&complete).unwrap_or_default());
        let sealed = seal.seal(&seal_context(id), plain.expose())?;
        let rows = sql
            .query(
                &format!(
                    "INSERT INTO webhook_rules (project_id, name, rule_id, enabled, url, events_json, headers_json, query_json,
                         authentication_json, authentication_sealed, created, modified, trimmed)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?11)
                     ON CONFLICT (project_id, name) DO UPDATE
                         SET enabled = excluded.enabled, url = excluded.url, events_json = excluded.events_json,
                             headers_json = excluded.headers_json, query_json = excluded.query_json,
                             authentication_json = excluded.authentication_json,
                             authentication_sealed = excluded.authentication_sealed, modified = excluded.modified
                     RETURNING {}",
                    ENTITY.columns
                ),
                &[
                    project.into(),
                    name.into(),
                    id.into(),
                    write.enabled.into(),
                    Value::from(&write.url),
                    json(&write.events.iter().map(|kind| kind.name()).collect::<Vec<_>>()),
                    json(&write.headers),
                    json(&write.query_params),
                    json(&complete.masked()),
                    sealed.into(),
                    moment.now.into(),
                ],
            )
            .await?;
        subscribe(sql, project, id, write).await?;
        if !write.enabled {
            deliveries::give_up(sql, id, "The rule was switched off.").await?;
        }
        Ok((ENTITY.returned(&rows, name)?, written))
    })
    .await
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_string(value).unwrap_or_default().into()
}

async fn find_sealed<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
) -> Result<Option<(Uuid, Authentication)>, CatalogError> {
    let rows = sql
        .query(
            "SELECT rule_id, authentication_sealed FROM webhook_rules WHERE project_id = ?1 AND name = ?2",
            &[project.into(), name.into()],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let id = row.uuid("rule_id")?;
    let old = open(seal, id, &row.blob("authentication_sealed")?)?;
    Ok(Some((id, old)))
}

async fn check_room<S: Sql>(sql: &S, project: &ProjectId) -> Result<(), CatalogError> {
    let counted = sql
        .query(
            "SELECT count(*) AS total FROM webhook_rules WHERE project_id = ?1",
            &[project.into()],
        )
        .await?;
    if counted.total()? >= MOST {
        return Err(CatalogError::Conflict(format!(
            "There are {MOST} webhook rules already, which is the most there may be."
        )));
    }
    Ok(())
}

/// Makes the subscriptions those of the rule.
async fn subscribe<S: Sql>(
    sql: &S,
    project: &ProjectId,
    id: Uuid,
    write: &RuleWrite,
) -> Result<(), CatalogError> {
    unsubscribe(sql, id).await?;
    let wanted = write.events.iter().filter(|_| write.enabled);
    for kind in wanted {
        sql.query(
            "INSERT INTO webhook_subscriptions (project_id, event_type, rule_id) VALUES (?1, ?2, ?3)",
            &[project.into(), kind.name().into(), id.into()],
        )
        .await?;
    }
    Ok(())
}

async fn unsubscribe<S: Sql>(sql: &S, id: Uuid) -> Result<(), CatalogError> {
    sql.query(
        "DELETE FROM webhook_subscriptions WHERE rule_id = ?1",
        &[id.into()],
    )
    .await?;
    Ok(())
}

/// Deletes a rule with what waits for it and its log. Says whether there was one.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<bool, CatalogError> {
    transaction(sql, async |sql| {
        let Some(rule) = ENTITY.find(sql, project, name).await? else {
            return Ok(false);
        };
        unsubscribe(sql, rule.id).await?;
        sql.query(
            "DELETE FROM webhook_deliveries WHERE rule_id = ?1",
            &[rule.id.into()],
        )
        .await?;
        ENTITY.delete(sql, project, name).await
    })
    .await
}
