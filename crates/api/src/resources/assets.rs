//! Assets. Spec: the management API reference, 1.5 and 2.6.

use headwater_blob::{HttpClient, Permissions};
use headwater_catalog::assets::{self, Asset, AssetWrite, DeletionPolicy};
use headwater_catalog::storage::{self, StorageAccount};
use headwater_catalog::{CatalogError, Sql, Written, locators as catalog_locators};
use jiff::SignedDuration;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{light_state, locators, status, written};
use crate::call::Call;
use crate::dialect::Envelope;
use crate::error::{ApiError, Kind};
use crate::fields::{ENVELOPE, Object};
use crate::place::Place;
use crate::query;
use crate::reply::Reply;

/// How far ahead a container's signature may reach.
const LONGEST_SAS: SignedDuration = SignedDuration::from_hours(24);

pub(crate) const READ_ONLY: &[&str] = &[
    "assetId",
    "created",
    "lastModified",
    "storageEncryptionFormat",
];

pub(crate) const WRITABLE: &[&str] = &[
    "storageAccountName",
    "container",
    "subPath",
    "description",
    "alternateId",
    "containerDeletionPolicy",
];

fn render<S, C>(call: &Call<'_, S, C>, asset: Asset) -> Result<Json, ApiError> {
    let mut properties = asset.extra;
    let mut set = |name: &str, value: Json| {
        if !value.is_null() {
            properties.insert(name.into(), value);
        }
    };
    set("assetId", asset.asset_id.to_string().into());
    set("created", asset.created.to_string().into());
    set("lastModified", asset.modified.to_string().into());
    set("alternateId", asset.alternate_id.into());
    set("description", asset.description.into());
    set("container", asset.container.into());
    set("storageAccountName", asset.storage_account.into());
    set("storageEncryptionFormat", "None".into());
    set(
        "containerDeletionPolicy",
        asset.deletion_policy.name().into(),
    );
    if !asset.sub_path.is_empty() {
        set("subPath", asset.sub_path.into());
    }
    let mut resource = Envelope {
        project: call.project()?,
        path: &[("assets", &asset.name)],
        properties: Json::Object(properties),
        created: asset.created,
        modified: Some(asset.modified),
    }
    .render();
    if !call.is_arm() {
        resource.insert("labels".into(), json!(asset.labels));
    }
    Ok(Json::Object(resource))
}

pub(super) fn read<S, C>(call: &Call<'_, S, C>) -> Result<AssetWrite, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(ENVELOPE)?;
    let labels = root.text_map("labels")?;
    let nothing = Json::Object(Map::new());
    let properties = match root.object("properties")? {
        Some(properties) => properties,
        None => Object::root(&nothing)?,
    };
    let known: Vec<&str> = READ_ONLY.iter().chain(WRITABLE).copied().collect();
    Ok(AssetWrite {
        storage_account: properties.text("storageAccountName")?,
        container: properties.text("container")?,
        sub_path: properties.text("subPath")?,
        description: properties.text("description")?,
        alternate_id: properties.text("alternateId")?,
        deletion_policy: properties.one_of(
            "containerDeletionPolicy",
            &["Retain", "Delete"],
            DeletionPolicy::parse,
        )?,
        labels,
        sees_no_labels: call.is_arm(),
        extra: properties.beyond(&known),
    })
}

/// The container of an asset, or the asset's folder in it.
pub(super) async fn place<'a, S: Sql, C: HttpClient>(
    call: &'a Call<'_, S, C>,
    asset: &Asset,
) -> Result<Place<'a, C>, ApiError> {
    let account = storage::get(call.sql, &call.project()?.id, &asset.storage_account).await?;
    open(call, &account, &asset.container, &asset.sub_path)
}

pub(super) fn open<'a, S, C: HttpClient>(
    call: &'a Call<'_, S, C>,
    account: &StorageAccount,
    container: &str,
    sub_path: &str,
) -> Result<Place<'a, C>, ApiError> {
    Place::new(
        call.http,
        call.seal,
        account,
        container,
        sub_path,
        call.moment.now,
    )
}

