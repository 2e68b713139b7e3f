//! FDK's AAC encoder behind a safe interface: raw access units, constant bitrate.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr;

use fdk_aac_sys as sys;
use headwater_bmff::AudioObjectType;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    #[error(
        "the AAC encoder could not be started for {channels} channels of {sample_rate} Hz at {bits_per_second} bit/s (code {code:#x})"
    )]
    Start {
        channels: u32,
        sample_rate: u32,
        bits_per_second: u32,
        code: u32,
    },
    #[error("the AAC encoder failed (code {0:#x})")]
    Encode(u32),
}

pub struct Encoder {
    /// Created by `aacEncOpen`, not null, owned by this value alone, valid until `drop`.
    raw: sys::HANDLE_AACENCODER,
    config: Vec<u8>,
    delay: u32,
    whole_delay: u32,
    output: Vec<u8>,
}

// SAFETY: the C object has no thread affinity and shares only constant tables with others; every call takes `&mut self`.
unsafe impl Send for Encoder {}

impl Encoder {
    /// Stereo AAC-LC at `sample_rate`, which must be a rate of the AAC table.
    pub fn new(sample_rate: u32, bits_per_second: u32) -> Result<Self, EncodeError> {
        Self::of_type(AudioObjectType::Lc, 2, sample_rate, bits_per_second)
    }

    /// As [`Self::new`], of any type of AAC and 1 to 6 channels, in the order of WAVE files (front left, right and centre, low
    /// frequencies, rear left and right). With spectral band replication a frame has 2048 samples. A bit rate that the type has no room
    /// for is changed ([`Self::bits_per_second`]).
    ///
    /// Errors: `Start` for sampling rates that the type does not have, and for more channels.
    pub fn of_type(
        object_type: AudioObjectType,
        channels: u32,
        sample_rate: u32,
        bits_per_second: u32,
    ) -> Result<Self, EncodeError> {
        let failed = |code| EncodeError::Start {
            channels,
            sample_rate,
            bits_per_second,
            code,
        };
        let mut raw: sys::HANDLE_AACENCODER = ptr::null_mut();
        // SAFETY: `raw` is a valid place for the handle; so many channels at most, all modules.
        let code = unsafe { sys::aacEncOpen(&mut raw, 0, channels) };
        if code != sys::AACENC_ERROR_AACENC_OK || raw.is_null() {
            return Err(failed(code));
        }
        let mut encoder = Self {
            raw,
            config: Vec::new(),
            delay: 0,
            whole_delay: 0,
            output: Vec::new(),
        };
        let settings = [
            (
                sys::AACENC_PARAM_AACENC_AOT,
                u32::from(object_type.number()),
            ),
            (sys::AACENC_PARAM_AACENC_SAMPLERATE, sample_rate),
            // `MODE_1`, `MODE_2`, `MODE_1_2`, ... `MODE_1_2_2_1` are numbered by their channels.
            (sys::AACENC_PARAM_AACENC_CHANNELMODE, channels),
            (sys::AACENC_PARAM_AACENC_CHANNELORDER, 1),
            (sys::AACENC_PARAM_AACENC_BITRATEMODE, 0),
            (sys::AACENC_PARAM_AACENC_BITRATE, bits_per_second),
            (
                sys::AACENC_PARAM_AACENC_TRANSMUX,
                sys::TRANSPORT_TYPE_TT_MP4_RAW as u32,
            ),
            (sys::AACENC_PARAM_AACENC_AFTERBURNER, 1),
        ];
        for (parameter, value) in settings {
            // SAFETY: `raw` is live; plain values.
            let code = unsafe { sys::aacEncoder_SetParam(raw, parameter, value) };
            if code != sys::AACENC_ERROR_AACENC_OK {
                return Err(failed(code));
            }
        }
        // SAFETY: a call with nothing but the handle applies the settings; all-zero is a valid value of the plain
        // structure that the second call fills.
        let (code, info) = unsafe {
            let code =
                sys::aacEncEncode(raw, ptr::null(), ptr::null(), ptr::null(), ptr::null_mut());
            let mut info: sys::AACENC_InfoStruct = std::mem::zeroed();
            let code = if code == sys::AACENC_ERROR_AACENC_OK {
                sys::aacEncInfo(raw, &mut info)
            } else {
                code
            };
            (code, info)
        };
        if code != sys::AACENC_ERROR_AACENC_OK {
            return Err(failed(code));
        }
        encoder.config = info
            .confBuf
            .get(..info.confSize as usize)
            .unwrap_or_default()
            .to_vec();
        encoder.delay = info.nDelayCore;
        encoder.whole_delay = info.nDelay;
        encoder.output = vec![0; (info.maxOutBufBytes as usize).max(8192)];
        Ok(encoder)
    }

