//! File descriptors: a viewer's connection takes one, and shells hand out a thousand.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for every part, and bounded where the machine says "as many as you like".
const WANTED: u64 = 65_536;
/// For files, databases and connections to storage, beside those of clients.
const OWN: u64 = 1024;

/// Raises the limit as far as an ordinary user may; returns how many descriptors connections may take.
pub(crate) fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = WANTED.min(maximum.unwrap_or(WANTED));
    let granted = match current {
        Some(current) if current < wanted => {
            let raised = Rlimit {
                current: Some(wanted),
                maximum,
            };
            setrlimit(Resource::Nofile, raised).map_or(current, |()| wanted)
        }
        current => current.unwrap_or(WANTED),
    };
    let left = granted.saturating_sub(OWN).max(granted / 4);
    usize::try_from(left).unwrap_or(usize::MAX)
}
