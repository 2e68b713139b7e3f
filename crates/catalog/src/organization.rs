//! The one organization of an installation: what it is called, and who stands for it.

use jiff::Timestamp;

use crate::error::CatalogError;
use crate::sql::{Row, Sql, Value, transaction};
use crate::{names, users};

/// Its name until somebody gives it one.
pub const UNNAMED: &str = "headwater";

/// The key of the only row.
const ONLY: &str = "organization";

const COLUMNS: &str = "name, legal_entity_name, legal_entity_contact_email, modified";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// 1 to 128 characters, to be shown.
    pub name: String,
    pub legal_entity_name: Option<String>,
    /// A mail address, in lower case.
    pub legal_entity_contact_email: Option<String>,
    /// None until somebody changed anything.
    pub modified: Option<Timestamp>,
}

impl Default for Organization {
    fn default() -> Self {
        Self {
            name: UNNAMED.into(),
            legal_entity_name: None,
            legal_entity_contact_email: None,
            modified: None,
        }
    }
}

fn from_row(row: &Row<'_>) -> Result<Organization, CatalogError> {
    Ok(Organization {
        name: row.text("name")?,
        legal_entity_name: row.opt_text("legal_entity_name")?,
        legal_entity_contact_email: row.opt_text("legal_entity_contact_email")?,
        modified: Some(row.time("modified")?),
    })
}

/// The organization as it is now.
pub async fn get<S: Sql>(sql: &S) -> Result<Organization, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM organization WHERE id = ?1"),
            &[ONLY.into()],
        )
        .await?;
    Ok(rows
        .first()
        .map(|row| from_row(&row))
        .transpose()?
        .unwrap_or_default())
}

/// Changes it by `change`, which sees it as it is.
///
/// Errors: [`CatalogError::Invalid`], which names the member.
pub async fn update<S: Sql>(
    sql: &S,
    change: impl Fn(Organization) -> Organization,
    now: Timestamp,
) -> Result<Organization, CatalogError> {
    transaction(sql, async |sql| {
        let mut changed = change(get(sql).await?);
        names::display("spec.name", &changed.name)?;
        names::text(
            "spec.legalEntityName",
            changed.legal_entity_name.as_deref(),
            256,
        )?;
        let address = changed.legal_entity_contact_email.as_deref();
        changed.legal_entity_contact_email = address
            .map(|text| users::email("spec.legalEntityContactEmail", text))
            .transpose()?;
        sql.query(
            &format!(
                "INSERT INTO organization (id, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, legal_entity_name = excluded.legal_entity_name,
                     legal_entity_contact_email = excluded.legal_entity_contact_email, modified = excluded.modified"
            ),
            &[
                ONLY.into(),
                Value::from(&changed.name),
                Value::from(changed.legal_entity_name.as_deref()),
                Value::from(changed.legal_entity_contact_email.as_deref()),
                now.into(),
            ],
        )
        .await?;
        changed.modified = Some(now);
        Ok(changed)
    })
    .await
}
