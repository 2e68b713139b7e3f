//! Storage accounts, in MK.IO's words. Credentials are never shown.

use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::storage::{self, StorageAccount};
use serde_json::{Value as Json, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;

fn record(account: &StorageAccount) -> Json {
    json!({
        "metadata": {
            "id": account.id, "name": account.name,
            "created": account.created.to_string(), "updated": account.modified.to_string(),
        },
        "spec": {
            "name": account.name,
            "type": "Microsoft.Storage",
            "url": account.url,
            "description": account.description,
        },
        "status": {"activeCredentialId": account.id, "privateLinkServiceConnectionStatus": null},
    })
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let accounts = storage::list(call.sql, &call.project()?.id).await?;
    let items: Vec<_> = accounts.iter().map(record).collect();
    Ok(Reply::ok(json!({"kind": "StorageList", "items": items})))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let account = storage::get(call.sql, &call.project()?.id, call.var("storage")).await?;
    Ok(Reply::ok(record(&account)))
}
