use super::*;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};

fn resource() -> Resource {
    Resource {
        body: Content::Bytes(Bytes::from_static(b"0123456789")),
        meta: Meta {
            content_type: "video/mp4",
            etag: "\"v1-abc\"".to_owned(),
            last_modified: Some("1994-11-06T08:49:37.9Z".parse().unwrap()),
            cache_control: "public, max-age=60",
            coding: Coding::Plain,
            prefetch: None,
        },
    }
}

fn ask(method: Method, headers: &[(HeaderName, &str)]) -> Response<Body> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    let request = Request {
        method: &method,
        path: "/",
        query: "",
        host: None,
        client: None,
        headers: &map,
        now: Timestamp::UNIX_EPOCH,
    };
    let response = if method == Method::OPTIONS {
        preflight(&request)
    } else {
        answer(&request, resource()).unwrap_or_else(|error| failure(&request, &error))
    };
    assert_eq!(
        response
            .headers()
            .get_all(ACCESS_CONTROL_ALLOW_ORIGIN)
            .iter()
            .count(),
        1
    );
    response
}

fn body(response: &Response<Body>) -> &[u8] {
    match response.body() {
        Body::Bytes(bytes) => bytes,
        _ => b"",
    }
}

fn header(response: &Response<Body>, name: HeaderName) -> &str {
    response
        .headers()
        .get(name)
        .map_or("", |v| v.to_str().unwrap())
}

#[test]
fn whole_body_and_head() {
    let response = ask(Method::GET, &[]);
    assert_eq!(
        (response.status().as_u16(), body(&response)),
        (200, &b"0123456789"[..])
    );
    assert_eq!(header(&response, ETAG), "\"v1-abc\"");
    assert_eq!(
        header(&response, LAST_MODIFIED),
        "Sun, 06 Nov 1994 08:49:37 GMT"
    );
    assert_eq!(header(&response, ACCEPT_RANGES), "bytes");
    let head = ask(Method::HEAD, &[(RANGE, "bytes=0-1")]);
    assert_eq!((head.status().as_u16(), body(&head)), (200, &b""[..]));
    assert_eq!(header(&head, CONTENT_LENGTH), "10");
}

#[test]
fn ranges() {
    for (range, status, expected, content_range) in [
        ("bytes=2-4", 206, &b"234"[..], "bytes 2-4/10"),
        ("Bytes = 2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-30", 206, b"0123456789", "bytes 0-9/10"),
        (
            "bytes=0-99999999999999999999999",
            206,
            b"0123456789",
            "bytes 0-9/10",
        ),
        ("bytes=5-4", 200, b"0123456789", ""),
        ("bytes=0-1,3-4", 200, b"0123456789", ""),
        ("bytes=x-y", 200, b"0123456789", ""),
        ("lines=0-1", 200, b"0123456789", ""),
        ("bytes", 200, b"0123456789", ""),
    ] {
        let response = ask(Method::GET, &[(RANGE, range)]);
        assert_eq!(
            (response.status().as_u16(), body(&response)),
            (status, expected),
            "{range}"
        );
        assert_eq!(header(&response, CONTENT_RANGE), content_range, "{range}");
        assert_eq!(
            header(&response, CONTENT_LENGTH),
            expected.len().to_string(),
            "{range}"
        );
    }
    for range in [
        "bytes=10-",
        "bytes=10-12",
        "bytes=-0",
        "bytes=99999999999999999999999-",
    ] {
        let response = ask(Method::GET, &[(RANGE, range)]);
        assert_eq!(response.status().as_u16(), 416, "{range}");
        assert_eq!(header(&response, CONTENT_RANGE), "bytes */10");
        assert_eq!(header(&response, CONTENT_TYPE), "application/problem+json");
    }
}

#[test]
fn if_range_needs_the_very_same_bytes() {
    let status = |if_range| {
        ask(Method::GET, &[(RANGE, "bytes=0-0"), (IF_RANGE, if_range)])
            .status()
            .as_u16()
    };
    assert_eq!(status("\"v1-abc\""), 206);
    assert_eq!(status("W/\"v1-abc\""), 200);
    assert_eq!(status("\"other\""), 200);
    assert_eq!(status("Sun, 06 Nov 1994 08:49:37 GMT"), 206);
    assert_eq!(status("Sun, 06 Nov 1994 08:49:38 GMT"), 200);
    assert_eq!(status("tomorrow"), 200);
}

