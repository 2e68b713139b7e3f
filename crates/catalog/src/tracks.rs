//! Tracks that were added to an asset: a file beside its media that became subtitles or another language.
//!
//! What the media itself has is not kept here: its server manifest and its packaging index say that. The properties are
//! checked by the caller for shape, as is the file.

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::operations::{self, Operation};
use crate::query::{Field, FieldKind};
use crate::sql::{Row, Sql, Value, transaction};
use crate::{Written, assets, names};

/// Most tracks added to one asset.
pub const MOST: u32 = 100;

/// Longest name of a track for people, in characters.
const LONGEST_DISPLAY_NAME: usize = 260;

/// What a track holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackKind {
    Audio,
    Text,
}

impl TrackKind {
    /// AMS's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Audio => "AudioTrack",
            Self::Text => "TextTrack",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Audio, Self::Text]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// Endings of the files it can be made from.
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Audio => &[".mp4", ".m4a"],
            Self::Text => &[".vtt", ".ttml"],
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    pub name: String,
    pub kind: TrackKind,
    /// Relative to the asset.
    pub file_name: String,
    /// What players are told, in AMS's names.
    pub properties: Map<String, Json>,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// A track to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTrack {
    pub kind: TrackKind,
    pub file_name: String,
    pub properties: Map<String, Json>,
}

const ENTITY: Entity<Track> = Entity {
    one: "Track",
    many: "tracks",
    table: "asset_tracks",
    columns: "name, kind, file_name, properties_json, created, modified",
    read: from_row,
    tie: Field::new("name", "name", FieldKind::Text),
    fields: &[Field::new("name", "name", FieldKind::Text)],
    labels: None,
};

fn from_row(row: &Row<'_>) -> Result<Track, CatalogError> {
    Ok(Track {
        name: row.text("name")?,
        kind: TrackKind::parse(row.str("kind")?)
            .ok_or_else(|| CatalogError::corrupt("kind", "unknown"))?,
        file_name: row.text("file_name")?,
        properties: row.json("properties_json")?,
        created: row.time("created")?,
        modified: row.time("modified")?,
    })
}

/// The answer where there is no such track, in the media or beside it.
pub fn not_found(name: &str) -> CatalogError {
    CatalogError::not_found(ENTITY.one, name)
}

/// All tracks added to an asset, by name.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
    asset: &str,
) -> Result<Vec<Track>, CatalogError> {
    let scope = [("project_id", project.into()), ("asset_name", asset.into())];
    ENTITY.all(sql, &scope).await
}

/// One added track, if it exists.
pub async fn find<S: Sql>(
    sql: &S,
    project: &ProjectId,
    asset: &str,
    name: &str,
) -> Result<Option<Track>, CatalogError> {
    let scope = [
        ("project_id", project.into()),
        ("asset_name", asset.into()),
        ("name", name.into()),
    ];
    Ok(ENTITY.all(sql, &scope).await?.pop())
}

/// The tracks added to the asset of a locator, oldest first; none if there is no such locator.
pub async fn of_locator<S: Sql>(sql: &S, locator_id: &str) -> Result<Vec<Track>, CatalogError> {
    let Ok(id) = uuid::Uuid::parse_str(locator_id) else {
        return Ok(Vec::new());
    };
    let rows = sql
        .query(
            "SELECT t.name, t.kind, t.file_name, t.properties_json, t.created, t.modified
             FROM streaming_locators l
             JOIN asset_tracks t ON t.project_id = l.project_id AND t.asset_name = l.asset_name
             WHERE l.locator_id = ?1 ORDER BY t.created, t.name",
            &[Value::from(id)],
        )
        .await?;
    rows.iter().map(|row| from_row(&row)).collect()
}

/// What can be said of a new track without looking at its file. Field names are those of the resource.
///
/// Errors: [`CatalogError::Invalid`].
pub fn check(name: &str, new: &NewTrack) -> Result<(), CatalogError> {
    names::resource("name", name)?;
    let field = "properties.track.fileName";
    names::blob(field, &new.file_name)?;
    let file = new.file_name.to_ascii_lowercase();
    let endings = new.kind.endings();
    if !endings.iter().any(|ending| file.ends_with(ending)) {
        return Err(CatalogError::invalid(
            field,
            format!(
                "must end in {} for a {}",
                endings.join(" or "),
                new.kind.name()
            ),
        ));
    }
    check_properties(&new.properties)
}

fn check_properties(properties: &Map<String, Json>) -> Result<(), CatalogError> {
    let text = properties.get("displayName").and_then(Json::as_str);
    names::text("properties.track.displayName", text, LONGEST_DISPLAY_NAME)
}

