//! A whole installation in the process: the API over SQLite in memory and a storage service made of two maps.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod contract;
pub(crate) mod ingest;
pub(crate) mod people;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::executor::block_on;
use headwater_api::limits::Limiter;
use headwater_api::passing::{Passed, passed, unreachable};
use headwater_api::{Answer, Api, IssuerKeys, Settings, verifier};
use headwater_auth::{Claims, Role, SigningKey, SubjectKind};
use headwater_blob::{HttpClient, TransportError};
use headwater_catalog::Ids;
use headwater_catalog::bootstrap::{BootstrapClient, BootstrapConfig, bootstrap};
use headwater_seal::Seal;
use headwater_test_database::Connection;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use uuid::Uuid;

pub(crate) const ARM: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/headwater/providers/Microsoft.Media/mediaServices/default";
pub(crate) const MKIO: &str = "/api/v1/projects/default/media";
pub(crate) const OLDER: &str = "/api/ams/default";
pub(crate) const PUBLIC_URL: &str = "http://localhost:8080";

const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Identifiers that count up.
#[derive(Default)]
pub(crate) struct CountedIds(AtomicU64);

impl Ids for CountedIds {
    fn uuid(&self) -> Uuid {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        Uuid::from_u64_pair(0x1111_1111_1111_4111, 0x8111_1111_0000_0000 | count)
    }
}

/// Containers, and blobs by container and name. Signatures are the blob crate's affair and are not checked.
#[derive(Default)]
pub(crate) struct Storage {
    pub(crate) containers: RefCell<BTreeSet<String>>,
    pub(crate) blobs: RefCell<BTreeMap<(String, String), Vec<u8>>>,
    /// Answers 503 to so many requests first.
    pub(crate) failing: Cell<u32>,
    /// What other services answer, by URL.
    pub(crate) documents: RefCell<BTreeMap<String, String>>,
    pub(crate) requests: Cell<u32>,
    /// Whether the credential is good for no new container, nor for one that is there.
    pub(crate) makes_none: Cell<bool>,
    /// Refuses every credential with this code.
    pub(crate) refusing: Cell<Option<&'static str>>,
    /// Answers what is sent to `https://vendor.example`.
    pub(crate) vendor: RefCell<Option<Vendor>>,
    /// The queries of the requests, with the signatures in them.
    pub(crate) queries: RefCell<Vec<String>>,
}

type Vendor = Box<dyn Fn(&Request<Bytes>) -> Result<Response<Bytes>, TransportError>>;

impl Storage {
    pub(crate) fn put(&self, container: &str, blob: &str) {
        self.put_bytes(container, blob, vec![0; 10]);
    }

    pub(crate) fn put_bytes(&self, container: &str, blob: &str, bytes: Vec<u8>) {
        self.blobs
            .borrow_mut()
            .insert((container.into(), blob.into()), bytes);
    }
}

impl HttpClient for Storage {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.requests.set(self.requests.get() + 1);
        if self.failing.get() > 0 {
            self.failing.set(self.failing.get() - 1);
            return Ok(answer(StatusCode::SERVICE_UNAVAILABLE, ""));
        }
        if request.uri().host() == Some("vendor.example") {
            let vendor = self.vendor.borrow();
            return vendor.as_ref().expect("nobody expects an order")(&request);
        }
        let raw = request.uri().query().unwrap_or_default();
        self.queries.borrow_mut().push(raw.to_owned());
        if let Some(code) = self.refusing.get() {
            return Ok(coded(StatusCode::FORBIDDEN, code));
        }
        if let Some(document) = self.documents.borrow().get(&request.uri().to_string()) {
            return Ok(answer(StatusCode::OK, document));
        }
        let path = request.uri().path();
        let mut parts = path.trim_start_matches('/').splitn(3, '/');
        let (_account, container) = (parts.next(), parts.next().unwrap_or_default().to_owned());
        let blob = parts.next().map(str::to_owned);
        let query: BTreeMap<String, String> =
            form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let listing = query.get("comp").is_some_and(|comp| comp == "list");
        let mut containers = self.containers.borrow_mut();
        Ok(match (request.method().as_str(), blob) {
            ("PUT", None) if self.makes_none.get() => {
                coded(StatusCode::FORBIDDEN, "AuthorizationPermissionMismatch")
            }
            ("PUT", None) if containers.contains(&container) => {
                coded(StatusCode::CONFLICT, "ContainerAlreadyExists")
            }
            ("PUT", None) => {
                containers.insert(container);
                answer(StatusCode::CREATED, "")
            }
            (_, _) if !containers.contains(&container) => {
                coded(StatusCode::NOT_FOUND, "ContainerNotFound")
            }
            ("DELETE", None) => {
                containers.remove(&container);
                self.blobs
                    .borrow_mut()
                    .retain(|(known, _), _| *known != container);
                answer(StatusCode::ACCEPTED, "")
            }
            ("DELETE", Some(blob)) => {
                self.blobs.borrow_mut().remove(&(container, blob));
                answer(StatusCode::ACCEPTED, "")
            }
            ("GET", Some(blob)) => self.read(&(container, blob), request.headers()),
            ("HEAD", Some(blob)) => self.head(&(container, blob)),
            ("PUT", Some(blob)) => self.write(&(container, blob), &request),
            ("GET", None) if listing => answer(StatusCode::OK, &self.list(&container, &query)),
            other => panic!("the API sent {other:?} {}", request.uri()),
        })
    }
}

