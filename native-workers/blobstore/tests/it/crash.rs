//! `kill -9` in the middle of work: every acknowledged write is there afterwards, whole, and so is its event.
//!
//! The store runs in a child process (this program again), so that the kill is a real one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::sink::Sink;
use bytes::Bytes;
use headwater_blob::{ClientError, Conditions};
use headwater_blobstore::EventSink;

const ROUNDS: u64 = 6;
const WRITERS: u64 = 4;
/// At least so many are acknowledged before the kill.
const WRITES_A_ROUND: u64 = 10;
const TYPE: &str = "application/octet-stream";

/// The child: not a test of its own.
#[test]
#[ignore = "started by the tests below"]
fn child() {
    let Ok(root) = std::env::var("STORE_ROOT") else {
        return;
    };
    let events = EventSink {
        url: std::env::var("STORE_EVENTS").unwrap(),
        secret: "s3cret".to_owned(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let running = crate::support::start(Path::new(&root), Some(events)).await;
        println!("listening on {}", running.addr);
        std::future::pending::<()>().await;
    });
}

struct Store {
    child: Child,
    addr: SocketAddr,
}

impl Store {
    fn spawn(root: &Path, events: &EventSink) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--ignored", "--nocapture"])
            .env("STORE_ROOT", root)
            .env("STORE_EVENTS", &events.url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let addr = lines.find_map(|line| {
            line.unwrap()
                .split_once("listening on ")
                .map(|(_, addr)| addr.parse().unwrap())
        });
        std::thread::spawn(move || lines.count());
        Self {
            child,
            addr: addr.expect("the child listens"),
        }
    }

