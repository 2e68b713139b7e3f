//! Black pictures that stand in for those of an encoder that is away: one group of them, which is sent over and over.

use std::sync::Arc;

use headwater_live::engine::{Black, BlackWanted};
use headwater_live::stream::StreamConfig;
use headwater_transcoder::colour;
use headwater_transcoder::h264::encoder::{Encoder, EncoderConfig, Profile};
use headwater_transcoder::h264::level;
use headwater_transcoder::picture::{Picture, Size};

use crate::event::Live;

const CLOCK: f32 = 90_000.0;

/// What black needs: an encoder at its finest would spend no more on it.
const QUANTISER: u8 = 24;

/// For the level alone, which has to carry the size and the rate of the pictures.
const KILOBITS: u32 = 1_000;

/// Makes them beside everything else, and gives them to the event.
pub(crate) fn provide(live: &Arc<Live>, wanted: Vec<BlackWanted>) {
    for wanted in wanted {
        let live = live.clone();
        tokio::task::spawn_blocking(move || match make(&wanted) {
            Ok(black) => live.set_black(wanted.track, black),
            Err(error) => {
                tracing::error!(event = %live.id, track = wanted.track, "black pictures cannot be made: {error}");
            }
        });
    }
}

/// Errors: what is wrong, for people.
fn make(wanted: &BlackWanted) -> Result<Black, String> {
    let size = Size::even(wanted.width, wanted.height);
    let rate = CLOCK / wanted.step as f32;
    let config = EncoderConfig {
        size,
        profile: match size.short_side() >= 720 {
            true => Profile::High,
            false => Profile::Main,
        },
        level: level::lowest(size, rate.into(), KILOBITS),
        frames_per_second: rate,
        colour: Some(colour::decided(None, size)),
    };
    let mut encoder = Encoder::new(config).map_err(|error| error.to_string())?;
    let picture = Picture::black(size);
    let mut group = Vec::with_capacity(wanted.pictures);
    for at in 0..wanted.pictures {
        let coded = encoder.encode(&picture, at == 0, QUANTISER);
        let coded = coded.map_err(|error| error.to_string())?;
        if coded.idr != (at == 0) {
            return Err(format!(
                "picture {at} is not of the kind that was asked for"
            ));
        }
        group.push(coded.bytes.into());
    }
    let sets = encoder.parameter_sets().ok_or("no parameter sets")?;
    let config = StreamConfig::avc_sets(vec![sets.sps.clone()], vec![sets.pps.clone()]);
    Ok(Black {
        config: config.map_err(|error| error.to_string())?,
        group,
    })
}
