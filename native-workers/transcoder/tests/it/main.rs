//! The transcoder as a worker: what it is given, what it makes of it, and what is left when it falls.

mod archives;
mod baits;
mod chunks;
mod codecs;
mod colours;
mod demo;
mod faults;
mod ffmpeg;
mod field;
mod helpers;
mod inputs;
mod inserter;
mod kills;
mod layers;
mod matrix;
mod pipeline;
mod presets;
mod rates;
mod signatures;
mod sources;
mod support;
