//! `spin.toml`, manifest version 2, as far as this host runs it.
//!
//! Every table denies unknown keys, as Spin does: a misspelt key is an error with its place in the file, never a
//! setting that quietly does nothing. What stock Spin knows and this host does not run (Redis triggers, key-value
//! stores, components from a registry) is refused with a sentence that says so.
//!
//! Source: Spin's manifest reference, version 2; `../shared/reference/spin.md` section 2.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A parsed manifest. Templates are still text.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    spin_manifest_version: u32,
    pub application: Application,
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    #[serde(default)]
    pub trigger: Triggers,
    #[serde(default)]
    pub component: BTreeMap<String, Component>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    pub name: String,
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub authors: Vec<String>,
    /// Spin takes any table here and looks at none.
    #[serde(default)]
    pub tool: toml::Table,
}

/// An application variable: a default, or required from outside.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    pub default: Option<String>,
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub secret: bool,
    #[serde(default)]
    pub description: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Triggers {
    #[serde(default)]
    pub http: Vec<HttpTrigger>,
}

/// One `[[trigger.http]]`: a route and what answers it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTrigger {
    pub id: Option<String>,
    pub route: Route,
    component: Option<ComponentRef>,
    pub static_response: Option<StaticResponse>,
}

impl HttpTrigger {
    /// The component that answers, unless a static response does.
    pub fn component(&self) -> Option<&String> {
        match &self.component {
            Some(ComponentRef::Id(id)) => Some(id),
            _ => None,
        }
    }
}

/// A component by its name, or in place.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum ComponentRef {
    Id(String),
    Inline(Box<Component>),
}

impl ComponentRef {
    fn is_id(&self) -> bool {
        matches!(self, Self::Id(_))
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Route {
    Path(String),
    Private(PrivateRoute),
}

/// `{ private = true }`: reached by `*.spin.internal` only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivateRoute {
    pub private: bool,
}

/// An answer that needs no component.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticResponse {
    #[serde(default = "ok")]
    pub status_code: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: String,
}

fn ok() -> u16 {
    200
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Path of the `.wasm`, relative to the manifest.
    pub source: String,
    #[serde(default)]
    pub description: String,
    /// Templates over the application's variables.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub files: Vec<FileMount>,
    #[serde(default)]
    pub exclude_files: Vec<String>,
    #[serde(default)]
    pub allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    pub sqlite_databases: Vec<String>,
    #[serde(default)]
    pub dependencies: BTreeMap<String, Dependency>,
    #[serde(default)]
    pub dependencies_inherit_configuration: bool,
    /// How `spin build` makes the component; this host builds nothing.
    pub build: Option<Build>,
    /// What Spin leaves to other programs. Ours is in `headwater`; the rest is none of our business.
    #[serde(default)]
    pub tool: Tools,
}

/// `[component.<id>.tool]`: Spin takes any table here and looks at none.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Tools {
    #[serde(default)]
    pub headwater: Tool,
}

/// `[component.<id>.tool.headwater]`: what only this host does. A component works without it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Which of Spin's request headers (`spin-full-url`, `spin-path-info`, …) the component is told: all, none, or those that
    /// are named. It is spared making and copying others; those that a client sends are removed all the same.
    #[serde(default)]
    pub request_headers: RequestHeaders,
    /// Whether answers that the component marks for it are kept by the host's cache.
    #[serde(default)]
    pub cache: bool,
    /// For how many seconds rows that it has read are gone by while a database server does not answer; 0 for never.
    #[serde(default)]
    pub stale_if_error: u64,
    /// A parameter of its routes: requests are counted by its value, as `headwater_<this>_requests` and so on.
    pub count_by: Option<String>,
}

/// `true`, `false`, or a list of names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum RequestHeaders {
    All(bool),
    Named(Vec<String>),
}

impl Default for RequestHeaders {
    fn default() -> Self {
        Self::All(true)
    }
}

