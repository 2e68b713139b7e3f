//! Live outputs: what is recorded of an event, and where.

use jiff::Timestamp;

use super::events;
use super::machine::LiveEventState;
use super::model::{
    LiveEvent, LiveOutput, LiveOutputState, NewLiveOutput, OUTPUT_COLUMNS, output_from_row,
};
use super::rules;
use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::operations::{self, LIVE_OUTPUTS, Operation, OperationError, OperationStatus};
use crate::query::{self, Field, FieldKind, Listing, Page};
use crate::sql::{Sql, Value, transaction};
use crate::{Written, assets, names};

const ENTITY: Entity<LiveOutput> = Entity {
    one: "Live output",
    many: "live outputs",
    table: "live_outputs",
    columns: OUTPUT_COLUMNS,
    read: output_from_row,
    tie: Field::new("name", "name", FieldKind::Text),
    fields: &[
        Field::new("name", "name", FieldKind::Text),
        Field::new("properties/assetName", "asset_name", FieldKind::Text),
        Field::new("properties/created", "created", FieldKind::Time),
        Field::new("properties/resourceState", "state", FieldKind::Text),
    ],
    labels: None,
};

/// All outputs of an event, by name.
pub(super) async fn of<S: Sql>(
    sql: &S,
    event: &LiveEvent,
) -> Result<Vec<LiveOutput>, CatalogError> {
    ENTITY.all(sql, &[("event_id", event.id.into())]).await
}

async fn find<S: Sql>(
    sql: &S,
    event: &LiveEvent,
    name: &str,
) -> Result<Option<LiveOutput>, CatalogError> {
    let scope = [("event_id", event.id.into()), ("name", name.into())];
    Ok(ENTITY.all(sql, &scope).await?.pop())
}

/// An output of an event that nobody is deleting yet, if there is one: its name.
pub(super) async fn any<S: Sql>(
    sql: &S,
    event: &LiveEvent,
) -> Result<Option<String>, CatalogError> {
    let outputs = of(sql, event).await?;
    Ok(outputs
        .into_iter()
        .find(|output| output.state != LiveOutputState::Deleting)
        .map(|output| output.name))
}

/// The output that records an asset, if there is one: its name.
pub async fn recording<S: Sql>(
    sql: &S,
    project: &ProjectId,
    asset: &str,
) -> Result<Option<String>, CatalogError> {
    let scope = [("project_id", project.into()), ("asset_name", asset.into())];
    let found = ENTITY.all(sql, &scope).await?.pop();
    Ok(found.map(|output| output.name))
}

/// One output.
///
/// Errors: [`CatalogError::NotFound`], also for an event that does not exist.
pub async fn get<S: Sql>(
    sql: &S,
    project: &ProjectId,
    event: &str,
    name: &str,
    now: Timestamp,
) -> Result<LiveOutput, CatalogError> {
    let event = events::get(sql, project, event, now).await?;
    find(sql, &event, name)
        .await?
        .ok_or_else(|| CatalogError::not_found(ENTITY.one, name))
}

/// A page of an event's outputs.
///
/// Errors: [`CatalogError::NotFound`] for an event that does not exist.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
    event: &str,
    listing: &Listing,
    now: Timestamp,
) -> Result<Page<LiveOutput>, CatalogError> {
    let event = events::get(sql, project, event, now).await?;
    query::list(sql, &ENTITY, &[("event_id", event.id.into())], listing).await
}

/// What became of a PUT.
#[derive(Debug)]
pub struct Put {
    pub output: LiveOutput,
    pub written: Written,
    pub operation: Operation,
}

/// Creates an output. One that exists and is as it is written already is answered as it is.
///
/// The asset's streaming paths are known from here on, so that locators can be told before the event runs.
///
/// Errors: [`CatalogError::NotFound`] for the event; [`CatalogError::Invalid`], also for an asset that does not exist or
/// holds a presentation; [`CatalogError::Conflict`] if an output of that name is otherwise, if the asset is in use, and
/// beyond what the event's type may have; [`CatalogError::WrongState`] while the event stops.
pub async fn put<S: Sql>(
    sql: &S,
    project: &ProjectId,
    event_name: &str,
    name: &str,
    new: &NewLiveOutput,
    moment: Moment<'_>,
) -> Result<Put, CatalogError> {
    names::live_output("name", name)?;
    transaction(sql, async |sql| {
        let event = events::get(sql, project, event_name, moment.now).await?;
        rules::check_output(new, event.properties.encoding.encoding_type)?;
        if let Some(output) = find(sql, &event, name).await? {
            refuse_other(&output, new)?;
            let operation = operations::get(sql, project, LIVE_OUTPUTS, &output.operation).await;
            return Ok(Put {
                operation: operation.or_else(|error| forgotten(error, &output))?,
                written: Written::Existing,
                output,
            });
        }
        refuse_unfit(sql, &event, new).await?;
        insert(sql, &event, name, new, moment).await
    })
    .await
}

