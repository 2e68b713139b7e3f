//! From a method and a path to a row.

use std::borrow::Cow;

use http::Method;

use super::table::{ACCOUNT, Base, ROOT, Route, prefix};
use crate::dialect::Dialect;

/// What a path stands for.
#[derive(Debug)]
pub(crate) struct Matched {
    pub route: &'static Route,
    pub surface: Dialect,
    pub vars: Vars,
}

/// The values of the path's variables, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Vars(Vec<(&'static str, String)>);

impl Vars {
    /// Variables of a path that nobody asked for: a handler that does what another one does.
    pub(crate) fn of(vars: &[(&'static str, &str)]) -> Self {
        let owned = vars
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        Self(owned.collect())
    }

    /// The variable's value; empty for one that the template does not have.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map_or("", |(_, value)| value)
    }
}

/// Why a path leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    NotFound,
    /// The path exists; these are its methods.
    MethodNotAllowed(Vec<Method>),
    /// A segment is not valid percent-encoded UTF-8.
    BadSegment(String),
}

/// The surface of a path that need not exist, for the shape of its errors.
pub(crate) fn surface_of(path: &str) -> Dialect {
    let starts = |prefix: &str| {
        path.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if starts("/subscriptions") || starts("/providers") {
        Dialect::Arm
    } else if starts("/api/v1/") {
        Dialect::MkIo
    } else if starts("/api/ready") || starts("/api/openapi.json") {
        Dialect::Own
    } else if starts("/api/") {
        Dialect::MkIoOlder
    } else {
        Dialect::Own
    }
}

/// Finds the route of a request. `path`: raw, as it came.
pub(crate) fn find(method: &Method, path: &str) -> Result<Matched, NoRoute> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<&str> = path.split('/').collect();
    let mut methods = Vec::new();
    for (base, routes) in [(Base::Account, ACCOUNT), (Base::Root, ROOT)] {
        for surface in [
            Dialect::Arm,
            Dialect::MkIo,
            Dialect::MkIoOlder,
            Dialect::Own,
        ] {
            let Some((rest, bound)) = bind(prefix(base, surface), &segments) else {
                continue;
            };
            for route in routes
                .iter()
                .filter(|route| route.surfaces.contains(&surface))
            {
                let Some(([], more)) = bind(route.template, rest) else {
                    continue;
                };
                if route.method != *method {
                    methods.push(route.method.clone());
                    continue;
                }
                let mut vars = Vec::new();
                for (name, raw) in bound.into_iter().chain(more) {
                    vars.push((name, decode(&raw)?));
                }
                return Ok(Matched {
                    route,
                    surface,
                    vars: Vars(vars),
                });
            }
        }
    }
    if methods.is_empty() {
        Err(NoRoute::NotFound)
    } else {
        Err(NoRoute::MethodNotAllowed(methods))
    }
}

type Bound<'p> = Vec<(&'static str, Cow<'p, str>)>;

/// Matches `template` against the front of `segments`; gives what is left and the variables.
fn bind<'s, 'p>(
    template: &'static str,
    segments: &'s [&'p str],
) -> Option<(&'s [&'p str], Bound<'p>)> {
    let mut rest = segments;
    let mut bound = Vec::new();
    for part in template.split('/').skip(1) {
        let (segment, after) = rest.split_first()?;
        match part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
        {
            Some(name) if let Some(name) = name.strip_suffix("...") => {
                bound.push((name, Cow::Owned(rest.join("/"))));
                return Some((&[], bound));
            }
            Some(_) if segment.is_empty() => return None,
            Some(name) => bound.push((name, Cow::Borrowed(*segment))),
            None if part.eq_ignore_ascii_case(segment) => {}
            None => return None,
        }
        rest = after;
    }
    Some((rest, bound))
}

fn decode(raw: &str) -> Result<String, NoRoute> {
    let bad = || NoRoute::BadSegment(raw.to_owned());
    let decoded = percent_encoding::percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| bad())?;
    if decoded.contains('\0') {
        return Err(bad());
    }
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::{Operation, all};

    const ACCOUNT: &str =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Media/mediaServices/a";

    fn found(method: Method, path: &str) -> (Operation, Dialect, Vars) {
        let matched = find(&method, path).unwrap();
        (matched.route.operation, matched.surface, matched.vars)
    }

    #[test]
    fn one_resource_on_three_surfaces() {
        for (path, surface) in [
            (format!("{ACCOUNT}/assets/x"), Dialect::Arm),
            (format!("{}/assets/x", ACCOUNT.to_uppercase()), Dialect::Arm),
            ("/api/v1/projects/a/media/assets/x".into(), Dialect::MkIo),
            ("/api/v1/projects/a/media/assets/x/".into(), Dialect::MkIo),
            ("/api/ams/a/Assets/x".into(), Dialect::MkIoOlder),
        ] {
            let (operation, on, vars) = found(Method::GET, &path);
            assert_eq!((operation, on), (Operation::AssetGet, surface), "{path}");
            assert_eq!(vars.get("asset").to_lowercase(), "x");
        }
    }

    #[test]
    fn names_are_decoded_after_splitting() {
        let (_, _, vars) = found(Method::GET, &format!("{ACCOUNT}/assets/a%20b%2Fc"));
        assert_eq!(vars.get("asset"), "a b/c");
        assert_eq!(
            find(&Method::GET, &format!("{ACCOUNT}/assets/%ff")).unwrap_err(),
            NoRoute::BadSegment("%ff".into())
        );
    }

    #[test]
    fn a_file_may_lie_in_folders() {
        let files = "/api/v1/projects/a/media/assets/x/files";
        for (path, file) in [
            ("film.mp4", "film.mp4"),
            ("in/a%20b.mp4", "in/a b.mp4"),
            ("/film.mp4", "/film.mp4"),
        ] {
            let (operation, _, vars) = found(Method::GET, &format!("{files}/{path}"));
            assert_eq!(
                (operation, vars.get("file")),
                (Operation::FileRead, file),
                "{path}"
            );
        }
        assert!(matches!(find(&Method::GET, files), Err(NoRoute::NotFound)));
    }

    #[test]
    fn wrong_methods_and_paths() {
        let Err(NoRoute::MethodNotAllowed(methods)) =
            find(&Method::POST, &format!("{ACCOUNT}/assets/x"))
        else {
            panic!("POST on an asset");
        };
        assert_eq!(
            methods,
            [Method::GET, Method::PUT, Method::PATCH, Method::DELETE]
        );
        for path in [
            "/",
            "",
            "//",
            "/api/v1/projects/a/media/nothing",
            &format!("{ACCOUNT}/assets//"),
        ] {
            assert_eq!(
                find(&Method::GET, path).unwrap_err(),
                NoRoute::NotFound,
                "{path}"
            );
        }
    }

    #[test]
    fn no_two_rows_answer_the_same_request() {
        let mut seen = std::collections::BTreeSet::new();
        for (surface, path, route) in all() {
            let shape: Vec<_> = path
                .split('/')
                .map(|part| {
                    if part.starts_with('{') {
                        "{}".into()
                    } else {
                        part.to_lowercase()
                    }
                })
                .collect();
            assert!(
                seen.insert((route.method.to_string(), shape)),
                "{surface:?} {path}"
            );
        }
    }
}
