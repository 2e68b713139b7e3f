//! Answers that need nobody else, in one call: `headwater:edge/memory`. For all others there is the handler of `wasi:http`.
//!
//! That handler is some thirty calls between host and guest, which take longer than a small answer does (ADR 48). A component that
//! is asked here polls the very future its handler would await, once. Where somebody else's turn comes (the catalog, a
//! variable, storage) it waits at [`others`]: nothing has begun then, and the question is one for the handler.

use crate::http::Asked;
use http::{HeaderMap, Method, StatusCode};
use std::cell::Cell;
use std::future::pending;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Of `wit/memory.wit`.
#[allow(missing_docs, unsafe_code, clippy::all, clippy::pedantic)]
pub mod bindings {
    spin_sdk::wit_bindgen::generate!({
        path: "wit",
        world: "remembering",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        default_bindings_module: "headwater_edge::memory::bindings",
    });
}

pub use bindings::export;
pub use bindings::exports::headwater::edge::memory::{Answer, Body, Guest, Post, Question};

thread_local! {
    static RECALLING: Cell<bool> = const { Cell::new(false) };
}

/// To be awaited before somebody else is asked.
pub async fn others() {
    if RECALLING.get() {
        pending().await
    }
}

/// What `answering` comes to, unless that takes somebody else.
pub fn recall<T>(answering: impl Future<Output = T>) -> Option<T> {
    RECALLING.set(true);
    let polled = pin!(answering).poll(&mut Context::from_waker(Waker::noop()));
    RECALLING.set(false);
    match polled {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

/// What was asked, as the handler would have read it.
pub fn asked(question: Question) -> (Asked, Option<String>) {
    let method = if question.head {
        Method::HEAD
    } else {
        Method::GET
    };
    let asked = Asked::new(method, question.target, question.headers);
    (asked, question.authority)
}

/// An answer with this body.
pub fn answer(status: StatusCode, headers: &HeaderMap, body: Body) -> Answer {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Answer {
        status: status.as_u16(),
        headers: headers.collect(),
        body,
    }
}