impl Storage {
    fn head(&self, key: &(String, String)) -> Response<Bytes> {
        let blobs = self.blobs.borrow();
        let Some(bytes) = blobs.get(key) else {
            return answer(StatusCode::NOT_FOUND, "");
        };
        let mut answer = answer(StatusCode::OK, "");
        let headers = answer.headers_mut();
        headers.insert("content-length", bytes.len().into());
        headers.insert("etag", "\"0x1\"".parse().unwrap());
        answer
    }

    /// Only a new blob, which is what `If-None-Match: *` asks for.
    fn write(&self, key: &(String, String), request: &Request<Bytes>) -> Response<Bytes> {
        let mut blobs = self.blobs.borrow_mut();
        if request.headers().contains_key("if-none-match") && blobs.contains_key(key) {
            return coded(StatusCode::CONFLICT, "BlobAlreadyExists");
        }
        blobs.insert(key.clone(), request.body().to_vec());
        let mut answer = answer(StatusCode::CREATED, "");
        answer
            .headers_mut()
            .insert("etag", "\"0x1\"".parse().unwrap());
        answer
    }

    /// A range, as `bytes=m-n`, `bytes=m-` or `x-ms-range`; else all of it.
    fn read(&self, key: &(String, String), headers: &HeaderMap) -> Response<Bytes> {
        let blobs = self.blobs.borrow();
        let Some(bytes) = blobs.get(key) else {
            return answer(StatusCode::NOT_FOUND, "");
        };
        let Some(range) = headers.get("range").or(headers.get("x-ms-range")) else {
            return Response::new(Bytes::copy_from_slice(bytes));
        };
        let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
        let (first, last) = range.split_once('-').unwrap();
        let first: usize = first.parse().unwrap();
        let last = match last {
            "" => bytes.len(),
            last => last.parse().unwrap(),
        };
        if first >= bytes.len() {
            return answer(StatusCode::RANGE_NOT_SATISFIABLE, "");
        }
        let part = &bytes[first..bytes.len().min(last + 1)];
        let mut answer = Response::new(Bytes::copy_from_slice(part));
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {first}-{}/{}", first + part.len() - 1, bytes.len());
        answer
            .headers_mut()
            .insert("content-range", range.parse().unwrap());
        answer
            .headers_mut()
            .insert("etag", "\"0x1\"".parse().unwrap());
        answer
    }

    fn list(&self, container: &str, query: &BTreeMap<String, String>) -> String {
        let prefix = query.get("prefix").map_or("", String::as_str);
        let delimited = query.contains_key("delimiter");
        let mut entries = String::new();
        let mut prefixes = BTreeSet::new();
        for ((known, name), bytes) in self.blobs.borrow().iter() {
            let len = bytes.len();
            let Some(rest) = name.strip_prefix(prefix).filter(|_| known == container) else {
                continue;
            };
            match rest.split_once('/') {
                Some((folder, _)) if delimited => {
                    prefixes.insert(format!("{prefix}{folder}/"));
                }
                _ => entries.push_str(&format!(
                    "<Blob><Name>{name}</Name><Properties><Content-Length>{len}</Content-Length><Etag>0x1</Etag></Properties></Blob>"
                )),
            }
        }
        for prefix in prefixes {
            entries.push_str(&format!("<BlobPrefix><Name>{prefix}</Name></BlobPrefix>"));
        }
        format!(
            "<?xml version=\"1.0\"?><EnumerationResults><Blobs>{entries}</Blobs><NextMarker/></EnumerationResults>"
        )
    }
}

