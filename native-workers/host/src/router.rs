//! From a path to what answers it: exact routes, `/...` for everything below, `/:name` for one segment.
//! The most specific route wins, by the same crate as in Spin.

use crate::manifest::{Manifest, Route, StaticResponse};
use crate::meters::Meters;
use anyhow::{Context, anyhow};

/// What a route leads to.
#[derive(Clone)]
pub(crate) enum Target {
    Component {
        id: String,
        route: String,
        meters: Box<Meters>,
    },
    Static(StaticResponse),
}

/// The crate orders its routes by a comparison that is not a total order once routes of many lengths meet, so its
/// "best match" depends on the order of insertion. All matches are looked at instead, and the rule applied here.
pub(crate) struct Router(routefinder::Router<(Specificity, Target)>);

/// Segment by segment: a name (2) before a parameter (1) before the rest (0).
type Specificity = Vec<u8>;

fn specificity(route: &str) -> Specificity {
    route
        .split('/')
        .skip(1)
        .map(|segment| match segment {
            "..." => 0,
            _ if segment.starts_with(':') => 1,
            _ => 2,
        })
        .collect()
}

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
            let target = match (trigger.component(), &trigger.static_response) {
                (Some(id), _) => Target::Component {
                    id: id.clone(),
                    route: route.clone(),
                    meters: Box::new(Meters::of_route(route)),
                },
                (None, Some(response)) => Target::Static(response.clone()),
                (None, None) => return Err(anyhow!("route {route} leads nowhere")),
            };
            let pattern = match route.strip_suffix("/...") {
                Some(prefix) => format!("{prefix}/*"),
                None => route.clone(),
            };
            router
                .add(pattern.as_str(), (specificity(route), target))
                .map_err(|error| anyhow!("{error}"))
                .with_context(|| format!("route {route}"))?;
        }
        Ok(Self(router))
    }

    pub(crate) fn best<'a, 'p>(&'a self, path: &'p str) -> Option<Matched<'a, 'p>> {
        let best = self
            .0
            .match_iter(path)
            .max_by(|a, b| a.handler().0.cmp(&b.handler().0))?;
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
            target: &best.handler().1,
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
    fn our_own_routes_lead_where_they_should() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../spin.toml"))
            .unwrap();
        let router = Router::new(&Manifest::parse(&text).unwrap()).unwrap();
        for (path, component) in [
            ("/", "portal"),
            ("/assets-ui/a.js", "portal"),
            ("/api/ready", "api"),
            ("/api/openapi.json", "api"),
            ("/api/docs", "portal"),
            ("/api/v1/projects/default/media/assets", "api"),
            ("/internal/v1/jobs/claim", "api"),
            (
                "/subscriptions/0/resourceGroups/h/providers/Microsoft.Media/mediaServices/default",
                "api",
            ),
            ("/.well-known/jwks.json", "api"),
            ("/tenant/oauth2/v2.0/token", "api"),
            ("/tenant/v2.0/.well-known/openid-configuration", "api"),
            ("/events/storage", "events"),
            ("/1f3c/film.ism/manifest(format=m3u8-cmaf)", "origin"),
            ("/1f3c/film.mp4", "origin"),
        ] {
            let Target::Component { id, .. } = router.best(path).unwrap().target else {
                panic!("{path}");
            };
            assert_eq!(id, component, "{path}");
        }
        assert!(matches!(
            router.best("/robots.txt").unwrap().target,
            Target::Static(_)
        ));
    }

    #[test]
    fn captures_and_the_trailing_path_are_reported() {
        let router = router(&["/:locator/..."]);
        let matched = router.best("/abc/film.ism/manifest").unwrap();
        assert_eq!(matched.captures, [("locator".to_owned(), "abc".to_owned())]);
        assert_eq!(matched.trailing, Some("/film.ism/manifest"));
    }
}