/// Operations are kept for a day, outputs for as long as anybody likes. What made this one is long done.
fn forgotten(error: CatalogError, output: &LiveOutput) -> Result<Operation, CatalogError> {
    match error {
        CatalogError::NotFound { .. } => Ok(Operation {
            id: output.operation.clone(),
            collection: LIVE_OUTPUTS.into(),
            resource: output.name.clone(),
            status: OperationStatus::Succeeded,
            error: None,
            created: output.created,
        }),
        error => Err(error),
    }
}

/// Refuses a PUT that says anything else than what is.
fn refuse_other(output: &LiveOutput, new: &NewLiveOutput) -> Result<(), CatalogError> {
    let manifest = new.manifest_name.as_ref();
    let same = output.asset_name == new.asset_name
        && output.properties == new.properties
        && manifest.is_none_or(|name| *name == output.manifest_name);
    if same {
        return Ok(());
    }
    Err(CatalogError::Conflict(format!(
        "Live output '{}' already exists and is otherwise; outputs cannot be changed.",
        output.name
    )))
}

async fn refuse_unfit<S: Sql>(
    sql: &S,
    event: &LiveEvent,
    new: &NewLiveOutput,
) -> Result<(), CatalogError> {
    if matches!(
        event.state,
        LiveEventState::Stopping | LiveEventState::Deleting
    ) {
        return Err(CatalogError::WrongState(format!(
            "Live event '{}' is {} and takes no live output.",
            event.name,
            event.state.name()
        )));
    }
    let encoding = event.properties.encoding.encoding_type;
    let most = rules::most_outputs(encoding);
    let outputs = of(sql, event).await?;
    if u32::try_from(outputs.len()).unwrap_or(u32::MAX) >= most {
        return Err(CatalogError::Conflict(format!(
            "Live event '{}' has {most} live outputs, which is the most one of its encodingType ({encoding:?}) may have.",
            event.name
        )));
    }
    let Some(asset) = assets::find(sql, &event.project, &new.asset_name).await? else {
        return Err(CatalogError::invalid(
            "properties.assetName",
            format!("there is no asset '{}'", new.asset_name),
        ));
    };
    assets::refuse_if_in_use(sql, &event.project, &asset.name).await?;
    match asset.manifest {
        Some(manifest) => Err(CatalogError::invalid(
            "properties.assetName",
            format!(
                "asset '{}' holds '{manifest}' already; a live output needs an asset that is empty",
                asset.name
            ),
        )),
        None => Ok(()),
    }
}

async fn insert<S: Sql>(
    sql: &S,
    event: &LiveEvent,
    name: &str,
    new: &NewLiveOutput,
    moment: Moment<'_>,
) -> Result<Put, CatalogError> {
    let (state, status) = if event.state == LiveEventState::Running && event.is_held(moment.now) {
        (LiveOutputState::Creating, OperationStatus::InProgress)
    } else {
        (LiveOutputState::Running, OperationStatus::Succeeded)
    };
    let operation = begin(sql, event, name, status, moment).await?;
    let manifest = new
        .manifest_name
        .clone()
        .unwrap_or_else(|| moment.ids.uuid().to_string());
    let rows = sql
        .query(
            &format!(
                "INSERT INTO live_outputs (id, project_id, event_id, name, asset_name, manifest_name, properties_json,
                     state, operation, created, modified)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10) RETURNING {OUTPUT_COLUMNS}"
            ),
            &[
                moment.ids.uuid().into(),
                (&event.project).into(),
                event.id.into(),
                name.into(),
                Value::from(&new.asset_name),
                Value::from(&manifest),
                serde_json::to_string(&new.properties)
                    .unwrap_or_default()
                    .into(),
                state.name().into(),
                Value::from(&operation.id),
                moment.now.into(),
            ],
        )
        .await?;
    let file = format!("{manifest}.ism");
    assets::set_manifest(sql, &event.project, &new.asset_name, &file).await?;
    Ok(Put {
        output: ENTITY.returned(&rows, name)?,
        written: Written::Created,
        operation,
    })
}

