//! The two surfaces and how they wrap the same things.
//!
//! Spec: the management API reference, 1.3 (MK.IO) and 2.2, 2.4 (ARM).

use headwater_catalog::projects::Project;
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

/// Which surface a request came in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// `/subscriptions/...`: Azure Media Services v3.
    Arm,
    /// `/api/v1/projects/{project}/media/...`
    MkIo,
    /// `/api/ams/{project}/...`: the same bodies, relative links.
    MkIoOlder,
    /// Headwater's own: readiness, tokens, workers.
    Own,
}

/// What a resource's envelope is made from.
pub(crate) struct Envelope<'a> {
    pub project: &'a Project,
    /// Collections and names down to the resource: `[("transforms", "t"), ("jobs", "j")]`.
    pub path: &'a [(&'static str, &'a str)],
    pub properties: Json,
    pub created: Timestamp,
    pub modified: Option<Timestamp>,
}

/// The ARM path of an account, which begins every resource id on both surfaces.
pub(crate) fn account_path(project: &Project) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Media/mediaservices/{}",
        project.subscription_id, project.resource_group, project.account_name
    )
}

impl Envelope<'_> {
    /// The resource as both surfaces show it. What only one of them has is added by the caller.
    pub(crate) fn render(self) -> Map<String, Json> {
        let mut id = account_path(self.project);
        let mut kind = String::from("Microsoft.Media/mediaservices");
        for (collection, name) in self.path {
            for part in ["/", collection, "/", name] {
                id.push_str(part);
            }
            kind.push('/');
            kind.push_str(collection);
        }
        let name = self.path.last().map_or("", |(_, name)| *name);
        let mut resource = Map::new();
        resource.insert("id".into(), id.into());
        resource.insert("name".into(), name.into());
        resource.insert("type".into(), kind.into());
        resource.insert("properties".into(), self.properties);
        resource.insert(
            "systemData".into(),
            json!({
                "createdAt": self.created.to_string(),
                "lastModifiedAt": self.modified.unwrap_or(self.created).to_string(),
            }),
        );
        resource
    }
}

/// AMS shows a missing end as the end of time.
pub(crate) const END_OF_TIME: &str = "9999-12-31T23:59:59.9999999Z";
