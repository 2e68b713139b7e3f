use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

fn request(path: &str, headers: &[(&str, &str)]) -> Request<WasiBody> {
    let mut request = Request::get(path).header("host", "h");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(full_body("")).unwrap()
}

/// A component that counts its calls.
#[derive(Default)]
struct Component(AtomicUsize);

impl Component {
    async fn answer(&self, headers: &[(&str, &str)]) -> Response<WasiBody> {
        let call = self.0.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut response = Response::builder().header("etag", "\"one\"");
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(full_body(format!("body {call}"))).unwrap()
    }

    fn calls(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// For longer than any test takes.
const KEEP: (&str, &str) = ("headwater-cache-control", "max-age=600");

async fn text(response: Response<WasiBody>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn ask(
    cache: &ResponseCache,
    component: &Component,
    request: Request<WasiBody>,
    headers: &[(&str, &str)],
) -> Response<WasiBody> {
    match Question::of(&request) {
        Some(question) => cache.answer(question, component.answer(headers)).await,
        None => component.answer(headers).await,
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_who_ask_at_once_are_one_call() {
    let (cache, component) = (ResponseCache::new(1 << 20), Component::default());
    let all = (0..1000).map(|_| ask(&cache, &component, request("/live", &[]), &[KEEP]));
    for response in futures::future::join_all(all).await {
        assert!(!response.headers().contains_key(TARGETED));
        assert_eq!(text(response).await, (200, "body 0".into()));
    }
    assert_eq!(component.calls(), 1);
}

#[tokio::test]
async fn an_answer_is_given_again_until_its_time_is_over() {
    let (cache, component) = (ResponseCache::new(1 << 20), Component::default());
    let short = ("headwater-cache-control", "max-age=4");
    for _ in 0..3 {
        let response = ask(&cache, &component, request("/a", &[]), &[short]).await;
        let age: u32 = response.headers()["age"].to_str().unwrap().parse().unwrap();
        assert!(age < 4, "{age}");
        assert_eq!(text(response).await.1, "body 0");
    }
    let other = ask(&cache, &component, request("/a?other", &[]), &[short]).await;
    assert_eq!(text(other).await.1, "body 1");
    tokio::time::sleep(Duration::from_millis(4100)).await;
    let again = ask(&cache, &component, request("/a", &[]), &[short]).await;
    assert_eq!(text(again).await.1, "body 2");
}

#[tokio::test(start_paused = true)]
async fn fractions_of_a_second_count_and_nonsense_keeps_nothing() {
    for (max_age, calls) in [
        ("max-age=0.3", 1),
        ("max-age=0", 3),
        ("max-age=-1", 3),
        ("max-age=1e30", 3),
        ("max-age=NaN", 3),
    ] {
        let (cache, component) = (ResponseCache::new(1 << 20), Component::default());
        let header = ("headwater-cache-control", max_age);
        for _ in 0..3 {
            ask(&cache, &component, request("/a", &[]), &[header]).await;
        }
        assert_eq!(component.calls(), calls, "{max_age}");
    }
}

/// A body that comes in pieces, as one does that a component hands on.
fn in_pieces(pieces: usize, announced: usize) -> Response<WasiBody> {
    let frames = (0..pieces).map(|_| Ok(http_body::Frame::data(Bytes::from_static(b"piece"))));
    let body = http_body_util::StreamBody::new(futures::stream::iter(frames));
    Response::builder()
        .header(KEEP.0, KEEP.1)
        .header("content-length", announced)
        .body(WasiBody::new(body))
        .unwrap()
}

#[tokio::test]
async fn a_body_that_is_handed_on_is_kept_if_it_says_how_long_it_is() {
    let cache = ResponseCache::new(1 << 24);
    let calls = AtomicUsize::new(0);
    let too_long = usize::try_from(MAX_BODY_BYTES).unwrap() + 1;
    for (path, announced, kept) in [("/short", 15, 1), ("/long", too_long, 2)] {
        calls.store(0, Ordering::Relaxed);
        for _ in 0..2 {
            let question = Question::of(&request(path, &[])).unwrap();
            let answer = cache.answer(question, async {
                calls.fetch_add(1, Ordering::Relaxed);
                in_pieces(3, announced)
            });
            assert_eq!(text(answer.await).await.1, "piece".repeat(3));
        }
        assert_eq!(calls.load(Ordering::Relaxed), kept, "{path}");
    }
}

#[tokio::test]
async fn tags_and_heads_are_answered_from_what_is_kept() {
    let (cache, component) = (ResponseCache::new(1 << 20), Component::default());
    ask(&cache, &component, request("/a", &[]), &[KEEP]).await;
    let known = request("/a", &[("if-none-match", "\"zero\", W/\"one\"")]);
    let response = ask(&cache, &component, known, &[KEEP]).await;
    assert_eq!(response.headers()["etag"], "\"one\"");
    assert!(!response.headers().contains_key("content-length"));
    assert_eq!(text(response).await, (304, String::new()));
    let unknown = request("/a", &[("if-none-match", "\"two\"")]);
    let response = ask(&cache, &component, unknown, &[KEEP]).await;
    assert_eq!(text(response).await, (200, "body 0".into()));
    let mut head = request("/a", &[]);
    *head.method_mut() = Method::HEAD;
    let response = ask(&cache, &component, head, &[KEEP]).await;
    assert_eq!(response.headers()["content-length"], "6");
    assert_eq!(text(response).await, (200, String::new()));
    assert_eq!(component.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_marked_is_not_kept_and_holds_nobody_up() {
    let (cache, component) = (ResponseCache::new(1 << 20), Component::default());
    for headers in [
        &[][..],
        &[("headwater-cache-control", "max-age=0")],
        &[("headwater-cache-control", "no-store")],
        &[KEEP, ("vary", "accept")],
        &[KEEP, ("set-cookie", "a=b")],
    ] {
        let path = format!("/{}", headers.len());
        let before = component.calls();
        for _ in 0..2 {
            ask(&cache, &component, request(&path, &[]), headers).await;
        }
        assert_eq!(component.calls() - before, 2, "{headers:?}");
    }
    // Once it is known, they go side by side.
    let started = tokio::time::Instant::now();
    let all = (0..100).map(|_| ask(&cache, &component, request("/0", &[]), &[]));
    futures::future::join_all(all).await;
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn requests_with_something_special_go_past_it() {
    let (cache, component) = (ResponseCache::new(1 << 20), Component::default());
    ask(&cache, &component, request("/a", &[]), &[KEEP]).await;
    for special in [
        ("range", "bytes=0-1"),
        ("authorization", "Bearer x"),
        ("if-match", "\"one\""),
        ("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ] {
        assert!(
            Question::of(&request("/a", &[special])).is_none(),
            "{special:?}"
        );
    }
    let mut post = request("/a", &[]);
    *post.method_mut() = Method::POST;
    assert!(Question::of(&post).is_none());
    let mut with_body = request("/a", &[]);
    *with_body.body_mut() = full_body("x");
    assert!(Question::of(&with_body).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_leaves_its_turn_to_the_next() {
    let (cache, component) = (ResponseCache::new(1 << 20), Component::default());
    let first = ask(&cache, &component, request("/a", &[]), &[KEEP]);
    let _ = tokio::time::timeout(Duration::from_millis(5), first).await;
    let second = ask(&cache, &component, request("/a", &[]), &[KEEP]).await;
    assert_eq!(text(second).await.1, "body 1");
}

#[tokio::test]
async fn the_weight_is_bounded() {
    let (cache, component) = (ResponseCache::new(64 << 10), Component::default());
    let paths: Vec<_> = (0..2000).map(|n| format!("/{n}")).collect();
    let all = paths
        .iter()
        .map(|path| ask(&cache, &component, request(path, &[]), &[KEEP]));
    futures::future::join_all(all).await;
    assert!(cache.entries.len() > 10);
    assert!(cache.entries.weight() <= 64 << 10);
}

#[tokio::test(start_paused = true)]
async fn variants_are_kept_side_by_side() {
    let (cache, component) = (ResponseCache::new(1 << 20), Component::default());
    let says = [KEEP, ("vary", "Accept-Encoding")];
    let get = |headers: &[(&str, &str)]| ask(&cache, &component, request("/m", headers), &says);
    let coded = |codings: &'static str| get(&[("accept-encoding", codings)]);
    assert_eq!(text(coded("gzip, br").await).await.1, "body 0");
    assert_eq!(text(coded("identity").await).await.1, "body 1");
    for same in ["gzip, br", "BR,GZIP", "br , gzip"] {
        assert_eq!(text(coded(same).await).await.1, "body 0", "{same}");
    }
    assert_eq!(text(coded("identity").await).await.1, "body 1");
    // Who says nothing is another variant.
    assert_eq!(text(get(&[]).await).await.1, "body 2");
    assert_eq!(text(get(&[]).await).await.1, "body 2");
    assert_eq!(component.calls(), 3);
}

#[tokio::test]
async fn who_fetches_ahead_has_answers_of_its_own() {
    let (cache, component) = (ResponseCache::new(1 << 20), Component::default());
    let name = "cdn-origin-assist-prefetch-enabled";
    let varies = ("vary", "accept-encoding");
    for (headers, body) in [
        (&[][..], "body 0"),
        (&[(name, "1")], "body 1"),
        (&[(name, "0")], "body 0"),
        (&[(name, "1")], "body 1"),
        (&[(name, "1"), ("accept-encoding", "br")], "body 2"),
        (&[], "body 0"),
    ] {
        let response = ask(&cache, &component, request("/a", headers), &[KEEP, varies]).await;
        assert_eq!(text(response).await.1, body, "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_who_ask_for_a_variant_are_one_call() {
    let (cache, component) = (ResponseCache::new(1 << 20), Component::default());
    let says = [KEEP, ("vary", "accept-encoding, Origin")];
    let from = |origin: &'static str| {
        let headers = [("accept-encoding", "gzip"), ("origin", origin)];
        ask(&cache, &component, request("/live", &headers), &says)
    };
    for _ in 0..2 {
        let all = (0..1000).map(|_| from("https://a.example"));
        for response in futures::future::join_all(all).await {
            assert_eq!(text(response).await.1, "body 0");
        }
    }
    assert_eq!(component.calls(), 1);
    assert_eq!(text(from("https://b.example").await).await.1, "body 1");
}

#[tokio::test(start_paused = true)]
async fn what_varies_by_something_else_is_not_kept() {
    let (cache, component) = (ResponseCache::new(1 << 20), Component::default());
    let mut calls = 0;
    for (path, vary) in [
        ("/a", "*"),
        ("/b", "Cookie"),
        ("/c", "Accept-Encoding, User-Agent"),
    ] {
        let says = [KEEP, ("vary", vary)];
        for _ in 0..2 {
            let response = ask(&cache, &component, request(path, &[]), &says).await;
            assert_eq!(text(response).await.1, format!("body {calls}"), "{vary}");
            calls += 1;
        }
    }
}

#[tokio::test]
async fn endless_values_go_past() {
    let long = "x".repeat(MAX_VARIED_BYTES + 1);
    assert!(Question::of(&request("/a", &[("origin", &long)])).is_none());
}

#[tokio::test(start_paused = true)]
async fn who_is_early_is_told_so_by_one_call() {
    let cache = ResponseCache::new(1 << 20);
    for status in [404, 412] {
        let calls = AtomicUsize::new(0);
        let early = || async {
            calls.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            let response = Response::builder()
                .status(status)
                .header("headwater-cache-control", "max-age=600");
            response.body(full_body("not yet")).unwrap()
        };
        let path = format!("/early-{status}");
        let all = (0..100).map(|_| {
            let question = Question::of(&request(&path, &[("if-none-match", "\"one\"")])).unwrap();
            cache.answer(question, early())
        });
        for response in futures::future::join_all(all).await {
            assert!(!response.headers().contains_key(TARGETED));
            assert_eq!(text(response).await, (status, "not yet".into()));
        }
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
    // Other errors are not kept, whatever is said of them.
    let calls = AtomicUsize::new(0);
    for _ in 0..2 {
        let question = Question::of(&request("/busy", &[])).unwrap();
        let answer = cache.answer(question, async {
            calls.fetch_add(1, Ordering::Relaxed);
            let response = Response::builder().status(503).header(KEEP.0, KEEP.1);
            response.body(full_body("busy")).unwrap()
        });
        assert_eq!(text(answer.await).await.0, 503);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

type Piece = Result<http_body::Frame<Bytes>, wasmtime_wasi_http::Error>;

/// An answer that grows by what is sent.
fn growing() -> (
    futures::channel::mpsc::UnboundedSender<Piece>,
    Response<WasiBody>,
) {
    let (sender, pieces) = futures::channel::mpsc::unbounded();
    let body = WasiBody::new(http_body_util::StreamBody::new(pieces));
    let response = Response::builder().header(KEEP.0, KEEP.1).body(body);
    (sender, response.unwrap())
}

async fn read(cache: &ResponseCache, made: Option<Response<WasiBody>>) -> Response<WasiBody> {
    let question = Question::of(&request("/segment", &[])).unwrap();
    let ask = async { made.expect("it was asked for a second time") };
    cache.answer(question, ask).await
}

fn piece(text: &'static str) -> Piece {
    Ok(http_body::Frame::data(Bytes::from_static(text.as_bytes())))
}

#[tokio::test(start_paused = true)]
async fn what_is_growing_is_read_once_for_all_of_them_as_it_comes() {
    let cache = ResponseCache::new(1 << 24);
    let (more, response) = growing();
    more.unbounded_send(piece("one ")).unwrap();
    let mut first = read(&cache, Some(response)).await;
    assert!(!first.headers().contains_key(TARGETED));
    let next = first.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(next.into_data().unwrap(), "one ");
    // Who comes later has what was missed, and none waits for the end.
    let mut late = read(&cache, None).await;
    let next = late.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(next.into_data().unwrap(), "one ");
    let all: Vec<_> = futures::future::join_all((0..100).map(|_| read(&cache, None))).await;
    // One of them goes away.
    drop(first);
    more.unbounded_send(piece("two ")).unwrap();
    let next = late.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(next.into_data().unwrap(), "two ");
    more.unbounded_send(piece("three")).unwrap();
    drop(more);
    assert_eq!(text(late).await, (200, "three".into()));
    for response in all {
        assert_eq!(text(response).await, (200, "one two three".into()));
    }
    // And after it is whole.
    assert_eq!(text(read(&cache, None).await).await.1, "one two three");
    let head = Request::head("/segment").header("host", "h");
    let head = Question::of(&head.body(full_body("")).unwrap()).unwrap();
    let answer = cache.answer(head, async { Response::new(full_body("")) });
    assert_eq!(text(answer.await).await.1, "");
}

#[tokio::test(start_paused = true)]
async fn what_breaks_off_breaks_off_for_all_of_them_and_is_asked_for_again() {
    let cache = ResponseCache::new(1 << 24);
    for ends in [true, false] {
        let (more, response) = growing();
        more.unbounded_send(piece("one ")).unwrap();
        let first = read(&cache, Some(response)).await;
        let second = read(&cache, None).await;
        if ends {
            let error = Err(wasmtime_wasi_http::Error::ConnectionTerminated);
            more.unbounded_send(error).unwrap();
        }
        // Otherwise nothing comes any more.
        for response in [first, second] {
            assert!(response.into_body().collect().await.is_err());
        }
    }
    let (more, response) = growing();
    more.unbounded_send(piece("again")).unwrap();
    drop(more);
    let response = read(&cache, Some(response)).await;
    assert_eq!(text(response).await, (200, "again".into()));
}
