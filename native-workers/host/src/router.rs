//! From a path to what answers it: exact routes, `/...` for everything below, `/:name` for one segment.
//! The most specific route wins, by the same crate as in Spin.

use crate::manifest::{Manifest, Route, StaticResponse};
use anyhow::{Context, anyhow};

/// What a route leads to.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Component { id: String, route: String },
    Static(StaticResponse),
}

pub(crate) struct Router(routefinder::Router<Target>);

/// A route that fits, with what it captured.
pub(crate) struct Matched<'a, 'p> {
    pub(crate) target: &'a Target,
    pub(crate) captures: Vec<(String, String)>,
    /// What `/...` stood for, with its leading slash.
    pub(crate) trailing: Option<&'p str>,
}

impl Router {
    pub(crate) fn new(manifest: &Manifest) -> anyhow::Result<Self> {
        let mut router = routefinder::Router::new();
        for trigger in &manifest.trigger.http {
            let Route::Path(route) = &trigger.route else {
                continue;
            };
            let target = match (&trigger.component, &trigger.static_response) {
                (Some(id), _) => Target::Component {
                    id: id.clone(),
                    route: route.clone(),
                },
                (None, Some(response)) => Target::Static(response.clone()),
                (None, None) => return Err(anyhow!("route {route} leads nowhere")),
            };
            let pattern = match route.strip_suffix("/...") {
                Some(prefix) => format!("{prefix}/*"),
                None => route.clone(),
            };
            router
                .add(pattern.as_str(), target)
                .map_err(|error| anyhow!("{error}"))
                .with_context(|| format!("route {route}"))?;
        }
        Ok(Self(router))
    }

    pub(crate) fn best<'a, 'p>(&'a self, path: &'p str) -> Option<Matched<'a, 'p>> {
        let best = self.0.best_match(path)?;
        let captures = best.captures();
        let trailing = captures.wildcard().map(|rest| {
            // The capture is a tail of the path; the slash before it belongs to the path info.
            let start = path.len().saturating_sub(rest.len() + 1);
            path.get(start..).unwrap_or("/")
        });
        Some(Matched {
            captures: captures
                .iter()
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
            trailing,
            target: best.handler(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(routes: &[&str]) -> Router {
        let mut text = String::from("spin_manifest_version = 2\n[application]\nname = \"a\"\n");
        for (index, route) in routes.iter().enumerate() {
            text += &format!("[[trigger.http]]\nroute = \"{route}\"\ncomponent = \"c{index}\"\n");
        }
        for index in 0..routes.len() {
            text += &format!("[component.c{index}]\nsource = \"x\"\n");
        }
        Router::new(&Manifest::parse(&text).unwrap()).unwrap()
    }

    fn answers(router: &Router, path: &str) -> Option<String> {
        router.best(path).map(|m| match m.target {
            Target::Component { route, .. } => route.clone(),
            Target::Static(_) => "static".into(),
        })
    }

    #[test]
    fn the_most_specific_route_wins() {
        let router = router(&["/", "/api/...", "/api/ready", "/:locator/..."]);
        assert_eq!(answers(&router, "/").as_deref(), Some("/"));
        assert_eq!(
            answers(&router, "/api/ready").as_deref(),
            Some("/api/ready")
        );
        assert_eq!(
            answers(&router, "/api/v1/projects").as_deref(),
            Some("/api/...")
        );
        assert_eq!(
            answers(&router, "/1234/a.ism/manifest(format=m3u8-cmaf)").as_deref(),
            Some("/:locator/...")
        );
    }

    #[test]
    fn captures_and_the_trailing_path_are_reported() {
        let router = router(&["/:locator/..."]);
        let matched = router.best("/abc/film.ism/manifest").unwrap();
        assert_eq!(matched.captures, [("locator".to_owned(), "abc".to_owned())]);
        assert_eq!(matched.trailing, Some("/film.ism/manifest"));
    }
}
