//! Live events as resources: made, changed, listed.

use headwater_preset::{Preset, Stretch};
use headwater_seal::Seal;
use headwater_work::live::{Ladder, Layer, StretchMode};
use jiff::Timestamp;
use uuid::Uuid;

use super::actions;
use super::machine::{Action, LiveEventState};
use super::model::{
    EVENT_COLUMNS, Encoding, LiveEvent, LiveEventWrite, Properties, event_from_row, token_context,
};
use super::rules;
use super::sweep::sweep;
use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::iso_duration::IsoDuration;
use crate::operations::Operation;
use crate::query::{Field, FieldKind, Listing, Page};
use crate::sql::{Sql, Value, transaction};
use crate::{Written, labels, names, transforms};

pub(super) const ENTITY: Entity<LiveEvent> = Entity {
    one: "Live event",
    many: "live events",
    table: "live_events",
    columns: EVENT_COLUMNS,
    read: event_from_row,
    tie: Field::new("name", "name", FieldKind::Text),
    fields: &[
        Field::new("name", "name", FieldKind::Text),
        Field::new("properties/created", "created", FieldKind::Time),
        Field::new("properties/lastModified", "modified", FieldKind::Time),
        Field::new("properties/resourceState", "state", FieldKind::Text),
    ],
    labels: Some("SELECT 1 FROM live_event_labels WHERE event_id = live_events.id"),
};

/// One live event.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    now: Timestamp,
) -> Result<LiveEvent, CatalogError> {
    sweep(sql, now).await?;
    ENTITY.get(sql, project, name).await
}

/// A page of live events.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
    listing: &Listing,
    now: Timestamp,
) -> Result<Page<LiveEvent>, CatalogError> {
    sweep(sql, now).await?;
    ENTITY.list(sql, project, listing).await
}

/// What became of a PUT.
#[derive(Debug)]
pub struct Put {
    pub event: LiveEvent,
    pub written: Written,
    /// The start that goes with it, or is under way already.
    pub operation: Option<Operation>,
}

/// Creates a live event, and starts it if `auto_start`. One that exists and is as it is written already is answered as it
/// is, whatever its state: the client repeats itself.
///
/// `seal`: for the access token, made here if none is given.
///
/// Errors: [`CatalogError::Invalid`]; [`CatalogError::Conflict`] if an event of that name is otherwise, if its preview
/// locator is another event's, and beyond [`super::MOST_EVENTS`].
pub async fn put<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
    write: &LiveEventWrite,
    auto_start: bool,
    moment: Moment<'_>,
) -> Result<Put, CatalogError> {
    names::live_event("name", name)?;
    check_beside(write)?;
    transaction(sql, async |sql| {
        sweep(sql, moment.now).await?;
        if let Some(event) = ENTITY.find(sql, project, name).await? {
            refuse_other(seal, &event, write)?;
            let operation = actions::under_way(sql, &event).await?;
            return Ok(Put {
                event,
                written: Written::Existing,
                operation,
            });
        }
        insert(sql, seal, project, name, write, moment).await?;
        let operation = match auto_start {
            true => match actions::step_on(sql, project, name, Action::Start, moment).await? {
                actions::Acted::Begun(operation) => Some(operation),
                _ => None,
            },
            false => None,
        };
        Ok(Put {
            event: ENTITY.get(sql, project, name).await?,
            written: Written::Created,
            operation,
        })
    })
    .await
}

/// Tags and labels.
fn check_beside(write: &LiveEventWrite) -> Result<(), CatalogError> {
    write.tags.as_ref().map_or(Ok(()), rules::check_tags)?;
    write.labels.as_ref().map_or(Ok(()), labels::check)
}

/// Refuses a PUT that says anything else than what is.
fn refuse_other(
    seal: &Seal,
    event: &LiveEvent,
    write: &LiveEventWrite,
) -> Result<(), CatalogError> {
    // What was made up when the event was made counts as not said.
    let mut base = Properties::new(event.properties.preview.preview_locator);
    let encoding = &event.properties.encoding;
    if rules::own_preset(&write.properties) == encoding.preset_name.as_deref() {
        // What its transform said then.
        base.encoding.ladder.clone_from(&encoding.ladder);
        base.encoding.key_frame_interval = encoding.key_frame_interval;
        base.encoding.stretch_mode = encoding.stretch_mode;
    }
    let wanted = rules::written(&base, &write.properties)?;
    let mut other = rules::difference(&event.properties, &wanted);
    if let Some(token) = &write.access_token
        && *token != event.access_token(seal)?
    {
        other.get_or_insert_with(|| "properties.input.accessToken".into());
    }
    for (member, said, is) in [
        ("tags", &write.tags, &event.tags),
        ("labels", &write.labels, &event.labels),
    ] {
        if said.as_ref().is_some_and(|said| said != is) {
            other.get_or_insert_with(|| member.into());
        }
    }
    match other {
        None => Ok(()),
        Some(member) => Err(CatalogError::Conflict(format!(
            "Live event '{}' already exists, and its {member} is otherwise; PATCH changes an event that exists.",
            event.name
        ))),
    }
}

