//! Our client against a foreign server: Azurite, or anything else that `AZURITE_URL` names.
//!
//! `AZURITE_URL`: with the account, e.g. `http://127.0.0.1:10000/devstoreaccount1`. The account is the last path
//! segment; the key is `AZURITE_KEY` or the emulators' well-known one. `tests/blob/test_azurite.sh` starts Azurite and
//! sets it.
//!
//! Here and not with the client, whose native half nothing else is tested with: what uses it is built anyway.

use bytes::Bytes;
use headwater_blob::client::BlobProperties;
use headwater_blob::{
    AccountKey, Auth, ClientError, Conditions, Container, HttpClient as _, HyperClient,
    HyperOptions, List, Permissions, ServiceSas, Store,
};
use jiff::{SignedDuration, Timestamp};

const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

struct Server {
    url: String,
    account: String,
    key: AccountKey,
    client: HyperClient,
}

impl Server {
    fn from_environment() -> Self {
        let url = std::env::var("AZURITE_URL")
            .expect("AZURITE_URL")
            .trim_end_matches('/')
            .to_owned();
        let account = url.rsplit('/').next().unwrap().to_owned();
        let key = std::env::var("AZURITE_KEY").unwrap_or_else(|_| KEY.to_owned());
        let client = HyperClient::new(HyperOptions::default()).unwrap();
        Self {
            url,
            account,
            key: AccountKey::from_base64(&key).unwrap(),
            client,
        }
    }

    fn store(&self, container: &str, auth: Auth) -> Store<&HyperClient> {
        let container = Container::new(&format!("{}/{container}", self.url), auth).unwrap();
        Store::new(&self.client, container, Timestamp::now)
    }

    fn shared_key(&self) -> Auth {
        Auth::SharedKey {
            account: self.account.clone(),
            key: self.key.clone(),
        }
    }

    fn sas(&self, container: &str, letters: &str) -> Auth {
        let expiry = Timestamp::now() + SignedDuration::from_mins(10);
        let sas =
            ServiceSas::for_container(container, Permissions::parse(letters).unwrap(), expiry);
        Auth::Sas(sas.sign(&self.account, &self.key))
    }
}

#[tokio::test]
#[ignore = "wants the server that AZURITE_URL names"]
async fn our_client_speaks_to_a_foreign_server() {
    let server = Server::from_environment();
    let name = format!("headwater-{}", Timestamp::now().as_millisecond());
    let admin = server.store(&name, server.shared_key());
    assert!(admin.create_container().await.unwrap());
    assert!(!admin.create_container().await.unwrap());

    // The whole round with the account's key, then with a signature that allows just as much.
    round(&admin, "key").await;
    round(&server.store(&name, server.sas(&name, "rcwdl")), "sas").await;
    credentials(&server, &name, &admin).await;

    admin.delete_container().await.unwrap();
    assert!(matches!(
        admin.list(&List::default()).await,
        Err(ClientError::NotFound { .. })
    ));
}

