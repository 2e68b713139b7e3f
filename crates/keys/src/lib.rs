//! Key delivery without IO: who may have a content key, and how it is handed over.
//!
//! * [`KeyRequest`]: what was asked for, read from path, query, headers and body.
//! * [`KeyPolicy`]: the options of a content key policy as the catalog keeps them; [`KeyPolicy::decide`] says which one, if
//!   any, lets a token have a key.
//! * [`TokenRestriction`]: JSON Web Tokens and Simple Web Tokens, checked against the keys of the *configuration*, never by
//!   what a token says of itself. [`Discovery`] is the cache of what OpenID providers publish.
//! * [`clearkey`]: licences that are the key itself. [`Backend`]: those of Widevine, PlayReady and FairPlay, which other
//!   servers make. [`speke`]: the messages by which such servers make keys.
//!
//! Left to others: looking keys and policies up, fetching, counting uses (`functions/keys`).
//!
//! Tokens, keys and messages never appear in errors.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod answer;
mod backend;
pub mod clearkey;
mod deliver;
mod discovery;
mod policies;
mod policy;
mod request;
pub mod speke;
mod token;
mod vendor;

pub use backend::{Backend, BackendError, Licence, MAX_ANSWER_BYTES, Message};
pub use deliver::{Asked, Delivery, KeyStore, Outbound, OutboundFault, StoredKey, TokenUse};
pub use discovery::{Discovery, Wanted};
pub use policies::Policies;
pub use policy::{Configuration, Decision, KeyPolicy, PolicyError, PolicyOption, Refusal, System};
pub use request::{KeyRequest, MAX_BODY_BYTES, RequestError, token_of};
pub use token::{
    Accepted, CONTENT_KEY_IDENTIFIER, KeySet, MAX_TOKEN_BYTES, MAX_USES, RequiredClaim, TokenError,
    TokenKind, TokenRestriction, Uses, VerificationKey,
};
pub use vendor::{KeyVendor, WantedKey};
