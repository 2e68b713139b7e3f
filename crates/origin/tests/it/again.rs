//! What is made of an asset is the same, byte by byte, whoever makes it and however often.

use crate::common::*;
use crate::{golden, texts};
use std::collections::BTreeSet;

/// Every URL that lists of the formats lead to, manifests and media alike.
fn urls(bench: &Bench) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for format in ["m3u8-cmaf", "m3u8-aapl", "m3u8-aapl-v3", "m3u8-aapl-v8"] {
        let path = format!("film.ism/manifest(format={format})");
        let master = bench.get(&path);
        assert_eq!(master.status, 200, "{path}");
        let text = master.text().to_owned();
        let named = text.split("URI=\"").skip(1);
        let named = named.filter_map(|rest| rest.split('"').next());
        let playlists = uris(&text).into_iter().chain(named.map(str::to_owned));
        for playlist in playlists {
            let playlist = resolve(&path, &playlist);
            let got = bench.get(&playlist);
            assert_eq!(got.status, 200, "{playlist}");
            let init = attributes(got.text(), "URI");
            let parts = init.into_iter().chain(uris(got.text()));
            found.extend(parts.map(|uri| resolve(&playlist, &uri)));
            found.insert(playlist);
        }
        found.insert(path);
    }
    for format in [
        "mpd-time-cmaf",
        "mpd-time-csf",
        "mpd-time-csf,type=keyframes",
    ] {
        found.insert(format!("film.ism/manifest(format={format})"));
    }
    for format in ["mpd-time-csf", "mpd-time-cmaf"] {
        for part in [
            "Fragments(video=i",
            "Fragments(video=25600",
            "KeyFrames(video=25600",
        ] {
            found.insert(format!(
                "film.ism/QualityLevels(150000)/{part},format={format})"
            ));
        }
    }
    for manifest in ["film.ism/Manifest", "film.ism/Manifest(format=fmp4-v20)"] {
        found.insert(manifest.to_owned());
    }
    for noun in ["Fragments", "FragmentInfo", "RawFragments", "KeyFrames"] {
        found.insert(format!(
            "film.ism/QualityLevels(150000)/{noun}(video=20000000)"
        ));
        found.insert(format!("film.ism/QualityLevels(64000)/{noun}(aac_eng=0)"));
    }
    found.insert("film.mp4".to_owned());
    found
}

fn storage() -> Memory {
    let storage = golden::storage();
    texts::sheets(&storage);
    storage
}

#[test]
fn every_format_has_the_same_bytes_on_every_node() {
    let bench = Bench::new(storage());
    let urls = urls(&bench);
    for kind in [".jpg", ".ts", ".m4s", "thumbnails", "type=keyframes"] {
        assert!(
            urls.iter().any(|url| url.contains(kind)),
            "{kind}: {urls:?}"
        );
    }
    // A node of its own, with a storage of its own and the same in it; one that finds the index; and the first again.
    let others = [
        Bench::new(storage()),
        Bench::new(bench.storage.clone()),
        bench,
    ];
    let answers = |bench: &Bench, urls: &mut dyn Iterator<Item = &String>| {
        let mut found: Vec<_> = urls
            .map(|url| {
                let got = bench.get(url);
                assert_eq!(got.status, 200, "{url}");
                let header = |name: &str| got.header(name).to_owned();
                let headers = ["etag", "content-type", "cache-control"].map(header);
                (url.clone(), headers, got.body)
            })
            .collect();
        found.sort();
        found
    };
    let first = answers(&others[2], &mut urls.iter());
    // In another order, as nothing may depend on what was asked before.
    assert!(answers(&others[0], &mut urls.iter().rev()) == first);
    assert!(answers(&others[1], &mut urls.iter()) == first);
    assert!(answers(&others[2], &mut urls.iter().rev()) == first);
}
