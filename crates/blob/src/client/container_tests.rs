use super::*;
use crate::query::Query;
use crate::sas::{Caller, Scope, verify};

const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

fn now() -> Timestamp {
    "2026-11-22T18:00:00Z".parse().unwrap()
}

fn with_key() -> Container {
    let key = AccountKey::from_base64(KEY).unwrap();
    let auth = Auth::SharedKey {
        account: "local".to_owned(),
        key,
    };
    Container::new("http://127.0.0.1:10000/local/asset-1/", auth).unwrap()
}

fn header<'r>(request: &'r Request<Bytes>, name: &str) -> &'r str {
    request
        .headers()
        .get(name)
        .map_or("", |v| v.to_str().unwrap())
}

#[test]
fn container_urls_are_checked() {
    let container = with_key();
    assert_eq!(
        (container.url(), container.name()),
        ("http://127.0.0.1:10000/local/asset-1", "asset-1")
    );
    for bad in [
        "",
        "asset-1",
        "http://h",
        "http://h/",
        "/a/b",
        "http://h/a?x",
        "http://h/a#x",
        "http://h/%ff",
    ] {
        assert!(Container::new(bad, Auth::None).is_err(), "{bad}");
    }
    let error = Container::new("http://h/a?sig=secret", Auth::None).unwrap_err();
    assert!(!error.to_string().contains("secret"));
}

#[test]
fn a_renewed_signature_goes_with_the_next_request() {
    let sas = RenewedSas::new("sig=first".into());
    let container = Container::new("https://h/c", Auth::Renewed(sas.clone())).unwrap();
    let uri = || container.head(now(), "a").unwrap().uri().to_string();
    assert_eq!(uri(), "https://h/c/a?sig=first");
    sas.replace("sig=second".into());
    assert_eq!(uri(), "https://h/c/a?sig=second");
    assert!(!format!("{sas:?} {container:?}").contains("sig"));
}

#[test]
fn sas_urls_are_split_and_joined() {
    let container =
        Container::from_sas_url("https://acct.blob.core.windows.net/c-1?sv=2021-12-02&sig=a%2Bb")
            .unwrap();
    let request = container.head(now(), "dir/a b#?.mp4").unwrap();
    let uri = "https://acct.blob.core.windows.net/c-1/dir/a%20b%23%3F.mp4?sv=2021-12-02&sig=a%2Bb";
    assert_eq!(request.uri().to_string(), uri);
    let request = container
        .put_block(now(), "x", b"00\xf8", Bytes::from_static(b"hi"))
        .unwrap();
    let query = "comp=block&blockid=MDD4&sv=2021-12-02&sig=a%2Bb";
    assert_eq!(request.uri().query(), Some(query));
    assert_eq!(header(&request, "content-length"), "2");
    assert!(!format!("{container:?}").contains("sig="));
}

#[test]
fn ranges_are_inclusive_on_the_wire() {
    let request = with_key()
        .get_range(now(), "a", Some(5..10), Some("\"e\""))
        .unwrap();
    assert_eq!(
        (header(&request, "range"), header(&request, "if-match")),
        ("bytes=5-9", "\"e\"")
    );
    assert_eq!(
        with_key()
            .get_range(now(), "a", Some(5..5), None)
            .unwrap_err(),
        RequestError::EmptyRange
    );
    assert_eq!(
        with_key()
            .get_range(now(), "a", Some(0..0), None)
            .unwrap_err(),
        RequestError::EmptyRange
    );
}

#[test]
fn our_own_signatures_verify() {
    let container = with_key();
    let key = AccountKey::from_base64(KEY).unwrap();
    let list = List {
        prefix: "a/b c",
        delimiter: Some("/"),
        marker: Some("m+1=="),
        max_results: Some(7),
    };
    let requests = [
        container
            .get_range(now(), "a b/c", Some(0..4), Some("\"e\""))
            .unwrap(),
        container.head(now(), "ünï").unwrap(),
        container
            .put_block_blob(
                now(),
                "p",
                "video/mp4",
                Bytes::from_static(b"x"),
                &Conditions::absent(),
            )
            .unwrap(),
        container
            .put_block_blob(
                now(),
                "empty",
                "video/mp4",
                Bytes::new(),
                &Conditions::default(),
            )
            .unwrap(),
        container
            .put_block(now(), "p", &[0xfb, 0xff], Bytes::from_static(b"x"))
            .unwrap(),
        container
            .put_block_list(
                now(),
                "p",
                &[vec![1]],
                "video/mp4",
                &Conditions::matches("\"e\""),
            )
            .unwrap(),
        container.get_block_list(now(), "p").unwrap(),
        container.delete(now(), "p", None).unwrap(),
        container.list(now(), &list).unwrap(),
        container.create_container(now()).unwrap(),
        container.delete_container(now()).unwrap(),
    ];
    for request in requests {
        let result = shared_key::verify(
            request.method(),
            request.uri(),
            request.headers(),
            "local",
            &key,
            now(),
        );
        assert_eq!(result, Ok(()), "{request:?}");
    }
}

#[test]
fn a_signed_blob_url_reads_that_blob_for_its_time() {
    let url = with_key().signed_blob_url("dir/a b.mp4", now(), SignedDuration::from_hours(1));
    let (path, query) = url.split_once('?').unwrap();
    assert_eq!(path, "http://127.0.0.1:10000/local/asset-1/dir/a%20b.mp4");
    let query = Query::parse(query).unwrap();
    let key = AccountKey::from_base64(KEY).unwrap();
    let at = |minutes| {
        let caller = Caller {
            now: now() + SignedDuration::from_mins(minutes),
            ip: None,
            https: false,
        };
        verify(
            &query,
            "local",
            Some("asset-1"),
            Some("dir/a b.mp4"),
            &key,
            caller,
        )
    };
    let grant = at(59).unwrap();
    assert_eq!(
        (grant.scope, grant.permissions),
        (Scope::Blob, Permissions::READ)
    );
    assert!(at(60).is_err());
}

#[test]
fn headers_cannot_be_injected() {
    let result = with_key().put_block_blob(
        now(),
        "p",
        "a\r\nx-ms-evil: 1",
        Bytes::new(),
        &Conditions::default(),
    );
    assert_eq!(result.unwrap_err(), RequestError::Header("content type"));
    assert!(with_key().head(now(), "a/../../other").is_err());
}
