//! Projects, as MK.IO speaks of them: made, renamed, and what is asked about them. Spec: the management API reference, 1.14.
//!
//! Nothing is paid here, so there is no payment method; what is given as one is refused rather than forgotten.

use headwater_auth::{Permission, ResourceKind, Verb};
use headwater_blob::HttpClient;
use headwater_catalog::projects::{self, NewProject, Project};
use headwater_catalog::{CatalogError, Sql};
use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::accounts::reachable;
use super::location as place;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::fields::Object;
use crate::place::Place;
use crate::reply::Reply;

fn record(project: &Project) -> Json {
    json!({
        "metadata": {
            "id": project.uuid(), "name": project.name,
            "created": project.created.to_string(), "updated": project.modified.to_string(),
        },
        "spec": {"displayName": project.display_name, "locationName": project.location},
        "status": {"state": "Active"},
    })
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let items: Vec<_> = reachable(call, None, None)
        .await?
        .iter()
        .map(record)
        .collect();
    let kind = if call.var("customer").is_empty() {
        "ProjectList"
    } else {
        "SubscriptionList"
    };
    Ok(Reply::ok(json!({"kind": kind, "items": items})))
}

pub(super) fn get<S, C>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(Reply::ok(record(call.project()?)))
}

/// Makes a project, and before it the container that its upload rule is for.
pub(super) async fn create<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    new: &NewProject<'_>,
) -> Result<Project, ApiError> {
    let making = Permission::new(ResourceKind::Account, Verb::Write);
    if !call.caller()?.may_everywhere(making) {
        return Err(ApiError::new(
            Kind::PermissionDenied,
            "The token's rights are over some projects and cannot make another.",
        ));
    }
    new.check()?;
    if let Some(primary) = new.storage.first()
        && projects::by_name(call.sql, new.name).await?.is_none()
    {
        let container = new.uploads_container();
        let now = call.moment.now;
        Place::new(call.http, call.seal, primary, &container, "", now)?
            .create()
            .await?;
    }
    Ok(projects::create(call.sql, call.seal, new, call.moment).await?)
}

/// Where this installation is. A project cannot be anywhere else.
pub(super) async fn locations<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Vec<Project>, ApiError> {
    Ok(projects::list(call.sql, None, None).await?)
}

/// The location that is asked for, or the first there is. `field`: where it stands in the request.
pub(super) fn location<'a>(
    all: &'a [Project],
    field: &str,
    asked: Option<&str>,
) -> Result<&'a str, ApiError> {
    let mut known = all.iter().map(|project| project.location.as_str());
    let first = known.clone().min().unwrap_or_default();
    match asked {
        None => Ok(first),
        Some(asked) => known
            .find(|name| place::is_same(name, asked))
            .ok_or_else(|| place::elsewhere(field, first)),
    }
}

/// What a writer says about a project.
struct Described {
    display_name: Option<String>,
    location: Option<String>,
}

fn read<S, C>(call: &Call<'_, S, C>) -> Result<Described, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(&["metadata", "spec", "status"])?;
    let nothing = Json::Object(Map::new());
    let spec = match root.object("spec")? {
        Some(spec) => spec,
        None => Object::root(&nothing)?,
    };
    spec.only(&["displayName", "locationName", "paymentMethodId"])?;
    // Whom MK.IO sends the bill to, which scripts have to say there. Nobody is sent one here.
    spec.text("paymentMethodId")?;
    Ok(Described {
        display_name: spec.text("displayName")?,
        location: spec.text("locationName")?,
    })
}

fn no_payment(field: &str) -> ApiError {
    ApiError::invalid(
        field,
        "must be left out: this installation has no payment methods, there is nothing to pay",
    )
}

/// A project that exists stays where it is.
fn stays(project: &Project, described: &Described) -> Result<(), ApiError> {
    match &described.location {
        Some(asked) if !place::is_same(asked, &project.location) => {
            Err(place::elsewhere("spec.locationName", &project.location))
        }
        _ => Ok(()),
    }
}

/// A new project has no storage: that is added by itself. It belongs to the subscription and resource group that the
/// installation began with, which is where the AMS surface finds it.
pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let described = read(call)?;
    let name = call.var("project");
    if let Some(project) = &call.project {
        stays(project, &described)?;
        let display_name = described.display_name.as_deref().unwrap_or(name);
        return renamed(call, project, display_name).await;
    }
    let all = locations(call).await?;
    let home = all
        .iter()
        .find(|project| project.name == projects::DEFAULT)
        .or(all.first())
        .ok_or_else(|| ApiError::internal("an installation without a project"))?;
    let new = NewProject {
        name,
        display_name: described.display_name.as_deref().unwrap_or(name),
        location: location(&all, "spec.locationName", described.location.as_deref())?,
        subscription_id: &home.subscription_id,
        resource_group: &home.resource_group,
        tags: Map::new(),
        storage: &[],
        by: &call.caller()?.subject,
    };
    let project = create(call, &new).await?;
    Ok(Reply::json(StatusCode::CREATED, record(&project)))
}

async fn renamed<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    project: &Project,
    display_name: &str,
) -> Result<Reply, ApiError> {
    let now = call.moment.now;
    let changed = projects::set_display_name(call.sql, &project.id, display_name, now).await?;
    Ok(Reply::ok(record(&changed)))
}

pub(super) async fn update<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let described = read(call)?;
    let project = call.project()?;
    stays(project, &described)?;
    match &described.display_name {
        Some(display_name) => renamed(call, project, display_name).await,
        None => Ok(Reply::ok(record(project))),
    }
}

pub(super) fn payment_method<S, C>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let name = &call.project()?.name;
    Err(CatalogError::not_found("Payment method of project", name).into())
}

pub(super) fn set_payment_method<S, C>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let body = call.body()?;
    Object::root(&body)?;
    Err(no_payment("paymentMethodId"))
}

/// Where a Prometheus server finds the metrics of the whole installation.
pub(super) fn metrics_endpoint<S, C>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let url = &call.settings.metrics_url;
    Ok(Reply::ok(json!({
        "metadata": {"name": call.project()?.name},
        "spec": {"enabled": url.is_some(), "type": "Prometheus", "url": url},
    })))
}

pub(super) fn set_metrics_endpoint<S, C>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let body = call.body()?;
    Object::root(&body)?;
    Err(ApiError::invalid(
        "spec",
        "cannot be changed here: metrics are pulled, from an address that the installation is started with",
    ))
}
