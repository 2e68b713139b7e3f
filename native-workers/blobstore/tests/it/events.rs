//! Events: their shape, their order, and that none is lost.

use std::sync::atomic::Ordering;

use crate::support::sink::Sink;
use crate::support::{start, store};
use bytes::Bytes;
use headwater_blob::Conditions;

const TYPE: &str = "video/mp4";

#[tokio::test]
async fn events_look_like_event_grids() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Sink::start().await);
    let running = start(folder.path(), Some(sink.sink.clone())).await;
    let store = store(running.addr, "asset-1");
    store.create_container().await.unwrap();
    let written = store
        .put(
            "dir/a b.mp4",
            TYPE,
            Bytes::from_static(b"12345"),
            &Conditions::default(),
        )
        .await
        .unwrap();
    store
        .put_block("big", b"1", Bytes::from_static(b"1"))
        .await
        .unwrap();
    store
        .put_block_list("big", &[b"1".to_vec()], TYPE, &Conditions::default())
        .await
        .unwrap();
    store
        .put(
            ".headwater/x.hwx",
            TYPE,
            Bytes::new(),
            &Conditions::default(),
        )
        .await
        .unwrap();
    store
        .put(
            "dir/.headwater/x.hwx",
            TYPE,
            Bytes::new(),
            &Conditions::default(),
        )
        .await
        .unwrap();
    store.delete("dir/a b.mp4", None).await.unwrap();
    sink.until("three events", |events| events.len() == 3).await;

    let events = sink.events();
    let first = &events[0];
    assert_eq!(first["eventType"], "Microsoft.Storage.BlobCreated");
    assert_eq!(
        first["subject"],
        "/blobServices/default/containers/asset-1/blobs/dir/a b.mp4"
    );
    assert!(
        first["topic"]
            .as_str()
            .unwrap()
            .ends_with("/providers/Microsoft.Storage/storageAccounts/local")
    );
    assert_eq!(
        (&first["dataVersion"], &first["metadataVersion"]),
        (&"".into(), &"1".into())
    );
    assert!(
        first["eventTime"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .is_ok()
    );
    let body = &first["data"];
    assert_eq!(
        (&body["api"], &body["contentLength"], &body["contentType"]),
        (&"PutBlob".into(), &5.into(), &TYPE.into())
    );
    assert_eq!(
        (&body["blobType"], &body["eTag"]),
        (&"BlockBlob".into(), &written.etag.trim_matches('"').into())
    );
    assert_eq!(
        body["url"],
        format!("http://{}/local/asset-1/dir/a%20b.mp4", running.addr)
    );
    assert_eq!(events[1]["data"]["api"], "PutBlockList");
    assert_eq!(events[2]["eventType"], "Microsoft.Storage.BlobDeleted");
    let sequencers: Vec<_> = events
        .iter()
        .map(|e| e["data"]["sequencer"].as_str().unwrap().to_owned())
        .collect();
    assert!(sequencers.is_sorted());

    let headers = sink.inner.headers.lock().unwrap().clone().unwrap();
    assert_eq!(headers["aeg-event-type"], "Notification");
    assert_eq!(headers["aeg-sas-key"], "s3cret");
    running.shutdown().await;
    assert_eq!(
        std::fs::read_dir(folder.path().join("outbox"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn refused_events_come_again_after_a_restart_in_order() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Sink::start().await);
    sink.inner.refuse.store(true, Ordering::SeqCst);
    let running = start(folder.path(), Some(sink.sink.clone())).await;
    let before = store(running.addr, "asset-1");
    before.create_container().await.unwrap();
    for n in 0..100 {
        before
            .put(
                &format!("f{n:03}"),
                TYPE,
                Bytes::new(),
                &Conditions::default(),
            )
            .await
            .unwrap();
    }
    while sink.inner.refusals.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    running.shutdown().await;
    // Cut short by a power failure: its write was never acknowledged.
    std::fs::write(
        folder.path().join("outbox/00000000000000000001.json"),
        b"{\"id\":",
    )
    .unwrap();

    sink.inner.refuse.store(false, Ordering::SeqCst);
    let running = start(folder.path(), Some(sink.sink.clone())).await;
    store(running.addr, "asset-1")
        .put("last", TYPE, Bytes::new(), &Conditions::default())
        .await
        .unwrap();
    sink.until("all events", |events| events.len() == 101).await;
    let subjects: Vec<_> = sink
        .events()
        .iter()
        .map(|e| e["subject"].as_str().unwrap().to_owned())
        .collect();
    let names = (0..100)
        .map(|n| format!("f{n:03}"))
        .chain(["last".to_owned()]);
    let expected: Vec<_> = names
        .map(|name| format!("/blobServices/default/containers/asset-1/blobs/{name}"))
        .collect();
    assert_eq!(subjects, expected);
    running.shutdown().await;
}

async fn put_all(store: &headwater_blob::Store<headwater_blob::HyperClient>, names: &[String]) {
    for name in names {
        store
            .put(name, TYPE, Bytes::new(), &Conditions::default())
            .await
            .unwrap();
    }
}

fn blob_names(sink: &Sink) -> Vec<String> {
    let name = |event: &serde_json::Value| {
        let subject = event["subject"].as_str().unwrap();
        subject.split_once("/blobs/").unwrap().1.to_owned()
    };
    sink.events().iter().map(name).collect()
}

#[tokio::test]
async fn a_batch_that_is_too_large_goes_in_parts() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Sink::start().await);
    // While it refuses everything, more events gather than it will take at once.
    sink.inner.refuse.store(true, Ordering::SeqCst);
    let running = start(folder.path(), Some(sink.sink.clone())).await;
    let store = store(running.addr, "asset-1");
    store.create_container().await.unwrap();
    let names: Vec<_> = (0..30).map(|n| format!("f{n:03}")).collect();
    put_all(&store, &names).await;
    sink.inner.max_bytes.store(3000, Ordering::SeqCst);
    sink.inner.refuse.store(false, Ordering::SeqCst);
    sink.until("all events", |events| events.len() == 30).await;
    assert_eq!(blob_names(&sink), names);
    running.shutdown().await;
    assert!(!folder.path().join("outbox/dead").exists());
}

