//! The origin: what to answer to a player.
//!
//! [`Origin::handle`] takes a request and gives a response whose body is either a small text, or a *plan of bytes*
//! for the assembler; media never comes through here. Reads go through the packaging index of `headwater-cmaf`, so a
//! segment of a 12 hour asset costs what one of a minute costs.
//!
//! * [`address`]: the URL grammar of Azure Media Services and MK.IO.
//! * `policy`: locator, streaming policy and clock; who may have what. `endpoints`: from where.
//! * `presentation`, `manifests`: server manifests and indexes become tracks, tracks become HLS, DASH and Smooth.
//! * [`filter`]: which tracks and which time of them a client is shown.
//! * `transport`, `smooth`: segments in the containers that the index does not hold them in.
//! * `protection`, `shield`: encryption on the way out: which key, which bytes around samples, which words for players.
//! * `live`: recordings that are made while they are played, and afterwards.
//! * `token_proxy`: tokens of players that cannot add headers.
//! * `added`, `documents`: tracks that the API has added, and the text files that some of them are.
//! * `captions`: which captions pictures carry.
//! * `index`: packaging indexes, found or built.
//! * [`report()`]: what of an asset will play, and why the rest will not; for operators and importers.
//! * `answer`, [`OriginError`]: HTTP and problem bodies.
//! * [`Catalog`], [`Storage`]: the ports. [`BlobStorage`] is the storage adapter over the Azure Blob client.
//!
//! Left to others: assembling plans (`headwater-plan`), the Spin component around it (`functions/origin`). This crate
//! reads no clock; [`Request::now`] is the time.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod added;
pub mod address;
mod answer;
mod azure;
mod cache;
mod captions;
mod codec;
mod cross_site;
mod documents;
mod endpoints;
mod error;
pub mod filter;
mod images;
mod index;
pub mod language;
mod live;
mod manifests;
mod policy;
mod ports;
mod presentation;
mod protection;
mod report;
mod segments;
mod serve;
mod shield;
mod signed;
mod smooth;
mod tag;
mod token_proxy;
mod transport;

pub use added::{AddedKind, AddedTrack, TrackSettings};
pub use answer::{Body, Growing, Request, failure};
pub use azure::{BlobFolder, BlobStorage, Pause};
pub use cross_site::CrossSite;
pub use endpoints::Endpoint;
pub use error::{Code, Kind, OriginError};
pub use headwater_live::group::RowsPerSegment;
pub use index::Freshness;
pub use live::{Broadcast, Edge, PREVIEW};
pub use ports::{
    Catalog, CatalogError, Encrypted, ObjectInfo, ObjectRead, Protocols, Published, Storage,
    StorageError,
};
pub use presentation::LeftOut;
pub use protection::{ContentKey, KeyOffer, KeySystem, Protection, SchemeProtection, Tracks, Way};
pub use report::{Refusal, Report, TrackReport, report};
pub use serve::{CacheSizes, Origin};
pub use signed::SignatureKey;
