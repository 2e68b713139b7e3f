//! What comes in, as decoders need it.

use headwater_bmff::sps::Sps;
use headwater_bmff::{AvcConfig, CodecConfig, Colour};
use headwater_live::encode::ladder::{self, Size};
use headwater_live::stream::StreamConfig;
use headwater_transcoder::{colour, h264, picture};

/// Incoming pictures.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Video {
    pub(super) avc: AvcConfig,
    pub(super) coded: picture::Size,
    /// In square pixels.
    pub(super) displayed: Size,
    pub(super) colour: Colour,
}

fn codec(config: &StreamConfig) -> Result<CodecConfig, String> {
    let movie = headwater_bmff::parse_movie(config.init.clone().into());
    let movie = movie.map_err(|error| error.to_string())?;
    let track = movie.tracks.into_iter().next();
    Ok(track.ok_or("nothing is announced")?.config.codec)
}

impl Video {
    /// Errors: why it cannot be decoded, for people.
    pub(super) fn of(config: &StreamConfig) -> Result<Self, String> {
        let CodecConfig::Avc(avc) = codec(config)? else {
            return Err(format!(
                "{} is passed on only; H.264 is encoded",
                config.codec
            ));
        };
        let sps = avc.sps.first().and_then(|nal| Sps::parse(nal));
        let sps = sps.ok_or("the sequence parameter set does not parse")?;
        if let Some(what) = h264::support::unsupported(&sps) {
            return Err(format!("H.264 with {what}"));
        }
        let coded = picture::Size::even(sps.width, sps.height);
        let aspect = sps.pixel_aspect;
        let aspect = aspect.map_or((1, 1), |aspect| (aspect.horizontal, aspect.vertical));
        let size = Size {
            width: coded.width,
            height: coded.height,
        };
        Ok(Self {
            avc,
            coded,
            displayed: ladder::displayed(size, aspect),
            colour: colour::decided(sps.colour, coded),
        })
    }

    /// Whether layers can go on under another configuration.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        (self.coded, self.displayed, self.colour) == (other.coded, other.displayed, other.colour)
    }
}

/// Incoming sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Audio {
    /// AudioSpecificConfig.
    pub(super) config: Vec<u8>,
    /// As it is stated.
    pub(super) language: Option<String>,
}

impl Audio {
    /// Errors: why it cannot be decoded, for people.
    pub(super) fn of(config: &StreamConfig) -> Result<Self, String> {
        match codec(config)? {
            CodecConfig::Aac(aac) => Ok(Self {
                config: aac.asc,
                language: config.language.clone(),
            }),
            _ => Err(format!(
                "{} is passed on only; AAC is encoded",
                config.codec
            )),
        }
    }
}