impl RequestHeaders {
    /// Whether the component is told any.
    pub(crate) fn any(&self) -> bool {
        match self {
            Self::All(all) => *all,
            Self::Named(names) => !names.is_empty(),
        }
    }

    /// Whether it is told `name`.
    pub(crate) fn tells(&self, name: &str) -> bool {
        match self {
            Self::All(all) => *all,
            Self::Named(names) => names.iter().any(|named| named == name),
        }
    }
}

/// Read by `spin build` and shown by `spin doctor`; nothing at run time depends on it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    pub command: String,
    pub workdir: Option<String>,
    #[serde(default)]
    pub watch: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum FileMount {
    /// Matches of a glob, mounted at `/` under their own relative paths.
    Glob(String),
    Directory(DirectoryMount),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryMount {
    pub source: String,
    pub destination: String,
}

/// What satisfies one import of a component.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// Another `.wasm`, relative to the manifest.
    pub path: Option<String>,
    /// Another component of this manifest.
    pub component: Option<String>,
    /// The export to use when it is not named as the import is.
    pub export: Option<String>,
    #[serde(default)]
    pub inherit_configuration: bool,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    #[error("{0}")]
    Syntax(String),
    #[error("spin_manifest_version is {0}; this host reads version 2")]
    Version(u32),
    #[error("[component.{component}] {message}")]
    Component { component: String, message: String },
    #[error("[[trigger.http]] route {route}: {message}")]
    Trigger { route: String, message: String },
}