/// Adds a track, or makes one that was added what `new` says.
///
/// Errors: [`CatalogError::Invalid`], also for another kind than the track has; [`CatalogError::NotFound`] for the asset;
/// [`CatalogError::Conflict`] beyond [`MOST`].
pub async fn put<S: Sql>(
    sql: &S,
    project: &ProjectId,
    asset: &str,
    name: &str,
    new: &NewTrack,
    moment: Moment<'_>,
) -> Result<(Track, Written, Operation), CatalogError> {
    check(name, new)?;
    transaction(sql, async |sql| {
        assets::get(sql, project, asset).await?;
        let written = match find(sql, project, asset, name).await? {
            Some(old) if old.kind != new.kind => {
                return Err(CatalogError::invalid(
                    "properties.track.@odata.type",
                    format!(
                        "the track is a {}; delete it to use its name for another kind",
                        old.kind.name()
                    ),
                ));
            }
            Some(_) => Written::Existing,
            None if list(sql, project, asset).await?.len()
                >= usize::try_from(MOST).unwrap_or(usize::MAX) =>
            {
                return Err(CatalogError::Conflict(format!(
                    "There are {MOST} added tracks already, which is the most there may be."
                )));
            }
            None => Written::Created,
        };
        let track = write(sql, project, asset, name, new, moment.now).await?;
        let operation = record(sql, project, asset, name, moment).await?;
        Ok((track, written, operation))
    })
    .await
}

/// Changes the given properties of an added track, each as a whole.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn update<S: Sql>(
    sql: &S,
    project: &ProjectId,
    asset: &str,
    name: &str,
    changes: &Map<String, Json>,
    moment: Moment<'_>,
) -> Result<(Track, Operation), CatalogError> {
    check_properties(changes)?;
    transaction(sql, async |sql| {
        let old = find(sql, project, asset, name)
            .await?
            .ok_or_else(|| not_found(name))?;
        let mut properties = old.properties;
        properties.extend(changes.clone());
        // `null` takes back what was there.
        properties.retain(|_, value| !value.is_null());
        let new = NewTrack {
            kind: old.kind,
            file_name: old.file_name,
            properties,
        };
        let track = write(sql, project, asset, name, &new, moment.now).await?;
        let operation = record(sql, project, asset, name, moment).await?;
        Ok((track, operation))
    })
    .await
}

/// Remembers that an added track's file was looked at again.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn touch<S: Sql>(
    sql: &S,
    project: &ProjectId,
    asset: &str,
    name: &str,
    moment: Moment<'_>,
) -> Result<Operation, CatalogError> {
    update(sql, project, asset, name, &Map::new(), moment)
        .await
        .map(|(_, operation)| operation)
}

/// Inside a transaction: writes the row.
async fn write<S: Sql>(
    sql: &S,
    project: &ProjectId,
    asset: &str,
    name: &str,
    new: &NewTrack,
    now: Timestamp,
) -> Result<Track, CatalogError> {
    let rows = sql
        .query(
            &format!(
                "INSERT INTO asset_tracks (project_id, asset_name, name, kind, file_name, properties_json, created, modified)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
                 ON CONFLICT (project_id, asset_name, name) DO UPDATE SET file_name = excluded.file_name,
                     properties_json = excluded.properties_json, modified = excluded.modified
                 RETURNING {}",
                ENTITY.columns
            ),
            &[
                project.into(),
                asset.into(),
                name.into(),
                new.kind.name().into(),
                Value::from(&new.file_name),
                Json::Object(new.properties.clone()).to_string().into(),
                now.into(),
            ],
        )
        .await?;
    ENTITY.returned(&rows, name)
}

/// Takes an added track away; its file stays. `None` if there was none.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    asset: &str,
    name: &str,
    moment: Moment<'_>,
) -> Result<Option<Operation>, CatalogError> {
    transaction(sql, async |sql| {
        let rows = sql
            .query(
                "DELETE FROM asset_tracks WHERE project_id = ?1 AND asset_name = ?2 AND name = ?3 RETURNING name",
                &[project.into(), asset.into(), name.into()],
            )
            .await?;
        if rows.is_empty() {
            return Ok(None);
        }
        record(sql, project, asset, name, moment).await.map(Some)
    })
    .await
}

async fn record<S: Sql>(
    sql: &S,
    project: &ProjectId,
    asset: &str,
    name: &str,
    moment: Moment<'_>,
) -> Result<Operation, CatalogError> {
    let resource = resource(asset, name);
    operations::succeeded(sql, project, operations::TRACKS, &resource, moment).await
}

/// How [`Operation::resource`] names a track. Neither part holds a slash.
pub fn resource(asset: &str, name: &str) -> String {
    format!("{asset}/{name}")
}
