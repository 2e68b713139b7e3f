//! Bad input: whatever arrives, the store answers properly, holds no more than it should, and goes on.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{client, config, raw, sas, start, store};
use bytes::Bytes;
use headwater_blob::{Conditions, HttpClient as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long an answer may be waited for. Nobody waits for long: the server closes the connection after each.
const PATIENCE: Duration = Duration::from_secs(30);

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("---")
}

async fn prepare(addr: SocketAddr) {
    store(addr, "asset-1").create_container().await.unwrap();
    store(addr, "asset-1")
        .put(
            "there",
            "text/plain",
            Bytes::from_static(b"still here"),
            &Conditions::default(),
        )
        .await
        .unwrap();
}

async fn assert_alive(addr: SocketAddr) {
    let read = store(addr, "asset-1")
        .get_range("there", None, None)
        .await
        .unwrap();
    assert_eq!(&read.bytes[..], b"still here");
}

fn scratch_files(root: &Path) -> usize {
    std::fs::read_dir(root.join("scratch")).unwrap().count()
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), None).await;
    let addr = running.addr;
    prepare(addr).await;
    let all = sas("asset-1", "rcwdl", 10);
    let url = |path: &str| format!("/local/asset-1/{path}?{all}");
    let get = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").into_bytes()
    };
    let put = |target: &str, headers: &str, body: &str| {
        format!("PUT {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n{body}")
            .into_bytes()
    };
    let block_list = url("x").replace('?', "?comp=blocklist&");
    let bomb =
        "<!DOCTYPE b [<!ENTITY a \"aaaaaaaaaa\">]><BlockList><Latest>&a;</Latest></BlockList>";
    let len = |body: &str| format!("Content-Length: {}\r\n", body.len());
    let cases: Vec<(Vec<u8>, &str, &str)> = vec![
        (
            b"\x16\x03\x01\x02\x00\x01\x00garbage\r\n\r\n".to_vec(),
            "400",
            "",
        ),
        (b"GET\r\n\r\n".to_vec(), "400", ""),
        (
            get(&format!("/local/asset-1/{}?{all}", "x".repeat(20_000))),
            "400",
            "InvalidUri",
        ),
        (get(&url(&"x".repeat(1025))), "400", "InvalidResourceName"),
        (
            get(&url("%2e%2e/%2e%2e/etc/passwd")),
            "400",
            "InvalidResourceName",
        ),
        (get(&url("../../format")), "400", "InvalidResourceName"),
        (get(&url("..%2f..%2fformat")), "400", "InvalidResourceName"),
        (get(&url("a%00")), "400", "InvalidResourceName"),
        (get(&url("a%EF%BF%BF")), "400", "InvalidResourceName"),
        (
            put(
                &url("a%EF%BF%BE/b"),
                "x-ms-blob-type: BlockBlob\r\nContent-Length: 1\r\n",
                "x",
            ),
            "400",
            "InvalidResourceName",
        ),
        (
            get("/local/asset-1/there"),
            "401",
            "NoAuthenticationInformation",
        ),
        (get("/other/asset-1/there?sig=x"), "404", "ResourceNotFound"),
        (
            get(&format!("/local/asset-1/there?{all}&sp=rwdl")),
            "403",
            "AuthenticationFailed",
        ),
        (
            get(&format!(
                "/local/asset-1?restype=container&comp=list&maxresults=0&{all}"
            )),
            "400",
            "OutOfRangeQueryParameterValue",
        ),
        (
            get(&format!(
                "/local/asset-1?restype=container&comp=list&marker=%21&{all}"
            )),
            "400",
            "InvalidQueryParameterValue",
        ),
        (
            put(
                &url("x"),
                "x-ms-blob-type: BlockBlob\r\nTransfer-Encoding: chunked\r\n",
                "1\r\nx\r\n0\r\n\r\n",
            ),
            "411",
            "MissingContentLengthHeader",
        ),
        (
            put(
                &url("x"),
                "x-ms-blob-type: BlockBlob\r\nContent-Length: -1\r\n",
                "",
            ),
            "400",
            "",
        ),
        (
            put(
                &url("x"),
                "x-ms-blob-type: BlockBlob\r\nContent-Length: 9223372036854775807\r\n",
                "x",
            ),
            "413",
            "RequestBodyTooLarge",
        ),
        (
            put(
                &url("x"),
                "x-ms-blob-type: BlockBlob\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
                "x",
            ),
            "400",
            "",
        ),
        (
            put(
                &url("x"),
                "x-ms-blob-type: BlockBlob\r\nContent-Length: 1\r\nContent-MD5: x\r\n",
                "x",
            ),
            "400",
            "InvalidMd5",
        ),
        (
            put(
                &url("x"),
                "x-ms-blob-type: BlockBlob\r\nContent-Length: 1\r\nx-ms-meta-a-b: 1\r\n",
                "x",
            ),
            "400",
            "InvalidMetadata",
        ),
        (
            put(
                &url("x"),
                &format!(
                    "x-ms-blob-type: BlockBlob\r\nContent-Length: 1\r\nx-ms-meta-a: {}\r\n",
                    "y".repeat(9000)
                ),
                "x",
            ),
            "400",
            "MetadataTooLarge",
        ),
        (
            put(
                &url("x"),
                &format!(
                    "x-ms-blob-type: BlockBlob\r\nContent-Length: 1\r\nContent-Type: {}\r\n",
                    "y".repeat(1025)
                ),
                "x",
            ),
            "400",
            "InvalidHeaderValue",
        ),
        (
            put(
                &url("there").replace('?', "?comp=properties&"),
                &format!(
                    "Content-Length: 0\r\nx-ms-blob-cache-control: {}\r\n",
                    "y".repeat(1025)
                ),
                "",
            ),
            "400",
            "InvalidHeaderValue",
        ),
        (
            put(
                &url("x"),
                "x-ms-blob-type: BlockBlob\r\nContent-Length: 1\r\nIf-Unmodified-Since: never\r\n",
                "x",
            ),
            "400",
            "InvalidHeaderValue",
        ),
        (
            put(
                &url("x"),
                "x-ms-blob-type: BlockBlob\r\nContent-Length: 1\r\nx-ms-lease-id: 1\r\n",
                "x",
            ),
            "412",
            "LeaseNotPresentWithBlobOperation",
        ),
        (
            put(
                &url("x"),
                "x-ms-blob-type: BlockBlob\r\nContent-Length: 1\r\nx-ms-tags: a=b\r\n",
                "x",
            ),
            "400",
            "UnsupportedHeader",
        ),
        (
            put(&block_list, &len(bomb), bomb),
            "400",
            "InvalidXmlDocument",
        ),
        (
            put(&block_list, "Content-Length: 3\r\n", "<x>"),
            "400",
            "InvalidXmlDocument",
        ),
        (
            put(&block_list, "Content-Length: 99999999\r\n", ""),
            "413",
            "RequestBodyTooLarge",
        ),
        (
            put(
                &url("x").replace('?', "?comp=block&blockid=..%2F..&"),
                "Content-Length: 1\r\n",
                "x",
            ),
            "400",
            "InvalidBlockId",
        ),
        (
            put(
                &url("x").replace('?', "?comp=block&blockid=YQ%3D%3D&"),
                "Content-Length: 0\r\n",
                "",
            ),
            "400",
            "InvalidHeaderValue",
        ),
    ];
    for (request, expected, code) in cases {
        let answer = raw(addr, &request, PATIENCE).await;
        let shown = String::from_utf8_lossy(&request[..request.len().min(150)]).into_owned();
        assert_eq!(status(&answer), expected, "{shown}\n{answer}");
        assert!(answer.contains(code), "{shown}\n{answer}");
        assert!(
            !answer.contains(crate::support::KEY)
                && !answer.contains(folder.path().to_str().unwrap()),
            "{answer}"
        );
    }
    let mut many = String::from("GET /local HTTP/1.1\r\nHost: h\r\n");
    for n in 0..2000 {
        many.push_str(&format!("x-h-{n}: {}\r\n", "v".repeat(200)));
    }
    let answer = raw(addr, format!("{many}\r\n").as_bytes(), PATIENCE).await;
    assert_eq!(status(&answer), "431", "{answer}");
    assert_alive(addr).await;
    let names = store(addr, "asset-1").list_all("", 10).await.unwrap();
    assert_eq!(
        names.iter().map(|b| b.name.as_str()).collect::<Vec<_>>(),
        ["there"]
    );
    assert_eq!(scratch_files(folder.path()), 0);
    running.shutdown().await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), None).await;
    prepare(running.addr).await;
    for target in [
        "/local/asset-1/x?",
        "/local/asset-1/x?comp=block&blockid=YQ%3D%3D&",
        "/local/asset-1/there?",
    ] {
        let mut stream = TcpStream::connect(running.addr).await.unwrap();
        let head = format!(
            "PUT {target}{} HTTP/1.1\r\nHost: h\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 3000000\r\n\r\n",
            sas("asset-1", "cw", 10)
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![7; 1_500_000]).await.unwrap();
        drop(stream);
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while scratch_files(folder.path()) > 0 {
        assert!(Instant::now() < deadline, "scratch files stay behind");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_alive(running.addr).await;
    assert!(store(running.addr, "asset-1").head("x").await.is_err());
    assert!(
        store(running.addr, "asset-1")
            .get_block_list("x")
            .await
            .is_err()
    );
    running.shutdown().await;
}

#[tokio::test]
async fn slow_clients_are_dropped_and_hold_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), None);
    // Nobody who means well is as slow, on a busy machine either.
    config.idle_timeout = Duration::from_secs(3);
    config.max_connections = 8;
    let running = headwater_blobstore::serve(config).await.unwrap();
    prepare(running.addr).await;
    let big = Bytes::from(vec![1; 32 << 20]);
    store(running.addr, "asset-1")
        .put("big", "text/plain", big, &Conditions::default())
        .await
        .unwrap();

    let signed = sas("asset-1", "rcw", 10);
    let mut slow = Vec::new();
    // Heads that never end, bodies that never come, answers that nobody reads, silence from the start, half of an HTTP/2
    // preface, silence after a request: as many as there are slots.
    for n in 0..8 {
        let mut stream = TcpStream::connect(running.addr).await.unwrap();
        let request = match n % 6 {
            0 => "GET /local/asset-1/there HTTP/1.1\r\nHost: ".to_owned(),
            1 => format!(
                "PUT /local/asset-1/y?{signed} HTTP/1.1\r\nHost: h\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 10\r\n\r\nab"
            ),
            2 => format!("GET /local/asset-1/big?{signed} HTTP/1.1\r\nHost: h\r\n\r\n"),
            3 => String::new(),
            4 => "PRI * HTTP/2".to_owned(),
            _ => format!("HEAD /local/asset-1/big?{signed} HTTP/1.1\r\nHost: h\r\n\r\n"),
        };
        stream.write_all(request.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    // There is no slot until some of them are let go.
    let started = Instant::now();
    assert_alive(running.addr).await;
    assert!(started.elapsed() < Duration::from_secs(30));
    assert!(store(running.addr, "asset-1").head("y").await.is_err());
    drop(slow);
    running.shutdown().await;
}

#[tokio::test]
async fn a_refused_upload_gets_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), None).await;
    prepare(running.addr).await;
    let request = http::Request::put(format!(
        "http://{}/local/asset-1/x?{}",
        running.addr,
        sas("asset-1", "r", 10)
    ))
    .header("x-ms-blob-type", "BlockBlob")
    .body(Bytes::from(vec![0; 8 << 20]))
    .unwrap();
    let answer = client().send(request).await.unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(
        answer.headers()["x-ms-error-code"],
        "AuthorizationPermissionMismatch"
    );
    running.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_lets_a_download_end() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), None).await;
    prepare(running.addr).await;
    let big = Bytes::from(vec![9; 16 << 20]);
    store(running.addr, "asset-1")
        .put("big", "text/plain", big.clone(), &Conditions::default())
        .await
        .unwrap();
    let mut stream = TcpStream::connect(running.addr).await.unwrap();
    let request = format!(
        "GET /local/asset-1/big?{} HTTP/1.1\r\nHost: h\r\n\r\n",
        sas("asset-1", "r", 10)
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut first = vec![0; 1024];
    stream.read_exact(&mut first).await.unwrap();
    let addr = running.addr;
    let shutdown = tokio::spawn(running.shutdown());
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    shutdown.await.unwrap();
    assert!(first.len() + rest.len() > big.len());
    assert!(TcpStream::connect(addr).await.is_err());
}
