//! Storage accounts, in MK.IO's words. Spec: the management API reference, 1.4.
//!
//! Two families say the same: by project and name, with `spec.type`, `spec.url` and `spec.credential`; and an older one by
//! the ids of project and storage account, with a complete SAS URL in `spec.azureStorageConfiguration.url`. Credentials
//! are tried out before anything is written, and are never shown.

use headwater_blob::{AccountUrl, HttpClient};
use headwater_catalog::storage::{self, NewCredential, StorageAccount, StorageWrite, credentials};
use headwater_catalog::{CatalogError, Sql, names};
use serde_json::{Value as Json, json};

use super::location;
use super::status;
use super::storage_credentials::{check_expiry, new_credential, sas};
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::fields::Object;
use crate::query;
use crate::reply::Reply;
use crate::storage_check::{self, Fields, account_url};

/// The only kind there is so far.
pub(super) const AZURE: &str = "Microsoft.Storage";

const NEWER: Fields = Fields {
    url: "spec.url",
    credential: "spec.credential",
};
const OLDER: Fields = Fields {
    url: "spec.azureStorageConfiguration.url",
    credential: "spec.azureStorageConfiguration.url",
};

/// Whether the request is of the older family.
pub(super) fn is_older<S, C>(call: &Call<'_, S, C>) -> bool {
    !call.var("projectId").is_empty()
}

/// The storage account that a path names.
pub(super) async fn account<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<StorageAccount, ApiError> {
    let project = &call.project()?.id;
    if !is_older(call) {
        return Ok(storage::get(call.sql, project, call.var("storage")).await?);
    }
    let id = call.var("storageId");
    storage::list(call.sql, project)
        .await?
        .into_iter()
        .find(|account| account.id.to_string().eq_ignore_ascii_case(id))
        .ok_or_else(|| CatalogError::not_found("Storage account", id).into())
}

fn record<S, C>(call: &Call<'_, S, C>, account: &StorageAccount) -> Result<Json, ApiError> {
    let spec = if is_older(call) {
        json!({
            "name": account.name,
            "location": call.project()?.location,
            "description": account.description,
            "azureStorageConfiguration": {"url": account.url},
            "privateLinkServiceConnection": null,
        })
    } else {
        json!({
            "name": account.name,
            "type": AZURE,
            "url": account.url,
            "description": account.description,
            "privateLinkServiceConnection": null,
        })
    };
    Ok(json!({
        "metadata": {
            "id": account.id, "name": account.name,
            "created": account.created.to_string(), "createdById": account.created_by,
            "updated": account.modified.to_string(), "updatedById": account.modified_by,
        },
        "spec": spec,
        "status": {
            "activeCredentialId": account.credential.id, "privateLinkServiceConnectionStatus": null,
        },
    }))
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let page = storage::page(call.sql, &call.project()?.id, &call.listing()?).await?;
    let items = page
        .items
        .iter()
        .map(|account| record(call, account))
        .collect::<Result<Vec<_>, _>>()?;
    let mut body = json!({"kind": "StorageList", "items": items});
    if page.next.is_some()
        && let Json::Object(members) = &mut body
    {
        let end = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let token = page.offset.saturating_add(end).to_string();
        let link = query::link(call.dialect, &call.url(), &token);
        members.insert("@odata.nextLink".into(), link.into());
    }
    Ok(Reply::ok(body))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(Reply::ok(record(call, &account(call).await?)?))
}

/// What a body says about a storage account.
struct Described {
    url: AccountUrl,
    description: Option<String>,
    credential: Option<NewCredential>,
}

/// The `spec` of a body that may have come from us.
pub(super) fn spec<'a>(body: &'a Json, known: &[&str]) -> Result<Object<'a>, ApiError> {
    let root = Object::root(body)?;
    root.only(&["metadata", "spec", "status"])?;
    let spec = root.required_object("spec")?;
    spec.only(known)?;
    Ok(spec)
}

fn no_private_link(spec: &Object<'_>) -> Result<(), ApiError> {
    let member = "privateLinkServiceConnection";
    match spec.get(member) {
        None => Ok(()),
        Some(_) => Err(ApiError::invalid(
            spec.path(member),
            "must be null: there are no private links here; name the storage account's private address as its URL",
        )),
    }
}

fn read<S, C>(call: &Call<'_, S, C>) -> Result<(Option<String>, Described), ApiError> {
    let body = call.body()?;
    let described = if is_older(call) {
        read_older(call, &body)?
    } else {
        read_newer(call, &body)?
    };
    if let Some(credential) = &described.1.credential {
        check_expiry(fields(call).credential, credential, call.moment.now)?;
    }
    Ok(described)
}

fn read_newer<S, C>(
    call: &Call<'_, S, C>,
    body: &Json,
) -> Result<(Option<String>, Described), ApiError> {
    let spec = spec(
        body,
        &[
            "name",
            "type",
            "url",
            "bucketName",
            "description",
            "credential",
            "privateLinkServiceConnection",
        ],
    )?;
    check_type(&spec)?;
    if spec.get("bucketName").is_some() {
        return Err(ApiError::invalid(
            spec.path("bucketName"),
            format!("is not for {AZURE}"),
        ));
    }
    no_private_link(&spec)?;
    let described = Described {
        url: account_url(call.settings, NEWER.url, &spec.required_text("url")?)?,
        description: spec.text("description")?,
        credential: spec
            .object("credential")?
            .map(|credential| new_credential(&credential))
            .transpose()?,
    };
    Ok((spec.text("name")?, described))
}

