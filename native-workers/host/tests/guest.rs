//! The host with a guest that behaves, and misbehaves, on request.
//!
//! The guest is built by `cargo xtask test` into `dist/guests/guest.wasm`.

use headwater_host::{
    AppDirectory, Connection, Host, HostConfig, Limits, ServerConfig, StandIn, WasiBody, bind,
    full_body, serve,
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

const MANIFEST: &str = r#"
spin_manifest_version = 2
[application]
name = "test"
[variables]
greeting = { default = "hello" }
[[trigger.http]]
route = "/static"
static_response = { status_code = 418, headers = { x-kind = "teapot" }, body = "short and stout" }
[[trigger.http]]
route = "/:first/named/:second"
component = "main"
[[trigger.http]]
route = "/..."
component = "main"
[[trigger.http]]
route = { private = true }
component = "inner"
[component.main]
source = "guest.wasm"
allowed_outbound_hosts = ["http://inner.spin.internal", "http://native.spin.internal", "http://silent.spin.internal", "http://self"]
sqlite_databases = ["catalog"]
environment = { COLOUR = "green" }
files = [{ source = "mounted", destination = "/mounted" }]
[component.main.dependencies]
"headwater:test/greeter@0.1.0" = { path = "greeter.wasm" }
[component.main.variables]
greeting = "{{ greeting }} there"
[component.inner]
source = "guest.wasm"
[component.inner.dependencies]
"headwater:test/greeter" = { component = "greeter" }
[component.greeter]
source = "greeter.wasm"
"#;

struct Native;

impl StandIn for Native {
    fn call(
        &self,
        request: Request<WasiBody>,
    ) -> futures::future::BoxFuture<'static, Result<Response<WasiBody>, headwater_host::HttpError>>
    {
        let path = request.uri().path().to_owned();
        Box::pin(async move {
            if path == "/slow" {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            let body = request.into_body().collect().await?.to_bytes();
            let told = match std::str::from_utf8(&body).unwrap() {
                "" => format!("native {path}"),
                told => format!("native {path}: {told}"),
            };
            let mut response = Response::new(full_body(told));
            if path == "/refuse" {
                *response.status_mut() = StatusCode::PRECONDITION_FAILED;
            }
            Ok(response)
        })
    }
}

/// Never answers, and counts those who wait for it.
#[derive(Default)]
struct Silent(Arc<()>);

impl Silent {
    fn waiting(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

impl StandIn for Silent {
    fn call(
        &self,
        _request: Request<WasiBody>,
    ) -> futures::future::BoxFuture<'static, Result<Response<WasiBody>, headwater_host::HttpError>>
    {
        let waiting = self.0.clone();
        Box::pin(async move {
            let _waiting = waiting;
            std::future::pending().await
        })
    }
}

fn built(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../dist/guests")
        .join(name);
    std::fs::read(&path)
        .unwrap_or_else(|_| panic!("{} is missing: run `cargo xtask guests`", path.display()))
}

/// A host with the guest, what stands in for `silent.spin.internal`, and the folder that has to outlive it.
struct Guest {
    host: Arc<Host>,
    silent: Arc<Silent>,
    _folder: tempfile::TempDir,
}

impl Guest {
    fn new(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("spin.toml"), MANIFEST).unwrap();
        for name in ["guest.wasm", "greeter.wasm"] {
            std::fs::write(directory.path().join(name), built(name)).unwrap();
        }
        std::fs::create_dir(directory.path().join("mounted")).unwrap();
        std::fs::write(directory.path().join("mounted/note.txt"), "a note").unwrap();
        let silent = Arc::new(Silent::default());
        let config = HostConfig {
            variables: BTreeMap::new(),
            databases: BTreeMap::from([(
                "catalog".into(),
                Some(directory.path().join("catalog.db")),
            )]),
            cache: Some(std::env::temp_dir().join("headwater-host-test-cache")),
            limits,
            stand_ins: BTreeMap::from([
                ("native".into(), Arc::new(Native) as Arc<dyn StandIn>),
                ("silent".into(), silent.clone() as Arc<dyn StandIn>),
            ]),
            cache_bytes: 1 << 20,
            extra_roots: vec![],
        };
        let source = AppDirectory(directory.path().into());
        Self {
            host: Arc::new(Host::load(&source, config).unwrap()),
            silent,
            _folder: directory,
        }
    }

    /// Returns once the guest waits for what never answers.
    async fn is_waited_for(&self) {
        while self.silent.waiting() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        answer(self.host.handle(connection(), request(path)).await).await
    }
}

/// More than what is done at once takes, beside loops and on a busy machine.
const DEADLINE: Duration = Duration::from_secs(6);

fn limits() -> Limits {
    Limits {
        memory_bytes: 32 << 20,
        request_deadline: DEADLINE,
        computing_after_head: Duration::from_secs(1),
        ..Limits::default()
    }
}

/// One host for most tests: compiling the guest takes seconds.
fn host() -> Arc<Host> {
    static GUEST: OnceLock<Guest> = OnceLock::new();
    GUEST.get_or_init(|| Guest::new(limits())).host.clone()
}

fn connection() -> Connection {
    Connection {
        client: "10.1.2.3:4567".parse().unwrap(),
        tls: false,
    }
}

fn request(path: &str) -> Request<WasiBody> {
    Request::get(path)
        .header("host", "example.test")
        .body(full_body(""))
        .unwrap()
}

async fn ask(request: Request<WasiBody>) -> (StatusCode, String) {
    answer(host().handle(connection(), request).await).await
}

async fn answer(response: Response<WasiBody>) -> (StatusCode, String) {
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(path: &str) -> (StatusCode, String) {
    ask(request(path)).await
}

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap()
    })
}

fn problem(body: &str) -> u64 {
    serde_json::from_str::<serde_json::Value>(body).unwrap()["status"]
        .as_u64()
        .unwrap()
}

#[test]
fn the_instance_that_answered_last_answers_next() {
    runtime().block_on(async {
        let guest = Guest::new(limits());
        assert_eq!(guest.get("/ok").await, (StatusCode::OK, "ok".into()));
        // Several at once take an instance each.
        let slow = "/get?http://native.spin.internal/slow";
        let answers = futures::future::join_all((0..4).map(|_| guest.get(slow))).await;
        assert!(
            answers.iter().all(|(_, body)| body == "200 native /slow"),
            "{answers:?}"
        );
        // It is free when it has tidied up, a moment after its answer is there: on a busy machine that may be too late now and then.
        // Of four that take turns none would answer twice.
        let tidied = || tokio::time::sleep(Duration::from_millis(100));
        tidied().await;
        let mut last: u64 = guest.get("/served").await.1.parse().unwrap();
        let mut again = 0;
        for _ in 0..20 {
            tidied().await;
            let served = guest.get("/served").await.1.parse().unwrap();
            again += u32::from(served == last + 1);
            last = served;
        }
        assert!(again >= 12, "others answered {} times of 20", 20 - again);
    });
}

#[test]
fn what_a_component_remembers_it_is_asked_for_in_one_call() {
    runtime().block_on(async {
        let response = host().handle(connection(), request("/recall/bytes")).await;
        let told: Vec<_> = response.headers().get_all("x-told").iter().collect();
        assert_eq!(told, ["get", "example.test"]);
        let remembered = (StatusCode::from_u16(203).unwrap(), "from memory".into());
        assert_eq!(answer(response).await, remembered);
        assert_eq!(get("/recall/nothing").await.1, "");

        let mut head = request("/recall/bytes");
        *head.method_mut() = http::Method::HEAD;
        let response = host().handle(connection(), head).await;
        assert_eq!(response.headers()["x-told"], "head");

        let handled = (StatusCode::OK, "from the handler".into());
        assert_eq!(get("/recall/of-nothing").await, handled);
        let mut post = request("/recall/bytes");
        *post.method_mut() = http::Method::POST;
        assert_eq!(ask(post).await, handled, "what changes something");
        let mut with_body = request("/recall/bytes");
        *with_body.body_mut() = full_body("a body");
        assert_eq!(ask(with_body).await, handled, "what has a body");

        // What a client says in the host's name does not reach the component here, either.
        let mut spoofed = request("/recall/headers");
        let header = ("spin-client-addr", "1.2.3.4:5");
        spoofed
            .headers_mut()
            .insert(header.0, header.1.parse().unwrap());
        let (_, told) = ask(spoofed).await;
        let value = |text: &str| format!("{:?}", text.as_bytes());
        assert!(!told.contains(&value("1.2.3.4:5")), "{told}");
        assert!(told.contains(&value("10.1.2.3:4567")), "{told}");
    });
}

#[test]
fn a_remembered_answer_may_have_the_body_of_another_component() {
    runtime().block_on(async {
        let (status, body) = get("/recall/post?http://native.spin.internal/x").await;
        assert_eq!((status.as_u16(), body.as_str()), (203, "native /x: a plan"));
        // What does not come is the handler's to explain.
        for elsewhere in [
            "http://native.spin.internal/refuse",
            "http://inner.spin.internal/trap",
            "http://denied.invalid/",
            "not a URL",
        ] {
            let escaped = elsewhere.replace(' ', "%20");
            let (status, body) = get(&format!("/recall/post?{escaped}")).await;
            assert_eq!(
                (status, body.as_str()),
                (StatusCode::OK, "from the handler"),
                "{elsewhere}"
            );
        }
        let (status, body) = get("/recall/post?http://silent.spin.internal/").await;
        assert_eq!((status.as_u16(), problem(&body)), (504, 504));
    });
}

#[test]
fn a_memory_that_fails_harms_nobody_else() {
    runtime().block_on(async {
        let (status, body) = get("/recall/trap").await;
        assert_eq!((status.as_u16(), problem(&body)), (500, 500));
        let started = Instant::now();
        let (late, other) = tokio::join!(get("/recall/loop"), get("/recall/bytes"));
        assert_eq!((late.0.as_u16(), problem(&late.1)), (504, 504));
        assert!(started.elapsed() < DEADLINE * 4);
        assert_eq!(other.1, "from memory");
        assert_eq!(get("/ok").await, (StatusCode::OK, "ok".into()));
    });
}

#[test]
fn static_responses_need_no_component() {
    runtime().block_on(async {
        assert_eq!(
            get("/static").await,
            (StatusCode::IM_A_TEAPOT, "short and stout".into())
        );
    });
}

#[test]
fn a_trap_is_a_problem_body_and_harms_nobody_else() {
    runtime().block_on(async {
        let others = futures::future::join_all((0..20).map(|_| get("/ok")));
        let ((status, body), others) = futures::join!(get("/trap"), others);
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(problem(&body), 500);
        assert!(
            others
                .iter()
                .all(|(status, body)| *status == StatusCode::OK && body == "ok")
        );
        assert_eq!(get("/ok").await.0, StatusCode::OK);
    });
}

#[test]
fn a_loop_ends_at_its_deadline_and_others_go_on_meanwhile() {
    runtime().block_on(async {
        let started = Instant::now();
        let loops =
            tokio::spawn(async { futures::future::join_all((0..6).map(|_| get("/loop"))).await });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(get("/ok").await.0, StatusCode::OK);
        assert!(
            started.elapsed() < DEADLINE - Duration::from_millis(100),
            "waited behind the loops"
        );
        for (status, body) in loops.await.unwrap() {
            assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
            assert_eq!(problem(&body), 504);
        }
    });
}

/// What this process has computed so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    // utime and stime of proc(5), in ticks of 10 ms.
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

#[test]
fn a_loop_after_the_answer_ends_too() {
    runtime().block_on(async {
        let (status, body) = get("/loop-after").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "on its way"));
        // It may compute for a second, of which a busy machine may make several.
        let started = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let before = cpu_seconds();
            tokio::time::sleep(Duration::from_secs(2)).await;
            if cpu_seconds() - before < 0.2 {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "it goes on");
        }
        assert_eq!(get("/ok").await.0, StatusCode::OK);
    });
}

