use super::*;
use headwater_plan::PlanBuilder;

fn cache(folder: &Path, bytes: u64) -> MediaCache {
    MediaCache::empty(folder, bytes).unwrap()
}

fn name(index: u32) -> Name {
    Name {
        object: [7; DIGEST_BYTES],
        index,
    }
}

fn block(index: u32, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u32 ^ index) as u8).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn blocks_are_found_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let before = cache(folder.path(), 8 << 20);
    for index in 0..3 {
        before.0.keep(name(index), block(index, 10_000));
    }
    std::fs::write(folder.path().join("left.part"), b"half").unwrap();
    std::fs::write(folder.path().join("somebody's"), b"file").unwrap();
    let after = cache(folder.path(), 8 << 20);
    after.0.find().unwrap();
    for index in 0..3 {
        let found = after.0.get(&name(index)).unwrap();
        assert!(found == block(index, 10_000), "{index}");
    }
    assert!(after.0.get(&name(3)).is_none());
    // What nobody finishes goes, what is not ours stays.
    assert_eq!(files(folder.path()).len(), 4);
}

#[test]
fn a_block_that_takes_anothers_place_keeps_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path(), 8 << 20);
    for _ in 0..3 {
        cache.0.keep(name(0), block(0, 10_000));
        assert!(cache.0.get(&name(0)).unwrap() == block(0, 10_000));
    }
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn what_was_fetched_before_it_was_found_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let before = cache(folder.path(), 8 << 20);
    before.0.keep(name(0), block(0, 10_000));
    let after = cache(folder.path(), 8 << 20);
    after.0.keep(name(0), block(0, 10_000));
    assert_eq!(files(folder.path()).len(), 2);
    after.0.find().unwrap();
    assert!(after.0.get(&name(0)).unwrap() == block(0, 10_000));
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn what_came_after_it_was_missed_is_not_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path(), 8 << 20);
    let object = Object::new("http://127.0.0.1:1/object", Some("\"0x1\"".into())).unwrap();
    assert!(cache.0.get(&name(0)).is_none());
    cache.0.keep(name(0), block(0, 10_000));
    let mut blocks = Blocks::new();
    // Outside of a runtime, where nothing can be fetched.
    let coming = cache.fetch(
        &crate::assembler::client(&[]),
        &object,
        name(0).object,
        &[0],
        &mut blocks,
    );
    assert!(coming.is_empty());
    assert!(blocks[&0] == block(0, 10_000));
}

#[test]
fn what_a_crash_has_left_is_told_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let before = cache(folder.path(), 8 << 20);
    for index in 0..3 {
        before.0.keep(name(index), block(index, 10_000));
    }
    let mut paths = files(folder.path());
    paths.sort();
    std::fs::write(&paths[0], vec![0; 10_000]).unwrap();
    std::fs::write(&paths[1], b"").unwrap();
    std::fs::remove_file(&paths[2]).unwrap();
    let after = cache(folder.path(), 8 << 20);
    after.0.find().unwrap();
    for index in 0..3 {
        assert!(after.0.get(&name(index)).is_none(), "{index}");
    }
    assert!(files(folder.path()).is_empty());
    after.0.keep(name(0), block(0, 10_000));
    assert!(after.0.get(&name(0)).unwrap() == block(0, 10_000));
}

#[test]
fn the_folder_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = 20 * BLOCK_BYTES;
    let whole = usize::try_from(BLOCK_BYTES).unwrap();
    let all = cache(folder.path(), bytes);
    for index in 0..100 {
        all.0.keep(name(index), block(index, whole));
    }
    let on_disk = |folder: &Path| -> u64 {
        let paths = files(folder);
        paths
            .iter()
            .map(|path| path.metadata().unwrap().len())
            .sum()
    };
    assert!(on_disk(folder.path()) <= bytes);
    assert!(files(folder.path()).len() >= 10);
    // So it is where another bound is set later.
    let fewer = cache(folder.path(), bytes / 4);
    fewer.0.find().unwrap();
    assert!(on_disk(folder.path()) <= bytes / 4);
}

#[test]
fn a_disk_that_takes_nothing_costs_nobody_the_block() {
    let folder = tempfile::tempdir().unwrap();
    let gone = cache(&folder.path().join("gone"), 8 << 20);
    std::fs::remove_dir(folder.path().join("gone")).unwrap();
    assert!(gone.0.keep(name(0), block(0, 10_000)) == block(0, 10_000));
    assert!(gone.0.get(&name(0)).is_none());
}

#[test]
fn ranges_are_put_together_from_blocks() {
    let bytes: Vec<u8> = block(1, 3 * BLOCK_BYTES as usize - 7);
    let blocks: Blocks = bytes
        .chunks(BLOCK_BYTES as usize)
        .zip(0..)
        .map(|(chunk, index)| (index, Bytes::copy_from_slice(chunk)))
        .collect();
    let len = bytes.len() as u64;
    for range in [
        0..1,
        0..BLOCK_BYTES,
        BLOCK_BYTES - 1..BLOCK_BYTES + 1,
        5..len,
        len - 1..len,
    ] {
        let slice = range.start as usize..range.end as usize;
        let found = slices(&blocks, &range).unwrap().concat();
        assert!(found == bytes[slice], "{range:?}");
    }
    assert!(slices(&blocks, &(len - 1..len + 1)).is_none());
    assert!(slices(&blocks, &(4 * BLOCK_BYTES..4 * BLOCK_BYTES + 1)).is_none());
}

#[test]
fn long_plans_are_not_kept() {
    let plan = |ranges: &[Range<u64>]| {
        let mut plan = PlanBuilder::new();
        let object = Object::new("https://store.example/film", Some("1".into())).unwrap();
        let object = plan.object(object).unwrap();
        for range in ranges {
            plan.range(object, range.clone()).unwrap();
        }
        plan.finish()
    };
    let most = MOST_BLOCKS as u64 * BLOCK_BYTES;
    let all = needed(&plan(&[0..10, 0..most, 5..most - 5])).unwrap();
    assert_eq!(all[0].len(), MOST_BLOCKS);
    assert!(needed(&plan(&[0..1, 0..most + 1])).is_none());
    assert!(needed(&plan(&[0..most, 2 * most..2 * most + 1])).is_none());
    // Farther than a block can be named.
    let far = 1 << 52;
    assert!(needed(&plan(&[0..1, far..far + 1])).is_none());
}

#[test]
fn a_block_is_named_by_what_it_is_and_not_by_who_may_have_it() {
    let object = |url: &str, tag: Option<&str>| {
        Name::object(&Object::new(url, tag.map(str::to_owned)).unwrap())
    };
    let known = object("https://store.example/a?sig=1", Some("\"1\""));
    assert!(known.is_some());
    assert_eq!(
        object("https://store.example/a?sig=2", Some("\"1\"")),
        known
    );
    assert_ne!(
        object("https://store.example/a?sig=1", Some("\"2\"")),
        known
    );
    assert_ne!(
        object("https://store.example/b?sig=1", Some("\"1\"")),
        known
    );
    assert_eq!(object("https://store.example/a?sig=1", None), None);
}
