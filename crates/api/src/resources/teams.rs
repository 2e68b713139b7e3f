//! Teams. Spec: the management API reference, 1.14.
//!
//! Whoever may write teams may change everything of one, but hand on no right that they do not have. A team's own
//! administrators may change who is a member, and its description.

use headwater_auth::{Permission, Place, ResourceKind, Verb};
use headwater_blob::HttpClient;
use headwater_catalog::projects;
use headwater_catalog::teams::{self, Team, TeamSpec};
use headwater_catalog::{Sql, rights};
use http::StatusCode;

use super::granting::{hand_on, powers};
use super::team_spec::{Known, patched, read, read_patch, render};
use super::{items, roles};
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::reply::Reply;

/// How often a change is tried that others keep overtaking.
const ATTEMPTS: usize = 40;

const WRITE: Permission = Permission::new(ResourceKind::Team, Verb::Write);

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let projects = projects::list(call.sql, None, None).await?;
    let teams = teams::list(call.sql).await?;
    let records = teams.iter().map(|team| render(team, &projects));
    Ok(items("TeamList", records.collect()))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let projects = projects::list(call.sql, None, None).await?;
    let team = teams::get(call.sql, call.var("team")).await?;
    Ok(Reply::ok(render(&team, &projects)))
}

/// What there is for a team to refer to.
pub(super) async fn known<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Known, ApiError> {
    Ok(Known {
        projects: projects::list(call.sql, None, None).await?,
        custom_roles: roles::custom(call.sql).await?,
    })
}

/// Creates or replaces a team.
pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let known = known(call).await?;
    let spec = read(&call.body()?, &known)?;
    for _ in 0..ATTEMPTS {
        let before = teams::find(call.sql, call.var("team")).await?;
        if let Some(team) = write(call, before.as_ref(), &spec, &known).await? {
            let status = match before {
                Some(_) => StatusCode::OK,
                None => StatusCode::CREATED,
            };
            return Ok(Reply::json(status, render(&team, &known.projects)));
        }
    }
    Err(overtaken())
}

/// Changes a team by a JSON Patch of what GET shows.
pub(super) async fn update<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let known = known(call).await?;
    let patch = read_patch(&call.body()?)?;
    for _ in 0..ATTEMPTS {
        let before = teams::get(call.sql, call.var("team")).await?;
        let spec = patched(&before, &patch, &known)?;
        if let Some(team) = write(call, Some(&before), &spec, &known).await? {
            return Ok(Reply::ok(render(&team, &known.projects)));
        }
    }
    Err(overtaken())
}

fn overtaken() -> ApiError {
    ApiError {
        retry_after_seconds: Some(1),
        ..ApiError::new(
            Kind::Unavailable,
            "Others change the team all the time. Try again.",
        )
    }
}

/// Writes a team that still is as `before`; `None` if it is not.
async fn write<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    before: Option<&Team>,
    spec: &TeamSpec,
    known: &Known,
) -> Result<Option<Team>, ApiError> {
    let nothing = TeamSpec::default();
    let old = before.map_or(&nothing, |team| &team.spec);
    if !call.caller()?.may(WRITE, Place::Organization) {
        if spec.scopes != old.scopes {
            return Err(ApiError {
                field: Some("spec.scopes".into()),
                ..ApiError::new(
                    Kind::PermissionDenied,
                    "spec.scopes: a team's administrators may change its members, not its rights.",
                )
            });
        }
    } else if spec.scopes != old.scopes || gains(old, spec) {
        check(call, spec, known)?;
    }
    let team = teams::write(call.sql, call.var("team"), before, spec, call.moment.now).await?;
    Ok(team)
}

/// Whether somebody has more of the team than before.
fn gains(old: &TeamSpec, new: &TeamSpec) -> bool {
    new.members
        .iter()
        .any(|(user, admin)| old.members.get(user).is_none_or(|was| *admin && !was))
}

/// Errors: 403 if the team has rights that the caller does not have.
pub(super) fn check<S, C>(
    call: &Call<'_, S, C>,
    spec: &TeamSpec,
    known: &Known,
) -> Result<(), ApiError> {
    for (scope, names) in &spec.scopes {
        let mut projects = known.projects.iter();
        let project = projects.find(|project| project.id.as_str() == scope);
        if project.is_none() && scope != rights::ORGANIZATION {
            // Its project is gone, and the right with it.
            continue;
        }
        for name in names {
            if let Some(powers) = powers(name, &known.custom_roles) {
                hand_on(call.caller()?, "spec.scopes", project, &powers)?;
            }
        }
    }
    Ok(())
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let existed = teams::delete(call.sql, call.var("team")).await?;
    Ok(Reply::deleted(existed))
}
