//! Which blob an event is about: Event Grid subjects, topics and blob URLs.

use percent_encoding::percent_decode_str;

/// The longest container name (Azure 63, S3 255) and blob name (Azure 1024 characters, S3 1024 bytes) that is taken.
const MAX_CONTAINER_BYTES: usize = 255;
const MAX_BLOB_BYTES: usize = 4096;

/// `(container, blob)` of `/blobServices/default/containers/{container}/blobs/{blob}`.
///
/// The blob's name stands there as it is, slashes included, and not percent-encoded.
pub(crate) fn of_subject(subject: &str) -> Option<(String, String)> {
    let rest = subject.strip_prefix("/blobServices/default/containers/")?;
    let (container, blob) = rest.split_once("/blobs/")?;
    checked(container, blob)
}

/// Accepts a container and a blob that can exist, and no others.
///
/// Names with control characters, and names with `.` or `..` as a segment, exist nowhere we would look.
pub(crate) fn checked(container: &str, blob: &str) -> Option<(String, String)> {
    let container_ok = (1..=MAX_CONTAINER_BYTES).contains(&container.len())
        && container
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'$'));
    let blob_ok = (1..=MAX_BLOB_BYTES).contains(&blob.len())
        && !blob.starts_with('/')
        && !blob.chars().any(char::is_control)
        && !blob.split('/').any(|segment| matches!(segment, "." | ".."));
    (container_ok && blob_ok).then(|| (container.to_owned(), blob.to_owned()))
}

/// The storage account of a topic or source such as
/// `/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.Storage/storageAccounts/{account}`.
pub(crate) fn account_of_topic(topic: &str) -> Option<String> {
    let mut segments = topic.split('/');
    segments.find(|segment| segment.eq_ignore_ascii_case("storageAccounts"))?;
    segments.next().and_then(account_name)
}

/// The storage account of a blob's URL: the first label of `{account}.blob.core.windows.net`, or, for a host that is
/// an address or has no such label (the embedded store, Azurite), the first segment of the path.
pub(crate) fn account_of_url(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    let host = uri.host()?;
    if let Some((account, rest)) = host.split_once('.')
        && rest.starts_with("blob.")
    {
        return account_name(account);
    }
    let first = uri.path().trim_start_matches('/').split('/').next()?;
    account_name(&percent_decode_str(first).decode_utf8().ok()?)
}

fn account_name(name: &str) -> Option<String> {
    let ok = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    ok.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_names_container_and_blob() {
        assert_eq!(
            of_subject("/blobServices/default/containers/uploads/blobs/a folder/fílm.mp4"),
            Some(("uploads".into(), "a folder/fílm.mp4".into()))
        );
        // The first "/blobs/" ends the container, whatever the blob is called.
        assert_eq!(
            of_subject("/blobServices/default/containers/uploads/blobs/x/blobs/y.mp4"),
            Some(("uploads".into(), "x/blobs/y.mp4".into()))
        );
    }

    #[test]
    fn a_subject_that_names_no_blob_is_refused() {
        for subject in [
            "",
            "/blobServices/default/containers/uploads",
            "/blobServices/default/containers//blobs/x",
            "/blobServices/default/containers/uploads/blobs/",
            "/blobServices/default/containers/uploads/blobs//etc/passwd",
            "/blobServices/default/containers/uploads/blobs/../secret",
            "/blobServices/default/containers/up loads/blobs/x",
            "/blobServices/default/containers/uploads/blobs/a\0b",
            "/tableServices/default/containers/uploads/blobs/x",
        ] {
            assert_eq!(of_subject(subject), None, "{subject:?}");
        }
    }

    #[test]
    fn the_account_is_read_from_topic_or_url() {
        assert_eq!(
            account_of_topic(
                "/subscriptions/0/resourceGroups/g/providers/Microsoft.Storage/storageaccounts/media1"
            ),
            Some("media1".into())
        );
        assert_eq!(account_of_topic("/subscriptions/0/resourceGroups/g"), None);
        assert_eq!(
            account_of_url("https://media1.blob.core.windows.net/c/b.mp4"),
            Some("media1".into())
        );
        assert_eq!(
            account_of_url("http://127.0.0.1:10000/local/uploads/b.mp4"),
            Some("local".into())
        );
        assert_eq!(
            account_of_url("http://localhost:10000/local/uploads/b.mp4"),
            Some("local".into())
        );
        assert_eq!(account_of_url("not a url"), None);
    }
}
