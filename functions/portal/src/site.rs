//! Which file a request gets, and with which headers (RFC 9110, RFC 9111).
//!
//! | path | file | cached |
//! |---|---|---|
//! | `/`, `/index.html` | `index.html` | always asked about again (`no-cache` and ETag) |
//! | `/api/docs` | `api-docs.html` | the same |
//! | `/assets-ui/signed-in` | `signed-in.html`, to which other authorities send people back | the same |
//! | `/assets-ui/{name}` with a hash in the name | that file | for ever |
//! | `/assets-ui/{name}` | that file | always asked about again |

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};

/// One embedded file.
struct File {
    /// Relative to `portal/dist`.
    path: &'static str,
    media_type: &'static str,
    /// Of the bytes, 32 hex digits.
    hash: &'static str,
    /// The name changes when the bytes do.
    immutable: bool,
    bytes: &'static [u8],
    /// The same bytes compressed, where that is worth it.
    gzip: Option<&'static [u8]>,
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// Scripts and styles come from here and nowhere else, and none stand in the page. Media, posters and the API's
/// answers may come from any streaming endpoint; players feed the video element through `blob:`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; \
     worker-src 'self' blob:; connect-src 'self' http: https:; img-src 'self' data: http: https:; \
     media-src 'self' blob: http: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page that handles codes and tokens of another authority needs less than the others: this origin and that authority.
/// What may be connected to is put in between.
const SIGN_IN_POLICY: [&str; 2] = [
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'",
    "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
];

/// Where the page is that people come back to.
const SIGN_IN: &str = "/assets-ui/signed-in";

/// What of a request matters here.
pub(crate) struct Question<'a> {
    method: &'a Method,
    path: &'a str,
    headers: &'a HeaderMap,
}

impl<'a> Question<'a> {
    pub(crate) fn read(method: &'a Method, path: &'a str, headers: &'a HeaderMap) -> Self {
        Self {
            method,
            path,
            headers,
        }
    }

    pub(crate) fn is_sign_in(&self) -> bool {
        self.path == SIGN_IN
    }

    fn policy(&self, hosts: &str) -> Option<HeaderValue> {
        if !self.is_sign_in() {
            return Some(HeaderValue::from_static(CONTENT_SECURITY_POLICY));
        }
        let [before, after] = SIGN_IN_POLICY;
        let mut policy = before.to_owned();
        // Whatever would end the directive is no origin.
        let origins = hosts
            .split_whitespace()
            .filter(|host| host.contains("://") && !host.contains([';', ',', '\'', '"']));
        for origin in origins {
            policy.push(' ');
            policy.push_str(origin);
        }
        policy.push_str(after);
        HeaderValue::try_from(policy).ok()
    }
}

/// `sign_in_hosts`: origins, separated by white space.
pub(crate) fn answer(question: &Question<'_>, sign_in_hosts: &str) -> Response<Bytes> {
    if !matches!(*question.method, Method::GET | Method::HEAD) {
        let mut response = problem(
            StatusCode::METHOD_NOT_ALLOWED,
            "The portal's files are read with GET and HEAD.",
        );
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match find(question.path) {
        Some(file) => serve(file, question, sign_in_hosts),
        None => problem(StatusCode::NOT_FOUND, "The portal has no such file."),
    }
}

fn find(path: &str) -> Option<&'static File> {
    let name = match path {
        "/" | "/index.html" => "index.html",
        "/api/docs" | "/api/docs/" => "api-docs.html",
        SIGN_IN => "signed-in.html",
        _ => path.strip_prefix("/assets-ui/")?,
    };
    let at = FILES.binary_search_by(|file| file.path.cmp(name)).ok()?;
    FILES.get(at)
}

fn serve(file: &'static File, question: &Question<'_>, sign_in_hosts: &str) -> Response<Bytes> {
    let gzip = file.gzip.filter(|_| accepts_gzip(question.headers));
    let (bytes, tag) = match gzip {
        Some(packed) => (packed, format!("\"{}-gz\"", file.hash)),
        None => (file.bytes, format!("\"{}\"", file.hash)),
    };
    let unchanged = question
        .headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|candidate| candidate.trim().trim_start_matches("W/"))
        .any(|candidate| candidate == "*" || candidate == tag);

    let body = if unchanged || *question.method == Method::HEAD {
        Bytes::new()
    } else {
        Bytes::from_static(bytes)
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    let cache = if file.immutable {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if file.gzip.is_some() {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(file.media_type),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    if gzip.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    let policy = question
        .policy(sign_in_hosts)
        .unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(
        "cross-origin-opener-policy",
        HeaderValue::from_static("same-origin"),
    );
    response
}

/// Whether `gzip` is among the accepted codings and not refused with `q=0` (RFC 9110 §12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next()?;
            (name.eq_ignore_ascii_case("gzip") || name == "*").then_some(parts)
        })
        .any(|mut parameters| {
            !parameters.any(|p| {
                let quality = p.strip_prefix("q=").or_else(|| p.strip_prefix("Q="));
                quality.and_then(|q| q.parse::<f32>().ok()) == Some(0.0)
            })
        })
}