async fn round(store: &Store<&HyperClient>, folder: &str) {
    let small = format!("{folder}/with space/ünï+%&?#.mp4");
    let body = Bytes::from_static(b"0123456789");
    let written = store
        .put(&small, "video/mp4", body.clone(), &Conditions::absent())
        .await
        .unwrap();
    let again = store
        .put(&small, "video/mp4", body.clone(), &Conditions::absent())
        .await;
    assert!(
        matches!(again, Err(ClientError::Conflict { .. })),
        "{again:?}"
    );

    let BlobProperties {
        len,
        etag,
        content_type,
        last_modified,
    } = store.head(&small).await.unwrap();
    assert_eq!((len, content_type.as_deref()), (10, Some("video/mp4")));
    assert_eq!(etag, written.etag);
    assert!(last_modified.is_some());

    let part = store
        .get_range(&small, Some(2..5), Some(&etag))
        .await
        .unwrap();
    assert_eq!(
        (&part.bytes[..], part.offset, part.total_len),
        (&b"234"[..], 2, 10)
    );
    let whole = store.get_range(&small, None, None).await.unwrap();
    assert_eq!((whole.bytes, whole.total_len), (body, 10));
    assert_eq!(
        store.get_range(&small, Some(10..11), None).await,
        Err(ClientError::RangeNotSatisfiable)
    );
    let stale = store.get_range(&small, Some(0..1), Some("\"0x0\"")).await;
    assert!(
        matches!(stale, Err(ClientError::PreconditionFailed { .. })),
        "{stale:?}"
    );

    // Three blocks, committed in another order than they were sent.
    let big = format!("{folder}/big.mp4");
    let ids: Vec<Vec<u8>> = (0u8..3)
        .map(|n| format!("block-{n:04}").into_bytes())
        .collect();
    let blocks: Vec<Bytes> = (0u8..3).map(|n| Bytes::from(vec![n; 700_000])).collect();
    for (id, block) in ids.iter().zip(&blocks).rev() {
        store.put_block(&big, id, block.clone()).await.unwrap();
    }
    assert_eq!(
        store
            .get_block_list(&big)
            .await
            .unwrap()
            .uncommitted
            .unwrap()
            .len(),
        3
    );
    let first = store
        .put_block_list(&big, &ids, "video/mp4", &Conditions::default())
        .await
        .unwrap();
    let stale = store
        .put_block_list(&big, &ids, "video/mp4", &Conditions::matches("\"0x0\""))
        .await;
    assert!(
        matches!(stale, Err(ClientError::PreconditionFailed { .. })),
        "{stale:?}"
    );
    let second = store
        .put_block_list(&big, &ids, "video/mp4", &Conditions::matches(&first.etag))
        .await
        .unwrap();
    assert_ne!(first.etag, second.etag);
    let list = store.get_block_list(&big).await.unwrap();
    assert_eq!(
        list.committed.unwrap().iter().map(|b| b.len).sum::<u64>(),
        2_100_000
    );
    let seam = store
        .get_range(&big, Some(699_999..700_001), None)
        .await
        .unwrap();
    assert_eq!(&seam.bytes[..], [0, 1]);

    // Paging and folders.
    for n in 0..5 {
        store
            .put(
                &format!("{folder}/list/{n}"),
                "text/plain",
                Bytes::new(),
                &Conditions::default(),
            )
            .await
            .unwrap();
    }
    let prefix = format!("{folder}/list/");
    let page = store
        .list(&List {
            prefix: &prefix,
            max_results: Some(2),
            ..List::default()
        })
        .await
        .unwrap();
    assert_eq!((page.blobs.len(), page.next_marker.is_some()), (2, true));
    let all = store.list_all(&prefix, 100).await.unwrap();
    assert_eq!(
        all.iter().map(|b| b.name.clone()).collect::<Vec<_>>(),
        (0..5).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>()
    );
    let folded = format!("{folder}/");
    let page = store
        .list(&List {
            prefix: &folded,
            delimiter: Some("/"),
            ..List::default()
        })
        .await
        .unwrap();
    assert_eq!(
        page.prefixes,
        [format!("{folder}/list/"), format!("{folder}/with space/")]
    );
    assert_eq!(
        page.blobs
            .iter()
            .map(|b| (b.name.as_str(), b.len))
            .collect::<Vec<_>>(),
        [(big.as_str(), 2_100_000)]
    );
    assert_eq!(page.blobs[0].etag, store.head(&big).await.unwrap().etag);
    let listed = store
        .list(&List {
            prefix: &small,
            ..List::default()
        })
        .await
        .unwrap();
    assert_eq!(listed.blobs[0].name, small);

    let stale = store.delete(&big, Some("\"0x0\"")).await;
    assert!(
        matches!(stale, Err(ClientError::PreconditionFailed { .. })),
        "{stale:?}"
    );
    store.delete(&big, Some(&second.etag)).await.unwrap();
    assert!(matches!(
        store.head(&big).await,
        Err(ClientError::NotFound { .. })
    ));
    assert!(matches!(
        store.delete(&big, None).await,
        Err(ClientError::NotFound { .. })
    ));
}

async fn credentials(server: &Server, name: &str, admin: &Store<&HyperClient>) {
    admin
        .put(
            "secret",
            "text/plain",
            Bytes::from_static(b"x"),
            &Conditions::default(),
        )
        .await
        .unwrap();

    let url =
        admin
            .container()
            .signed_blob_url("secret", Timestamp::now(), SignedDuration::from_mins(5));
    let answer = server
        .client
        .send(http::Request::get(&url).body(Bytes::new()).unwrap())
        .await
        .unwrap();
    assert_eq!(
        (answer.status(), answer.body().as_ref()),
        (http::StatusCode::OK, &b"x"[..])
    );

    let reader = server.store(name, server.sas(name, "r"));
    assert_eq!(reader.head("secret").await.unwrap().len, 1);
    let refused = reader
        .put("other", "text/plain", Bytes::new(), &Conditions::default())
        .await;
    assert!(
        matches!(refused, Err(ClientError::PermissionDenied { .. })),
        "{refused:?}"
    );

    let wrong = AccountKey::from_bytes(vec![7; 64]).unwrap();
    let auth = Auth::SharedKey {
        account: server.account.clone(),
        key: wrong,
    };
    let refused = server.store(name, auth).head("secret").await;
    assert!(
        matches!(refused, Err(ClientError::PermissionDenied { .. })),
        "{refused:?}"
    );
}
