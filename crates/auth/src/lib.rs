//! Who is calling, and what they may do.
//!
//! * [`token`]: the JSON Web Tokens Headwater issues and accepts: EdDSA over Ed25519 (RFC 8037), `kid` of the signing key,
//!   `iss`, `aud`, `sub`, `iat`, `exp`, `jti`, `roles`, `project`.
//! * [`key`]: the keys that sign them, and their public halves as a JWK set (RFC 7517).
//! * [`permission`]: one table of role, resource kind and verb.
//!
//! Nothing here reads a clock, a database or a header: the caller brings `now` and the token, and asks whoever keeps the
//! list whether a `jti` has been revoked.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod key;
pub mod permission;
pub mod token;

pub use key::{PublicKey, SigningKey, jwks};
pub use permission::{Permission, ResourceKind, Role, Verb};
pub use token::{AUDIENCE, AuthError, Claims, FILES_AUDIENCE, Verifier};
