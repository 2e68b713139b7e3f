//! A component that does one thing per path, good and bad, for the host's tests.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use spin_sdk::http::Request;
use spin_sdk::http_service;
use spin_sdk::sqlite::{Connection, Value};
use std::sync::atomic::{AtomicU64, Ordering};

mod wit {
    use spin_sdk::wit_bindgen;
    wit_bindgen::generate!({ path: "wit", world: "guest", runtime_path: "spin_sdk::wit_bindgen::rt" });
}

/// What the guest remembers: paths below `/recall`.
#[allow(unsafe_code, reason = "what a component exports")]
mod memory {
    use spin_sdk::wit_bindgen;
    wit_bindgen::generate!({
        path: "../../functions/edge/wit",
        world: "remembering",
        runtime_path: "spin_sdk::wit_bindgen::rt",
    });

    use exports::headwater::edge::memory::{Answer, Body, Guest, Post, Question};

    struct Memory;
    export!(Memory);

    impl Guest for Memory {
        fn recall(question: Question) -> Option<Answer> {
            let (path, query) = question
                .target
                .split_once('?')
                .unwrap_or((&question.target, ""));
            let body = match path {
                "/recall/bytes" => Body::Bytes(b"from memory".into()),
                "/recall/nothing" => Body::Empty,
                "/recall/headers" => Body::Bytes(format!("{:?}", question.headers).into_bytes()),
                "/recall/post" => Body::HandedOn(Post {
                    url: query.to_owned(),
                    body: b"a plan".into(),
                }),
                "/recall/trap" => panic!("asked to"),
                "/recall/loop" => loop {
                    std::hint::black_box(query);
                },
                _ => return None,
            };
            let told = if question.head { "head" } else { "get" };
            let host = question.authority.unwrap_or_default();
            Some(Answer {
                status: 203,
                headers: vec![
                    ("x-told".into(), told.into()),
                    ("x-told".into(), host.into_bytes()),
                ],
                body,
            })
        }
    }
}

static REQUESTS: AtomicU64 = AtomicU64::new(0);

#[http_service]
async fn guest(request: Request) -> Response<Full<Bytes>> {
    let served = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let text = match path.as_str() {
        "/ok" => Ok("ok".into()),
        "/served" => Ok(served.to_string()),
        "/trap" => panic!("asked to"),
        "/loop" => loop {
            std::hint::black_box(served);
        },
        "/loop-after" => {
            spin_sdk::wit_bindgen::spawn(async {
                // The host takes the answer while this waits.
                let _ = get("http://native.spin.internal/").await;
                loop {
                    std::hint::black_box(0);
                }
            });
            Ok("on its way".into())
        }
        "/memory" => Ok(eat(query.parse().unwrap_or(0)).to_string()),
        "/environment" => std::env::var(&query).map_err(|e| e.to_string()),
        "/variable" => spin_sdk::variables::get(&query)
            .await
            .map_err(|e| format!("{e:?}")),
        "/file" => std::fs::read_to_string(&query).map_err(|e| e.to_string()),
        "/write" => std::fs::write(&query, "x")
            .map(|()| "written".into())
            .map_err(|e| e.to_string()),
        "/header" => Ok(request
            .headers()
            .get_all(query.as_str())
            .iter()
            .map(|v| v.to_str().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("|")),
        "/echo" => match request.into_body().collect().await {
            Ok(body) => return Response::new(Full::new(body.to_bytes())),
            Err(error) => Err(format!("{error:?}")),
        },
        "/get" => get(&query).await,
        "/sql" => sql().await,
        "/greet" => Ok(wit::headwater::test::greeter::greet(&query)),
        "/left-open" => left_open().await,
        _ if path.starts_with("/recall") => Ok("from the handler".into()),
        _ => Err(format!("nothing at {path}")),
    };
    let (status, text) = match text {
        Ok(text) => (StatusCode::OK, text),
        Err(text) => (StatusCode::INTERNAL_SERVER_ERROR, text),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}

fn eat(megabytes: usize) -> usize {
    let mut eaten = Vec::new();
    for _ in 0..megabytes {
        eaten.push(std::hint::black_box(vec![1u8; 1 << 20]));
    }
    eaten.len()
}

async fn get(url: &str) -> Result<String, String> {
    let request = http::Request::get(url)
        .body(Full::new(Bytes::new()))
        .map_err(|e| e.to_string())?;
    let response = spin_sdk::http::send(request)
        .await
        .map_err(|e| format!("{e:?}"))?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|e| format!("{e:?}"))?
        .to_bytes();
    Ok(format!(
        "{} {}",
        status.as_u16(),
        String::from_utf8_lossy(&body)
    ))
}

async fn statement(
    connection: &Connection,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<String>, String> {
    let result = connection
        .execute(sql, values)
        .await
        .map_err(|e| format!("{e:?}"))?;
    let rows = result.collect().await.map_err(|e| format!("{e:?}"))?;
    Ok(rows
        .into_iter()
        .map(|row| format!("{:?}", row.values))
        .collect())
}

async fn sql() -> Result<String, String> {
    let connection = Connection::open("catalog")
        .await
        .map_err(|e| format!("{e:?}"))?;
    statement(
        &connection,
        "CREATE TABLE IF NOT EXISTS t (a INTEGER, b TEXT, c BLOB, d REAL)",
        vec![],
    )
    .await?;
    statement(&connection, "BEGIN IMMEDIATE", vec![]).await?;
    let values = vec![
        Value::Integer(1 << 40),
        Value::Text("größe".into()),
        Value::Blob(vec![0, 255]),
        Value::Real(0.5),
    ];
    statement(&connection, "INSERT INTO t VALUES (?1, ?2, ?3, ?4)", values).await?;
    statement(&connection, "COMMIT", vec![]).await?;
    Ok(
        statement(&connection, "SELECT a, b, c, d FROM t LIMIT 1", vec![])
            .await?
            .join(";"),
    )
}

/// Leaves a transaction open: the host must roll it back when the connection goes.
async fn left_open() -> Result<String, String> {
    let connection = Connection::open("catalog")
        .await
        .map_err(|e| format!("{e:?}"))?;
    statement(
        &connection,
        "CREATE TABLE IF NOT EXISTS u (a INTEGER)",
        vec![],
    )
    .await?;
    let before = statement(&connection, "SELECT count(*) FROM u", vec![])
        .await?
        .join("");
    statement(&connection, "BEGIN IMMEDIATE", vec![]).await?;
    statement(&connection, "INSERT INTO u VALUES (1)", vec![]).await?;
    Ok(before)
}
