//! A commit that takes long, and callers who lose patience: nobody else notices.
//!
//! The staged blocks are replaced by pipes, at which the commit stops until their other end is opened.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{start, store};
use bytes::Bytes;
use headwater_blob::{Conditions, HyperClient, Store};
use tokio::runtime::{Builder, Runtime};

const TYPE: &str = "video/mp4";
const BLOCKS: [&[u8]; 2] = [b"1", b"2"];
/// Of the blocking pool, in place of the usual 512.
const THREADS: usize = 4;
const RETRIES: usize = 12;

/// Replaces the only upload's blocks, in their order.
fn replace_by_pipes(root: &Path) -> Vec<PathBuf> {
    let mut uploads = fs::read_dir(root.join("containers/asset-1/blocks")).unwrap();
    let upload = uploads.next().unwrap().unwrap().path();
    let blocks = fs::read_dir(upload).unwrap();
    let mut blocks: Vec<_> = blocks.map(|block| block.unwrap().path()).collect();
    blocks.sort();
    for block in &blocks {
        fs::remove_file(block).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(block)
                .status()
                .unwrap()
                .success()
        );
    }
    blocks
}

async fn commit(store: Store<HyperClient>) {
    let blocks = BLOCKS.map(<[u8]>::to_vec);
    store
        .put_block_list("big", &blocks, TYPE, &Conditions::default())
        .await
        .unwrap();
}

#[test]
fn callers_who_wait_for_a_commit_take_no_thread_from_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let server = Builder::new_multi_thread()
        .max_blocking_threads(THREADS)
        .enable_all()
        .build()
        .unwrap();
    let running = server.block_on(start(folder.path(), None));
    let addr = running.addr;
    Runtime::new().unwrap().block_on(async {
        let big = store(addr, "asset-1");
        big.create_container().await.unwrap();
        for block in BLOCKS {
            big.put_block("big", block, Bytes::from_static(b"x"))
                .await
                .unwrap();
        }
        let pipes = replace_by_pipes(folder.path());
        let open = |at: usize| {
            let path = pipes[at].clone();
            tokio::task::spawn_blocking(move || OpenOptions::new().write(true).open(path).unwrap())
        };
        let first = tokio::spawn(commit(store(addr, "asset-1")));
        open(0).await.unwrap();
        // It stands at its second block now, and is sent again and again.
        let retries: Vec<_> = (0..RETRIES)
            .map(|_| tokio::spawn(commit(store(addr, "asset-1"))))
            .collect();
        let others = async {
            for n in 0..20 {
                let other = store(addr, &format!("other-{n}"));
                other.create_container().await.unwrap();
                let body = Bytes::from_static(b"x");
                other
                    .put("a", TYPE, body, &Conditions::default())
                    .await
                    .unwrap();
            }
        };
        let others = tokio::time::timeout(Duration::from_secs(60), others).await;
        open(1).await.unwrap();
        first.await.unwrap();
        assert!(others.is_ok(), "others had to wait");
        for retry in retries {
            retry.await.unwrap();
        }
    });
    server.block_on(running.shutdown());
}
