//! Reading in the same process: the same rules as over HTTP.

use std::os::unix::fs::FileExt as _;

use crate::support::{client, sas, start, store};
use bytes::Bytes;
use headwater_blob::server::ErrorCode;
use headwater_blob::{Conditions, HttpClient as _};
use headwater_blobstore::{LocalError, LocalReader};

fn refused(reader: &LocalReader, url: &str, if_match: Option<&str>) -> ErrorCode {
    match reader.open(url, if_match) {
        Err(LocalError::Refused(error)) => error.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_signed_url_opens_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), None).await;
    let store = store(running.addr, "asset-1");
    store.create_container().await.unwrap();
    let written = store
        .put(
            "dir/a b.mp4",
            "video/mp4",
            Bytes::from_static(b"0123456789"),
            &Conditions::default(),
        )
        .await
        .unwrap();
    let reader = running.local_reader().unwrap();
    let url = store.container().signed_blob_url(
        "dir/a b.mp4",
        jiff::Timestamp::now(),
        jiff::SignedDuration::from_mins(5),
    );

    let blob = reader.open(&url, Some(&written.etag)).unwrap();
    assert_eq!(
        (blob.len, blob.etag.as_str(), blob.content_type.as_str()),
        (10, written.etag.as_str(), "video/mp4")
    );
    let mut bytes = [0; 3];
    blob.file.read_exact_at(&mut bytes, 4).unwrap();
    assert_eq!(&bytes, b"456");
    let by_name = url.replace("127.0.0.1", "localhost");
    assert_eq!(reader.open(&by_name, None).unwrap().len, 10);

    assert_eq!(
        refused(&reader, &url, Some("\"0x0\"")),
        ErrorCode::ConditionNotMet
    );
    assert_eq!(
        refused(&reader, &url.replace("sp=r", "sp=rw"), None),
        ErrorCode::AuthenticationFailed
    );
    assert_eq!(
        refused(&reader, &url.replace("a%20b", "other"), None),
        ErrorCode::AuthenticationFailed
    );
    assert_eq!(
        refused(&reader, url.split('?').next().unwrap(), None),
        ErrorCode::NoAuthenticationInformation
    );
    let base = format!("http://{}/local/asset-1/dir/a%20b.mp4", running.addr);
    assert_eq!(
        refused(
            &reader,
            &format!("{base}?{}", sas("asset-1", "r", -1)),
            None
        ),
        ErrorCode::AuthenticationFailed
    );
    let writer = format!("{base}?{}", sas("asset-1", "w", 5));
    assert_eq!(
        refused(&reader, &writer, None),
        ErrorCode::AuthorizationPermissionMismatch
    );
    let missing = format!("{base}x?{}", sas("asset-1", "r", 5));
    assert_eq!(refused(&reader, &missing, None), ErrorCode::BlobNotFound);
    let traversal = format!(
        "http://{}/local/asset-1/%2e%2e/x?{}",
        running.addr,
        sas("asset-1", "r", 5)
    );
    assert_eq!(
        refused(&reader, &traversal, None),
        ErrorCode::InvalidResourceName
    );
    for elsewhere in [
        "http://example.com/local/asset-1/a",
        &url.replace("http:", "https:"),
        &format!("http://{}0/local", running.addr),
        "",
    ] {
        assert!(!reader.owns(elsewhere));
        assert!(
            matches!(reader.open(elsewhere, None), Err(LocalError::Elsewhere)),
            "{elsewhere}"
        );
    }
    running.shutdown().await;
}

#[tokio::test]
async fn what_is_known_of_a_url_ends_with_the_blob_and_with_its_signature() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), None).await;
    let store = store(running.addr, "asset-1");
    store.create_container().await.unwrap();
    let put = async |body: &'static [u8]| {
        let body = Bytes::from_static(body);
        let any = Conditions::default();
        let put = store.put("a.mp4", "video/mp4", body, &any);
        put.await.unwrap().etag
    };
    let reader = running.local_reader().unwrap();
    let signed = |seconds| {
        store.container().signed_blob_url(
            "a.mp4",
            jiff::Timestamp::now(),
            jiff::SignedDuration::from_secs(seconds),
        )
    };
    let url = signed(60);
    let read = |etag: Option<&str>| {
        let blob = reader.open(&url, etag).unwrap();
        let mut bytes = vec![0; blob.len as usize];
        blob.file.read_exact_at(&mut bytes, 0).unwrap();
        (bytes, blob.etag)
    };
    let first = put(b"0123").await;
    for _ in 0..3 {
        assert_eq!(read(Some(&first)), (b"0123".to_vec(), first.clone()));
    }
    // As long as the one before, and in the same moment.
    let second = put(b"4567").await;
    assert_eq!(
        refused(&reader, &url, Some(&first)),
        ErrorCode::ConditionNotMet
    );
    for etag in [None, Some(&*second), None] {
        assert_eq!(read(etag), (b"4567".to_vec(), second.clone()));
    }
    let brief = signed(6);
    assert_eq!(reader.open(&brief, None).unwrap().len, 4);
    tokio::time::sleep(std::time::Duration::from_millis(6_100)).await;
    assert_eq!(
        refused(&reader, &brief, None),
        ErrorCode::AuthenticationFailed
    );
    store.delete("a.mp4", None).await.unwrap();
    assert_eq!(refused(&reader, &url, None), ErrorCode::BlobNotFound);
    running.shutdown().await;
}

#[tokio::test]
async fn a_file_that_was_cut_short_fails_its_blob_only() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), None).await;
    let store = store(running.addr, "asset-1");
    store.create_container().await.unwrap();
    for name in ["cut", "whole"] {
        let body = Bytes::from_static(b"0123456789");
        store
            .put(name, "video/mp4", body, &Conditions::default())
            .await
            .unwrap();
    }
    let blobs = folder.path().join("containers/asset-1/blobs");
    for entry in std::fs::read_dir(blobs).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("cut~") && name != "cut~meta" {
            std::fs::write(&path, b"0123").unwrap();
        }
    }
    let reader = running.local_reader().unwrap();
    let signed = sas("asset-1", "r", 5);
    let url = |name: &str| format!("http://{}/local/asset-1/{name}?{signed}", running.addr);
    match reader.open(&url("cut"), None) {
        Err(LocalError::Io(error)) => assert!(error.to_string().contains("asset-1/cut"), "{error}"),
        other => panic!("{other:?}"),
    }
    let request = http::Request::get(url("cut")).body(Bytes::new()).unwrap();
    assert_eq!(client().send(request).await.unwrap().status(), 500);
    assert_eq!(reader.open(&url("whole"), None).unwrap().len, 10);
    assert_eq!(
        &store.get_range("whole", None, None).await.unwrap().bytes[..],
        b"0123456789"
    );
    running.shutdown().await;
}
