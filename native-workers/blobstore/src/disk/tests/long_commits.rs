//! What goes on while a commit copies its blocks.
//!
//! The staged blocks are pipes: a commit that joins them stops at each one until somebody opens its other end.

use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use futures::FutureExt as _;

use super::*;
use crate::disk::locks::digest;

/// A blob with two staged blocks, both pipes.
struct Pipes {
    /// Where the store has them.
    staged: [PathBuf; 2],
    /// A second name for the last one, which outlives the container.
    last: PathBuf,
}

impl Pipes {
    fn stage(folder: &Path, disk: &Disk, blob: &str) -> Self {
        let upload = folder
            .join("containers")
            .join(C)
            .join("blocks")
            .join(digest(blob));
        let staged = ["1", "2"].map(|name| {
            stage(disk, blob, name, b"x").unwrap();
            let path = upload.join(const_hex::encode(name));
            fs::remove_file(&path).unwrap();
            assert!(
                Command::new("mkfifo")
                    .arg(&path)
                    .status()
                    .unwrap()
                    .success()
            );
            path
        });
        let last = folder.join("pipe");
        fs::hard_link(&staged[1], &last).unwrap();
        Self { staged, last }
    }

    /// Returns once a commit has the first block open, and is about to stop at the second.
    fn reached(&self) {
        OpenOptions::new()
            .write(true)
            .open(&self.staged[0])
            .unwrap();
    }

    /// Lets the commit go on as long as the file lives.
    fn release(&self) -> File {
        // Both ends at once: does not wait for the commit to be there.
        let both = OpenOptions::new().read(true).write(true).open(&self.last);
        both.unwrap()
    }
}

/// Whether `work` ends, and does so before the commit that waits for us.
fn ends<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    work: impl FnOnce() + Send + 'scope,
) -> bool {
    let (done, ended) = mpsc::channel();
    scope.spawn(move || {
        work();
        done.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(60)).is_ok()
}

#[test]
fn a_long_commit_holds_up_no_other_blob_and_no_container() {
    let (folder, disk) = open();
    put(&disk, "there", b"x");
    let pipes = Pipes::stage(folder.path(), &disk, "big");
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| write(&disk, "big", list(&["1", "2"])));
        pipes.reached();
        let others_end = ends(scope, || {
            disk.create_container("asset-2", vec![], Timestamp::now())
                .unwrap();
            disk.delete_container("asset-2", &Preconditions::default())
                .unwrap();
            put(&disk, "other", b"x");
            stage(&disk, "staged", "1", b"x").unwrap();
            write(&disk, "staged", list(&["1"])).unwrap();
            delete(&disk, "there").unwrap();
            assert_eq!(disk.sweep(SystemTime::now(), &|| false), Swept::default());
        });
        let _released = pipes.release();
        commit.join().unwrap().unwrap();
        assert!(others_end);
    });
    assert_eq!(get(&disk, "big"), b"");
    assert_eq!(get(&disk, "staged"), b"x");
}

#[test]
fn a_blob_stays_as_its_commit_found_it() {
    let (folder, disk) = open();
    let pipes = Pipes::stage(folder.path(), &disk, "big");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| write_if(&disk, "big", &absent(), list(&["1", "2"])));
        pipes.reached();
        assert!(disk.turn(C, "big").now_or_never().is_none());
        let content = Content::Whole {
            bytes: scratch(&disk, b"x"),
            len: 1,
        };
        let second = scope.spawn(|| write_if(&disk, "big", &absent(), content));
        let _released = pipes.release();
        first.join().unwrap().unwrap();
        assert_eq!(code(second.join().unwrap()), ErrorCode::BlobAlreadyExists);
    });
    assert_eq!(get(&disk, "big"), b"");
}

#[test]
fn a_container_can_be_deleted_under_a_commit() {
    let (folder, disk) = open();
    let pipes = Pipes::stage(folder.path(), &disk, "big");
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| write(&disk, "big", list(&["1", "2"])));
        pipes.reached();
        let deleted = ends(scope, || {
            disk.delete_container(C, &Preconditions::default()).unwrap();
        });
        let _released = pipes.release();
        assert_eq!(code(commit.join().unwrap()), ErrorCode::ContainerNotFound);
        assert!(deleted);
    });
    let left = |folder_name| files(&folder.path().join(folder_name)).len();
    assert_eq!((left("containers"), left("scratch")), (0, 0));
}

#[test]
fn a_commit_does_not_end_in_another_container_of_the_same_name() {
    let (folder, disk) = open();
    disk.create_container("asset-2", vec![], Timestamp::now())
        .unwrap();
    let pipes = Pipes::stage(folder.path(), &disk, "big");
    let containers = folder.path().join("containers");
    std::thread::scope(|scope| {
        let lock = disk.locks.container(C);
        let alone = lock.write().unwrap();
        let commit = scope.spawn(|| write(&disk, "big", list(&["1", "2"])));
        pipes.reached();
        // Returns once the commit has the last of its blocks open; then it comes to the lock.
        OpenOptions::new().write(true).open(&pipes.last).unwrap();
        fs::rename(containers.join(C), folder.path().join("trash/old")).unwrap();
        fs::rename(containers.join("asset-2"), containers.join(C)).unwrap();
        drop(alone);
        assert_eq!(code(commit.join().unwrap()), ErrorCode::ContainerNotFound);
    });
    assert_eq!(
        code(disk.open_blob(C, "big").map(drop)),
        ErrorCode::BlobNotFound
    );
}

#[test]
fn a_sweep_leaves_old_blocks_to_the_commit_that_has_come_for_them() {
    let (folder, disk) = open();
    let pipes = Pipes::stage(folder.path(), &disk, "big");
    let later = SystemTime::now() + Duration::from_secs(8 * 24 * 3600);
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| write(&disk, "big", list(&["1", "2"])));
        pipes.reached();
        let swept = disk.sweep(later, &|| false);
        let _released = pipes.release();
        commit.join().unwrap().unwrap();
        assert_eq!(swept, Swept::default());
    });
}
