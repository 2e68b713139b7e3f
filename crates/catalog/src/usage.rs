//! What was used, by meter and hour.
//!
//! A reading is written in the transaction of the fact that it counts, so there is neither one without the other; but for what
//! hosts stream, which they sum up for a minute. Readings outlive their project. What nobody counts has no meter: an absent meter
//! says nothing, a zero says that there was nothing.

use std::collections::BTreeMap;

use headwater_work::EncodedTrack;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::error::CatalogError;
use crate::ids::ProjectId;
use crate::sql::{Row, Sql, Value, transaction};

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
    /// For how long live events ran that are passed through, and those that are encoded.
    LivePassthrough,
    LiveEncoded,
    /// Bytes and answers of streaming locators.
    StreamedBytes,
    StreamedAnswers,
}

/// In what a quantity is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Pieces,
    /// Shown as minutes.
    Milliseconds,
    /// Shown as gigabytes (10^9).
    Bytes,
}

impl Meter {
    pub const ALL: [Self; 9] = [
        Self::Jobs,
        Self::EncodedAudio,
        Self::EncodedSd,
        Self::EncodedHd,
        Self::EncodedUhd,
        Self::LivePassthrough,
        Self::LiveEncoded,
        Self::StreamedBytes,
        Self::StreamedAnswers,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::EncodedAudio => "encodedAudio",
            Self::EncodedSd => "encodedVideoSD",
            Self::EncodedHd => "encodedVideoHD",
            Self::EncodedUhd => "encodedVideoUHD",
            Self::LivePassthrough => "livePassthrough",
            Self::LiveEncoded => "liveEncoding",
            Self::StreamedBytes => "streamed",
            Self::StreamedAnswers => "streamedRequests",
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
            Self::LivePassthrough => "For how long live events ran that are passed through.",
            Self::LiveEncoded => "For how long live events ran that are encoded.",
            Self::StreamedBytes => "What streaming locators were asked for and was sent.",
            Self::StreamedAnswers => {
                "Requests to streaming locators that were answered with what was asked for."
            }
        }
    }

    pub fn unit(self) -> Unit {
        match self {
            Self::Jobs | Self::StreamedAnswers => Unit::Pieces,
            Self::EncodedAudio
            | Self::EncodedSd
            | Self::EncodedHd
            | Self::EncodedUhd
            | Self::LivePassthrough
            | Self::LiveEncoded => Unit::Milliseconds,
            Self::StreamedBytes => Unit::Bytes,
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

/// `None`: of a meter that only a newer version knows, which may be at work beside this one.
fn from_row(row: &Row<'_>) -> Result<Option<Reading>, CatalogError> {
    let Some(meter) = Meter::parse(row.str("meter")?) else {
        return Ok(None);
    };
    Ok(Some(Reading {
        project: row.text("project_name")?,
        meter,
        hour: row.time("hour")?,
        quantity: row.integer("quantity")?,
    }))
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

/// Inside a transaction: counts time for which a live event ran.
pub(crate) async fn ran_live<S: Sql>(
    sql: &S,
    project: &ProjectId,
    encodes: bool,
    time: SignedDuration,
    now: Timestamp,
) -> Result<(), CatalogError> {
    let meter = match encodes {
        true => Meter::LiveEncoded,
        false => Meter::LivePassthrough,
    };
    let ms = i64::try_from(time.as_millis()).unwrap_or(0);
    if ms <= 0 {
        return Ok(());
    }
    add(sql, project, meter, ms, now).await
}

/// What was sent of one streaming locator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streamed {
    /// Its id.
    pub locator: Uuid,
    pub answers: u64,
    pub bytes: u64,
}

/// Counts what hosts have sent, all of it or nothing. Locators that are not there (any more) are nobody's.
pub async fn streamed<S: Sql>(
    sql: &S,
    all: &[Streamed],
    now: Timestamp,
) -> Result<(), CatalogError> {
    let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for one in all {
        let rows = sql
            .query(
                "SELECT project_id FROM streaming_locators WHERE locator_id = ?1",
                &[one.locator.into()],
            )
            .await?;
        let Some(row) = rows.first() else { continue };
        let (bytes, answers) = sums.entry(row.text("project_id")?).or_default();
        *bytes = bytes.saturating_add(one.bytes);
        *answers = answers.saturating_add(one.answers);
    }
    let quantity = |sum: u64| i64::try_from(sum).unwrap_or(i64::MAX);
    transaction(sql, async |sql| {
        for (project, (bytes, answers)) in &sums {
            let project = ProjectId(project.clone());
            add(sql, &project, Meter::StreamedBytes, quantity(*bytes), now).await?;
            add(
                sql,
                &project,
                Meter::StreamedAnswers,
                quantity(*answers),
                now,
            )
            .await?;
        }
        Ok(())
    })
    .await
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
    rows.iter()
        .filter_map(|row| from_row(&row).transpose())
        .collect()
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
