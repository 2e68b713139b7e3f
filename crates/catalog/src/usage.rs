//! What was used, by meter and hour.
//!
//! A reading is written in the transaction of the fact that it counts, so there is neither one without the other. Readings
//! outlive their project. What nobody counts has no meter: an absent meter says nothing, a zero says that there was nothing.

use headwater_work::EncodedTrack;
use jiff::Timestamp;

use crate::error::CatalogError;
use crate::ids::ProjectId;
use crate::sql::{Row, Sql, Value};

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// Fewest and most samples of a picture that count as HD.
const HD: u64 = 1280 * 720;
const MOST_OF_HD: u64 = 1920 * 1080;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Meter {
    /// Jobs that finished.
    Jobs,
    EncodedAudio,
    EncodedSd,
    EncodedHd,
    EncodedUhd,
}

/// In what a quantity is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Pieces,
    /// Shown as minutes.
    Milliseconds,
}

impl Meter {
    pub const ALL: [Self; 5] = [
        Self::Jobs,
        Self::EncodedAudio,
        Self::EncodedSd,
        Self::EncodedHd,
        Self::EncodedUhd,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::EncodedAudio => "encodedAudio",
            Self::EncodedSd => "encodedVideoSD",
            Self::EncodedHd => "encodedVideoHD",
            Self::EncodedUhd => "encodedVideoUHD",
        }
    }

    /// A sentence for people.
    pub fn description(self) -> &'static str {
        match self {
            Self::Jobs => "Jobs that finished.",
            Self::EncodedAudio => "Length of the audio tracks that were encoded.",
            Self::EncodedSd => {
                "Length of the video renditions of less than 1280x720 that were encoded."
            }
            Self::EncodedHd => {
                "Length of the video renditions of 1280x720 to 1920x1080 that were encoded."
            }
            Self::EncodedUhd => {
                "Length of the video renditions of more than 1920x1080 that were encoded."
            }
        }
    }

    pub fn unit(self) -> Unit {
        match self {
            Self::Jobs => Unit::Pieces,
            Self::EncodedAudio | Self::EncodedSd | Self::EncodedHd | Self::EncodedUhd => {
                Unit::Milliseconds
            }
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|meter| meter.name() == name)
    }

    fn of(track: &EncodedTrack) -> Self {
        let Some(picture) = track.picture else {
            return Self::EncodedAudio;
        };
        let samples = u64::from(picture.width).saturating_mul(picture.height.into());
        if samples < HD {
            Self::EncodedSd
        } else if samples <= MOST_OF_HD {
            Self::EncodedHd
        } else {
            Self::EncodedUhd
        }
    }
}

/// What a project used of one thing in one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub project: String,
    pub meter: Meter,
    /// Beginning of the hour.
    pub hour: Timestamp,
    /// In the meter's unit.
    pub quantity: i64,
}

fn from_row(row: &Row<'_>) -> Result<Reading, CatalogError> {
    Ok(Reading {
        project: row.text("project_name")?,
        meter: Meter::parse(&row.text("meter")?)
            .ok_or_else(|| CatalogError::corrupt("meter", "unknown"))?,
        hour: row.time("hour")?,
        quantity: row.integer("quantity")?,
    })
}

/// Inside a transaction: counts a job that finished, and what it encoded.
pub(crate) async fn finished_job<S: Sql>(
    sql: &S,
    project: &ProjectId,
    encoded: &[EncodedTrack],
    now: Timestamp,
) -> Result<(), CatalogError> {
    add(sql, project, Meter::Jobs, 1, now).await?;
    for track in encoded {
        let length = i64::from(track.duration_ms);
        add(sql, project, Meter::of(track), length, now).await?;
    }
    Ok(())
}

async fn add<S: Sql>(
    sql: &S,
    project: &ProjectId,
    meter: Meter,
    quantity: i64,
    now: Timestamp,
) -> Result<(), CatalogError> {
    let now = now.as_microsecond();
    let hour = now.saturating_sub(now.rem_euclid(HOUR));
    sql.query(
        "INSERT INTO metered_usage (project_id, project_name, meter, hour, quantity)
         SELECT id, name, ?2, ?3, ?4 FROM projects WHERE id = ?1
         ON CONFLICT (project_id, meter, hour) DO UPDATE SET quantity = metered_usage.quantity + excluded.quantity",
        &[
            project.into(),
            meter.name().into(),
            hour.into(),
            quantity.into(),
        ],
    )
    .await?;
    Ok(())
}

/// All readings of the hours that begin within `from` (included) and `to` (excluded), by hour, project and meter.
/// `project`: of this one only.
pub async fn readings<S: Sql>(
    sql: &S,
    project: Option<&ProjectId>,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Reading>, CatalogError> {
    let (condition, project) = match project {
        Some(project) => ("project_id = ?3", Value::from(project)),
        // So that both have the parameter.
        None => ("?3 = ''", "".into()),
    };
    let rows = sql
        .query(
            &format!(
                "SELECT project_name, meter, hour, quantity FROM metered_usage
                 WHERE hour >= ?1 AND hour < ?2 AND {condition} ORDER BY hour, project_name, meter"
            ),
            &[from.into(), to.into(), project],
        )
        .await?;
    rows.iter().map(|row| from_row(&row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_work::PictureSize;

    #[test]
    fn tiers_are_by_size_whichever_way_the_picture_lies() {
        for (width, height, meter) in [
            (640, 360, Meter::EncodedSd),
            (1278, 720, Meter::EncodedSd),
            (1280, 720, Meter::EncodedHd),
            (720, 1280, Meter::EncodedHd),
            (1920, 1080, Meter::EncodedHd),
            (3840, 2160, Meter::EncodedUhd),
        ] {
            let track = EncodedTrack {
                picture: Some(PictureSize { width, height }),
                duration_ms: 1,
            };
            assert_eq!(Meter::of(&track), meter, "{width}x{height}");
        }
        let sound = EncodedTrack {
            picture: None,
            duration_ms: 1,
        };
        assert_eq!(Meter::of(&sound), Meter::EncodedAudio);
    }
}
