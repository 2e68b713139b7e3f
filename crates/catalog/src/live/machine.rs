//! The states of a live event, and what leads from one to another.
//!
//! | Action | Stopped | Allocating | StandBy | Starting | Running | Stopping | Deleting |
//! |---|---|---|---|---|---|---|---|
//! | allocate | Allocating | under way | done | - | - | - | - |
//! | start | Starting | - | Starting | under way | done | - | - |
//! | reset | - | - | - | under way | Starting | - | - |
//! | stop | done | Stopping | Stopping | Stopping | Stopping | under way | - |
//! | delete | Deleting | - | Deleting | - | - | - | under way |
//!
//! "Done" and "under way" are successes: a client that repeats a request whose answer it did not see gets the same one. A
//! dash is refused. Where no worker holds the event there is nobody to wait for, and Stopping and Deleting are over at once.
//!
//! A worker's report leads from Allocating to StandBy and from Starting to Running; its release from Stopping to Stopped.
//! A worker that is lost changes nothing: a running event stays Running for its clients while another worker takes it over.
//!
//! Pure: what is kept and who is told is the business of the other modules. Spec: the management API reference, 1.12, 2.10.

use headwater_work::live::{Wanted, WorkerState};
use serde::{Deserialize, Serialize};

/// AMS `LiveEventResourceState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LiveEventState {
    Stopped,
    Allocating,
    StandBy,
    Starting,
    Running,
    Stopping,
    Deleting,
}

use LiveEventState as State;

/// What a client asks of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Allocate,
    Start,
    Reset,
    Stop,
    Delete,
}

/// What an action means in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// What is asked for is so.
    Done,
    /// It will be so: the operation that is under way is the answer.
    UnderWay,
    To(State),
    Refused,
}

impl State {
    pub(super) const ALL: [Self; 7] = [
        Self::Stopped,
        Self::Allocating,
        Self::StandBy,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Deleting,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Allocating => "Allocating",
            Self::StandBy => "StandBy",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Stopping => "Stopping",
            Self::Deleting => "Deleting",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether it is on its way to another state.
    pub fn is_passing(self) -> bool {
        match self {
            Self::Allocating | Self::Starting | Self::Stopping | Self::Deleting => true,
            Self::Stopped | Self::StandBy | Self::Running => false,
        }
    }

    /// Whether the properties may be changed.
    pub(super) fn is_editable(self) -> bool {
        matches!(self, Self::Stopped | Self::StandBy)
    }

    /// What a worker that holds the event should bring about.
    pub(super) fn wanted(self) -> Wanted {
        match self {
            Self::Allocating | Self::StandBy => Wanted::StandBy,
            Self::Starting | Self::Running => Wanted::Run,
            Self::Stopped | Self::Stopping | Self::Deleting => Wanted::Stop,
        }
    }
}

impl Action {
    /// As in "it cannot be ...".
    pub(super) fn participle(self) -> &'static str {
        match self {
            Self::Allocate => "allocated",
            Self::Start => "started",
            Self::Reset => "reset",
            Self::Stop => "stopped",
            Self::Delete => "deleted",
        }
    }
}

/// The table above.
pub(super) fn step(state: State, action: Action) -> Step {
    match (action, state) {
        (Action::Allocate, State::Stopped) => Step::To(State::Allocating),
        (Action::Allocate, State::Allocating) => Step::UnderWay,
        (Action::Allocate, State::StandBy) => Step::Done,
        (Action::Start, State::Stopped | State::StandBy) => Step::To(State::Starting),
        (Action::Start | Action::Reset, State::Starting) => Step::UnderWay,
        (Action::Start, State::Running) => Step::Done,
        (Action::Reset, State::Running) => Step::To(State::Starting),
        (Action::Stop, State::Stopped) => Step::Done,
        (Action::Stop, State::Allocating | State::StandBy | State::Starting | State::Running) => {
            Step::To(State::Stopping)
        }
        (Action::Stop, State::Stopping) => Step::UnderWay,
        (Action::Delete, State::Stopped | State::StandBy) => Step::To(State::Deleting),
        (Action::Delete, State::Deleting) => Step::UnderWay,
        _ => Step::Refused,
    }
}

/// Where a worker's report leads. `current`: whether it is about the event's generation, not about one before a reset.
pub(super) fn reported(state: State, report: WorkerState, current: bool) -> State {
    match (state, report) {
        (State::Allocating, WorkerState::StandBy | WorkerState::Running) => State::StandBy,
        (State::Starting, WorkerState::Running) if current => State::Running,
        _ => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table at the head of the module is what the code does.
    #[test]
    fn the_table_holds() {
        let source = include_str!("machine.rs");
        let rows = source
            .lines()
            .filter_map(|line| line.strip_prefix("//! | "))
            .skip(1);
        let actions = [
            Action::Allocate,
            Action::Start,
            Action::Reset,
            Action::Stop,
            Action::Delete,
        ];
        let mut checked = 0;
        for (row, action) in rows.zip(actions) {
            let cells: Vec<_> = row
                .trim_end_matches('|')
                .split('|')
                .map(str::trim)
                .collect();
            for (cell, state) in cells[1..].iter().zip(State::ALL) {
                let expected = match *cell {
                    "-" => Step::Refused,
                    "done" => Step::Done,
                    "under way" => Step::UnderWay,
                    name => Step::To(State::parse(name).unwrap()),
                };
                assert_eq!(step(state, action), expected, "{action:?} in {state:?}");
                checked += 1;
            }
        }
        assert_eq!(checked, 35);
    }

    #[test]
    fn a_worker_leads_on_and_never_back() {
        for state in State::ALL {
            for report in [
                WorkerState::Preparing,
                WorkerState::StandBy,
                WorkerState::Running,
            ] {
                let after = reported(state, report, true);
                let expected = match (state, report) {
                    (State::Allocating, WorkerState::Preparing) => State::Allocating,
                    (State::Allocating, _) => State::StandBy,
                    (State::Starting, WorkerState::Running) => State::Running,
                    _ => state,
                };
                assert_eq!(after, expected, "{report:?} in {state:?}");
            }
        }
        assert_eq!(
            reported(State::Starting, WorkerState::Running, false),
            State::Starting
        );
    }
}
