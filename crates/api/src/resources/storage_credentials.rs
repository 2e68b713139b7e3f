//! Credentials of storage accounts: added, looked at without their secrets, deleted.
//! Spec: the management API reference, 1.4.

use headwater_blob::{AccountUrl, HttpClient, SasToken};
use headwater_catalog::Sql;
use headwater_catalog::storage::{Credential, CredentialKind, NewCredential, credentials};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::status;
use super::storage::{AZURE, account, check_type, is_older, spec};
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::Object;
use crate::reply::Reply;
use crate::storage_check::{self, Fields};

/// `active`: of the credential that is used.
fn record<S, C>(call: &Call<'_, S, C>, credential: &Credential, active: bool) -> Json {
    let shown = match credential.kind {
        CredentialKind::Sas => json!({"sasTokenSanitized": credential.sanitized}),
        CredentialKind::AccountKey => json!({}),
    };
    let spec = if is_older(call) {
        json!({"azureCredential": shown})
    } else {
        json!({"type": AZURE, "credential": shown})
    };
    let (kind, expires) = match credential.kind {
        CredentialKind::Sas => ("sasToken", Some(credential.expires.to_string())),
        CredentialKind::AccountKey => ("accountKey", None),
    };
    json!({
        "metadata": {
            "id": credential.id, "created": credential.created.to_string(), "createdById": credential.created_by,
        },
        "spec": spec,
        "status": {"kind": kind, "expires": expires, "active": active},
    })
}

/// A SAS. `field`: where it stands in the request.
pub(super) fn sas(field: &str, text: &str) -> Result<NewCredential, ApiError> {
    let token = SasToken::parse(text).map_err(|error| ApiError::invalid(field, error))?;
    Ok(NewCredential::sas(&token))
}

/// MK.IO knows SAS; an account key goes beyond it.
pub(super) fn new_credential(credential: &Object<'_>) -> Result<NewCredential, ApiError> {
    credential.only(&["sasToken", "accountKey"])?;
    let at = |member: &str| credential.path(member);
    match (credential.text("sasToken")?, credential.text("accountKey")?) {
        (Some(token), None) => sas(&at("sasToken"), &token),
        (None, Some(key)) => NewCredential::account_key(key.trim())
            .map_err(|error| ApiError::invalid(at("accountKey"), error)),
        (Some(_), Some(_)) => Err(ApiError::invalid(
            at("accountKey"),
            "must not be given together with sasToken",
        )),
        (None, None) => Err(ApiError::invalid(
            at("sasToken"),
            "is required, or else accountKey",
        )),
    }
}

/// A credential that has run out opens nothing.
pub(super) fn check_expiry(
    field: &str,
    credential: &NewCredential,
    now: Timestamp,
) -> Result<(), ApiError> {
    let expires = credential.expires();
    if expires > now {
        return Ok(());
    }
    Err(ApiError::invalid(field, format!("ran out at {expires}")))
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let account = account(call).await?;
    let items: Vec<_> = credentials::all(call.sql, account.id)
        .await?
        .iter()
        .map(|credential| record(call, credential, credential.id == account.credential.id))
        .collect();
    Ok(Reply::ok(
        json!({"kind": "StorageCredentialList", "items": items}),
    ))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let account = account(call).await?;
    let id = call.var("credential").to_ascii_lowercase();
    let found = credentials::get(call.sql, account.id, &id).await?;
    let active = found.id == account.credential.id;
    Ok(Reply::ok(record(call, &found, active)))
}

/// Adds a credential that storage accepts. It is used from then on if it lasts longest.
pub(super) async fn create<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let owner = account(call).await?;
    let body = call.body()?;
    let (credential, field) = if is_older(call) {
        let spec = spec(&body, &["azureCredential"])?;
        let credential = new_credential(&spec.required_object("azureCredential")?)?;
        (credential, "spec.azureCredential")
    } else {
        let spec = spec(&body, &["type", "credential"])?;
        if spec.get("type").is_some() {
            check_type(&spec)?;
        }
        let credential = new_credential(&spec.required_object("credential")?)?;
        (credential, "spec.credential")
    };
    check_expiry(field, &credential, call.moment.now)?;
    let broken =
        |cause: String| ApiError::internal(format!("storage account {}: {cause}", owner.name));
    let url = AccountUrl::parse(&owner.url).map_err(|error| broken(error.to_string()))?;
    let auth = credential
        .auth(&owner.account)
        .map_err(|error| ApiError::invalid(field, error))?;
    let fields = Fields {
        url: "spec.url",
        credential: field,
    };
    storage_check::opens(call.http, &url, auth, fields, call.moment.now).await?;
    let by = &call.caller()?.subject;
    let (added, written) =
        credentials::add(call.sql, call.seal, owner.id, &credential, by, call.moment).await?;
    let active = account(call).await?.credential.id == added.id;
    Ok(Reply::json(status(written), record(call, &added, active)))
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let account = account(call).await?;
    let id = call.var("credential").to_ascii_lowercase();
    let existed = credentials::delete(call.sql, account.id, &id).await?;
    Ok(Reply::deleted(existed))
}