#[test]
fn memory_is_capped() {
    runtime().block_on(async {
        assert_eq!(get("/memory?8").await, (StatusCode::OK, "8".into()));
        assert_eq!(get("/memory?64").await.0, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(get("/ok").await.0, StatusCode::OK);
    });
}

#[test]
fn a_component_sees_its_own_configuration_and_nothing_else() {
    runtime().block_on(async {
        assert_eq!(get("/environment?COLOUR").await.1, "green");
        assert_eq!(
            get("/environment?HOME").await.0,
            StatusCode::INTERNAL_SERVER_ERROR
        );
        assert_eq!(get("/variable?greeting").await.1, "hello there");
        assert!(get("/variable?other").await.1.contains("Undefined"));
        assert!(get("/variable?Other").await.1.contains("InvalidName"));
        assert_eq!(get("/file?/mounted/note.txt").await.1, "a note");
        assert_eq!(
            get("/file?/etc/passwd").await.0,
            StatusCode::INTERNAL_SERVER_ERROR
        );
        assert_eq!(
            get("/file?/mounted/../spin.toml").await.0,
            StatusCode::INTERNAL_SERVER_ERROR
        );
        assert_eq!(
            get("/write?/mounted/new.txt").await.0,
            StatusCode::INTERNAL_SERVER_ERROR
        );
    });
}

#[test]
fn chaining_stays_in_process_and_the_allow_list_holds() {
    runtime().block_on(async {
        assert_eq!(get("/get?http://inner.spin.internal/ok").await.1, "200 ok");
        assert_eq!(
            get("/get?http://native.spin.internal/x").await.1,
            "200 native /x"
        );
        let (status, body) = get("/get?http://example.com/").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(body.contains("HttpRequestDenied"), "{body}");
        // `inner` was granted nothing.
        assert!(
            get("/get?http://main.spin.internal/ok")
                .await
                .1
                .contains("HttpRequestDenied")
        );
    });
}

#[test]
fn a_dependency_is_composed_in() {
    runtime().block_on(async {
        assert_eq!(get("/greet?Ada").await.1, "Good morning, Ada");
        assert_eq!(
            get("/get?http://inner.spin.internal/greet?Bo").await.1,
            "200 Good morning, Bo"
        );
    });
}

#[test]
fn values_of_every_type_go_through_sqlite() {
    runtime().block_on(async {
        let (status, body) = get("/sql").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(
            body,
            r#"[Value::Integer(1099511627776), Value::Text("größe"), Value::Blob([0, 255]), Value::Real(0.5)]"#
        );
    });
}

#[test]
fn a_transaction_left_open_is_rolled_back() {
    runtime().block_on(async {
        for _ in 0..5 {
            assert_eq!(
                get("/left-open").await,
                (StatusCode::OK, "[Value::Integer(0)]".into())
            );
        }
    });
}

#[test]
fn host_headers_cannot_be_spoofed() {
    runtime().block_on(async {
        let spoofed = |name: &str, path: &str| {
            Request::get(path)
                .header("host", "example.test")
                .header(name, "evil")
                .body(full_body(""))
                .unwrap()
        };
        let (_, body) = ask(spoofed("spin-client-addr", "/header?spin-client-addr")).await;
        assert_eq!(body, "10.1.2.3:4567");
        let (_, body) = ask(spoofed("spin-full-url", "/header?spin-full-url")).await;
        assert_eq!(body, "http://example.test/header?spin-full-url");
        let (_, body) = ask(spoofed("spin-invented", "/header?spin-invented")).await;
        assert_eq!(body, "");
    });
}

#[test]
fn a_host_header_cannot_change_what_was_routed() {
    runtime().block_on(async {
        for host in ["a/trap", "a?x", "a#x", "user@a", "a b", "a:b:c", ""] {
            let request = Request::get("/header?spin-full-url")
                .header("host", host)
                .body(full_body(""))
                .unwrap();
            let (status, body) = ask(request).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{host:?}: {body}");
            assert_eq!(problem(&body), 400);
        }
    });
}

#[test]
fn what_waits_in_vain_ends_soon_after_its_deadline() {
    runtime().block_on(async {
        let guest = Guest::new(limits());
        let (status, body) = guest.get("/get?http://silent.spin.internal/").await;
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT, "{body}");
        // The guest may still tidy up, but its place in the pool is needed.
        let patience = Instant::now() + Duration::from_secs(20);
        while guest.silent.waiting() > 0 {
            assert!(Instant::now() < patience, "the instance lives on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(guest.get("/ok").await.0, StatusCode::OK);
    });
}

#[test]
fn a_client_that_goes_away_leaves_its_place_taken_until_the_guest_is_done() {
    runtime().block_on(async {
        let guest = Guest::new(Limits {
            concurrent_requests: 1,
            queue: Duration::from_millis(100),
            ..limits()
        });
        let gone = guest.get("/get?http://silent.spin.internal/");
        tokio::select! {
            answer = gone => panic!("{answer:?}"),
            () = guest.is_waited_for() => {}
        }
        let (status, body) = guest.get("/ok").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
        assert_eq!(problem(&body), 503);
        let patience = Instant::now() + DEADLINE + Duration::from_secs(20);
        while guest.get("/ok").await.0 != StatusCode::OK {
            assert!(Instant::now() < patience, "its place stays taken");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

#[test]
fn a_private_route_is_not_reached_from_outside() {
    runtime().block_on(async {
        // Whatever name a client gives the host, the public routes answer.
        let request = Request::get("/variable?greeting")
            .header("host", "inner.spin.internal")
            .body(full_body(""))
            .unwrap();
        assert_eq!(ask(request).await.1, "hello there");
    });
}

#[test]
fn bodies_go_through_unchanged() {
    runtime().block_on(async {
        let sent = "0123456789".repeat(50_000);
        let request = Request::post("/echo")
            .header("host", "a")
            .body(full_body(sent.clone()))
            .unwrap();
        assert_eq!(ask(request).await, (StatusCode::OK, sent));
    });
}

#[test]
fn the_listener_answers_and_drains() {
    runtime().block_on(async {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.addr;
        let guest = Guest::new(limits());
        let running = serve(listener, guest.host.clone(), ServerConfig::default());
        let client =
            hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
                .build_http::<http_body_util::Full<bytes::Bytes>>();
        let h2 = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .http2_only(true)
            .build_http::<http_body_util::Full<bytes::Bytes>>();
        for client in [&client, &h2] {
            let response = client
                .get(format!("http://{addr}/ok").parse().unwrap())
                .await
                .unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["server"], "Headwater");
        }
        // A request in flight when the drain begins still gets its answer.
        let slow = tokio::spawn({
            let client = client.clone();
            async move {
                let waits = format!("http://{addr}/get?http://silent.spin.internal/");
                let answer = client.get(waits.parse().unwrap()).await;
                answer.unwrap().status()
            }
        });
        guest.is_waited_for().await;
        running.shutdown().await;
        assert_eq!(slow.await.unwrap(), StatusCode::GATEWAY_TIMEOUT);
        assert!(
            client
                .get(format!("http://{addr}/ok").parse().unwrap())
                .await
                .is_err()
        );
    });
}
