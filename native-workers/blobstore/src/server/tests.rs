use super::*;

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_sweep_to_go_through_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), false).unwrap();
    let trash = folder.path().join("trash/leftover");
    std::fs::create_dir(&trash).unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    sweep(Backing::Disk(Arc::new(disk)), stop).await;
    assert!(trash.exists());
}
