//! The client side: requests as data, answers decoded, and a thin convenience over an [`HttpClient`].

mod answer;
mod container;
#[cfg(feature = "hyper")]
mod hyper_client;
mod store;

pub use answer::{BlobProperties, ClientError, RangeRead, Written};
pub use answer::{
    decode_block_list, decode_done, decode_list, decode_properties, decode_range, decode_written,
};
pub use container::{
    Auth, Conditions, Container, InvalidContainer, List, RenewedSas, RequestError,
};
#[cfg(feature = "hyper")]
pub use hyper_client::{HyperClient, HyperOptions, InvalidCa};
pub use store::{Clock, HttpClient, Store, TransportError};

/// The protocol version our client speaks.
pub const API_VERSION: &str = "2021-12-02";
