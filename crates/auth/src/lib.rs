//! Tokens, roles and permissions.
