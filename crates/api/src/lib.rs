//! The management API: two dialects over one set of rules.