pub(super) async fn asset<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Asset, ApiError> {
    if let Some(brought) = call.asset.take() {
        return Ok(brought);
    }
    Ok(assets::get(call.sql, &call.project()?.id, call.var("asset")).await?)
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    // Thousands are listed at a time: they are written while a server counts all there are.
    let mut items = query::Items::default();
    let each = |asset| {
        items.push(&render(call, asset)?);
        Ok::<_, ApiError>(())
    };
    let page = assets::list_each(call.sql, &call.project()?.id, &call.listing()?, each).await?;
    Ok(written(call, "Asset", &page, &items))
}

/// A page whose items are rendered already.
pub(super) fn query_page(
    offset: u32,
    total: Option<u32>,
    next: Option<headwater_catalog::query::Position>,
    items: Vec<Json>,
) -> headwater_catalog::query::Page<Json> {
    headwater_catalog::query::Page {
        items,
        offset,
        total,
        next,
    }
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(Reply::ok(render(call, asset(call).await?)?))
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    put_as(call, None).await
}

/// `wanted`: the id of a new asset, for one that had it elsewhere.
pub(super) async fn put_as<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    wanted: Option<Uuid>,
) -> Result<Reply, ApiError> {
    let name = call.var("asset");
    let project = &call.project()?.id;
    let mut write = read(call)?;
    assets::validate(name, &write)?;
    let existing = assets::find(call.sql, project, name).await?;
    if existing.is_none() && write.deletion_policy.is_none() {
        // In AMS an asset owns its container; in MK.IO it keeps its hands off.
        write.deletion_policy = Some(if call.is_arm() {
            DeletionPolicy::Delete
        } else {
            DeletionPolicy::Retain
        });
    }
    let asset_id = existing.as_ref().map_or_else(
        || wanted.unwrap_or_else(|| call.moment.ids.uuid()),
        |asset| asset.asset_id,
    );
    // The container comes first: an asset that exists has one. Whatever could be refused has been looked at by now. Should
    // the next step fail all the same, an empty container is left, and the same request again finds or replaces nothing else.
    let made = match &existing {
        Some(_) => None,
        None => make_container(call, &write, asset_id).await?,
    };
    let outcome = assets::put(call.sql, project, name, &write, asset_id, call.moment.now).await;
    if let Some(place) = made {
        let ours = matches!(&outcome, Ok((asset, Written::Created)) if asset.asset_id == asset_id);
        if !ours && write.container.is_none() {
            place.delete().await?;
        }
    }
    let (asset, written) = outcome?;
    Ok(Reply::json(status(written), render(call, asset)?))
}

/// Makes the container of a new asset. The place, if it was not there before.
async fn make_container<'a, S: Sql, C: HttpClient>(
    call: &'a Call<'_, S, C>,
    write: &AssetWrite,
    asset_id: Uuid,
) -> Result<Option<Place<'a, C>>, ApiError> {
    let project = &call.project()?.id;
    let account = match &write.storage_account {
        None => storage::primary(call.sql, project).await?,
        Some(name) => match storage::get(call.sql, project, name).await {
            Err(CatalogError::NotFound { .. }) => {
                return Err(ApiError::invalid(
                    "properties.storageAccountName",
                    format!("there is no storage account '{name}'"),
                ));
            }
            found => found?,
        },
    };
    let container = match &write.container {
        Some(container) => container.clone(),
        None => assets::default_container(asset_id),
    };
    let place = open(call, &account, &container, "")?;
    Ok(place.create().await?.then_some(place))
}

pub(super) async fn update<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let write = read(call)?;
    let asset = assets::update(
        call.sql,
        &call.project()?.id,
        call.var("asset"),
        &write,
        call.moment.now,
    )
    .await?;
    Ok(Reply::ok(render(call, asset)?))
}

