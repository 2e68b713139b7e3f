//! MPEG-2 transport streams (ISO/IEC 13818-1) of HLS: samples of MP4 tracks in, packets of 188 bytes out.
//!
//! What a segment's bytes look like is settled in two steps, so that its length is known before any media is read:
//!
//! 1. [`multiplex()`] orders the samples of a segment's tracks and says for every PES packet which headers it gets, how
//!    many transport packets it takes and how many media bytes go into it. Nothing of this depends on what the media
//!    bytes are: the length fields of an H.264 sample have the size of a start code, and are overwritten in place.
//! 2. [`Pes::write`] makes the packets of one PES packet, given its media bytes.
//!
//! ```text
//! per fragment:  PAT | PMT, if it has a number | PES packets of its samples, in decode order, video first
//! PES packet:    188-byte packets on one PID; the first has the random access indicator and PCR in its adaptation field
//! H.264 sample:  access unit delimiter | at sync samples: SPS, PPS | NAL units behind start codes
//! AAC frame:     ADTS header | raw data block; several frames to a PES packet, for at most 0.1 s
//! ID3 tag:       a PES packet of its own, in front of what is decoded at its time
//! ```
//!
//! Under SAMPLE-AES slices and frames are encrypted on the way (`protected`). Emulation prevention then changes how long
//! pictures are, so their lengths have to be found out beforehand: [`encrypted_len`].
//!
//! Every segment stands alone: its tables come first, and counters begin anew. They also run on from the segment before,
//! as each PID's packets fill up a multiple of 16 ([`Segment`]).
//!
//! Left to others: which samples belong to a segment, where their bytes are (`headwater-plan`), encryption of whole segments.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod adts;
mod avc;
mod clock;
mod metadata;
mod multiplex;
mod pes;
mod protected;
mod psi;

pub use adts::Adts;
pub use avc::{BadNalUnit, ParameterSets};
pub use clock::{CLOCK_ORIGIN, clock};
pub use metadata::{MAX_TAG_BYTES, METADATA_PID, Tag};
pub use multiplex::{
    Audio, AudioCodec, Fragment, Part, Sample, Segment, StreamId, TsError, Video, multiplex,
};
pub use pes::{Framing, Pes, PesError, Unit};
pub use protected::encrypted_len;
pub use psi::{AUDIO_PID, TABLES_LEN, VIDEO_PID};

/// Bytes of a transport packet.
pub const PACKET_LEN: usize = 188;

/// Value for `Content-Type`.
pub const CONTENT_TYPE: &str = "video/mp2t";