#[test]
fn conditions() {
    let status = |headers: &[(HeaderName, &str)]| ask(Method::GET, headers).status().as_u16();
    assert_eq!(status(&[(IF_NONE_MATCH, "\"v1-abc\"")]), 304);
    assert_eq!(status(&[(IF_NONE_MATCH, "\"x\", W/\"v1-abc\"")]), 304);
    assert_eq!(status(&[(IF_NONE_MATCH, "*")]), 304);
    assert_eq!(
        status(&[
            (IF_NONE_MATCH, "\"x\""),
            (IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT")
        ]),
        200
    );
    assert_eq!(
        status(&[(IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT")]),
        304
    );
    assert_eq!(
        status(&[(IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT")]),
        200
    );
    assert_eq!(status(&[(IF_MODIFIED_SINCE, "rubbish")]), 200);
    let response = ask(Method::GET, &[(IF_NONE_MATCH, "*")]);
    assert_eq!(header(&response, ETAG), "\"v1-abc\"");
    assert_eq!(header(&response, CACHE_CONTROL), "public, max-age=60");
    assert_eq!(response.body(), &Body::Empty);
}

#[test]
fn another_version_than_asked_for_is_not_sent() {
    let status = |headers: &[(HeaderName, &str)]| ask(Method::GET, headers).status().as_u16();
    assert_eq!(status(&[(IF_MATCH, "\"v1-abc\"")]), 200);
    assert_eq!(status(&[(IF_MATCH, "\"x\", \"v1-abc\"")]), 200);
    assert_eq!(status(&[(IF_MATCH, "*")]), 200);
    assert_eq!(status(&[(IF_MATCH, "\"x\"")]), 412);
    // A weak tag never matches here (RFC 9110 §13.1.1).
    assert_eq!(status(&[(IF_MATCH, "W/\"v1-abc\"")]), 412);
    let on_time = (IF_UNMODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT");
    let too_late = (IF_UNMODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT");
    assert_eq!(status(std::slice::from_ref(&on_time)), 200);
    assert_eq!(status(std::slice::from_ref(&too_late)), 412);
    assert_eq!(status(&[(IF_MATCH, "\"v1-abc\""), too_late.clone()]), 200);
    // First the version, then whether the client has it already.
    assert_eq!(status(&[too_late, (IF_NONE_MATCH, "*")]), 412);
    assert_eq!(
        status(&[(IF_MATCH, "*"), (IF_NONE_MATCH, "\"v1-abc\"")]),
        304
    );
}

#[test]
fn preflights_are_answered_with_what_they_ask_for() {
    use http::header::ACCESS_CONTROL_REQUEST_HEADERS as ASK;
    let response = ask(Method::OPTIONS, &[(ASK, "range,x-custom")]);
    assert_eq!(response.status().as_u16(), 204);
    assert_eq!(
        header(&response, ACCESS_CONTROL_ALLOW_HEADERS),
        "range,x-custom"
    );
    let response = ask(Method::OPTIONS, &[(ASK, "range;\"x\"")]);
    assert!(header(&response, ACCESS_CONTROL_ALLOW_HEADERS).contains("Range"));
}

#[test]
fn problems_name_the_error_and_repeat_only_harmless_ids() {
    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", HeaderValue::from_static("abc-1"));
    let request = Request {
        method: &Method::GET,
        path: "/",
        query: "",
        host: None,
        client: None,
        headers: &headers,
        now: Timestamp::UNIX_EPOCH,
    };
    let error =
        OriginError::new(Code::ResourceNotFound, "no \"such\" thing").because("secret path");
    let response = failure(&request, &error);
    assert_eq!(
        std::str::from_utf8(body(&response)).unwrap(),
        r#"{"type":"https://headwater.video/problems/NotFound","title":"Not found","status":404,"detail":"no \"such\" thing","code":"MPE_RESOURCE_NOT_FOUND","instance":"abc-1"}"#
    );
    assert_eq!(header(&response, CACHE_CONTROL), "public, max-age=2");
    assert!(error.log_line().contains("secret path"));
}

#[test]
fn cookies_open_nothing_and_answers_do_not_depend_on_the_page() {
    use http::header::{ACCESS_CONTROL_ALLOW_CREDENTIALS, AUTHORIZATION, COOKIE, ORIGIN, VARY};
    let asked = [
        (ORIGIN, "https://page.example"),
        (COOKIE, "session=1"),
        (AUTHORIZATION, "Bearer t"),
    ];
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE] {
        for extra in [&[][..], &[(RANGE, "bytes=2-3")], &[(RANGE, "bytes=90-")]] {
            let response = ask(method.clone(), &[&asked[..], extra].concat());
            assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_ORIGIN), "*");
            let headers = response.headers();
            assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
            assert!(!header(&response, VARY).to_lowercase().contains("origin"));
        }
    }
    // A `*` would not cover it.
    let response = ask(Method::OPTIONS, &[]);
    let allowed = header(&response, ACCESS_CONTROL_ALLOW_HEADERS);
    assert!(allowed.contains("Authorization"), "{allowed}");
}
