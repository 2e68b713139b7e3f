//! Adds a track to a document, and leaves everything else in it as it is: others wrote things there that are not ours to drop.

use crate::read::{document, undecorated};
use crate::write::element;
use crate::{EntryKind, IsmError, TrackEntry};
use roxmltree::Node;

/// The document `bytes` with the track `entry`, in place of one of its kind and name if there is one.
///
/// Errors: as [`crate::parse`]; [`IsmError::NotSmil`] where no track could stand.
pub fn with_track(bytes: &[u8], entry: &TrackEntry) -> Result<String, IsmError> {
    // Whoever reads it next sees no more than is read here.
    crate::parse(bytes)?;
    let text = undecorated(bytes)?;
    let document = document(&text)?;
    let root = document.root_element();
    let within = |name: &str| {
        let mut nodes = root.descendants();
        nodes.find(|node| node.is_element() && node.tag_name().name() == name)
    };
    let place = within("switch").or_else(|| within("body"));
    let place = place.ok_or(IsmError::NotSmil("body"))?;
    let whole = text.get(place.range()).unwrap_or_default();
    let Some(end) = whole.rfind("</") else {
        // `<switch/>` holds nothing yet.
        return Err(IsmError::NotSmil("switch with tracks"));
    };
    let end = place.range().start.saturating_add(end);
    let mut gone: Vec<std::ops::Range<usize>> = place
        .children()
        .filter(|node| is_same(*node, entry))
        .map(|node| node.range())
        .collect();
    gone.retain(|range| range.end <= end);
    let mut out = String::with_capacity(text.len().saturating_add(1024));
    let mut at = 0;
    for range in gone {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        at = range.end;
    }
    out.push_str(text.get(at..end).unwrap_or_default());
    element(&mut out, entry);
    out.push_str(text.get(end..).unwrap_or_default());
    Ok(out)
}

fn is_same(node: Node<'_, '_>, entry: &TrackEntry) -> bool {
    let kind = match entry.kind {
        EntryKind::Video => "video",
        EntryKind::Audio => "audio",
        EntryKind::Text => "textstream",
        EntryKind::Reference => "ref",
    };
    node.tag_name().name() == kind
        && entry.track_name.is_some()
        && node.children().any(|param| {
            param.attribute("name") == Some("trackName")
                && param.attribute("value") == entry.track_name.as_deref()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(source: &str) -> TrackEntry {
        TrackEntry {
            track_name: Some("subs <fr>".into()),
            language: Some("fr".into()),
            is_forced: true,
            ..TrackEntry::new(EntryKind::Text, source)
        }
    }

    #[test]
    fn a_track_is_added_once_and_nothing_else_changes() {
        let before = "<smil><head><meta name=\"extra\" content=\"kept\"/></head><body><switch>\n<video src=\"a.mp4\"><param name=\"odd\" value=\"1\"/></video>\n</switch></body></smil>";
        let once = with_track(before.as_bytes(), &entry("old.cmft")).unwrap();
        assert!(
            once.contains("name=\"odd\"") && once.contains("content=\"kept\""),
            "{once}"
        );
        let twice = with_track(once.as_bytes(), &entry("new.cmft")).unwrap();
        let read = crate::parse(twice.as_bytes()).unwrap();
        assert_eq!(read.tracks.len(), 2);
        assert_eq!(read.tracks[1].source, "new.cmft");
        assert_eq!(read.tracks[1].track_name.as_deref(), Some("subs <fr>"));
        assert!(read.tracks[1].is_forced);
        assert!(twice.starts_with(before.split("</switch>").next().unwrap()));
    }

    #[test]
    fn what_is_no_manifest_is_not_touched() {
        assert!(with_track(b"<smil/>", &entry("a")).is_err());
        assert!(with_track(b"<smil><body><switch/></body></smil>", &entry("a")).is_err());
        assert!(with_track(b"\xff", &entry("a")).is_err());
    }
}
