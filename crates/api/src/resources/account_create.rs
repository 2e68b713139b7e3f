//! New accounts (ARM), which are projects. Spec: the management API reference, 2.3 and 2.5.
//!
//! Storage accounts are named by their resource ids, as in Azure. Here the last segment counts: it is the name of a
//! storage account that some project of this installation has. The new project gets records of its own.

use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::projects::NewProject;
use headwater_catalog::storage::{self, StorageAccount};
use http::StatusCode;

use super::account_changes::{fixed, storage_name, tags};
use super::{accounts, projects};
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::Object;
use crate::reply::Reply;

pub(super) async fn create<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    let properties = fixed(&root)?;
    let given = match &properties {
        Some(properties) => properties.objects("storageAccounts")?.unwrap_or_default(),
        None => Vec::new(),
    };
    let storage = storage_accounts(call, &given).await?;
    let all = projects::locations(call).await?;
    let asked = root.text("location")?;
    let name = call.var("account");
    let new = NewProject {
        name,
        display_name: name,
        location: projects::location(&all, "location", asked.as_deref())?,
        subscription_id: call.var("subscription"),
        resource_group: call.var("group"),
        tags: tags(&root)?.unwrap_or_default(),
        storage: &storage,
        by: &call.caller()?.subject,
    };
    let project = projects::create(call, &new).await?;
    Ok(Reply::json(
        StatusCode::CREATED,
        accounts::render(call, &project).await?,
    ))
}

/// Whether an entry of `storageAccounts` is the primary.
fn is_primary(account: &Object<'_>) -> Result<bool, ApiError> {
    let kind = account.one_of("type", &["Primary", "Secondary"], |name| match name {
        "Primary" => Some(true),
        "Secondary" => Some(false),
        _ => None,
    })?;
    account.required("type", kind)
}

/// The storage accounts that a body names, the primary first.
async fn storage_accounts<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    given: &[Object<'_>],
) -> Result<Vec<StorageAccount>, ApiError> {
    let mut found: Vec<(bool, StorageAccount)> = Vec::with_capacity(given.len());
    for account in given {
        account.only(&["id", "type", "status", "identity"])?;
        let primary = is_primary(account)?;
        let named = by_id(call, account).await?;
        let twice = found.iter().any(|(_, known)| known.name == named.name);
        if twice || (primary && found.iter().any(|(primary, _)| *primary)) {
            let (member, message) = if twice {
                ("id", "names a storage account that is named already")
            } else {
                ("type", "must be Primary for one storage account only")
            };
            return Err(ApiError::invalid(account.path(member), message));
        }
        found.push((primary, named));
    }
    if !found.is_empty() && !found.iter().any(|(primary, _)| *primary) {
        return Err(ApiError::invalid(
            "properties.storageAccounts",
            "must have one of type Primary",
        ));
    }
    found.sort_by_key(|(primary, _)| !primary);
    Ok(found.into_iter().map(|(_, account)| account).collect())
}

/// The storage account of that name, in whichever project.
async fn by_id<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    account: &Object<'_>,
) -> Result<StorageAccount, ApiError> {
    let name = storage_name(&account.required_text("id")?);
    let at = account.path("id");
    let known = storage::named(call.sql, &name).await?;
    let longest = known
        .iter()
        .max_by_key(|account| account.credential.expires)
        .ok_or_else(|| {
            ApiError::invalid(
                &at,
                format!(
                    "no project of this installation has a storage account '{name}'; make the account without, and \
                     add its storage with a credential"
                ),
            )
        })?;
    if known.iter().any(|account| account.url != longest.url) {
        return Err(ApiError::invalid(
            &at,
            format!(
                "'{name}' stands for different storage accounts in different projects; make the account without, and \
                 add its storage with a credential"
            ),
        ));
    }
    Ok(longest.clone())
}
