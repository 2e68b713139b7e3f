//! The server side without IO: what a request asks, whether it may, whether its conditions hold, which bytes it wants.

mod authorize;
mod conditions;
mod error;
mod operation;
mod range;

pub use authorize::{Authorized, RequestHead, authorize};
pub use conditions::{Outcome, Preconditions, State, Use};
pub use error::{ErrorCode, ServiceError};
pub use operation::{
    ListBlobs, ListContainers, Operation, Target, check_block_id, parse_operation, parse_target,
};
pub use range::{ByteRange, InvalidRange, parse_range};
