mod long_commits;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_blob::server::Preconditions;
use headwater_blob::xml::{BlockRef, BlockSource};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::disk::sweep::Swept;

const C: &str = "asset-1";

fn open() -> (TempDir, Disk) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), false).unwrap();
    disk.create_container(C, Vec::new(), Timestamp::now())
        .unwrap();
    (folder, disk)
}

fn scratch(disk: &Disk, bytes: &[u8]) -> SyncedFile {
    let scratch = disk.scratch().unwrap();
    scratch.file().write_all(bytes).unwrap();
    scratch.synced().unwrap()
}

fn turn(disk: &Disk, blob: &str) -> Turn {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(disk.turn(C, blob))
}

fn write_if(
    disk: &Disk,
    blob: &str,
    conditions: &Preconditions,
    content: Content,
) -> Result<BlobMeta> {
    let write = Write {
        headers: HttpHeaders::default(),
        metadata: Vec::new(),
        terms: Terms {
            conditions,
            overwrite: true,
        },
        content,
    };
    disk.write(&turn(disk, blob), write, Timestamp::now())
}

fn write(disk: &Disk, blob: &str, content: Content) -> Result<BlobMeta> {
    write_if(disk, blob, &Preconditions::default(), content)
}

fn stage(disk: &Disk, blob: &str, name: &str, bytes: &[u8]) -> Result<()> {
    disk.put_block(&turn(disk, blob), &id(name), scratch(disk, bytes))
}

fn delete(disk: &Disk, blob: &str) -> Result<()> {
    disk.delete_blob(
        &turn(disk, blob),
        &Preconditions::default(),
        Timestamp::now(),
    )
}

fn put(disk: &Disk, blob: &str, bytes: &[u8]) -> BlobMeta {
    write(
        disk,
        blob,
        Content::Whole {
            bytes: scratch(disk, bytes),
            len: bytes.len() as u64,
        },
    )
    .unwrap()
}

fn get(disk: &Disk, blob: &str) -> Vec<u8> {
    let open = disk.open_blob(C, blob).unwrap();
    let bytes = io::read_to_string(open.file).unwrap().into_bytes();
    assert_eq!(open.meta.len, bytes.len() as u64);
    bytes
}

fn id(name: &str) -> String {
    STANDARD.encode(name)
}

fn list(names: &[&str]) -> Content {
    Content::Blocks(
        names
            .iter()
            .map(|n| BlockRef {
                source: BlockSource::Latest,
                id: id(n),
            })
            .collect(),
    )
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    match result {
        Err(Failure::Service(error)) => error.code,
        other => panic!("{other:?}"),
    }
}

fn absent() -> Preconditions {
    Preconditions::from_headers(&http::HeaderMap::from_iter([(
        http::header::IF_NONE_MATCH,
        http::HeaderValue::from_static("*"),
    )]))
    .unwrap()
}

/// Every file below a folder, relative.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(
                files(&path)
                    .into_iter()
                    .map(|inner| format!("{name}/{inner}")),
            );
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[test]
fn the_bytes_are_a_plain_file() {
    let (folder, disk) = open();
    let meta = put(&disk, "dir/video 1.mp4", b"media");
    let blobs = folder.path().join("containers/asset-1/blobs");
    let expected = [
        format!("dir+/video 1.mp4~{}", meta.generation),
        "dir+/video 1.mp4~meta".to_owned(),
    ];
    assert_eq!(files(&blobs), expected);
    assert_eq!(fs::read(blobs.join(&expected[0])).unwrap(), b"media");
    put(&disk, "dir/video 1.mp4", b"newer");
    assert_eq!(files(&blobs).len(), 2);
    delete(&disk, "dir/video 1.mp4").unwrap();
    assert_eq!(fs::read_dir(&blobs).unwrap().count(), 0);
    assert_eq!(
        fs::read_dir(folder.path().join("scratch")).unwrap().count(),
        0
    );
}

#[test]
fn a_reader_keeps_its_version() {
    let (_folder, disk) = open();
    put(&disk, "a", b"old");
    let before = disk.open_blob(C, "a").unwrap();
    put(&disk, "a", b"new");
    assert_eq!(io::read_to_string(before.file).unwrap(), "old");
    assert_eq!(get(&disk, "a"), b"new");
}

