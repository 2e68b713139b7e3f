//! FDK's AAC decoder behind a safe interface: LC, HE-AAC and HE-AAC v2, up to 8 channels.
//!
//! The output limiter is off: it delays the signal and squeezes loud masters. What delay is left (spectral band
//! replication has some) is reported by [`Decoder::delay`], so that the caller can put samples where they belong.
#![allow(unsafe_code)]

use fdk_aac_sys as sys;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    #[error("the AAC decoder could not be started")]
    Start,
    #[error("its audio configuration is not supported (code {0:#x})")]
    Config(u32),
    /// The access unit is damaged. The decoder goes on with the next one.
    #[error("an access unit could not be decoded (code {0:#x})")]
    AccessUnit(u32),
}

/// What the decoder found a stream to be. Known after the first access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub sample_rate: u32,
    pub channels: usize,
    /// Samples of one channel that an access unit decodes to: 1024, or 2048 with spectral band replication.
    pub frame: usize,
}

/// 8 channels of the longest frame there is.
const LARGEST_FRAME: usize = 8 * 4096;

pub struct Decoder {
    /// Created by `aacDecoder_Open`, not null, owned by this value alone, valid until `drop`.
    raw: sys::HANDLE_AACDECODER,
    pcm: Vec<i16>,
}

// SAFETY: the C object has no thread affinity and shares only constant tables with others; every call takes `&mut self`.
unsafe impl Send for Decoder {}

impl Decoder {
    /// `config`: the AudioSpecificConfig of the sample entry.
    pub fn new(config: &[u8]) -> Result<Self, DecodeError> {
        // SAFETY: plain values; the result is checked.
        let raw = unsafe { sys::aacDecoder_Open(sys::TRANSPORT_TYPE_TT_MP4_RAW, 1) };
        if raw.is_null() {
            return Err(DecodeError::Start);
        }
        let decoder = Self {
            raw,
            pcm: vec![0; LARGEST_FRAME],
        };
        let mut config_start = config.as_ptr().cast_mut();
        let config_length = u32::try_from(config.len()).map_err(|_| DecodeError::Start)?;
        // SAFETY: `raw` is live; the configuration is `config_length` readable bytes that the library parses within the
        // call and does not write.
        let code = unsafe {
            sys::aacDecoder_SetParam(raw, sys::AACDEC_PARAM_AAC_PCM_LIMITER_ENABLE, 0);
            // Repeats or fades instead of interpolating, which would need an access unit of look-ahead.
            sys::aacDecoder_SetParam(raw, sys::AACDEC_PARAM_AAC_CONCEAL_METHOD, 1);
            sys::aacDecoder_ConfigRaw(raw, &mut config_start, &config_length)
        };
        if code == sys::AAC_DECODER_ERROR_AAC_DEC_OK {
            Ok(decoder)
        } else {
            Err(DecodeError::Config(code))
        }
    }

    /// Decodes one access unit: interleaved samples in WAVE channel order.
    pub fn decode(&mut self, access_unit: &[u8]) -> Result<(Format, &[i16]), DecodeError> {
        let mut start = access_unit.as_ptr().cast_mut();
        let length = u32::try_from(access_unit.len()).map_err(|_| DecodeError::AccessUnit(0))?;
        let mut left = length;
        // SAFETY: `raw` is live; `start` points to `length` readable bytes, which the library copies.
        let code = unsafe { sys::aacDecoder_Fill(self.raw, &mut start, &length, &mut left) };
        if code != sys::AAC_DECODER_ERROR_AAC_DEC_OK {
            return Err(DecodeError::AccessUnit(code));
        }
        self.output(0)
    }

    /// One more frame after the last access unit: what the filter banks still hold.
    pub fn flush(&mut self) -> Result<(Format, &[i16]), DecodeError> {
        self.output(sys::AACDEC_FLUSH)
    }

    fn output(&mut self, flags: u32) -> Result<(Format, &[i16]), DecodeError> {
        let room = i32::try_from(self.pcm.len()).unwrap_or(i32::MAX);
        // SAFETY: `raw` is live; `pcm` has `room` places for samples.
        let code =
            unsafe { sys::aacDecoder_DecodeFrame(self.raw, self.pcm.as_mut_ptr(), room, flags) };
        if code != sys::AAC_DECODER_ERROR_AAC_DEC_OK {
            return Err(DecodeError::AccessUnit(code));
        }
        let format = self.format().ok_or(DecodeError::AccessUnit(0))?;
        let samples = self
            .pcm
            .get(..format.channels * format.frame)
            .ok_or(DecodeError::AccessUnit(0))?;
        Ok((format, samples))
    }

    fn format(&self) -> Option<Format> {
        // SAFETY: the library returns a pointer into the live decoder, or null; it is read before any other call.
        let stream = unsafe { sys::aacDecoder_GetStreamInfo(self.raw).as_ref() }?;
        Some(Format {
            sample_rate: u32::try_from(stream.sampleRate)
                .ok()
                .filter(|&rate| rate > 0)?,
            channels: usize::try_from(stream.numChannels)
                .ok()
                .filter(|&count| count > 0)?,
            frame: usize::try_from(stream.frameSize)
                .ok()
                .filter(|&frame| frame > 0)?,
        })
    }

    /// Samples of one channel by which the output lags behind the access units.
    pub fn delay(&self) -> u32 {
        // SAFETY: as in `format`.
        unsafe { sys::aacDecoder_GetStreamInfo(self.raw).as_ref() }
            .map_or(0, |stream| stream.outputDelay)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `aacDecoder_Open`, is closed exactly once, and nothing uses it afterwards.
        unsafe { sys::aacDecoder_Close(self.raw) };
    }
}
