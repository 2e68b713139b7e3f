//! Transforms. Spec: the management API reference, 1.10 and 2.9.

use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::transforms::{self, Transform, TransformOutput};
use serde_json::{Map, Value as Json, json};

use super::{listed, status};
use crate::call::Call;
use crate::dialect::Envelope;
use crate::error::ApiError;
use crate::fields::{ENVELOPE, Object};
use crate::reply::Reply;

fn render<S, C>(call: &Call<'_, S, C>, transform: Transform) -> Result<Json, ApiError> {
    let resource = Envelope {
        project: call.project()?,
        path: &[("transforms", &transform.name)],
        properties: json!({
            "created": transform.created.to_string(),
            "lastModified": transform.modified.to_string(),
            "description": transform.description,
            "outputs": transform.outputs,
        }),
        created: transform.created,
        modified: Some(transform.modified),
    }
    .render();
    Ok(Json::Object(resource))
}

struct Read {
    description: Option<String>,
    outputs: Option<Vec<TransformOutput>>,
}

fn read<S, C>(call: &Call<'_, S, C>) -> Result<Read, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(ENVELOPE)?;
    let nothing = Json::Object(Map::new());
    let properties = match root.object("properties")? {
        Some(properties) => properties,
        None => Object::root(&nothing)?,
    };
    properties.only(&["created", "lastModified", "description", "outputs"])?;
    let outputs = match properties.objects("outputs")? {
        None => None,
        Some(objects) => {
            let mut outputs = Vec::with_capacity(objects.len());
            for object in objects {
                object.only(&["onError", "relativePriority", "preset"])?;
                outputs.push(TransformOutput {
                    on_error: object.text("onError")?,
                    relative_priority: object.text("relativePriority")?,
                    preset: object.required_object("preset")?.cloned(),
                });
            }
            Some(outputs)
        }
    };
    Ok(Read {
        description: properties.text("description")?,
        outputs,
    })
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let page = transforms::list(call.sql, &call.project()?.id, &call.listing()?).await?;
    listed(call, "Transform", page, |transform| render(call, transform))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let transform = transforms::get(call.sql, &call.project()?.id, call.var("transform")).await?;
    Ok(Reply::ok(render(call, transform)?))
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let read = read(call)?;
    let outputs = read
        .outputs
        .ok_or_else(|| ApiError::invalid("properties.outputs", "is required"))?;
    let (transform, written) = transforms::put(
        call.sql,
        &call.project()?.id,
        call.var("transform"),
        read.description.as_deref(),
        &outputs,
        call.moment.now,
    )
    .await?;
    Ok(Reply::json(status(written), render(call, transform)?))
}

pub(super) async fn update<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let read = read(call)?;
    let transform = transforms::update(
        call.sql,
        &call.project()?.id,
        call.var("transform"),
        read.description.as_deref(),
        read.outputs.as_deref(),
        call.moment.now,
    )
    .await?;
    Ok(Reply::ok(render(call, transform)?))
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let existed = transforms::delete(call.sql, &call.project()?.id, call.var("transform")).await?;
    Ok(Reply::deleted(existed))
}