    /// The AudioSpecificConfig.
    pub fn config(&self) -> &[u8] {
        &self.config
    }

    /// What it keeps to: that which was asked for, or the nearest that its type has room for.
    pub fn bits_per_second(&self) -> u32 {
        // SAFETY: `raw` is live; the call reads a plain value.
        unsafe { sys::aacEncoder_GetParam(self.raw, sys::AACENC_PARAM_AACENC_BITRATE) }
    }

    /// Samples of one channel between what goes in and the same sound in the decoded access units, once the decoder has
    /// made up for its own delay.
    pub fn delay(&self) -> u64 {
        u64::from(self.delay)
    }

    /// As [`Self::delay`], for decoders that do not make up for their own: with spectral band replication it is 962 samples more, which
    /// ffmpeg's decoder, and so Chromium, play.
    pub fn whole_delay(&self) -> u64 {
        u64::from(self.whole_delay)
    }

    /// Takes the next frame of all channels (for AAC-LC 1024 samples each, interleaved); gives the access unit that became
    /// ready, if one did.
    pub fn encode(&mut self, frame: &[i16]) -> Result<Option<&[u8]>, EncodeError> {
        let mut input = frame.as_ptr().cast_mut().cast::<c_void>();
        let mut input_kind = sys::AACENC_BufferIdentifier_IN_AUDIO_DATA as c_int;
        let mut input_size = c_int::try_from(size_of_val(frame)).unwrap_or(0);
        let mut input_element = size_of::<i16>() as c_int;
        let input_description = sys::AACENC_BufDesc {
            numBufs: 1,
            bufs: &mut input,
            bufferIdentifiers: &mut input_kind,
            bufSizes: &mut input_size,
            bufElSizes: &mut input_element,
        };
        let mut output = self.output.as_mut_ptr().cast::<c_void>();
        let mut output_kind = sys::AACENC_BufferIdentifier_OUT_BITSTREAM_DATA as c_int;
        let mut output_size = c_int::try_from(self.output.len()).unwrap_or(0);
        let mut output_element = 1;
        let output_description = sys::AACENC_BufDesc {
            numBufs: 1,
            bufs: &mut output,
            bufferIdentifiers: &mut output_kind,
            bufSizes: &mut output_size,
            bufElSizes: &mut output_element,
        };
        let arguments = sys::AACENC_InArgs {
            numInSamples: c_int::try_from(frame.len()).unwrap_or(0),
            numAncBytes: 0,
        };
        // SAFETY: all-zero is a valid value of the plain result structure. Both descriptions point to one live buffer
        // each of the size they say; the library reads the first and writes the second, within the call.
        let (code, result) = unsafe {
            let mut result: sys::AACENC_OutArgs = std::mem::zeroed();
            let code = sys::aacEncEncode(
                self.raw,
                &input_description,
                &output_description,
                &arguments,
                &mut result,
            );
            (code, result)
        };
        if code != sys::AACENC_ERROR_AACENC_OK || result.numInSamples != arguments.numInSamples {
            return Err(EncodeError::Encode(code));
        }
        let length = usize::try_from(result.numOutBytes).unwrap_or(0);
        Ok(self.output.get(..length).filter(|unit| !unit.is_empty()))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `aacEncOpen`, is closed exactly once, and nothing uses it afterwards.
        unsafe { sys::aacEncClose(&mut self.raw) };
    }
}
