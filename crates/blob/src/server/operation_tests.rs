use proptest::prelude::*;

use super::*;

fn target(path: &str) -> Result<Target, ErrorCode> {
    parse_target(path, "local").map_err(|e| e.code)
}

fn operation(
    method: &Method,
    path: &str,
    query: &str,
    headers: &[(&'static str, &str)],
) -> Result<Operation, ErrorCode> {
    let headers = headers
        .iter()
        .map(|(n, v)| (http::HeaderName::from_static(n), v.parse().unwrap()))
        .collect();
    let query = Query::parse(query).unwrap();
    parse_operation(
        method,
        &parse_target(path, "local").unwrap(),
        &query,
        &headers,
    )
    .map_err(|e| e.code)
}

#[test]
fn paths_name_account_container_and_blob() {
    let of = |container: &str, blob: Option<&str>| Target {
        container: Some(container.into()),
        blob: blob.map(Into::into),
    };
    assert_eq!(target("/local"), Ok(Target::default()));
    assert_eq!(target("/local/"), Ok(Target::default()));
    assert_eq!(target("/local/asset-1"), Ok(of("asset-1", None)));
    assert_eq!(target("/local/asset-1/"), Ok(of("asset-1", None)));
    assert_eq!(
        target("/local/asset-1/a%20b/%C3%BC.mp4"),
        Ok(of("asset-1", Some("a b/ü.mp4")))
    );
    assert_eq!(target("/local/asset-1//a"), Ok(of("asset-1", Some("/a"))));
}

#[test]
fn traversal_and_nonsense_are_refused() {
    for path in [
        "/local/asset-1/../x",
        "/local/asset-1/%2e%2e/x",
        "/local/asset-1/a/%2e%2e",
        "/local/asset-1/..%2f..%2fetc",
        "/local/asset-1/a%00b",
        "/local/asset-1/%0a",
        "/local/%2e%2e/x",
        "/local/..",
        "/local/A",
        "/local/asset-1/%ff",
        "/local/as%2fset/x",
    ] {
        assert_eq!(target(path), Err(ErrorCode::InvalidResourceName), "{path}");
    }
    assert_eq!(target("/other/asset-1"), Err(ErrorCode::ResourceNotFound));
    assert_eq!(target("local"), Err(ErrorCode::InvalidUri));
    assert_eq!(target("/local//x"), Err(ErrorCode::InvalidUri));
}

#[test]
fn operations_are_recognised() {
    let (get, put) = (Method::GET, Method::PUT);
    let blob = "/local/asset-1/a";
    assert_eq!(
        operation(&get, blob, "sv=1&sig=x", &[]),
        Ok(Operation::GetBlob)
    );
    assert_eq!(
        operation(&Method::HEAD, blob, "", &[]),
        Ok(Operation::GetBlobProperties)
    );
    assert_eq!(
        operation(&put, blob, "", &[("x-ms-blob-type", "BlockBlob")]),
        Ok(Operation::PutBlob)
    );
    assert_eq!(
        operation(&put, blob, "", &[]),
        Err(ErrorCode::MissingRequiredHeader)
    );
    assert_eq!(
        operation(&put, blob, "", &[("x-ms-blob-type", "PageBlob")]),
        Err(ErrorCode::NotImplemented)
    );
    assert_eq!(
        operation(&put, blob, "comp=block&blockid=YQ%3D%3D", &[]),
        Ok(Operation::PutBlock { id: "YQ==".into() })
    );
    for bad in ["!!", "", &STANDARD.encode([0; 65]), "YQ"] {
        assert!(
            operation(&put, blob, &format!("comp=block&blockid={bad}"), &[]).is_err(),
            "{bad}"
        );
    }
    assert_eq!(
        operation(&put, blob, "", &[("x-ms-copy-source", "x")]),
        Err(ErrorCode::NotImplemented)
    );
    assert_eq!(
        operation(&put, blob, "comp=lease", &[]),
        Err(ErrorCode::NotImplemented)
    );
    assert_eq!(
        operation(&get, blob, "snapshot=x", &[]),
        Err(ErrorCode::NotImplemented)
    );
    assert_eq!(
        operation(
            &Method::DELETE,
            blob,
            "",
            &[("x-ms-delete-snapshots", "only")]
        ),
        Err(ErrorCode::NotImplemented)
    );
    assert_eq!(
        operation(&Method::PATCH, blob, "", &[]),
        Err(ErrorCode::UnsupportedHttpVerb)
    );
    assert_eq!(
        operation(&put, "/local/asset-1", "restype=container", &[]),
        Ok(Operation::CreateContainer)
    );
    assert_eq!(
        operation(&get, "/local/asset-1", "", &[]),
        Err(ErrorCode::MissingRequiredQueryParameter)
    );
    let list = operation(
        &get,
        "/local/asset-1",
        "restype=container&comp=list&maxresults=9000&include=metadata,tags",
        &[],
    );
    let Ok(Operation::ListBlobs(list)) = list else {
        panic!("{list:?}")
    };
    assert_eq!(
        (list.limit(), list.max_results, list.include_metadata),
        (5000, Some(9000), true)
    );
    for bad in ["0", "-1", "x", "99999999999999"] {
        let query = format!("restype=container&comp=list&maxresults={bad}");
        assert_eq!(
            operation(&get, "/local/asset-1", &query, &[]),
            Err(ErrorCode::OutOfRangeQueryParameterValue)
        );
    }
}

proptest! {
    #[test]
    fn no_path_escapes_the_account(path in "/local/asset-1/(\\.|%2e|%2F|/|a|%5c|\\\\){0,12}") {
        if let Ok(Target { blob: Some(blob), .. }) = parse_target(&path, "local") {
            prop_assert!(blob.split('/').all(|segment| segment != ".." && segment != "."));
        }
    }
}
