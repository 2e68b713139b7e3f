//! Who comes near the master key (ADR 38): the manifest gives it to four components, one function reads it, and this crate alone
//! makes a cipher of it.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Files of the workspace below `folder` with this name or ending: path from the root, and text.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                if !["node_modules", "target", "tests", ".git"].contains(&name.as_str()) {
                    open.push(path);
                }
            } else if name.ends_with(ending) && !name.ends_with("_tests.rs") {
                let from_root = path.strip_prefix(root()).unwrap().to_str().unwrap();
                found.push((from_root.to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Those of `files` in whose code, without its tests, `text` is.
fn with(text: &str, folders: &[&str], ending: &str) -> Vec<String> {
    let all = folders.iter().flat_map(|folder| files(folder, ending));
    let found = all.filter(|(_, code)| {
        let code = code.split("#[cfg(test)]").next().unwrap();
        code.contains(text)
    });
    found.map(|(path, _)| path).collect()
}

const CODE: [&str; 3] = ["crates", "functions", "native-workers"];

#[test]
fn the_manifest_gives_the_master_key_to_those_who_open_something() {
    let manifest = fs::read_to_string(root().join("spin.toml")).unwrap();
    let mut section = "";
    let mut given = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        }
        if line.contains("{{ master_key }}") {
            given.push(section);
        }
    }
    assert_eq!(
        given,
        ["api", "events", "origin", "keys"].map(|name| format!("[component.{name}.variables]"))
    );
}

#[test]
fn one_function_reads_it_and_one_crate_makes_a_cipher_of_it() {
    // In components. The binary, which hands it to the host, has it from its own configuration.
    assert_eq!(
        with("variable(\"master_key\")", &["functions"], ".rs"),
        ["functions/edge/src/config.rs"]
    );
    assert_eq!(
        with("variables::get", &["functions"], ".rs"),
        [
            "functions/edge/src/config.rs",
            "functions/portal/src/lib.rs"
        ],
        "the portal reads its own, and is not given this one"
    );
    // A seal is made where a process or an instance begins.
    for made in ["Seal::with_keys(", "Seal::new("] {
        let places = with(made, &CODE, ".rs");
        let known = [
            "crates/catalog/src/bootstrap.rs",
            "functions/edge/src/config.rs",
            "native-workers/headwater/src/master_key.rs",
        ];
        assert!(
            places.iter().all(|place| known.contains(&place.as_str())),
            "{places:?}"
        );
    }
    assert_eq!(
        with("aes-gcm", &CODE, "Cargo.toml"),
        ["crates/seal/Cargo.toml"]
    );
    assert_eq!(with("Aes256Gcm", &CODE, ".rs"), ["crates/seal/src/lib.rs"]);
}