impl Manifest {
    /// Parses and checks what can be checked without looking at any file. Components that triggers bring along in a table of
    /// their own get the names that Spin gives them, `inline-http-component` and so on.
    ///
    /// Errors name the key and, for syntax, line and column.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut manifest: Self =
            toml::from_str(text).map_err(|error| ManifestError::Syntax(error.to_string()))?;
        for (index, trigger) in manifest.trigger.http.iter_mut().enumerate() {
            if let Some(ComponentRef::Inline(component)) = trigger.component.take_if(|c| !c.is_id())
            {
                let id = format!("inline-http-component{index}");
                manifest.component.insert(id.clone(), *component);
                trigger.component = Some(ComponentRef::Id(id));
            }
        }
        if manifest.spin_manifest_version != 2 {
            return Err(ManifestError::Version(manifest.spin_manifest_version));
        }
        for trigger in &manifest.trigger.http {
            manifest.check_trigger(trigger)?;
        }
        for (id, component) in &manifest.component {
            manifest.check_component(id, component)?;
        }
        Ok(manifest)
    }

    fn check_trigger(&self, trigger: &HttpTrigger) -> Result<(), ManifestError> {
        let route = match &trigger.route {
            Route::Path(path) => path.clone(),
            Route::Private(_) => "{ private = true }".into(),
        };
        let fail = |message: String| ManifestError::Trigger {
            route: route.clone(),
            message,
        };
        match (trigger.component(), &trigger.static_response) {
            (Some(component), None) if self.component.contains_key(component) => {}
            (Some(component), None) => {
                return Err(fail(format!("there is no component `{component}`")));
            }
            (None, Some(response)) => {
                http::StatusCode::from_u16(response.status_code).map_err(|_| {
                    fail(format!("status_code {} is not one", response.status_code))
                })?;
                let sendable = |(name, value): (&String, &String)| {
                    http::HeaderName::try_from(name.as_str()).is_ok()
                        && http::HeaderValue::try_from(value.as_str()).is_ok()
                };
                if let Some((name, _)) = response.headers.iter().find(|header| !sendable(*header)) {
                    return Err(fail(format!("the header `{name}` cannot be sent")));
                }
            }
            _ => return Err(fail("needs either `component` or `static_response`".into())),
        }
        match &trigger.route {
            Route::Private(PrivateRoute { private: false }) => {
                Err(fail("`private` can only be true".into()))
            }
            Route::Private(_) if trigger.component().is_none() => {
                Err(fail("a private route needs a component".into()))
            }
            _ => Ok(()),
        }
    }

    fn check_component(&self, id: &str, component: &Component) -> Result<(), ManifestError> {
        let fail = |message: String| ManifestError::Component {
            component: id.into(),
            message,
        };
        for (name, dependency) in &component.dependencies {
            match (&dependency.path, &dependency.component) {
                (Some(_), None) => {}
                (None, Some(other)) if self.component.contains_key(other) => {}
                (None, Some(other)) => {
                    return Err(fail(format!(
                        "dependency `{name}`: there is no component `{other}`"
                    )));
                }
                _ => {
                    return Err(fail(format!(
                        "dependency `{name}` needs either `path` or `component`"
                    )));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "spin_manifest_version = 2\n[application]\nname = \"a\"\n";

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let text =
            format!("{HEAD}[component.x]\nsource = \"x.wasm\"\nallowed_outbound_host = []\n");
        let error = Manifest::parse(&text).unwrap_err().to_string();
        assert!(error.contains("allowed_outbound_host"), "{error}");
        assert!(error.contains("line 6"), "{error}");
    }

    #[test]
    fn a_route_needs_something_that_answers() {
        let text = format!("{HEAD}[[trigger.http]]\nroute = \"/x\"\n");
        let error = Manifest::parse(&text).unwrap_err().to_string();
        assert!(
            error.contains("/x") && error.contains("static_response"),
            "{error}"
        );
        let text = format!("{HEAD}[[trigger.http]]\nroute = \"/x\"\ncomponent = \"gone\"\n");
        assert!(
            Manifest::parse(&text)
                .unwrap_err()
                .to_string()
                .contains("gone")
        );
    }

    #[test]
    fn a_component_may_stand_in_its_trigger() {
        let text = format!(
            "{HEAD}[[trigger.http]]\nroute = \"/x\"\ncomponent = {{ source = \"x.wasm\" }}\n[application.tool.x]\ny = 1\n"
        );
        let manifest = Manifest::parse(&text).unwrap();
        let id = manifest.trigger.http[0].component().unwrap();
        assert_eq!(manifest.component[id].source, "x.wasm");
    }

    #[test]
    fn a_static_response_that_cannot_be_sent_is_refused() {
        let text = format!(
            "{HEAD}[[trigger.http]]\nroute = \"/x\"\nstatic_response = {{ headers = {{ \"a b\" = \"c\" }} }}\n"
        );
        let error = Manifest::parse(&text).unwrap_err().to_string();
        assert!(error.contains("`a b`"), "{error}");
    }

    #[test]
    fn what_only_this_host_does_is_read_and_misspelt_is_refused() {
        let component = "[component.x]\nsource = \"x.wasm\"\n[component.x.tool.headwater]\n";
        let manifest = Manifest::parse(&format!("{HEAD}{component}cache = true\n")).unwrap();
        let tool = &manifest.component["x"].tool.headwater;
        assert!(tool.cache && tool.request_headers == RequestHeaders::All(true));
        for (text, full_url, client) in [
            ("false", false, false),
            ("[\"spin-client-addr\"]", false, true),
            ("true", true, true),
        ] {
            let text = format!("{HEAD}{component}request_headers = {text}\n");
            let manifest = Manifest::parse(&text).unwrap();
            let headers = &manifest.component["x"].tool.headwater.request_headers;
            let told = (
                headers.tells("spin-full-url"),
                headers.tells("spin-client-addr"),
            );
            assert_eq!(told, (full_url, client), "{text}");
        }
        let error = Manifest::parse(&format!("{HEAD}{component}cached = true\n"));
        assert!(error.unwrap_err().to_string().contains("cached"));
        let others = "[component.x]\nsource = \"x.wasm\"\n[component.x.tool.other]\nwhatever = 1\n";
        Manifest::parse(&format!("{HEAD}{others}")).unwrap();
    }

    #[test]
    fn another_version_is_refused() {
        let text = "spin_manifest_version = 1\n[application]\nname = \"a\"\n";
        assert!(matches!(
            Manifest::parse(text),
            Err(ManifestError::Version(1))
        ));
    }
}
