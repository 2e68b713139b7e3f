//! Live events, what records them, and the ingest workers that run them.
//!
//! | Module | Holds |
//! |---|---|
//! | [`model`] | what events and outputs are |
//! | `rules` | what may be said about them |
//! | `machine` | states, and what leads from one to another |
//! | [`events`], [`actions`] | made, changed, listed; started, stopped, reset, deleted |
//! | [`outputs`] | recordings |
//! | [`queue`] | the worker's side: claim, renew, release |
//! | [`health`] | how the ingest is doing, by the worker's measurements |
//! | [`source`] | the origin's side: who has the newest moments |
//! | [`sweep`] | what time alone decides |
//!
//! An event that nobody runs is a row. One that is to run is claimed by a worker with a lease, as a job is, and the worker's
//! reports lead it on. A worker that dies stops renewing; the next one takes the event over, and clients see no difference:
//! a running event stays Running meanwhile.

pub mod actions;
pub mod events;
mod facts;
pub mod health;
mod machine;
pub mod model;
pub mod outputs;
pub mod queue;
mod rules;
pub mod source;
pub mod sweep;

pub use actions::Acted;
pub use machine::{Action, LiveEventState};
pub use model::{LiveEvent, LiveEventWrite, LiveOutput, LiveOutputState, NewLiveOutput};
pub use rules::MOST_EVENTS;
pub use source::{LivePreview, LiveSource};
