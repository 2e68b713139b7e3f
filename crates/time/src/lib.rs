//! Media time: timescales, ticks and rescaling.