#[test]
fn a_file_of_the_wrong_length_is_not_handed_out() {
    let (folder, disk) = open();
    put(&disk, "whole", b"media");
    let meta = put(&disk, "dir/cut", b"media");
    let bytes = folder
        .path()
        .join("containers/asset-1/blobs/dir+")
        .join(format!("cut~{}", meta.generation));
    for damaged in ["med", "media, and more"] {
        fs::write(&bytes, damaged).unwrap();
        match disk.open_blob(C, "dir/cut") {
            Err(Failure::Io(error)) => {
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                assert!(error.to_string().contains("asset-1/dir/cut"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(get(&disk, "whole"), b"media");
}

#[test]
fn uncommitted_blocks_survive_a_restart() {
    let (folder, disk) = open();
    stage(&disk, "a", "1", b"one").unwrap();
    stage(&disk, "a", "2", b"two").unwrap();
    drop(disk);
    let disk = Disk::open(folder.path(), false).unwrap();
    write(&disk, "a", list(&["2", "1"])).unwrap();
    assert_eq!(get(&disk, "a"), b"twoone");
    assert_eq!(
        fs::read_dir(folder.path().join("containers/asset-1/blocks"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn block_lists_take_blocks_from_where_they_say() {
    let (_folder, disk) = open();
    for (name, bytes) in [("1", "one"), ("2", "two")] {
        stage(&disk, "a", name, bytes.as_bytes()).unwrap();
    }
    write(&disk, "a", list(&["1", "2", "1"])).unwrap();
    assert_eq!(get(&disk, "a"), b"onetwoone");
    stage(&disk, "a", "1", b"ONE").unwrap();
    let of = |source, name| BlockRef {
        source,
        id: id(name),
    };
    let both = vec![
        of(BlockSource::Committed, "1"),
        of(BlockSource::Uncommitted, "1"),
        of(BlockSource::Latest, "2"),
    ];
    write(&disk, "a", Content::Blocks(both)).unwrap();
    assert_eq!(get(&disk, "a"), b"oneONEtwo");
    assert_eq!(
        code(write(&disk, "a", list(&["3"]))),
        ErrorCode::InvalidBlockList
    );
    let only = Content::Blocks(vec![of(BlockSource::Uncommitted, "2")]);
    assert_eq!(code(write(&disk, "a", only)), ErrorCode::InvalidBlockList);
    assert_eq!(get(&disk, "a"), b"oneONEtwo");
    // A list of one block is linked, not copied; an empty list is an empty blob.
    stage(&disk, "a", "9", b"single").unwrap();
    write(&disk, "a", list(&["9"])).unwrap();
    assert_eq!(get(&disk, "a"), b"single");
    write(&disk, "a", list(&[])).unwrap();
    assert_eq!(get(&disk, "a"), b"");
}

#[test]
fn a_list_that_is_committed_already_copies_nothing() {
    let (folder, disk) = open();
    let file = || {
        let name = format!("a~{}", disk.properties(C, "a").unwrap().generation);
        let path = folder.path().join("containers/asset-1/blobs").join(name);
        fs::metadata(path).unwrap().ino()
    };
    for (name, bytes) in [("1", "one"), ("2", "two"), ("3", "three")] {
        stage(&disk, "a", name, bytes.as_bytes()).unwrap();
    }
    let first = write(&disk, "a", list(&["1", "2", "3"])).unwrap();
    let before = file();
    let again = write(&disk, "a", list(&["1", "2", "3"])).unwrap();
    assert_ne!(first.etag, again.etag);
    assert_eq!((file(), get(&disk, "a")), (before, b"onetwothree".to_vec()));
    // The list came along, too.
    for (names, bytes) in [(["1", "2"], "onetwo"), (["2", "1"], "twoone")] {
        // The one that is replaced: the number of an older one, which is gone, may come again.
        let before = file();
        write(&disk, "a", list(&names)).unwrap();
        assert_ne!(file(), before);
        assert_eq!(get(&disk, "a"), bytes.as_bytes());
    }
}

#[test]
fn names_that_no_listing_can_show_are_refused() {
    let (_folder, disk) = open();
    for name in ["a\u{FFFE}", "dir\u{FFFF}/a"] {
        let content = Content::Whole {
            bytes: scratch(&disk, b"x"),
            len: 1,
        };
        assert_eq!(
            code(write(&disk, name, content)),
            ErrorCode::InvalidResourceName
        );
        assert_eq!(
            code(stage(&disk, name, "1", b"x")),
            ErrorCode::InvalidResourceName
        );
    }
    // Their neighbours, and the last character of all.
    for name in ["a\u{FFFD}", "a\u{10FFFF}"] {
        put(&disk, name, b"x");
    }
}

#[test]
fn block_ids_of_one_blob_have_one_length() {
    let (_folder, disk) = open();
    stage(&disk, "a", "1", b"x").unwrap();
    assert_eq!(
        code(stage(&disk, "a", "10", b"x")),
        ErrorCode::InvalidBlobOrBlock
    );
    stage(&disk, "b", "10", b"x").unwrap();
}

#[test]
fn every_write_has_another_etag_even_if_the_clock_stands_still() {
    let (_folder, disk) = open();
    let now = Timestamp::UNIX_EPOCH;
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        let content = Content::Whole {
            bytes: scratch(&disk, b"x"),
            len: 1,
        };
        let conditions = Preconditions::default();
        let write = Write {
            headers: HttpHeaders::default(),
            metadata: vec![],
            terms: Terms {
                conditions: &conditions,
                overwrite: true,
            },
            content,
        };
        let turn = turn(&disk, "a");
        assert!(seen.insert(disk.write(&turn, write, now).unwrap().etag));
        let meta = disk
            .change(&turn, Replacement::Metadata(vec![]), &conditions, now)
            .unwrap();
        assert!(seen.insert(meta.etag));
    }
}

#[test]
fn a_crash_before_the_commit_leaves_the_old_blob_and_gets_swept() {
    let (folder, disk) = open();
    let meta = put(&disk, "d/a", b"old");
    let blobs = folder.path().join("containers/asset-1/blobs/d+");
    // What a kill between the rename of the bytes and that of the sidecar leaves behind.
    fs::write(blobs.join("a~00000000000000AB"), b"half").unwrap();
    fs::write(blobs.join("a~00000000000000AB~blocks"), b"[]").unwrap();
    fs::write(blobs.join("never~00000000000000AB"), b"half").unwrap();
    fs::write(folder.path().join("scratch/leftover"), b"half").unwrap();
    fs::create_dir(folder.path().join("trash/leftover")).unwrap();
    drop(disk);
    let disk = Disk::open(folder.path(), false).unwrap();
    assert_eq!(get(&disk, "d/a"), b"old");
    assert_eq!(
        code(disk.open_blob(C, "d/never").map(drop)),
        ErrorCode::BlobNotFound
    );
    assert_eq!(
        disk.sweep(SystemTime::now(), &|| false),
        Swept {
            orphans: 3,
            ..Swept::default()
        }
    );
    assert_eq!(
        files(&blobs),
        [format!("a~{}", meta.generation), "a~meta".to_owned()]
    );
    assert_eq!(
        fs::read_dir(folder.path().join("scratch")).unwrap().count(),
        0
    );
    assert_eq!(
        fs::read_dir(folder.path().join("trash")).unwrap().count(),
        0
    );
    assert_eq!(get(&disk, "d/a"), b"old");
}

#[test]
fn blocks_that_nobody_commits_go_after_a_week() {
    let (_folder, disk) = open();
    stage(&disk, "a", "1", b"x").unwrap();
    let later =
        |days: u64| SystemTime::now() + std::time::Duration::from_secs(days * 24 * 3600 + 60);
    assert_eq!(disk.sweep(later(6), &|| false).stale_uploads, 0);
    assert_eq!(disk.sweep(later(7), &|| false).stale_uploads, 1);
    assert_eq!(
        code(disk.block_list(&turn(&disk, "a")).map(drop)),
        ErrorCode::BlobNotFound
    );
}

#[test]
fn a_sweep_stops_at_the_next_entry() {
    let (folder, disk) = open();
    let blobs = folder.path().join("containers/asset-1/blobs");
    let trash = folder.path().join("trash/leftover");
    fs::create_dir(&trash).unwrap();
    for n in 0..10 {
        fs::write(blobs.join(format!("a~{n:016X}")), b"half").unwrap();
        fs::write(trash.join(n.to_string()), b"old").unwrap();
    }
    let orphans = || files(&blobs).len() + files(&trash).len();
    let left = std::cell::Cell::new(4);
    let stopped = || left.replace(left.get().max(1) - 1) == 0;
    disk.sweep(SystemTime::now(), &stopped);
    // The folder in the trash was the first of the four entries.
    assert_eq!(orphans(), 17);
    disk.sweep(SystemTime::now(), &|| false);
    assert!(!trash.exists() && files(&blobs).is_empty());
}

#[test]
fn a_sweep_passes_over_what_is_damaged() {
    let (folder, disk) = open();
    for blob in ["a", "b"] {
        put(&disk, blob, b"x");
    }
    let blobs = folder.path().join("containers/asset-1/blobs");
    fs::write(blobs.join("a~meta"), b"{").unwrap();
    fs::write(blobs.join("b~00000000000000AB"), b"half").unwrap();
    stage(&disk, "c", "1", b"x").unwrap();
    let later = SystemTime::now() + std::time::Duration::from_secs(8 * 24 * 3600);
    assert_eq!(
        disk.sweep(later, &|| false),
        Swept {
            orphans: 1,
            stale_uploads: 1,
            failures: 1
        }
    );
    // Nobody knows whether these bytes are the blob's.
    assert_eq!(files(&blobs).len(), 4);
}

#[test]
fn a_sweep_and_the_deletion_of_a_container_empty_the_trash_together() {
    let (folder, disk) = open();
    for _ in 0..5 {
        for blob in 0..10 {
            put(&disk, &format!("{blob}/a"), b"x");
        }
        disk.delete_container(C, &Preconditions::default()).unwrap();
        assert_eq!(disk.sweep(SystemTime::now(), &|| false).failures, 0);
        disk.create_container(C, vec![], Timestamp::now()).unwrap();
    }
    assert_eq!(files(&folder.path().join("trash")).len(), 0);
}

#[test]
fn one_process_at_a_time() {
    let (folder, disk) = open();
    assert_eq!(
        Disk::open(folder.path(), false).unwrap_err().kind(),
        io::ErrorKind::ResourceBusy
    );
    drop(disk);
    fs::write(folder.path().join("format"), "2\n").unwrap();
    assert_eq!(
        Disk::open(folder.path(), false).unwrap_err().kind(),
        io::ErrorKind::InvalidData
    );
}

#[test]
fn containers_come_and_go_at_once() {
    let (_folder, disk) = open();
    assert_eq!(
        code(disk.create_container(C, vec![], Timestamp::now()).map(drop)),
        ErrorCode::ContainerAlreadyExists
    );
    put(&disk, "a", b"x");
    disk.delete_container(C, &Preconditions::default()).unwrap();
    assert_eq!(
        code(disk.open_blob(C, "a").map(drop)),
        ErrorCode::ContainerNotFound
    );
    let content = Content::Whole {
        bytes: scratch(&disk, b"x"),
        len: 1,
    };
    assert_eq!(
        code(write(&disk, "a", content)),
        ErrorCode::ContainerNotFound
    );
    disk.create_container(C, vec![], Timestamp::now()).unwrap();
    assert_eq!(
        code(disk.open_blob(C, "a").map(drop)),
        ErrorCode::BlobNotFound
    );
}

#[test]
fn writers_of_one_folder_do_not_trip_over_its_removal() {
    let (_folder, disk) = open();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let disk = &disk;
            scope.spawn(move || {
                for _ in 0..50 {
                    let name = format!("a/b/{thread}");
                    put(disk, &name, b"x");
                    delete(disk, &name).unwrap();
                }
            });
        }
    });
}

#[test]
fn one_of_two_creators_wins() {
    let (_folder, disk) = open();
    let absent = absent();
    let wins: usize = std::thread::scope(|scope| {
        let create = || {
            let content = Content::Whole {
                bytes: scratch(&disk, b"x"),
                len: 1,
            };
            usize::from(write_if(&disk, "a", &absent, content).is_ok())
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(wins, 1);
}

/// What List Blobs should say, by definition.
fn model(names: &BTreeSet<String>, prefix: &str, delimiter: Option<&str>) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for name in names.iter().filter(|name| name.starts_with(prefix)) {
        let rest = &name[prefix.len()..];
        let entry = match delimiter.and_then(|d| rest.find(d).map(|at| at + d.len())) {
            Some(end) => format!("{prefix}{}", &rest[..end]),
            None => name.clone(),
        };
        if shown.last() != Some(&entry) {
            shown.push(entry);
        }
    }
    shown
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn pages_add_up_to_the_sorted_names(
        names in proptest::collection::btree_set("([ab+%~-]|/|日|x{159}){1,5}", 1..25),
        prefix in "[ab/]{0,2}",
        delimiter in proptest::option::of("/|a|/b"),
        limit in 1usize..7,
    ) {
        let (_folder, disk) = open();
        for name in &names {
            put(&disk, name, name.as_bytes());
        }
        let (mut from, mut seen) = (String::new(), Vec::new());
        loop {
            let listing = Listing { prefix: &prefix, delimiter: delimiter.as_deref(), from: &from, limit };
            let page = disk.list_blobs(C, listing).unwrap();
            prop_assert!(page.blobs.len() + page.prefixes.len() <= limit);
            let mut shown: Vec<String> = page.blobs.into_iter().map(|b| b.name).chain(page.prefixes).collect();
            shown.sort();
            seen.extend(shown);
            match page.next_marker {
                Some(next) => from = next,
                None => break,
            }
        }
        prop_assert_eq!(seen, model(&names, &prefix, delimiter.as_deref()));
    }
}
