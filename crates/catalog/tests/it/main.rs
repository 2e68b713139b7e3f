//! The catalog on a database in memory, or on the server that `HEADWATER_TEST_POSTGRES` names: one module per part.

mod delivery;
mod events;
mod ingest;
mod lists;
mod live;
mod people;
mod publishing;
mod queue;
mod reseal;
mod resources;
mod sharing;
mod storage;
mod support;
mod usage;
