use proptest::prelude::*;

use super::*;

fn entry(name: &str) -> BlobEntry {
    BlobEntry {
        name: name.to_owned(),
        len: 5,
        etag: "\"0x8D1\"".to_owned(),
        last_modified: "2026-11-22T18:00:00Z".parse().ok(),
        content_type: Some("video/mp4".to_owned()),
        content_md5: None,
        metadata: vec![("k".to_owned(), "<v> & \"w\"".to_owned())],
    }
}

fn write(page: &BlobPage) -> String {
    write_blob_page(&ListBlobsAnswer {
        service_endpoint: "http://127.0.0.1:10000/local/",
        container: "asset-1",
        prefix: Some("a&b"),
        marker: None,
        max_results: Some(2),
        delimiter: Some("/"),
        include_metadata: true,
        page,
    })
}

#[test]
fn a_page_reads_as_it_was_written() {
    let page = BlobPage {
        blobs: vec![
            entry("a&b<c>/ünï \"x\".mp4"),
            entry(" leading and trailing "),
        ],
        prefixes: vec!["a&b/".to_owned()],
        next_marker: Some("bmV4dA==".to_owned()),
    };
    assert_eq!(parse_blob_page(write(&page).as_bytes()).unwrap(), page);
}

#[test]
fn the_document_looks_as_azure_writes_it() {
    let page = BlobPage {
        blobs: vec![entry("b")],
        prefixes: vec!["d/".to_owned()],
        next_marker: None,
    };
    let expected = "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"http://127.0.0.1:10000/local/\" ContainerName=\"asset-1\"><Prefix>a&amp;b</Prefix><MaxResults>2</MaxResults><Delimiter>/</Delimiter><Blobs><Blob><Name>b</Name><Properties><Last-Modified>Sun, 22 Nov 2026 18:00:00 GMT</Last-Modified><Etag>0x8D1</Etag><Content-Length>5</Content-Length><Content-Type>video/mp4</Content-Type><BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState><ServerEncrypted>false</ServerEncrypted></Properties><Metadata><k>&lt;v&gt; &amp; &quot;w&quot;</k></Metadata></Blob><BlobPrefix><Name>d/</Name></BlobPrefix></Blobs><NextMarker></NextMarker></EnumerationResults>";
    assert_eq!(write(&page), expected);
}

#[test]
fn block_lists_keep_order_and_source() {
    let body = "\u{feff}<?xml version=\"1.0\"?><BlockList><Latest>YQ==</Latest><Committed> Yg== </Committed><Uncommitted>Yw==</Uncommitted></BlockList>";
    let blocks = parse_block_list(body.as_bytes()).unwrap();
    let ids: Vec<_> = blocks.iter().map(|b| (b.source, b.id.as_str())).collect();
    assert_eq!(
        ids,
        [
            (BlockSource::Latest, "YQ=="),
            (BlockSource::Committed, "Yg=="),
            (BlockSource::Uncommitted, "Yw==")
        ]
    );
    assert_eq!(
        parse_block_list(write_block_list(&blocks).as_bytes()).unwrap(),
        blocks
    );
}

#[test]
fn stored_blocks_round_trip() {
    let list = BlockList {
        committed: Some(vec![StoredBlock {
            id: "YQ==".to_owned(),
            len: 7,
        }]),
        uncommitted: Some(vec![]),
    };
    assert_eq!(
        parse_stored_blocks(write_stored_blocks(&list).as_bytes()).unwrap(),
        list
    );
    let half = BlockList {
        committed: None,
        uncommitted: Some(vec![]),
    };
    assert_eq!(
        parse_stored_blocks(write_stored_blocks(&half).as_bytes()).unwrap(),
        half
    );
}

#[test]
fn hostile_documents_are_refused() {
    let bomb = "<!DOCTYPE b [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;\">]><BlockList><Latest>&b;</Latest></BlockList>";
    let external = "<!DOCTYPE b [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><BlockList><Latest>&a;</Latest></BlockList>";
    let deep = format!(
        "<BlockList>{}{}</BlockList>",
        "<a>".repeat(20_000),
        "</a>".repeat(20_000)
    );
    for body in [
        bomb,
        external,
        &deep,
        "",
        "<BlockList>",
        "<Other/>",
        "<BlockList><Weird>x</Weird></BlockList>",
        "<BlockList><Latest/></BlockList>",
    ] {
        assert!(
            parse_block_list(body.as_bytes()).is_err(),
            "{}",
            &body[..body.len().min(40)]
        );
    }
    let many = format!(
        "<BlockList>{}</BlockList>",
        "<Latest>YQ==</Latest>".repeat(MAX_BLOCKS + 1)
    );
    assert_eq!(
        parse_block_list(many.as_bytes()),
        Err(XmlError::TooManyBlocks(MAX_BLOCKS))
    );
    assert!(parse_block_list(&[0xff, 0xfe, 0x00]).is_err());
}

#[test]
fn errors_round_trip() {
    let body = ErrorBody {
        code: "BlobNotFound".to_owned(),
        message: "a < b".to_owned(),
        detail: Some("why".to_owned()),
    };
    assert_eq!(parse_error(write_error(&body).as_bytes()).unwrap(), body);
}

proptest! {
    #[test]
    fn any_name_survives_a_listing(name in "[^\u{fffe}\u{ffff}\u{0}-\u{1f}]{1,40}") {
        let page = BlobPage { blobs: vec![entry(&name)], ..BlobPage::default() };
        prop_assert_eq!(parse_blob_page(write(&page).as_bytes()).unwrap(), page);
    }

    #[test]
    fn reading_never_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_blob_page(&body);
        let _ = parse_block_list(&body);
        let _ = parse_stored_blocks(&body);
        let _ = parse_error(&body);
    }
}