#[tokio::test]
async fn an_event_that_is_refused_for_good_is_put_aside() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Sink::start().await);
    *sink.inner.poison.lock().unwrap() = Some("poison".to_owned());
    sink.inner.refuse.store(true, Ordering::SeqCst);
    let running = start(folder.path(), Some(sink.sink.clone())).await;
    let before = store(running.addr, "asset-1");
    before.create_container().await.unwrap();
    let mut names: Vec<_> = (0..20).map(|n| format!("f{n:03}")).collect();
    names[7] = "poison".to_owned();
    put_all(&before, &names).await;
    names.remove(7);
    sink.inner.refuse.store(false, Ordering::SeqCst);
    sink.until("all other events", |events| events.len() == 19)
        .await;
    assert_eq!(blob_names(&sink), names);
    running.shutdown().await;
    let dead: Vec<_> = std::fs::read_dir(folder.path().join("outbox/dead"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert!(dead.len() == 1 && dead[0].contains("poison"), "{dead:?}");

    // It is not sent again, and disturbs nobody.
    *sink.inner.poison.lock().unwrap() = None;
    let running = start(folder.path(), Some(sink.sink.clone())).await;
    put_all(&store(running.addr, "asset-1"), &["last".to_owned()]).await;
    names.push("last".to_owned());
    sink.until("the last event", |events| events.len() >= 20)
        .await;
    assert_eq!(blob_names(&sink), names);
    running.shutdown().await;
}

#[tokio::test]
async fn a_failed_write_has_no_event() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Sink::start().await);
    let running = start(folder.path(), Some(sink.sink.clone())).await;
    let store = store(running.addr, "asset-1");
    store.create_container().await.unwrap();
    store
        .put("a", TYPE, Bytes::new(), &Conditions::default())
        .await
        .unwrap();
    assert!(
        store
            .put("a", TYPE, Bytes::new(), &Conditions::absent())
            .await
            .is_err()
    );
    assert!(
        store
            .put_block_list("a", &[b"1".to_vec()], TYPE, &Conditions::default())
            .await
            .is_err()
    );
    assert!(store.delete("b", None).await.is_err());
    store
        .put("z", TYPE, Bytes::new(), &Conditions::default())
        .await
        .unwrap();
    sink.until("the last event", |events| events.len() >= 2)
        .await;
    assert_eq!(sink.events().len(), 2);
    running.shutdown().await;
}
