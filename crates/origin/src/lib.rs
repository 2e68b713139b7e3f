//! The origin: what to answer to a player.