async fn begin<S: Sql>(
    sql: &S,
    event: &LiveEvent,
    name: &str,
    status: OperationStatus,
    moment: Moment<'_>,
) -> Result<Operation, CatalogError> {
    let resource = format!("{}/{name}", event.name);
    operations::record(sql, &event.project, LIVE_OUTPUTS, &resource, status, moment).await
}

/// Ends a recording; the asset stays. Where a worker has the event, it makes the recording a whole first. `None`: there is
/// no such output, or no such event.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    event_name: &str,
    name: &str,
    moment: Moment<'_>,
) -> Result<Option<Operation>, CatalogError> {
    transaction(sql, async |sql| {
        let event = match events::get(sql, project, event_name, moment.now).await {
            Err(CatalogError::NotFound { .. }) => return Ok(None),
            event => event?,
        };
        let Some(output) = find(sql, &event, name).await? else {
            return Ok(None);
        };
        if output.state == LiveOutputState::Deleting {
            return operations::get(sql, project, LIVE_OUTPUTS, &output.operation)
                .await
                .map(Some);
        }
        let held = event.is_held(moment.now);
        end(sql, &event, &output, held, moment).await.map(Some)
    })
    .await
}

/// Deletes all outputs of an event that are not being deleted yet.
pub(super) async fn delete_all<S: Sql>(
    sql: &S,
    event: &LiveEvent,
    held: bool,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    for output in of(sql, event).await? {
        if output.state != LiveOutputState::Deleting {
            end(sql, event, &output, held, moment).await?;
        } else if !held {
            drop_output(sql, &output).await?;
        }
    }
    Ok(())
}

async fn end<S: Sql>(
    sql: &S,
    event: &LiveEvent,
    output: &LiveOutput,
    held: bool,
    moment: Moment<'_>,
) -> Result<Operation, CatalogError> {
    let overtaken = OperationError {
        code: "InvalidOperation".into(),
        message: format!("Live output '{}' was deleted meanwhile.", output.name),
    };
    let made = [Value::from(&output.operation)];
    operations::end(sql, "id = ?3", &made, Some(&overtaken)).await?;
    if !held {
        drop_output(sql, output).await?;
        return begin(sql, event, &output.name, OperationStatus::Succeeded, moment).await;
    }
    let operation = begin(
        sql,
        event,
        &output.name,
        OperationStatus::InProgress,
        moment,
    )
    .await?;
    sql.query(
        "UPDATE live_outputs SET state = 'Deleting', operation = ?2, modified = ?3 WHERE id = ?1",
        &[
            output.id.into(),
            Value::from(&operation.id),
            moment.now.into(),
        ],
    )
    .await?;
    Ok(operation)
}

/// Deletes an output's row; its operation has succeeded.
pub(super) async fn drop_output<S: Sql>(sql: &S, output: &LiveOutput) -> Result<(), CatalogError> {
    let operation = [Value::from(&output.operation)];
    operations::end(sql, "id = ?3", &operation, None).await?;
    drop_where(sql, "id = ?1", &[output.id.into()]).await
}

/// Deletes the rows of outputs. An asset of which nothing was recorded has no manifest any more.
///
/// `which`: a condition on `live_outputs`, with its own parameters.
pub(super) async fn drop_where<S: Sql>(
    sql: &S,
    which: &str,
    parameters: &[Value],
) -> Result<(), CatalogError> {
    sql.query(
        &format!(
            "UPDATE assets SET manifest = NULL WHERE EXISTS (
                 SELECT 1 FROM live_outputs WHERE live_outputs.project_id = assets.project_id
                     AND asset_name = assets.name AND started IS NULL
                     AND manifest_name || '.ism' = assets.manifest AND {which})"
        ),
        parameters,
    )
    .await?;
    sql.query(
        &format!("DELETE FROM live_outputs WHERE {which}"),
        parameters,
    )
    .await?;
    Ok(())
}

/// The worker says that an output is being recorded.
pub(super) async fn recorded<S: Sql>(
    sql: &S,
    output: &LiveOutput,
    now: Timestamp,
) -> Result<(), CatalogError> {
    if output.state == LiveOutputState::Creating {
        let operation = [Value::from(&output.operation)];
        operations::end(sql, "id = ?3", &operation, None).await?;
    }
    sql.query(
        "UPDATE live_outputs SET started = coalesce(started, ?2),
             state = CASE state WHEN 'Creating' THEN 'Running' ELSE state END
         WHERE id = ?1",
        &[output.id.into(), now.into()],
    )
    .await?;
    Ok(())
}