/// Deletes the files first if the asset says so: a request that dies in between leaves an asset that can be deleted again.
pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let name = call.var("asset");
    let Some(asset) = assets::find(call.sql, project, name).await? else {
        return Ok(Reply::deleted(false));
    };
    assets::refuse_if_in_use(call.sql, project, name).await?;
    if asset.deletion_policy == DeletionPolicy::Delete
        && !assets::shares_files(call.sql, project, &asset).await?
    {
        place(call, &asset).await?.delete().await?;
    }
    Ok(Reply::deleted(
        assets::delete(call.sql, project, name).await?,
    ))
}

pub(super) async fn state<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    asset(call).await?;
    Ok(light_state("Ready"))
}

/// Two signed URLs, as AMS gave one for each of its two keys; ours has one key, so both are equal.
///
/// AMS knows no assets in folders, and MK.IO, which does, signs nothing. A signature for the container would open the
/// assets in its other folders too, and one for a folder exists only where storage has real folders: it is refused.
pub(super) async fn container_sas<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let body = call.body()?;
    let body = Object::root(&body)?;
    body.only(&["permissions", "expiryTime"])?;
    let names = ["Read", "ReadWrite", "ReadWriteDelete"];
    let permissions = body
        .one_of("permissions", &names, |name| {
            let read = Permissions::READ.with(Permissions::LIST);
            let write = read.with(Permissions::WRITE).with(Permissions::CREATE);
            match name {
                "Read" => Some(read),
                "ReadWrite" => Some(write),
                "ReadWriteDelete" => Some(write.with(Permissions::DELETE)),
                _ => None,
            }
        })?
        .unwrap_or(Permissions::READ.with(Permissions::LIST));
    let now = call.moment.now;
    let latest = now
        .saturating_add(LONGEST_SAS)
        .unwrap_or(jiff::Timestamp::MAX);
    let expiry = match body.time("expiryTime")? {
        None => now
            .saturating_add(SignedDuration::from_hours(1))
            .unwrap_or(latest),
        // A minute's grace for clients that ask for exactly 24 hours by a clock of their own.
        Some(expiry)
            if expiry
                > latest
                    .saturating_add(SignedDuration::from_mins(1))
                    .unwrap_or(latest) =>
        {
            return Err(ApiError::invalid(
                "expiryTime",
                "must be less than 24 hours ahead",
            ));
        }
        Some(expiry) if expiry <= now => {
            return Err(ApiError::invalid("expiryTime", "is in the past"));
        }
        Some(expiry) => expiry,
    };
    let asset = asset(call).await?;
    if !asset.sub_path.is_empty() {
        return Err(ApiError::invalid(
            "subPath",
            "the asset is a folder of its container, and only whole containers can be signed for",
        ));
    }
    let place = place(call, &asset).await?;
    let url = format!(
        "{}?{}",
        place.container_url(),
        place.sas(permissions, expiry)?
    );
    Ok(Reply::ok(json!({"assetContainerSasUrls": [url, url]})))
}

pub(super) async fn locators<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let asset = asset(call).await?;
    let found = catalog_locators::of_asset(call.sql, &call.project()?.id, &asset.name).await?;
    let items: Vec<_> = found.iter().map(locators::summary).collect();
    let count = items.len();
    let mut body = json!({"streamingLocators": items});
    if let (false, Json::Object(members)) = (call.is_arm(), &mut body) {
        members.insert(
            "supplemental".into(),
            json!({
                "count": count, "kind": "StreamingLocator", "operation": "list",
                "pagination": {"start": 0, "end": count, "records": count, "total": count},
            }),
        );
    }
    Ok(Reply::ok(body))
}

/// The key of what version 2 of AMS encrypted in storage. Nothing is stored that way here.
pub(super) async fn encryption_key<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let name = asset(call).await?.name;
    Err(ApiError::new(
        Kind::NotFound,
        format!(
            "A storage encryption key of asset '{name}' was not found: its files are not encrypted."
        ),
    ))
}