/// Takes over what the preset of a transform says, which then is the event's.
async fn take_ladder<S: Sql>(
    sql: &S,
    project: &ProjectId,
    transform: &str,
    encoding: &mut Encoding,
) -> Result<(), CatalogError> {
    let refuse = |what: String| {
        let message = format!("names transform '{transform}', and {what}");
        CatalogError::invalid("properties.encoding.presetName", message)
    };
    let found = match transforms::get(sql, project, transform).await {
        Ok(found) => found,
        // Said by the rules, which know what else there is.
        Err(CatalogError::NotFound { .. } | CatalogError::Invalid { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let [output] = &found.outputs[..] else {
        return Err(refuse("that has several outputs".into()));
    };
    let preset = Preset::parse(&output.preset).map_err(|error| refuse(error.to_string()))?;
    let ladder = preset
        .live_ladder()
        .map_err(|what| refuse(format!("its preset {what}")))?;
    let layers = ladder.layers.iter().map(|layer| Layer {
        width: layer.width,
        height: layer.height,
        bitrate: layer.bitrate,
    });
    encoding.ladder = Some(Ladder {
        layers: layers.collect(),
        sound_bitrate: ladder.sound_bitrate,
    });
    let interval = IsoDuration::from_millis(ladder.key_frame_ms);
    encoding.key_frame_interval = Some(interval);
    encoding.stretch_mode = Some(match ladder.stretch {
        Stretch::None => StretchMode::None,
        Stretch::AutoSize => StretchMode::AutoSize,
        Stretch::AutoFit => StretchMode::AutoFit,
    });
    Ok(())
}

async fn insert<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
    write: &LiveEventWrite,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    let id = moment.ids.uuid();
    let mut base = Properties::new(moment.ids.uuid());
    if let Some(transform) = rules::own_preset(&write.properties) {
        take_ladder(sql, project, transform, &mut base.encoding).await?;
    }
    let properties = rules::written(&base, &write.properties)?;
    let token = match &write.access_token {
        Some(token) => {
            rules::check_token(properties.input.streaming_protocol, token)?;
            token.clone()
        }
        None => moment.ids.uuid().to_string(),
    };
    refuse_full(sql, project).await?;
    let locator = properties.preview.preview_locator;
    let taken = sql
        .query(
            "SELECT 1 FROM live_events WHERE preview_locator = ?1
             UNION ALL SELECT 1 FROM streaming_locators WHERE locator_id = ?1",
            &[locator.into()],
        )
        .await?;
    if !taken.is_empty() {
        return Err(CatalogError::Conflict(format!(
            "The preview locator {locator} is in use already."
        )));
    }
    sql.query(
        "INSERT INTO live_events (id, project_id, name, properties_json, preview_locator, access_token_sealed,
             tags_json, labels_json, state, generation, created, modified)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)",
        &[
            id.into(),
            project.into(),
            name.into(),
            json(&properties),
            locator.into(),
            seal.seal(&token_context(id), token.as_bytes())?.into(),
            json(&write.tags.clone().unwrap_or_default()),
            json(&write.labels.clone().unwrap_or_default()),
            LiveEventState::Stopped.name().into(),
            1_u32.into(),
            moment.now.into(),
        ],
    )
    .await
    .map_err(CatalogError::taken(ENTITY.one, name))?;
    write_labels(sql, id, write).await
}

async fn refuse_full<S: Sql>(sql: &S, project: &ProjectId) -> Result<(), CatalogError> {
    let counted = sql
        .query(
            "SELECT count(*) AS total FROM live_events WHERE project_id = ?1",
            &[project.into()],
        )
        .await?;
    if counted.total()? >= rules::MOST_EVENTS {
        return Err(CatalogError::Conflict(format!(
            "There are {} live events already, which is the most there may be.",
            rules::MOST_EVENTS
        )));
    }
    Ok(())
}

/// Makes the event findable by these labels and no others, if any were said.
async fn write_labels<S: Sql>(
    sql: &S,
    event: Uuid,
    write: &LiveEventWrite,
) -> Result<(), CatalogError> {
    let Some(labels) = &write.labels else {
        return Ok(());
    };
    sql.query(
        "DELETE FROM live_event_labels WHERE event_id = ?1",
        &[event.into()],
    )
    .await?;
    for (label, value) in labels {
        sql.query(
            "INSERT INTO live_event_labels (event_id, label, value) VALUES (?1, ?2, ?3)",
            &[event.into(), label.into(), value.into()],
        )
        .await?;
    }
    Ok(())
}

/// Changes what is mentioned. Tags and labels can be changed at any time, properties while the event is Stopped or
/// StandBy; a change to what is so already is none.
///
/// Errors: [`CatalogError::NotFound`]; [`CatalogError::Invalid`], also for what was decided when the event was made;
/// [`CatalogError::WrongState`].
pub async fn update<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
    write: &LiveEventWrite,
    now: Timestamp,
) -> Result<LiveEvent, CatalogError> {
    check_beside(write)?;
    transaction(sql, async |sql| {
        sweep(sql, now).await?;
        let old = ENTITY.get(sql, project, name).await?;
        let properties = rules::changed(&old.properties, &write.properties)?;
        if let Some(token) = &write.access_token
            && *token != old.access_token(seal)?
        {
            return Err(CatalogError::invalid(
                "properties.input.accessToken",
                "cannot be changed once the live event exists",
            ));
        }
        if properties != old.properties && !old.state.is_editable() {
            return Err(CatalogError::WrongState(format!(
                "Live event '{name}' is {}; its properties can be changed while it is Stopped or StandBy.",
                old.state.name()
            )));
        }
        write_labels(sql, old.id, write).await?;
        let rows = sql
            .query(
                &format!(
                    "UPDATE live_events SET properties_json = ?2, tags_json = ?3, labels_json = ?4, modified = ?5
                     WHERE id = ?1 RETURNING {EVENT_COLUMNS}"
                ),
                &[
                    old.id.into(),
                    json(&properties),
                    json(write.tags.as_ref().unwrap_or(&old.tags)),
                    json(write.labels.as_ref().unwrap_or(&old.labels)),
                    now.into(),
                ],
            )
            .await?;
        ENTITY.returned(&rows, name)
    })
    .await
}

fn json<T: serde::Serialize>(value: &T) -> Value {
    Value::Text(serde_json::to_string(value).unwrap_or_default())
}
