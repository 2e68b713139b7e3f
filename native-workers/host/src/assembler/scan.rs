//! Which bytes of a segment's samples stay clear, found in mapped files where they lie: only pages with NAL headers are
//! touched. From other stores, where nothing of them is kept, by the reference implementation.

use super::Stores;
use super::frames::{Output, Outputs};
use super::packets::{Refusal, Store};
use crate::outgoing::full_body;
use bytes::Bytes;
use headwater_plan::{AssembleError, Scan, Scanning, SubsampleMap, scan};
use http::{Response, StatusCode};
use std::fmt::Display;
use wasmtime_wasi_http::WasiBody;

/// Answers `/scan`.
pub(super) async fn answer(
    stores: Stores,
    encoded: Bytes,
) -> Result<Response<WasiBody>, StatusCode> {
    let asked = Scan::decode(encoded).map_err(|error| {
        tracing::error!("a scan was not understood: {error}");
        StatusCode::BAD_REQUEST
    })?;
    let map = match stores.map_all(&asked.plan).await? {
        Some(found) => mapped(&asked, &found)?,
        None => match scan(&asked, &Store::new(stores.client)).await {
            Ok(map) => map,
            Err(AssembleError::Source(Refusal(status))) => return Err(status),
            Err(AssembleError::Sink(error) | AssembleError::Cipher(error)) => {
                return Err(damaged(error));
            }
            Err(_) => return Err(StatusCode::BAD_GATEWAY),
        },
    };
    Ok(Response::new(full_body(Scan::write_map(map))))
}

fn damaged(error: impl Display) -> StatusCode {
    tracing::warn!("a segment cannot be scanned: {error}");
    StatusCode::UNPROCESSABLE_ENTITY
}

fn mapped(asked: &Scan, found: &Outputs) -> Result<SubsampleMap, StatusCode> {
    let mut scanning = Scanning::new(asked).map_err(damaged)?;
    for output in &found.frames {
        let bytes = match output {
            Output::Ready(bytes) => bytes,
            Output::Small { map, at } => found.piece(*map, at.clone()),
            Output::Packets(_) => return Err(StatusCode::BAD_REQUEST),
        };
        scanning.push(bytes).map_err(damaged)?;
    }
    scanning.finish().map_err(damaged)
}