fn coded(status: StatusCode, code: &'static str) -> Response<Bytes> {
    let mut answer = answer(status, "");
    answer
        .headers_mut()
        .insert("x-ms-error-code", code.parse().unwrap());
    answer
}

fn answer(status: StatusCode, body: &str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body.to_owned()));
    *answer.status_mut() = status;
    answer
}

pub(crate) struct World {
    pub(crate) sql: Connection,
    pub(crate) storage: Storage,
    pub(crate) seal: Seal,
    pub(crate) settings: Settings,
    pub(crate) limiter: Limiter,
    pub(crate) ids: CountedIds,
    pub(crate) issuer_keys: IssuerKeys,
    key: SigningKey,
    /// The user who is there from the start.
    pub(crate) owner: String,
    now: Cell<Timestamp>,
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Json,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The status must be this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let sql = headwater_test_database::alone();
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let ids = CountedIds::default();
        let config = BootstrapConfig {
            master_key: MASTER_KEY.into(),
            blob_url: "http://127.0.0.1:10000/local".into(),
            account: "local".into(),
            account_key: "YW4gYWNjb3VudCBrZXkgb2YgdGhpcnR5LXR3byBieXQ=".into(),
            subscription_id: Uuid::nil().to_string(),
            resource_group: "headwater".into(),
            location: "local".into(),
            client: Some(BootstrapClient {
                client_id: "script".into(),
                secret: "a long random secret".into(),
            }),
        };
        let started = block_on(bootstrap(&sql, &config, now, &ids)).unwrap();
        let storage = Storage::default();
        storage.containers.borrow_mut().insert("uploads".into());
        Self {
            sql,
            storage,
            seal: Seal::new(MASTER_KEY).unwrap(),
            settings: Settings {
                public_url: PUBLIC_URL.into(),
                public_gallery: false,
                storage_hosts: vec!["http://store.internal:10000".into()],
                metrics_url: Some("http://127.0.0.1:9090/metrics".into()),
                issuers: Vec::new(),
                audit_days: 90,
                key_vendors: Vec::new(),
            },
            limiter: Limiter::default(),
            ids,
            issuer_keys: IssuerKeys::default(),
            key: started.signing_key,
            owner: started.owner,
            now: Cell::new(now),
        }
    }

    pub(crate) fn wait(&self, seconds: i64) {
        self.now
            .set(self.now.get() + SignedDuration::from_secs(seconds));
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now.get()
    }

    pub(crate) fn token(&self, role: Role, project: Option<&str>) -> String {
        self.sign(Claims {
            roles: Some(vec![role]),
            project: project.map(str::to_owned),
            ..self.claims("tester", &format!("{role:?}"))
        })
    }

    /// A token of a user, without limits.
    pub(crate) fn user_token(&self, user: &str) -> String {
        self.sign(Claims {
            idtyp: Some(SubjectKind::User),
            ..self.claims(user, user)
        })
    }

    pub(crate) fn claims(&self, subject: &str, id: &str) -> Claims {
        let now = self.now().as_second();
        Claims::bare(PUBLIC_URL, subject, id, now, now + 3600)
    }

    pub(crate) fn sign(&self, claims: Claims) -> String {
        self.key.issue(&claims).unwrap()
    }

    /// Sends a request as it is. The answer must be one that our OpenAPI document promises.
    pub(crate) fn send(&self, request: Request<Bytes>) -> Got {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let verifier = block_on(verifier(&self.sql, &self.settings, self.now())).unwrap();
        let api = Api {
            sql: &self.sql,
            http: &self.storage,
            seal: &self.seal,
            settings: &self.settings,
            verifier: &verifier,
            issuer_keys: &self.issuer_keys,
            limiter: &self.limiter,
            address: Some("192.0.2.7".into()),
            now: self.now(),
            ids: &self.ids,
        };
        let answer = self.pass(block_on(api.handle(request)), &path);
        let (parts, body) = answer.response.into_parts();
        assert_eq!(parts.headers["x-ms-request-id"], answer.request_id.as_str());
        if parts.status.is_server_error() {
            eprintln!("{:?}", answer.context);
        }
        let is_text = parts.headers.get("content-type").is_some_and(|kind| {
            let kind = kind.as_bytes();
            kind.starts_with(b"text/") || kind.starts_with(b"application/xml")
        });
        let body = match &body[..] {
            b"" => Json::Null,
            text if is_text => String::from_utf8_lossy(text).into(),
            bytes => serde_json::from_slice(bytes).expect("JSON"),
        };
        contract::check(&method, &path, &parts, &body);
        Got {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    /// What the component does with a body that is in storage.
    fn pass(&self, mut answer: Answer, path: &str) -> Answer {
        let Some(request) = answer.passing.take() else {
            return answer;
        };
        match block_on(self.storage.send(request)) {
            Ok(stored) => match passed(answer, path, stored.status(), stored.headers()) {
                Passed::Whole(answer) => *answer,
                Passed::Bytes(status, headers) => {
                    let mut response = Response::new(stored.into_body());
                    *response.status_mut() = status;
                    *response.headers_mut() = headers;
                    let request_id = response.headers()["x-ms-request-id"]
                        .to_str()
                        .unwrap()
                        .to_owned();
                    Answer {
                        response,
                        request_id,
                        context: None,
                        passing: None,
                    }
                }
            },
            Err(error) => unreachable(answer, path, error.to_string()),
        }
    }

    /// Sends a request with a role's token. ARM paths get an api-version.
    pub(crate) fn as_role(&self, role: Role, method: &str, path: &str, body: &str) -> Got {
        self.with(&self.token(role, None), method, path, body)
    }

    /// Sends a request with this token. ARM paths get an api-version.
    pub(crate) fn with(&self, token: &str, method: &str, path: &str, body: &str) -> Got {
        let mut target = path.to_owned();
        if path.to_ascii_lowercase().starts_with("/subscriptions") && !path.contains("api-version")
        {
            target.push(if path.contains('?') { '&' } else { '?' });
            target.push_str("api-version=2022-08-01");
        }
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(target)
            .header("host", "localhost:8080")
            .header("authorization", format!("Bearer {token}"))
            .body(Bytes::from(body.to_owned()))
            .unwrap();
        self.send(request)
    }

    pub(crate) fn get(&self, path: &str) -> Got {
        self.as_role(Role::Owner, "GET", path, "")
    }

    pub(crate) fn put(&self, path: &str, body: Json) -> Got {
        self.as_role(Role::Owner, "PUT", path, &body.to_string())
    }

    pub(crate) fn patch(&self, path: &str, body: Json) -> Got {
        self.as_role(Role::Owner, "PATCH", path, &body.to_string())
    }

    pub(crate) fn post(&self, path: &str, body: Json) -> Got {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.as_role(Role::Owner, "POST", path, &body)
    }

    pub(crate) fn delete(&self, path: &str) -> Got {
        self.as_role(Role::Owner, "DELETE", path, "")
    }

    pub(crate) fn worker(&self, path: &str, body: Json) -> Got {
        self.as_role(
            Role::Worker,
            "POST",
            &format!("/internal/v1/jobs/{path}"),
            &body.to_string(),
        )
    }
}

pub(crate) fn transform(preset: &str) -> Json {
    json!({"properties": {"outputs": [{
        "preset": {"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": preset},
    }]}})
}

pub(crate) fn job(input: &str, file: &str, output: &str) -> Json {
    json!({"properties": {
        "input": {"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": input, "files": [file]},
        "outputs": [{"@odata.type": "#Microsoft.Media.JobOutputAsset", "assetName": output}],
        "correlationData": {"ticket": "7"},
    }})
}

pub(crate) fn locator(asset: &str, policy: &str) -> Json {
    json!({"properties": {"assetName": asset, "streamingPolicyName": policy}})
}

/// Takes the waiting job and finishes it.
pub(crate) fn work(world: &World, manifest: &str) {
    let claim = world
        .worker("claim", json!({"worker": "w", "leaseSeconds": 30}))
        .expect(200)
        .body;
    let id = claim["jobId"].as_str().unwrap().to_owned();
    let progress =
        json!({"lease": claim["lease"], "progress": [{"index": 0, "percent": 50}], "chunks": []});
    assert_eq!(
        world
            .worker(&format!("{id}/renew"), progress)
            .expect(200)
            .body,
        json!({"cancel": false})
    );
    let outcome =
        json!({"lease": claim["lease"], "outcome": {"state": "finished", "manifests": [manifest]}});
    world.worker(&format!("{id}/finish"), outcome).expect(204);
}
