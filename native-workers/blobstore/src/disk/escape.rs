//! Blob names as paths, one to one.
//!
//! A blob name is cut at `/`. Every part but the last becomes a folder whose name ends in `+`; the last becomes the
//! stem of the blob's files. So blob `a` (files `a~meta`, `a~…`) and blob `a/b` (folder `a+`) live side by side.
//!
//! | in the name | on disk |
//! |---|---|
//! | letters, digits, most punctuation, everything outside ASCII | itself |
//! | `%` `+` `~` `\` and control characters | `%` and two hex digits a byte |
//! | every 160 bytes (escaped) of a long part | a folder whose name ends in `%`; what follows is inside |
//!
//! No part is `.` or `..` (`headwater_blob::names` refuses them), none contains `/` or NUL, so no name leaves its
//! container.

use std::path::PathBuf;

/// A run of at least this many escaped bytes becomes a folder. With one character more and the longest suffix a file
/// name stays below the 255 bytes of every file system.
const MAX_RUN: usize = 160;
/// Longest relative path, bytes: Linux allows 4096 for the whole, root included.
const MAX_PATH: usize = 3072;

/// Ends the name of a folder that stands for `part/`.
const FOLDER: char = '+';
/// Ends the name of a folder that stands for the beginning of a longer part.
const CONTINUED: char = '%';

/// Where a blob's files are: the folder, relative to the container's `blobs`, and the stem of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlobPath {
    pub(crate) folder: PathBuf,
    pub(crate) stem: String,
}

/// Why a name that Azure's rules allow is refused. The texts are safe to show to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unstorable {
    #[error("The name is too long for this store.")]
    TooLong,
    /// XML 1.0 clause 2.2 has no way to write U+FFFE and U+FFFF: one such name and no listing of its container parses.
    #[error("The name has a character that a listing cannot show.")]
    Unlistable,
}

/// `name` must have passed `headwater_blob::names::check_blob`.
pub(crate) fn blob_path(name: &str) -> Result<BlobPath, Unstorable> {
    if name.contains(['\u{FFFE}', '\u{FFFF}']) {
        return Err(Unstorable::Unlistable);
    }
    let mut folder = PathBuf::new();
    let mut parts = name.split('/').peekable();
    let mut stem = String::new();
    let mut length = 0;
    while let Some(part) = parts.next() {
        let mut runs = escape_runs(part);
        let last = runs.pop().unwrap_or_default();
        for run in runs {
            length += run.len() + 2;
            folder.push(format!("{run}{CONTINUED}"));
        }
        length += last.len() + 2;
        if parts.peek().is_some() {
            folder.push(format!("{last}{FOLDER}"));
        } else {
            stem = last;
        }
        if length > MAX_PATH {
            return Err(Unstorable::TooLong);
        }
    }
    Ok(BlobPath { folder, stem })
}

/// Splits at character boundaries, so that each run can be read back on its own, and always at the same place for the
/// same beginning, so that all names that share a full run are in one folder (a listing relies on it). The last run may
/// be empty.
fn escape_runs(part: &str) -> Vec<String> {
    let mut runs = vec![String::new()];
    for c in part.chars() {
        let mut buffer = [0; 4];
        let escaped = match c {
            '%' | '+' | '~' | '\\' => format!("%{:02X}", u32::from(c)),
            c if c.is_control() => c
                .encode_utf8(&mut buffer)
                .bytes()
                .map(|b| format!("%{b:02X}"))
                .collect(),
            c => c.to_string(),
        };
        if let Some(run) = runs.last_mut() {
            run.push_str(&escaped);
            if run.len() >= MAX_RUN {
                runs.push(String::new());
            }
        }
    }
    runs
}

/// What a folder's name adds to the names of the blobs inside; `None` if it is not one of ours.
pub(crate) fn folder_prefix(file_name: &str) -> Option<String> {
    if let Some(part) = file_name.strip_suffix(FOLDER) {
        let mut name = unescape(part)?;
        name.push('/');
        return Some(name);
    }
    unescape(file_name.strip_suffix(CONTINUED)?)
}

/// Undoes the escaping of a stem.
pub(crate) fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = tail.get(2..)?;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(name: &str) -> (String, String) {
        let path = blob_path(name).unwrap();
        (path.folder.to_string_lossy().into_owned(), path.stem)
    }

    #[test]
    fn names_stay_readable() {
        assert_eq!(
            path("video 1.mp4"),
            (String::new(), "video 1.mp4".to_owned())
        );
        assert_eq!(
            path("dir/ünï/v.mp4"),
            ("dir+/ünï+".to_owned(), "v.mp4".to_owned())
        );
        assert_eq!(
            path(".headwater/v.hwx"),
            (".headwater+".to_owned(), "v.hwx".to_owned())
        );
    }

    #[test]
    fn a_blob_and_a_folder_of_the_same_name_do_not_meet() {
        assert_eq!(path("a"), (String::new(), "a".to_owned()));
        assert_eq!(path("a/b"), ("a+".to_owned(), "b".to_owned()));
        assert_eq!(path("a+/b"), ("a%2B+".to_owned(), "b".to_owned()));
        assert_eq!(path("a//"), ("a+/+".to_owned(), String::new()));
        assert_eq!(path("a~meta"), (String::new(), "a%7Emeta".to_owned()));
    }

    #[test]
    fn long_parts_become_folders() {
        let (folder, stem) = path(&"x".repeat(400));
        assert_eq!(folder, format!("{0}%/{0}%", "x".repeat(160)));
        assert_eq!(stem, "x".repeat(80));
        assert_eq!(
            path(&"x".repeat(160)),
            (format!("{}%", "x".repeat(160)), String::new())
        );
        assert_eq!(
            path(&format!("{}/b", "x".repeat(160))),
            (format!("{}%/+", "x".repeat(160)), "b".to_owned())
        );
        assert_eq!(blob_path(&"日".repeat(1024)), Err(Unstorable::TooLong));
    }

    proptest! {
        #[test]
        fn names_read_back(name in "([a-z%+~ü日\\\\]|/){1,300}") {
            let path = blob_path(&name).unwrap();
            let mut back = String::new();
            for part in path.folder.iter() {
                let part = part.to_str().unwrap();
                prop_assert!(part.len() <= 255 && part != "." && part != "..");
                back.push_str(&folder_prefix(part).unwrap());
            }
            back.push_str(&unescape(&path.stem).unwrap());
            prop_assert_eq!(back, name);
        }

        #[test]
        fn different_names_have_different_paths(a in "[a+%/~]{1,8}", b in "[a+%/~]{1,8}") {
            prop_assume!(a != b);
            prop_assert_ne!(blob_path(&a).unwrap(), blob_path(&b).unwrap());
        }
    }
}
