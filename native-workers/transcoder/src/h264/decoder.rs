//! OpenH264's decoder behind a safe interface.
//!
//! OpenH264 has its own output order, built on picture order counts with a few guesses. We do not rely on it: every
//! sample goes in with a number, every picture comes out with the number of its sample, and whoever knows the
//! sample table puts them in order.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_uchar, c_void};
use std::ptr;

use openh264_sys2 as sys;
use sys::source::APILoader;

use super::nal;
use crate::picture::{Picture, Size};

/// A sample that could not be decoded. The decoder goes on with the next one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    #[error("the decoder could not be started (code {0})")]
    Start(i64),
    #[error(transparent)]
    BadLength(#[from] nal::BadLength),
    /// The bits of OpenH264's `DECODING_STATE`.
    #[error("the decoder reported {}", describe(*.0))]
    State(i32),
}

fn describe(state: i32) -> String {
    const NAMES: [(i32, &str); 8] = [
        (sys::dsRefLost, "a missing reference picture"),
        (sys::dsBitstreamError, "a damaged bitstream"),
        (sys::dsDepLayerLost, "a missing layer"),
        (sys::dsNoParamSets, "missing parameter sets"),
        (sys::dsDataErrorConcealed, "concealed damage"),
        (sys::dsRefListNullPtrs, "a broken reference list"),
        (sys::dsInvalidArgument, "an invalid argument"),
        (sys::dsOutOfMemory, "too little memory"),
    ];
    let found: Vec<&str> = NAMES
        .iter()
        .filter(|(bit, _)| state & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    if found.is_empty() {
        format!("state {state}")
    } else {
        found.join(" and ")
    }
}

/// A picture and the number its sample was given.
#[derive(Debug)]
pub struct Decoded {
    pub sample: u64,
    pub picture: Picture,
}

/// Decodes one stream from a sync sample on.
pub struct Decoder {
    /// Created by `WelsCreateDecoder`, owned by this value alone, valid until `drop`.
    raw: *mut sys::ISVCDecoder,
    length_size: u8,
    /// Parameter sets as an Annex B stream, sent ahead of the first sample.
    parameter_sets: Vec<u8>,
    access_unit: Vec<u8>,
}

// SAFETY: the C++ object has no thread affinity and no shared mutable state with other decoders (decoding threads
// are off); `Decoder` hands out no reference to it, and every call takes `&mut self`.
unsafe impl Send for Decoder {}

impl Decoder {
    /// `parameter_sets`: the SPS and PPS NAL units of the sample entry. `length_size`: bytes of a NAL length prefix.
    pub fn new<'a>(
        parameter_sets: impl IntoIterator<Item = &'a [u8]>,
        length_size: u8,
    ) -> Result<Self, DecodeError> {
        let mut raw: *mut sys::ISVCDecoder = ptr::null_mut();
        // SAFETY: `raw` is a valid place for the pointer the function writes.
        let code = unsafe { APILoader::WelsCreateDecoder(&mut raw) };
        if code != 0 || raw.is_null() {
            return Err(DecodeError::Start(code));
        }
        let mut decoder = Self {
            raw,
            length_size,
            parameter_sets: Vec::new(),
            access_unit: Vec::new(),
        };
        for set in parameter_sets {
            nal::push_annex_b(&mut decoder.parameter_sets, set);
        }
        let mut quiet: c_int = sys::WELS_LOG_QUIET;
        let mut parameters = sys::SDecodingParam {
            // Nothing but the target layer and the concealment differ from zero. `u8::MAX` means the highest layer.
            uiTargetDqLayer: u8::MAX,
            eEcActiveIdc: sys::ERROR_CON_SLICE_COPY,
            ..Default::default()
        };
        parameters.sVideoProperty.eVideoBsType = sys::VIDEO_BITSTREAM_AVC;
        // SAFETY: `raw` was created above; the method table of a created decoder is complete; `quiet` and `parameters`
        // have the types the calls expect and live through them. The library copies both.
        let code = unsafe {
            let table = &**raw;
            match (table.SetOption, table.Initialize) {
                (Some(set_option), Some(initialize)) => {
                    set_option(
                        raw,
                        sys::DECODER_OPTION_TRACE_LEVEL,
                        ptr::from_mut(&mut quiet).cast::<c_void>(),
                    );
                    initialize(raw, &parameters)
                }
                _ => -1,
            }
        };
        if code != 0 {
            return Err(DecodeError::Start(code));
        }
        Ok(decoder)
    }

    /// Decodes one sample; pictures that are ready, not necessarily this sample's, are appended to `out`.
    ///
    /// `number`: comes back with the sample's picture. Errors: the sample was damaged; pictures may have come out
    /// all the same, patched from the ones before.
    pub fn decode(
        &mut self,
        sample: &[u8],
        number: u64,
        out: &mut Vec<Decoded>,
    ) -> Result<(), DecodeError> {
        let mut access_unit = std::mem::take(&mut self.access_unit);
        access_unit.clear();
        access_unit.append(&mut self.parameter_sets);
        let converted = nal::sample_to_annex_b(&mut access_unit, sample, self.length_size);
        let state = if converted.is_ok() && !access_unit.is_empty() {
            // The second call, without data, says that the access unit is complete.
            self.call(Some(&access_unit), number, out) | self.call(None, number, out)
        } else {
            0
        };
        self.access_unit = access_unit;
        converted?;
        if state == 0 {
            Ok(())
        } else {
            Err(DecodeError::State(state))
        }
    }

    /// The pictures still held back. The decoder is of no more use afterwards.
    pub fn flush(mut self, out: &mut Vec<Decoded>) {
        // More than any stream may hold back, so that a library that never says "none left" cannot loop.
        for _ in 0..64 {
            let mut planes: [*mut c_uchar; 3] = [ptr::null_mut(); 3];
            let mut picture = sys::SBufferInfo::default();
            // SAFETY: as in `call`; `FlushFrame` takes no input.
            unsafe {
                let Some(flush) = (**self.raw).FlushFrame else {
                    return;
                };
                flush(self.raw, planes.as_mut_ptr(), &mut picture);
            }
            let before = out.len();
            self.take(&planes, &picture, out);
            if out.len() == before {
                return;
            }
        }
    }

    fn call(&mut self, access_unit: Option<&[u8]>, number: u64, out: &mut Vec<Decoded>) -> i32 {
        let mut planes: [*mut c_uchar; 3] = [ptr::null_mut(); 3];
        let mut picture = sys::SBufferInfo {
            uiInBsTimeStamp: number,
            ..Default::default()
        };
        let (data, length) = access_unit.map_or((ptr::null(), 0), |bytes| {
            (
                bytes.as_ptr(),
                c_int::try_from(bytes.len()).unwrap_or(c_int::MAX),
            )
        });
        // SAFETY: `raw` is a live decoder with a complete method table; `data` points to `length` readable bytes or is
        // null with length 0; `planes` and `picture` are places for what the call writes and outlive it.
        let state = unsafe {
            let Some(decode) = (**self.raw).DecodeFrame2 else {
                return sys::dsInitialOptExpected;
            };
            decode(self.raw, data, length, planes.as_mut_ptr(), &mut picture)
        };
        self.take(&planes, &picture, out);
        state & !sys::dsFramePending
    }

    /// Copies a picture out of the decoder's memory, which the next call may overwrite.
    fn take(
        &mut self,
        planes: &[*mut c_uchar; 3],
        picture: &sys::SBufferInfo,
        out: &mut Vec<Decoded>,
    ) {
        if picture.iBufferStatus != 1 || planes.iter().any(|plane| plane.is_null()) {
            return;
        }
        // SAFETY: the union has one member.
        let memory = unsafe { picture.UsrData.sSystemBuffer };
        let (Ok(width), Ok(height)) = (u32::try_from(memory.iWidth), u32::try_from(memory.iHeight))
        else {
            return;
        };
        let (Ok(luma_stride), Ok(chroma_stride)) = (
            usize::try_from(memory.iStride[0]),
            usize::try_from(memory.iStride[1]),
        ) else {
            return;
        };
        if width < 2 || height < 2 {
            return;
        }
        let size = Size::even(width, height);
        let rows = |plane: usize, stride: usize| {
            let (width, height) = size.plane(crate::picture::PLANES[plane]);
            // SAFETY: the library gives pointers to pictures of `iHeight` rows `stride` apart, of at least `width`
            // samples each, that stay as they are until the next call; the slice ends with the last sample of the
            // last row and is copied before `take` returns.
            unsafe { std::slice::from_raw_parts(planes[plane], stride * (height - 1) + width) }
        };
        if luma_stride < size.width as usize || chroma_stride < size.width as usize / 2 {
            return;
        }
        let copied = Picture::from_planes(
            size,
            [
                (rows(0, luma_stride), luma_stride),
                (rows(1, chroma_stride), chroma_stride),
                (rows(2, chroma_stride), chroma_stride),
            ],
        );
        if let Some(copied) = copied {
            out.push(Decoded {
                sample: picture.uiOutYuvTimeStamp,
                picture: copied,
            });
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: `raw` was created by the library, is destroyed exactly once, and nothing uses it afterwards.
        unsafe {
            if let Some(uninitialize) = (**self.raw).Uninitialize {
                uninitialize(self.raw);
            }
            APILoader::WelsDestroyDecoder(self.raw);
        }
    }
}
