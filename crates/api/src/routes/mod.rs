//! The one table of what the management API offers.
//!
//! A row says on which surfaces an operation exists, its method and path, what it asks of its caller and which status a
//! success has. Matching, `405`, authorisation and the matrix in the documentation all come from here; a resource that is
//! added later is rows here, a variant of [`Operation`] and a handler that the compiler then asks for.
//!
//! The compiler asks for one thing more: the operation's arm in `openapi/operations.rs`, which says what it is for, what it
//! takes and what it answers (or that it is not on our own surface). What a resource looks like is a file in
//! `openapi/shapes/`, beside which `docs/openapi.json` is made anew with `cargo run -p headwater-api --example openapi`.
//!
//! Fixed segments are matched without regard to case (the Azure clients write both `mediaServices` and `mediaservices`);
//! `{name}` takes one segment, percent-decoded after splitting, so an encoded slash stays inside a name; `{name...}` takes
//! all that are left. One slash at the end is ignored.

mod find;
mod operation;
mod table;

use headwater_auth::Permission;

pub(crate) use find::{Matched, NoRoute, Vars, find, surface_of};
pub use operation::Operation;
pub use table::{Route, all};

/// What a caller must bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody may ask.
    Open,
    /// A token with this permission.
    Token(Permission),
    /// A token that `getFileAccessInfo` gave out. It is good for nothing else.
    FileToken,
    /// As `Token`, unless the operator shows published media to everybody.
    Gallery(Permission),
    /// As `Token`, but whoever administers the team that the path names may as well.
    TeamAdmin(Permission),
}

impl Access {
    /// What a token has to be good for, if one is needed.
    pub fn permission(self) -> Option<Permission> {
        match self {
            Self::Open | Self::FileToken => None,
            Self::Token(needed) | Self::Gallery(needed) | Self::TeamAdmin(needed) => Some(needed),
        }
    }
}
