//! What was used: month to date, and reports. Spec: the management API reference, 1.14.
//!
//! All meters are listed, also those that stand at zero; what is not metered (stored bytes) is not listed.
//! A reading is written together with the fact that it counts, or within a minute of it, so the date on which it was reported is that
//! of its use, and `filterOnReportedDate` asks for the same either way.

use std::collections::BTreeMap;

use headwater_auth::{Permission, ResourceKind, Verb};
use headwater_blob::HttpClient;
use headwater_catalog::usage::{self, Meter, Reading, Unit};
use headwater_catalog::{CatalogError, Sql};
use http::header::CONTENT_DISPOSITION;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::{Value as Json, json};

use super::accounts::reachable;
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::{Object, parse_time};
use crate::reply::Reply;

/// Most projects that a report may name.
pub(crate) const MOST_PROJECTS: usize = 100;

/// A quantity as it is shown, with its unit. Minutes to the thousandth.
fn shown(meter: Meter, quantity: i64) -> (&'static str, Json) {
    match meter.unit() {
        Unit::Pieces => ("pieces", quantity.into()),
        Unit::Milliseconds => {
            let thousandths = quantity / 60;
            #[allow(clippy::cast_precision_loss, reason = "it is for printing")]
            let minutes = thousandths as f64 / 1000.0;
            ("minutes", minutes.into())
        }
        Unit::Bytes => {
            #[allow(clippy::cast_precision_loss, reason = "it is for printing")]
            let gigabytes = quantity as f64 / 1e9;
            ("gigabytes", gigabytes.into())
        }
    }
}

fn utc(at: Timestamp) -> DateTime {
    at.to_zoned(TimeZone::UTC).datetime()
}

fn instant(at: DateTime) -> Timestamp {
    at.to_zoned(TimeZone::UTC)
        .map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

/// Of one project, since the month began (UTC).
pub(super) async fn month_to_date<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let project = call.project()?;
    let now = call.moment.now;
    let from = instant(
        utc(now)
            .date()
            .first_of_month()
            .to_datetime(Time::midnight()),
    );
    let mut totals: BTreeMap<Meter, i64> = Meter::ALL.map(|meter| (meter, 0)).into();
    // The hour that is under way counts.
    let end = now
        .saturating_add(SignedDuration::from_micros(1))
        .unwrap_or(now);
    for reading in usage::readings(call.sql, Some(&project.id), from, end).await? {
        let total = totals.entry(reading.meter).or_default();
        *total = total.saturating_add(reading.quantity);
    }
    let items: Vec<_> = totals
        .into_iter()
        .map(|(meter, quantity)| {
            let (unit, quantity) = shown(meter, quantity);
            json!({
                "meter": meter.name(), "description": meter.description(), "unit": unit, "quantity": quantity,
            })
        })
        .collect();
    Ok(Reply::ok(json!({
        "kind": "UsageList",
        "projectName": project.name,
        "startDate": from.to_string(),
        "endDate": now.to_string(),
        "items": items,
    })))
}

/// How long the periods of a report are. All begin in UTC; weeks on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Granularity {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

pub(crate) const GRANULARITIES: [(&str, Granularity); 5] = [
    ("hour", Granularity::Hour),
    ("day", Granularity::Day),
    ("week", Granularity::Week),
    ("month", Granularity::Month),
    ("year", Granularity::Year),
];

impl Granularity {
    fn parse(name: &str) -> Option<Self> {
        GRANULARITIES
            .into_iter()
            .find_map(|(known, granularity)| (known == name).then_some(granularity))
    }

    /// The longest time that a report may cover, in days.
    fn longest_days(self) -> i64 {
        match self {
            Self::Hour => 31,
            Self::Day | Self::Week => 366,
            Self::Month | Self::Year => 5 * 366,
        }
    }

