//! The whole API in the process, asked over HTTP: one module per part of the surface.

mod account;
mod audit;
mod credentials;
mod foreign;
mod imports;
mod key_documents;
mod key_orders;
mod lists;
mod live;
mod live_health;
mod openapi;
mod organization;
mod people;
mod policies;
mod projects;
mod protection;
mod rights;
mod storage;
mod support;
mod surface;
mod tokens;
mod tracks;
mod vod;
mod webhooks;
mod work;