    fn kill(mut self) {
        // SIGKILL.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What a blob may hold: the last acknowledged state, or one that was on its way.
#[derive(Default, Clone)]
struct Expected {
    /// `None`: deleted, or never written.
    acknowledged: Option<(String, u64)>,
    /// Sizes (and `None` for a deletion) of requests without an answer.
    open: Vec<Option<u64>>,
}

#[derive(Default)]
struct Ledger {
    blobs: Mutex<BTreeMap<String, Expected>>,
    /// Etags of acknowledged writes.
    created: Mutex<BTreeSet<String>>,
    /// Names of acknowledged deletions.
    deleted: Mutex<BTreeSet<String>>,
}

/// Bytes that tell their own length.
fn content(seed: u64, len: u64) -> Bytes {
    (0..len)
        .map(|at| (seed.wrapping_mul(31).wrapping_add(at * 7 + at / 251)) as u8)
        .collect()
}

fn seed(name: &str) -> u64 {
    name.bytes().map(u64::from).sum()
}

async fn writer(addr: SocketAddr, writer: u64, round: u64, ledger: Arc<Ledger>) {
    let store = crate::support::store(addr, "asset-1");
    for step in 0.. {
        // Some names are fresh, some are written again and again.
        let name = if step % 3 == 0 {
            format!("w{writer}/again")
        } else {
            format!("w{writer}/r{round}/{step}")
        };
        let len = (step * 7919 + writer * 104_729 + round) % 300_000;
        let change = |open: Option<u64>| {
            ledger
                .blobs
                .lock()
                .unwrap()
                .entry(name.clone())
                .or_default()
                .open
                .push(open)
        };
        let body = content(seed(&name) + len, len);
        change(Some(len));
        let written = if step % 2 == 0 || len < 10 {
            store.put(&name, TYPE, body, &Conditions::default()).await
        } else {
            let half = (len / 2) as usize;
            let staged = async {
                store.put_block(&name, b"a", body.slice(..half)).await?;
                store.put_block(&name, b"b", body.slice(half..)).await?;
                store
                    .put_block_list(
                        &name,
                        &[b"a".to_vec(), b"b".to_vec()],
                        TYPE,
                        &Conditions::default(),
                    )
                    .await
            };
            staged.await
        };
        let Ok(written) = written else { return };
        ledger
            .created
            .lock()
            .unwrap()
            .insert(written.etag.trim_matches('"').to_owned());
        let done = Expected {
            acknowledged: Some((written.etag, len)),
            open: Vec::new(),
        };
        ledger.blobs.lock().unwrap().insert(name.clone(), done);
        if step % 5 == 4 {
            change(None);
            if store.delete(&name, None).await.is_err() {
                return;
            }
            ledger
                .blobs
                .lock()
                .unwrap()
                .insert(name.clone(), Expected::default());
            ledger.deleted.lock().unwrap().insert(name);
        }
    }
}

async fn check(addr: SocketAddr, ledger: &Ledger) {
    let store = crate::support::store(addr, "asset-1");
    let blobs = ledger.blobs.lock().unwrap().clone();
    let listed: BTreeSet<String> = store
        .list_all("", usize::MAX)
        .await
        .unwrap()
        .into_iter()
        .map(|b| b.name)
        .collect();
    for (name, expected) in blobs {
        match store.get_range(&name, None, None).await {
            Ok(read) => {
                assert!(listed.contains(&name), "{name} is not listed");
                let acknowledged = expected
                    .acknowledged
                    .as_ref()
                    .is_some_and(|(etag, _)| *etag == read.etag);
                let len = read.total_len;
                assert!(
                    acknowledged || expected.open.contains(&Some(len)),
                    "{name} is neither old nor new"
                );
                assert_eq!(
                    read.bytes,
                    content(seed(&name) + len, len),
                    "{name} is not whole"
                );
            }
            Err(ClientError::NotFound { .. }) => {
                let gone = expected.acknowledged.is_none() || expected.open.contains(&None);
                assert!(gone, "{name} was acknowledged and is lost");
                assert!(!listed.contains(&name), "{name} is listed but not there");
            }
            Err(error) => panic!("{name}: {error}"),
        }
        // From here on what is there is what must stay.
        let now = store.head(&name).await.ok().map(|p| (p.etag, p.len));
        ledger.blobs.lock().unwrap().insert(
            name,
            Expected {
                acknowledged: now,
                open: Vec::new(),
            },
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Sink::start().await);
    let ledger = Arc::new(Ledger::default());
    for round in 0..ROUNDS {
        // In half of the rounds the sink is down as well.
        sink.inner.refuse.store(round % 2 == 1, Ordering::SeqCst);
        let store = Store::spawn(folder.path(), &sink.sink);
        if round == 0 {
            crate::support::store(store.addr, "asset-1")
                .create_container()
                .await
                .unwrap();
        }
        check(store.addr, &ledger).await;
        let writers: Vec<_> = (0..WRITERS)
            .map(|n| tokio::spawn(writer(store.addr, n, round, Arc::clone(&ledger))))
            .collect();
        tokio::time::sleep(Duration::from_millis(300 + round * 137)).await;
        // On a busy machine that is time for a handful of writes.
        while ledger.created.lock().unwrap().len() as u64 <= (round + 1) * WRITES_A_ROUND
            && !writers.iter().all(tokio::task::JoinHandle::is_finished)
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        store.kill();
        for writer in writers {
            writer.await.unwrap();
        }
    }
    sink.inner.refuse.store(false, Ordering::SeqCst);
    let store = Store::spawn(folder.path(), &sink.sink);
    check(store.addr, &ledger).await;
    let (created, deleted) = (
        ledger.created.lock().unwrap().clone(),
        ledger.deleted.lock().unwrap().clone(),
    );
    println!(
        "{ROUNDS} kills: {} acknowledged writes, {} deletions",
        created.len(),
        deleted.len()
    );
    assert!(
        created.len() as u64 > ROUNDS * WRITES_A_ROUND,
        "too little happened to prove anything"
    );
    sink.until("every event", |events| {
        let etags: BTreeSet<_> = events
            .iter()
            .filter_map(|e| e["data"]["eTag"].as_str())
            .collect();
        let gone: BTreeSet<_> = events
            .iter()
            .filter(|e| e["eventType"] == "Microsoft.Storage.BlobDeleted")
            .filter_map(|e| {
                e["subject"]
                    .as_str()?
                    .split_once("/blobs/")
                    .map(|(_, name)| name)
            })
            .collect();
        created.iter().all(|etag| etags.contains(etag.as_str()))
            && deleted.iter().all(|name| gone.contains(name.as_str()))
    })
    .await;
    store.kill();
}