    /// The period that `hour` lies in: its beginning and its end.
    fn period(self, hour: Timestamp) -> (Timestamp, Timestamp) {
        let at = utc(hour);
        let date = at.date();
        let (first, span) = match self {
            Self::Hour => {
                let end = hour.saturating_add(SignedDuration::from_hours(1));
                return (hour, end.unwrap_or(Timestamp::MAX));
            }
            Self::Day => (date, 1.day()),
            Self::Week => {
                let since = i64::from(date.weekday().to_monday_zero_offset());
                (date.saturating_sub(since.days()), 1.week())
            }
            Self::Month => (date.first_of_month(), 1.month()),
            Self::Year => (date.first_of_year(), 1.year()),
        };
        let midnight = |date: Date| instant(date.to_datetime(Time::midnight()));
        (midnight(first), midnight(first.saturating_add(span)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
}

struct Wanted {
    from: Timestamp,
    to: Timestamp,
    granularity: Granularity,
    /// Empty: all that the token reaches.
    projects: Vec<String>,
    format: Format,
    download: bool,
}

/// The beginning of a day (`2026-01-31`), or of an hour in RFC 3339. Readings are by the hour.
fn moment(body: &Object<'_>, member: &str) -> Result<Timestamp, ApiError> {
    let text = body.required_text(member)?;
    let day = || {
        Some(instant(
            text.parse::<Date>().ok()?.to_datetime(Time::midnight()),
        ))
    };
    let at = if text.len() == 10 {
        day()
    } else {
        parse_time(&text)
    };
    at.filter(|at| at.as_microsecond() % 3_600_000_000 == 0)
        .ok_or_else(|| {
            ApiError::invalid(
                body.path(member),
                "must be a date, or the RFC 3339 date and time of a full hour",
            )
        })
}

fn read<S, C>(call: &Call<'_, S, C>) -> Result<Wanted, ApiError> {
    let body = call.body()?;
    let body = Object::root(&body)?;
    body.only(&[
        "startDate",
        "endDate",
        "granularity",
        "projectNames",
        "paymentMethodIds",
        "format",
        "download",
        "filterOnReportedDate",
    ])?;
    body.flag("filterOnReportedDate")?;
    if body.has("paymentMethodIds") {
        return Err(ApiError::invalid(
            "paymentMethodIds",
            "must be left out: this installation has no payment methods",
        ));
    }
    let names: Vec<_> = GRANULARITIES.iter().map(|(name, _)| *name).collect();
    let granularity = body
        .one_of("granularity", &names, Granularity::parse)?
        .unwrap_or(Granularity::Day);
    let (from, to) = (moment(&body, "startDate")?, moment(&body, "endDate")?);
    if to <= from {
        return Err(ApiError::invalid("endDate", "must be after startDate"));
    }
    let longest = granularity.longest_days();
    if to.duration_since(from) > SignedDuration::from_hours(longest.saturating_mul(24)) {
        return Err(ApiError::invalid(
            "endDate",
            format!("must be at most {longest} days after startDate at this granularity"),
        ));
    }
    let projects = body.texts("projectNames")?.unwrap_or_default();
    if projects.len() > MOST_PROJECTS {
        return Err(ApiError::invalid(
            "projectNames",
            format!("must have at most {MOST_PROJECTS} members"),
        ));
    }
    let format = body.one_of("format", &["json", "csv"], |name| match name {
        "json" => Some(Format::Json),
        "csv" => Some(Format::Csv),
        _ => None,
    })?;
    Ok(Wanted {
        from,
        to,
        granularity,
        projects,
        format: format.unwrap_or(Format::Json),
        download: body.flag("download")?.unwrap_or(false),
    })
}

/// One line of a report.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    start: Timestamp,
    end: Timestamp,
    project: String,
    meter: Meter,
}

/// Adds readings up by period. Periods at the ends of `from` to `to` are as long as they lie within.
fn lines(readings: Vec<Reading>, wanted: &Wanted) -> BTreeMap<Line, i64> {
    let mut lines = BTreeMap::new();
    for reading in readings {
        let (start, end) = wanted.granularity.period(reading.hour);
        let line = Line {
            start: start.max(wanted.from),
            end: end.min(wanted.to),
            project: reading.project,
            meter: reading.meter,
        };
        let total: &mut i64 = lines.entry(line).or_default();
        *total = total.saturating_add(reading.quantity);
    }
    lines
}

/// Of the projects that the token reaches, those that are gone among them where it reaches all.
pub(super) async fn report<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let wanted = read(call)?;
    let known = reachable(call, None, None).await?;
    for (at, name) in wanted.projects.iter().enumerate() {
        if !known.iter().any(|project| project.name == *name) {
            return Err(ApiError::invalid(
                format!("projectNames[{at}]"),
                CatalogError::not_found("Project", name.as_str()),
            ));
        }
    }
    let all = call
        .caller()?
        .may_everywhere(Permission::new(ResourceKind::Account, Verb::Read));
    let mut readings = usage::readings(call.sql, None, wanted.from, wanted.to).await?;
    readings.retain(|reading| {
        (all || known.iter().any(|project| project.name == reading.project))
            && (wanted.projects.is_empty() || wanted.projects.contains(&reading.project))
    });
    let lines = lines(readings, &wanted);
    let (reply, suffix) = match wanted.format {
        Format::Json => (as_json(&lines, &wanted), "json"),
        Format::Csv => (
            Reply::text("text/csv; charset=utf-8", as_csv(&lines)),
            "csv",
        ),
    };
    if !wanted.download {
        return Ok(reply);
    }
    let name = format!(
        "usage-{}-{}.{suffix}",
        utc(wanted.from).date(),
        utc(wanted.to).date()
    );
    Ok(reply.with(
        CONTENT_DISPOSITION,
        format!("attachment; filename=\"{name}\""),
    ))
}

fn as_json(lines: &BTreeMap<Line, i64>, wanted: &Wanted) -> Reply {
    let items: Vec<_> = lines
        .iter()
        .map(|(line, quantity)| {
            let (unit, quantity) = shown(line.meter, *quantity);
            json!({
                "periodStart": line.start.to_string(), "periodEnd": line.end.to_string(),
                "projectName": line.project, "meter": line.meter.name(), "unit": unit, "quantity": quantity,
            })
        })
        .collect();
    Reply::ok(json!({
        "kind": "UsageReport",
        "startDate": wanted.from.to_string(),
        "endDate": wanted.to.to_string(),
        "items": items,
    }))
}

/// RFC 4180. No value needs quotes.
fn as_csv(lines: &BTreeMap<Line, i64>) -> String {
    let mut text = String::from("periodStart,periodEnd,projectName,meter,unit,quantity\r\n");
    for (line, quantity) in lines {
        let (unit, quantity) = shown(line.meter, *quantity);
        text.push_str(&format!(
            "{},{},{},{},{unit},{quantity}\r\n",
            line.start,
            line.end,
            line.project,
            line.meter.name()
        ));
    }
    text
}
