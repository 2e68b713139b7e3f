//! What players are told before an event's first segments are whole.

use crate::common::*;
use crate::live::{FIRST, MANIFEST, START, on_air, segment, tell, timeline, tracks};
use headwater_live::stream::Kind;
use headwater_live::timeline::Change;

#[test]
fn manifests_wait_for_the_first_segment_of_every_track() {
    const KINDS: [Kind; 2] = [Kind::Video, Kind::Audio];
    let manifests = [MANIFEST, "show.ism/manifest(format=mpd-time-cmaf)"];
    // What there is of pictures and sound in each row: parts, whole segments, nothing.
    let statuses = |rows: &[[Option<bool>; 2]]| {
        let mut changes = tracks();
        for (at, kinds) in (0..).zip(rows) {
            changes.push(Change::Row {
                number: FIRST + at,
                start: START + i64::try_from(at).unwrap() * 90_000,
                discontinuity: false,
            });
            for (track, kind) in (0..).zip(KINDS) {
                let Some(complete) = kinds[usize::from(track)] else {
                    continue;
                };
                let mut segment = segment(kind, at);
                segment.complete = complete;
                segment.parts.truncate(1 + usize::from(complete));
                changes.push(Change::Whole {
                    track,
                    number: FIRST + at,
                    segment,
                });
            }
        }
        let storage = Memory::default();
        tell(&storage, timeline(&changes), true);
        let bench = Bench::with(storage, on_air(None));
        manifests.map(|manifest| bench.get(manifest).status)
    };
    let (whole, growing) = (Some(true), Some(false));
    assert_eq!(statuses(&[[growing, growing]]), [404; 2]);
    assert_eq!(statuses(&[[whole, growing]]), [404; 2]);
    assert_eq!(statuses(&[[growing, whole]]), [404; 2]);
    assert_eq!(statuses(&[[whole, whole]]), [200; 2]);
    // Sound that never comes, or comes late, keeps no pictures back.
    assert_eq!(statuses(&[[whole, None], [growing, None]]), [200; 2]);
    let late = [
        [whole, None],
        [whole, None],
        [whole, None],
        [growing, growing],
    ];
    assert_eq!(statuses(&late), [200; 2]);
}
