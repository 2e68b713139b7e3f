//! Deliveries against a real catalog (SQLite in memory) and a storage service made of closures.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use futures::executor::block_on;
use headwater_blob::TransportError;
use headwater_catalog::bootstrap::{BootstrapConfig, bootstrap};
use headwater_catalog::{NativeSqlite, RandomIds};
use headwater_seal::Secret;
use http::{Method, Request, Response};

use super::*;

const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

thread_local!(static SECONDS: Cell<i64> = const { Cell::new(0) });

/// A clock by which each answer of storage takes a second and nothing else takes any time.
fn slow() -> Timestamp {
    Timestamp::from_second(SECONDS.get()).unwrap()
}

/// Answers every HEAD with the same status, length and ETag, and remembers what was asked.
#[derive(Clone)]
struct Shelf {
    answer: Result<(u16, u64, &'static str), TransportError>,
    asked: Rc<RefCell<Vec<String>>>,
}

impl Shelf {
    fn new(status: u16, len: u64, etag: &'static str) -> Self {
        Self {
            answer: Ok((status, len, etag)),
            asked: Rc::default(),
        }
    }
}

impl HttpClient for Shelf {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        assert_eq!(request.method(), Method::HEAD);
        assert!(request.headers().contains_key("authorization"), "unsigned");
        self.asked
            .borrow_mut()
            .push(request.uri().path().to_owned());
        SECONDS.set(SECONDS.get() + 1);
        let (status, len, etag) = self.answer.clone()?;
        Ok(Response::builder()
            .status(status)
            .header("content-length", len)
            .header("etag", etag)
            .body(Bytes::new())
            .unwrap())
    }
}

fn catalog() -> NativeSqlite {
    let sql = NativeSqlite::in_memory().unwrap();
    let config = BootstrapConfig {
        master_key: Secret::from(MASTER_KEY),
        blob_url: "http://127.0.0.1:10000/local".into(),
        account: "local".into(),
        account_key: Secret::from(
            "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2traw==",
        ),
        subscription_id: "00000000-0000-0000-0000-000000000000".into(),
        resource_group: "headwater".into(),
        location: "local".into(),
        client: None,
    };
    block_on(bootstrap(&sql, &config, Timestamp::UNIX_EPOCH, &RandomIds)).unwrap();
    sql
}

fn created(id: &str, blob: &str) -> StorageEvent {
    StorageEvent {
        id: id.into(),
        change: Change::Created,
        account: Some("local".into()),
        container: "uploads".into(),
        blob: blob.into(),
        etag: Some("0xEVENT".into()),
        size_bytes: Some(1),
        time: None,
    }
}

fn deliver(
    sql: &NativeSqlite,
    shelf: &Shelf,
    events: Vec<StorageEvent>,
) -> Result<Tally, InboxError> {
    deliver_by(|| Timestamp::UNIX_EPOCH, sql, shelf, events)
}

fn deliver_by(
    clock: fn() -> Timestamp,
    sql: &NativeSqlite,
    shelf: &Shelf,
    events: Vec<StorageEvent>,
) -> Result<Tally, InboxError> {
    let seal = Seal::new(MASTER_KEY).unwrap();
    let inbox = Inbox {
        sql,
        seal: &seal,
        client: shelf.clone(),
        moment: Moment {
            now: Timestamp::UNIX_EPOCH,
            ids: &RandomIds,
        },
        clock,
    };
    block_on(inbox.take_in(&Batch {
        events,
        ..Batch::default()
    }))
}

fn jobs(sql: &NativeSqlite) -> usize {
    block_on(sql.query("SELECT id FROM jobs", &[]))
        .unwrap()
        .iter()
        .count()
}

#[test]
fn a_dropped_file_starts_one_job_however_often_it_is_told() {
    let (sql, shelf) = (catalog(), Shelf::new(200, 5, "\"0x1\""));
    let told = vec![
        created("a", "my film.mp4"),
        created("a", "my film.mp4"),
        created("b", "my film.mp4"),
    ];
    let tally = deliver(&sql, &shelf, told).unwrap();
    assert_eq!((tally.started, tally.duplicate, tally.ignored), (1, 1, 1));
    assert_eq!(jobs(&sql), 1);
    assert_eq!(shelf.asked.borrow()[0], "/local/uploads/my%20film.mp4");

    // A new version of the blob is new work; the event's own ETag has no say in it.
    let tally = deliver(
        &sql,
        &Shelf::new(200, 5, "\"0x2\""),
        vec![created("c", "my film.mp4")],
    )
    .unwrap();
    assert_eq!((tally.started, jobs(&sql)), (1, 2));
}

