use super::*;

const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const DATE: &str = "Sun, 22 Nov 2026 18:00:00 GMT";

fn key() -> AccountKey {
    AccountKey::from_base64(KEY).unwrap()
}

fn now() -> Timestamp {
    parse_http_date(DATE).unwrap()
}

fn request(method: &str, url: &str, headers: &[(&str, &str)]) -> http::Request<()> {
    let builder = http::Request::builder().method(method).uri(url);
    headers
        .iter()
        .fold(builder, |b, (name, value)| b.header(*name, *value))
        .body(())
        .unwrap()
}

fn check(request: &http::Request<()>, now: Timestamp) -> Result<(), SharedKeyError> {
    verify(
        request.method(),
        request.uri(),
        request.headers(),
        "local",
        &key(),
        now,
    )
}

/// Signed by `azure-storage-blob` 12.31.1's `SharedKeyCredentialPolicy`.
fn put_by_python_sdk() -> http::Request<()> {
    request(
        "PUT",
        "http://127.0.0.1:10000/local/asset-1/dir/a%20b.mp4?comp=block&blockid=MDAw%2BA%3D%3D",
        &[
            ("content-length", "11"),
            ("content-type", "application/octet-stream"),
            ("x-ms-date", DATE),
            ("x-ms-version", "2021-12-02"),
            ("x-ms-meta-a_b", "1"),
            ("x-ms-meta-a1", "2"),
            ("x-ms-meta-aa", "3"),
            ("if-none-match", "*"),
            (
                "authorization",
                "SharedKey local:PdV2PxtR1sMGdCx0GVzXNHeRaeWeotFsOO5uJRbAtVw=",
            ),
        ],
    )
}

#[test]
fn requests_signed_by_the_python_sdk_verify() {
    assert_eq!(check(&put_by_python_sdk(), now()), Ok(()));
    let list = request(
        "GET",
        "http://127.0.0.1:10000/local/asset-1?restype=container&comp=list&prefix=a%2Fb%20c&maxresults=5",
        &[
            ("x-ms-date", DATE),
            ("x-ms-version", "2021-12-02"),
            (
                "authorization",
                "SharedKey local:LDFLrz05Y3+k9WZx7nsDRx+mIPSBQ+3UrEYBccfS4tw=",
            ),
        ],
    );
    assert_eq!(check(&list, now()), Ok(()));
}

#[test]
fn any_change_of_a_signed_part_is_noticed() {
    let mut changed = Vec::new();
    let mut other = put_by_python_sdk();
    *other.method_mut() = Method::GET;
    changed.push(other);
    for url in [
        "http://h/local/asset-1/dir/a%20c.mp4?comp=block&blockid=MDAw%2BA%3D%3D",
        "http://h/local/asset-1/dir/a%20b.mp4?comp=block",
    ] {
        let mut other = put_by_python_sdk();
        *other.uri_mut() = url.parse().unwrap();
        changed.push(other);
    }
    for (name, value) in [
        ("content-length", "12"),
        ("x-ms-meta-a1", "3"),
        ("if-none-match", "x"),
        ("x-ms-new", "1"),
        ("range", "bytes=0-1"),
    ] {
        let mut other = put_by_python_sdk();
        other.headers_mut().insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        changed.push(other);
    }
    for request in changed {
        assert!(
            matches!(
                check(&request, now()),
                Err(SharedKeyError::WrongSignature { .. })
            ),
            "{request:?}"
        );
    }
}

#[test]
fn the_account_appears_twice_with_path_style_urls() {
    let request = request(
        "GET",
        "http://h/local/asset-1/b?X=2&a=1&A=0",
        &[("x-ms-version", "1"), ("content-length", "0")],
    );
    let text = string_to_sign(
        request.method(),
        request.uri(),
        request.headers(),
        "local",
        HeaderOrder::Service,
    );
    let expected = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-version:1\n/local/local/asset-1/b\na:0,1\nx:2";
    assert_eq!(text.unwrap(), expected);
}

#[test]
fn clients_that_sort_by_bytes_are_accepted_too() {
    let mut request = request(
        "GET",
        "http://h/local/c",
        &[
            ("x-ms-date", DATE),
            ("x-ms-meta-a_b", "1"),
            ("x-ms-meta-a1", "2"),
        ],
    );
    let text = |r: &http::Request<()>, order| {
        string_to_sign(r.method(), r.uri(), r.headers(), "local", order).unwrap()
    };
    let ordinal = text(&request, HeaderOrder::Ordinal);
    assert_ne!(ordinal, text(&request, HeaderOrder::Service));
    let header = format!("SharedKey local:{}", key().sign(&ordinal))
        .parse()
        .unwrap();
    request.headers_mut().insert(AUTHORIZATION, header);
    assert_eq!(check(&request, now()), Ok(()));
}

#[test]
fn what_is_wrong_is_named() {
    let later = now() + SignedDuration::from_mins(16);
    assert!(matches!(
        check(&put_by_python_sdk(), later),
        Err(SharedKeyError::DateOutOfRange { .. })
    ));
    let with = |value: &str| {
        let mut request = put_by_python_sdk();
        request
            .headers_mut()
            .insert(AUTHORIZATION, value.parse().unwrap());
        check(&request, now()).unwrap_err()
    };
    assert_eq!(with("SharedKey"), SharedKeyError::Malformed);
    assert_eq!(with("SharedKey local"), SharedKeyError::Malformed);
    assert_eq!(
        with("Bearer abc.def"),
        SharedKeyError::UnsupportedScheme("Bearer".to_owned())
    );
    assert!(matches!(
        with("SharedKey other:c2ln"),
        SharedKeyError::WrongAccount { .. }
    ));
    let error = with("SharedKey local:c2ln");
    assert!(matches!(error, SharedKeyError::WrongSignature { .. }));
    assert!(!error.to_string().contains(KEY));
    let undated = request(
        "GET",
        "http://h/local",
        &[("authorization", "SharedKey local:c2ln")],
    );
    assert_eq!(check(&undated, now()), Err(SharedKeyError::MissingDate));
}