/// An RFC 9457 problem body. The texts are ours and need no escaping.
fn problem(status: StatusCode, detail: &'static str) -> Response<Bytes> {
    let (kind, title) = match status {
        StatusCode::NOT_FOUND => ("NotFound", "Not found"),
        _ => ("InvalidArgument", "Method not allowed"),
    };
    let body = format!(
        r#"{{"type":"https://headwater.video/problems/{kind}","title":"{title}","status":{},"detail":"{detail}"}}"#,
        status.as_u16()
    );
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, pairs: &[(header::HeaderName, &str)]) -> Response<Bytes> {
        let headers = pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        answer(&Question::read(&Method::GET, path, &headers), "")
    }

    fn header_of<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
        response
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn the_page_is_revalidated_and_carries_its_policy() {
        let page = get("/", &[]);
        assert_eq!(page.status(), 200);
        assert_eq!(header_of(&page, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header_of(&page, "cache-control"), "no-cache");
        assert!(header_of(&page, "content-security-policy").contains("script-src 'self';"));
        assert!(page.body().starts_with(b"<!doctype html>"));
    }

    /// Every page there is.
    const PAGES: [&str; 3] = ["/", "/api/docs", SIGN_IN];

    #[test]
    fn pages_hold_no_inline_script_or_style() {
        for path in PAGES {
            let page = get(path, &[]);
            let text = std::str::from_utf8(page.body()).unwrap();
            assert!(
                !text.contains("<style")
                    && !text.contains(" style=")
                    && !text.contains(" onclick="),
                "{path}"
            );
            assert!(
                text.match_indices("<script").all(|(at, _)| text[at..]
                    .split('>')
                    .next()
                    .unwrap()
                    .contains(" src=")),
                "{path}"
            );
        }
    }

    #[test]
    fn the_page_of_the_api_is_one_of_its_own_and_carries_the_same_policy() {
        let page = get("/api/docs", &[]);
        let home = get("/", &[]);
        assert_eq!(page.status(), 200);
        assert_ne!(page.body(), home.body());
        for name in ["content-type", "cache-control", "content-security-policy"] {
            assert_eq!(header_of(&page, name), header_of(&home, name), "{name}");
        }
        assert_eq!(get("/api/docs/", &[]).body(), page.body());
        assert_eq!(get("/api/docs/x", &[]).status(), 404);
    }

    #[test]
    fn the_page_of_the_sign_in_connects_to_the_configured_authorities_only() {
        let policy = |hosts: &str| {
            let headers = HeaderMap::new();
            let page = answer(&Question::read(&Method::GET, SIGN_IN, &headers), hosts);
            header_of(&page, "content-security-policy").to_owned()
        };
        assert!(policy("").contains("connect-src 'self';"));
        let hosts = "https://login.example\nhttp://127.0.0.1:9 https://a;script-src *";
        let told = policy(hosts);
        assert!(
            told.contains("connect-src 'self' https://login.example http://127.0.0.1:9;"),
            "{told}"
        );
        assert!(!told.contains("unsafe") && told.contains("script-src 'self';"));
        let page = get("/", &[]);
        assert!(!header_of(&page, "content-security-policy").contains("login.example"));
    }

    #[test]
    fn every_file_the_pages_name_is_there_and_cached_for_ever() {
        let pages = PAGES.map(|path| get(path, &[]));
        let text = pages
            .iter()
            .map(|page| std::str::from_utf8(page.body()).unwrap())
            .collect::<String>();
        let names: Vec<&str> = text
            .match_indices("\"/assets-ui/")
            .map(|(at, _)| text[at + 1..].split('"').next().unwrap())
            .collect();
        assert!(names.len() >= 3, "{names:?}");
        for name in names {
            let file = get(name, &[]);
            assert_eq!(
                (file.status().as_u16(), header_of(&file, "cache-control")),
                (200, "public, max-age=31536000, immutable"),
                "{name}"
            );
        }
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it_under_a_tag_of_its_own() {
        let script = FILES
            .iter()
            .find(|file| file.path.ends_with(".js") && file.gzip.is_some())
            .unwrap();
        let path = format!("/assets-ui/{}", script.path);
        let plain = get(&path, &[(header::ACCEPT_ENCODING, "br, gzip;q=0")]);
        let packed = get(&path, &[(header::ACCEPT_ENCODING, "br, gzip;q=0.5")]);
        assert_eq!(header_of(&plain, "content-encoding"), "");
        assert_eq!(header_of(&packed, "content-encoding"), "gzip");
        assert!(packed.body().len() < plain.body().len());
        assert_ne!(header_of(&plain, "etag"), header_of(&packed, "etag"));
        assert_eq!(
            header_of(&packed, "content-length"),
            packed.body().len().to_string()
        );

        let again = get(
            &path,
            &[
                (header::ACCEPT_ENCODING, "gzip"),
                (header::IF_NONE_MATCH, header_of(&packed, "etag")),
            ],
        );
        assert_eq!((again.status().as_u16(), again.body().len()), (304, 0));
        assert_eq!(header_of(&again, "etag"), header_of(&packed, "etag"));
    }

    #[test]
    fn head_says_what_get_would_send() {
        let head = answer(&Question::read(&Method::HEAD, "/", &HeaderMap::new()), "");
        assert_eq!(
            header_of(&head, "content-length"),
            get("/", &[]).body().len().to_string()
        );
        assert!(head.body().is_empty());
    }

    #[test]
    fn anything_else_is_a_problem() {
        for path in [
            "/assets-ui/",
            "/assets-ui/nothing.js",
            "/assets-ui/../index.html",
            "/other",
            "",
        ] {
            let response = get(path, &[]);
            assert_eq!(response.status(), 404, "{path}");
            assert_eq!(
                header_of(&response, "content-type"),
                "application/problem+json"
            );
        }
        let post = answer(&Question::read(&Method::POST, "/", &HeaderMap::new()), "");
        assert_eq!(
            (post.status().as_u16(), header_of(&post, "allow")),
            (405, "GET, HEAD")
        );
    }
}
