//! The store over HTTP and in the same process: what it promises when it falls, when it is attacked, when it is slow, and to
//! whom it tells of what.

mod azurite;
mod crash;
mod events;
mod hostile;
mod local;
mod long_commit;
mod support;