#[test]
fn events_that_no_rule_is_for_do_not_reach_storage() {
    let (sql, shelf) = (catalog(), Shelf::new(200, 5, "\"0x1\""));
    let mut elsewhere = created("1", "a.mp4");
    elsewhere.container = "asset-1".into();
    let mut foreign = created("2", "a.mp4");
    foreign.account = Some("other".into());
    let mut bucket = created("3", "a.mp4");
    bucket.account = None;
    let mut gone = created("4", "a.mp4");
    gone.change = Change::Deleted;
    let told = vec![elsewhere, foreign, bucket, gone, created("5", "notes.txt")];
    assert_eq!(deliver(&sql, &shelf, told).unwrap().ignored, 5);
    assert!(shelf.asked.borrow().is_empty());
}

#[test]
fn a_blob_that_is_gone_or_empty_starts_nothing() {
    let sql = catalog();
    for shelf in [Shelf::new(404, 0, "\"\""), Shelf::new(200, 0, "\"0x1\"")] {
        assert_eq!(
            deliver(&sql, &shelf, vec![created("a", "a.mp4")])
                .unwrap()
                .ignored,
            1
        );
    }
    assert_eq!(jobs(&sql), 0);
    // Nothing was remembered: when the file is there, the same event may still start it.
    let tally = deliver(
        &sql,
        &Shelf::new(200, 9, "\"0x1\""),
        vec![created("a", "a.mp4")],
    )
    .unwrap();
    assert_eq!(tally.started, 1);
}

#[test]
fn a_delivery_comes_again_when_storage_does_not_answer() {
    let sql = catalog();
    let mut down = Shelf::new(503, 0, "\"\"");
    assert!(
        deliver(&sql, &down, vec![created("a", "a.mp4")])
            .unwrap_err()
            .is_passing()
    );
    down.answer = Err(TransportError::Timeout);
    assert!(
        deliver(&sql, &down, vec![created("a", "a.mp4")])
            .unwrap_err()
            .is_passing()
    );
    let refused = Shelf::new(403, 0, "\"\"");
    assert!(
        !deliver(&sql, &refused, vec![created("a", "a.mp4")])
            .unwrap_err()
            .is_passing()
    );
}

#[test]
fn a_delivery_too_long_for_its_time_gets_through_in_several() {
    for shelf in [Shelf::new(200, 5, "\"0x1\""), Shelf::new(404, 0, "\"\"")] {
        let sql = catalog();
        let told: Vec<_> = (0..50)
            .map(|number| created(&number.to_string(), &format!("{number}.mp4")))
            .collect();
        let mut put_off = 0;
        let tally = loop {
            match deliver_by(slow, &sql, &shelf, told.clone()) {
                Ok(tally) => break tally,
                Err(error) => assert!(error.is_passing(), "{error}"),
            }
            put_off += 1;
            assert!(put_off < 10, "no end to it");
        };
        assert_eq!((put_off, tally.duplicate), (2, 40), "20 s each");
        assert_eq!(
            shelf.asked.borrow().len(),
            50,
            "each blob was looked at once"
        );
        let found = shelf.answer.as_ref().unwrap().0 == 200;
        assert_eq!(jobs(&sql), if found { 50 } else { 0 });
    }
}

#[test]
fn an_event_that_is_known_does_not_reach_storage() {
    let (sql, shelf) = (catalog(), Shelf::new(200, 5, "\"0x1\""));
    for expected in [(1, 0), (0, 1)] {
        let tally = deliver(&sql, &shelf, vec![created("a", "a.mp4")]).unwrap();
        assert_eq!((tally.started, tally.duplicate), expected);
    }
    assert_eq!(shelf.asked.borrow().len(), 1);
}
