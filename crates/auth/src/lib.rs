//! Who is calling, and what they may do.
//!
//! * [`token`]: the JSON Web Tokens Headwater issues and accepts: EdDSA over Ed25519 (RFC 8037), `kid` of the signing key,
//!   `iss`, `aud`, `sub`, `idtyp`, `iat`, `exp`, `jti`, and the limits `roles`, `project`, `permissions`.
//! * [`key`]: the keys that sign them, and their public halves as a JWK set (RFC 7517).
//! * [`issuer`]: tokens of somebody else's authority (OpenID Connect), and what its roles mean here.
//! * [`sign_in`]: how people sign in there with the portal.
//! * [`permission`]: one table of role, resource kind and verb.
//! * [`rights`]: what a caller may do in the end: what was granted, within the limits of the token.
//!
//! Nothing here reads a clock, a database or a header: the caller brings `now` and the token, and asks whoever keeps the
//! lists whether a `jti` has been revoked and what its subject was granted.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod issuer;
pub mod key;
pub mod permission;
pub mod rights;
pub mod sign_in;
pub mod token;

pub use issuer::Issuer;
pub use key::{PublicKey, SigningKey, jwks, random_secret};
pub use permission::{Permission, Reach, ResourceKind, Role, Verb};
pub use rights::{Caller, Capabilities, Grant, Over, Place, Powers, Tree};
pub use token::{AUDIENCE, AuthError, Claims, FILES_AUDIENCE, SubjectKind, Verified, Verifier};