/// The kind of storage, which the port to storage has to know.
pub(super) fn check_type(spec: &Object<'_>) -> Result<(), ApiError> {
    let at = spec.path("type");
    match spec.required_text("type")?.as_str() {
        AZURE => Ok(()),
        known @ ("AWS.S3" | "Google.Storage") => Err(ApiError::invalid(
            at,
            format!("'{known}' is not supported by this installation; {AZURE} is"),
        )),
        _ => Err(ApiError::invalid(at, format!("must be {AZURE}"))),
    }
}

fn read_older<S, C>(
    call: &Call<'_, S, C>,
    body: &Json,
) -> Result<(Option<String>, Described), ApiError> {
    let spec = spec(
        body,
        &[
            "name",
            "location",
            "description",
            "azureStorageConfiguration",
            "privateLinkServiceConnection",
        ],
    )?;
    no_private_link(&spec)?;
    location::check(&spec, "location", &call.project()?.location)?;
    let azure = spec.required_object("azureStorageConfiguration")?;
    azure.only(&["url"])?;
    let url = azure.required_text("url")?;
    let (url, token) = match url.split_once('?') {
        Some((url, token)) => (url, Some(token)),
        None => (url.as_str(), None),
    };
    let described = Described {
        url: account_url(call.settings, OLDER.url, url.trim_end_matches('/'))?,
        description: spec.text("description")?,
        credential: token
            .map(|token| sas(OLDER.credential, token))
            .transpose()?,
    };
    Ok((spec.text("name")?, described))
}

fn fields<S, C>(call: &Call<'_, S, C>) -> Fields {
    if is_older(call) { OLDER } else { NEWER }
}

/// Tries the credential, then writes.
async fn write<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    name: &str,
    described: &Described,
) -> Result<Reply, ApiError> {
    let fields = fields(call);
    names::plain("name", name)?;
    names::text("spec.description", described.description.as_deref(), 1024)?;
    if let Some(credential) = &described.credential {
        let auth = credential
            .auth(described.url.account())
            .map_err(|error| ApiError::invalid(fields.credential, error))?;
        storage_check::opens(call.http, &described.url, auth, fields, call.moment.now).await?;
    }
    let write = StorageWrite {
        url: &described.url,
        description: described.description.as_deref(),
        credential: described.credential.as_ref(),
        by: &call.caller()?.subject,
    };
    let project = &call.project()?.id;
    let (account, written) = storage::put(call.sql, call.seal, project, name, &write, call.moment)
        .await
        .map_err(|error| match error {
            CatalogError::Invalid { field, message } if field == NEWER.url => {
                ApiError::invalid(fields.url, message)
            }
            CatalogError::Invalid { field, message } if field == NEWER.credential => {
                ApiError::invalid(fields.credential, message)
            }
            other => other.into(),
        })?;
    Ok(Reply::json(status(written), record(call, &account)?))
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let name = if is_older(call) {
        account(call).await?.name
    } else {
        call.var("storage").to_owned()
    };
    let (asked, described) = read(call)?;
    if asked.is_some_and(|asked| asked != name) {
        return Err(ApiError::invalid(
            "spec.name",
            format!("must be '{name}', as in the path, or be left out"),
        ));
    }
    write(call, &name, &described).await
}

/// The older family's way to a new storage account. The same request again is answered with the same account.
pub(super) async fn create<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let (name, described) = read(call)?;
    let name = name.ok_or_else(|| ApiError::invalid("spec.name", "is required"))?;
    let Some(there) = storage::find(call.sql, &call.project()?.id, &name).await? else {
        return write(call, &name, &described).await;
    };
    let same = match &described.credential {
        Some(credential) if there.url == described.url.as_str() => {
            credentials::find_same(call.sql, call.seal, there.id, credential).await?
        }
        _ => None,
    };
    if same.is_some() && there.description == described.description {
        return Ok(Reply::ok(record(call, &there)?));
    }
    Err(ApiError::new(
        Kind::Conflict,
        format!("Storage account '{name}' already exists."),
    ))
}

/// Only the description can be changed so. An empty one takes it away.
pub(super) async fn update<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let account = account(call).await?;
    let body = call.body()?;
    let fixed = [
        "name",
        "type",
        "url",
        "bucketName",
        "location",
        "credential",
        "azureStorageConfiguration",
    ];
    let known: Vec<_> = fixed
        .iter()
        .copied()
        .chain(["description", "privateLinkServiceConnection"])
        .collect();
    let spec = spec(&body, &known)?;
    if let Some(member) = fixed.iter().find(|member| spec.get(member).is_some()) {
        return Err(ApiError::invalid(
            spec.path(member),
            "cannot be changed by PATCH; a PUT may change the credential",
        ));
    }
    no_private_link(&spec)?;
    let Some(description) = spec.text("description")? else {
        return Ok(Reply::ok(record(call, &account)?));
    };
    let changed = storage::describe(
        call.sql,
        &call.project()?.id,
        &account.name,
        Some(description.as_str()).filter(|text| !text.is_empty()),
        &call.caller()?.subject,
        call.moment.now,
    )
    .await?;
    Ok(Reply::ok(record(call, &changed)?))
}

/// Only the record: what lies in storage stays.
pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let name = match account(call).await {
        Ok(account) => account.name,
        Err(error) if error.kind == Kind::NotFound => return Ok(Reply::deleted(false)),
        Err(error) => return Err(error),
    };
    let existed = storage::delete(call.sql, &call.project()?.id, &name).await?;
    Ok(Reply::deleted(existed))
}
