//! OpenH264's encoder behind a safe interface, set up for files instead of calls.
//!
//! What every stream has: CABAC, one slice a picture, one reference picture, no B pictures, no skipped pictures, no
//! scene change detection, an IDR exactly where the caller wants one and nowhere else, the same SPS and PPS
//! throughout. The quantiser of each picture is the caller's (see [`super::rate`]): the library's own rate control is off.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr;

use headwater_bmff::Colour;
use openh264_sys2 as sys;
use sys::source::APILoader;

use super::nal;
use crate::picture::{Picture, Plane, Size};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    #[error("the H.264 encoder could not be started for {0:?} (code {1})")]
    Start(Size, i32),
    #[error("the H.264 encoder failed (code {0})")]
    Encode(i32),
    #[error("a picture of {found:?} was given to an encoder for {wanted:?}")]
    WrongSize { wanted: Size, found: Size },
    #[error("the H.264 encoder gave no {0}")]
    Missing(&'static str),
}

/// `profile_idc` to write. OpenH264 uses the same tools for both (CABAC, no 8x8 transform).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Main,
    High,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EncoderConfig {
    pub size: Size,
    pub profile: Profile,
    /// `level_idc`.
    pub level: u8,
    /// Average; only for the library's own bookkeeping.
    pub frames_per_second: f32,
    pub colour: Option<Colour>,
}

/// SPS and PPS NAL units, without start codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSets {
    pub sps: Vec<u8>,
    pub pps: Vec<u8>,
}

/// One coded picture: its NAL units with 4-byte lengths, without parameter sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded {
    pub bytes: Vec<u8>,
    pub idr: bool,
}

pub struct Encoder {
    /// Created by `WelsCreateSVCEncoder`, owned by this value alone, valid until `drop`.
    raw: *mut sys::ISVCEncoder,
    config: EncoderConfig,
    parameters: Box<sys::SEncParamExt>,
    parameter_sets: Option<ParameterSets>,
    /// 128 layers of description, too large for a stack frame in a loop.
    output: Box<sys::SFrameBSInfo>,
    pictures: i64,
}

// SAFETY: the C++ object has no thread affinity; with one thread and one slice it shares nothing mutable with other
// encoders; `Encoder` hands out no reference to it, and every call takes `&mut self`.
unsafe impl Send for Encoder {}

impl Encoder {
    pub fn new(config: EncoderConfig) -> Result<Self, EncodeError> {
        let mut raw: *mut sys::ISVCEncoder = ptr::null_mut();
        // SAFETY: `raw` is a valid place for the pointer the function writes.
        let code = unsafe { APILoader::WelsCreateSVCEncoder(&mut raw) };
        if code != 0 || raw.is_null() {
            return Err(EncodeError::Start(config.size, code));
        }
        let mut encoder = Self {
            raw,
            config,
            parameters: Box::default(),
            parameter_sets: None,
            output: Box::default(),
            pictures: 0,
        };
        let mut quiet: c_int = sys::WELS_LOG_QUIET;
        // SAFETY: `raw` was created above and its method table is complete; `quiet` and `parameters` have the types
        // the calls expect and outlive them.
        let code = unsafe {
            let table = &**raw;
            match (table.SetOption, table.GetDefaultParams, table.InitializeExt) {
                (Some(set_option), Some(defaults), Some(initialize)) => {
                    set_option(
                        raw,
                        sys::ENCODER_OPTION_TRACE_LEVEL,
                        ptr::from_mut(&mut quiet).cast::<c_void>(),
                    );
                    defaults(raw, encoder.parameters.as_mut());
                    fill(&mut encoder.parameters, &config);
                    initialize(raw, encoder.parameters.as_ref())
                }
                _ => -1,
            }
        };
        if code != 0 {
            return Err(EncodeError::Start(config.size, code));
        }
        Ok(encoder)
    }

    /// The parameter sets, known after the first picture. The same for every encoder with the same configuration.
    pub fn parameter_sets(&self) -> Option<&ParameterSets> {
        self.parameter_sets.as_ref()
    }

    /// Encodes one picture; none is ever held back or skipped.
    ///
    /// `idr`: make it an IDR picture; the first one is in any case. `quantiser`: 0 (finest) to 51.
    pub fn encode(
        &mut self,
        picture: &Picture,
        idr: bool,
        quantiser: u8,
    ) -> Result<Coded, EncodeError> {
        if picture.size() != self.config.size {
            return Err(EncodeError::WrongSize {
                wanted: self.config.size,
                found: picture.size(),
            });
        }
        self.set_quantiser(quantiser)?;
        let (width, _) = self.config.size.plane(Plane::Y);
        let (chroma_width, _) = self.config.size.plane(Plane::Cb);
        let plane = |plane| picture.plane(plane).as_ptr().cast_mut();
        let source = sys::SSourcePicture {
            iColorFormat: sys::videoFormatI420,
            iStride: [
                width as c_int,
                chroma_width as c_int,
                chroma_width as c_int,
                0,
            ],
            pData: [
                plane(Plane::Y),
                plane(Plane::Cb),
                plane(Plane::Cr),
                ptr::null_mut(),
            ],
            iPicWidth: self.config.size.width as c_int,
            iPicHeight: self.config.size.height as c_int,
            uiTimeStamp: self.pictures * 40,
            ..Default::default()
        };
        // SAFETY: `raw` is an initialised encoder with a complete method table. `source` describes planes of exactly
        // the configured size that live through the call; the library reads them and writes none. `output` is
        // a place for what it writes.
        let code = unsafe {
            let table = &**self.raw;
            match (table.ForceIntraFrame, table.EncodeFrame) {
                (Some(force_intra), Some(encode)) => {
                    if idr {
                        force_intra(self.raw, true);
                    }
                    encode(self.raw, &source, self.output.as_mut())
                }
                _ => -1,
            }
        };
        if code != 0 {
            return Err(EncodeError::Encode(code));
        }
        self.pictures += 1;
        self.collect()
    }

    fn set_quantiser(&mut self, quantiser: u8) -> Result<(), EncodeError> {
        let quantiser = c_int::from(quantiser.min(51));
        if self.parameters.sSpatialLayers[0].iDLayerQp == quantiser && self.pictures > 0 {
            return Ok(());
        }
        self.parameters.sSpatialLayers[0].iDLayerQp = quantiser;
        // SAFETY: as above; the option takes a whole `SEncParamExt`, which the library copies. Only the quantiser
        // differs from what the encoder was started with, so it is not reset.
        let code = unsafe {
            let Some(set_option) = (**self.raw).SetOption else {
                return Err(EncodeError::Encode(-1));
            };
            set_option(
                self.raw,
                sys::ENCODER_OPTION_SVC_ENCODE_PARAM_EXT,
                ptr::from_mut(self.parameters.as_mut()).cast::<c_void>(),
            )
        };
        if code == 0 {
            Ok(())
        } else {
            Err(EncodeError::Encode(code))
        }
    }

    fn collect(&mut self) -> Result<Coded, EncodeError> {
        let mut coded = Coded {
            bytes: Vec::new(),
            idr: self.output.eFrameType == sys::videoFrameTypeIDR,
        };
        let (mut sps, mut pps) = (None, None);
        let layers = usize::try_from(self.output.iLayerNum).unwrap_or(0);
        for layer in self.output.sLayerInfo.iter().take(layers) {
            let count = usize::try_from(layer.iNalCount).unwrap_or(0);
            if layer.pNalLengthInByte.is_null() || layer.pBsBuf.is_null() || count == 0 {
                continue;
            }
            // SAFETY: the library set `pNalLengthInByte` to `iNalCount` lengths and `pBsBuf` to that many bytes in
            // all, both unchanged until the next call on this encoder, which needs `&mut self`.
            let stream = unsafe {
                let lengths = std::slice::from_raw_parts(layer.pNalLengthInByte, count);
                let total = lengths
                    .iter()
                    .map(|&length| usize::try_from(length).unwrap_or(0))
                    .sum();
                std::slice::from_raw_parts(layer.pBsBuf, total)
            };
            for unit in nal::split_annex_b(stream) {
                match nal::kind(unit) {
                    Some(nal::kind::SPS) => sps = Some(unit.to_vec()),
                    Some(nal::kind::PPS) => pps = Some(unit.to_vec()),
                    Some(_) => {
                        coded
                            .bytes
                            .extend_from_slice(&(unit.len() as u32).to_be_bytes());
                        coded.bytes.extend_from_slice(unit);
                    }
                    None => {}
                }
            }
        }
        if let (Some(sps), Some(pps)) = (sps, pps) {
            self.parameter_sets = Some(ParameterSets { sps, pps });
        }
        if self.parameter_sets.is_none() {
            return Err(EncodeError::Missing("parameter sets"));
        }
        if coded.bytes.is_empty() {
            return Err(EncodeError::Missing("picture"));
        }
        Ok(coded)
    }
}

/// Samples of luma from which on pictures are divided by how much they move and modes are held against each other by plain
/// differences (`LOW_COMPLEXITY`): most of the time goes into those, and they lose least by it. See `docs/benchmarks.md`.
const LARGE: u64 = 1280 * 720;

fn fill(parameters: &mut sys::SEncParamExt, config: &EncoderConfig) {
    parameters.iUsageType = sys::CAMERA_VIDEO_REAL_TIME;
    parameters.iPicWidth = config.size.width as c_int;
    parameters.iPicHeight = config.size.height as c_int;
    parameters.iRCMode = sys::RC_OFF_MODE;
    parameters.fMaxFrameRate = config.frames_per_second;
    parameters.iTemporalLayerNum = 1;
    parameters.iSpatialLayerNum = 1;
    parameters.iComplexityMode = if config.size.area() >= LARGE {
        sys::LOW_COMPLEXITY
    } else {
        sys::MEDIUM_COMPLEXITY
    };
    parameters.uiIntraPeriod = 0;
    parameters.iNumRefFrame = 1;
    parameters.eSpsPpsIdStrategy = sys::CONSTANT_ID;
    parameters.iEntropyCodingModeFlag = 1;
    parameters.bEnableFrameSkip = false;
    parameters.iMultipleThreadIdc = 1;
    parameters.bEnableDenoise = false;
    parameters.bEnableSceneChangeDetect = false;
    // Both trade fidelity for speed in video calls.
    parameters.bEnableBackgroundDetection = false;
    parameters.bEnableAdaptiveQuant = false;
    parameters.bEnableLongTermReference = false;
    let layer = &mut parameters.sSpatialLayers[0];
    layer.iVideoWidth = config.size.width as c_int;
    layer.iVideoHeight = config.size.height as c_int;
    layer.fFrameRate = config.frames_per_second;
    layer.uiProfileIdc = match config.profile {
        Profile::Main => sys::PRO_MAIN,
        Profile::High => sys::PRO_HIGH,
    };
    layer.uiLevelIdc = c_int::from(config.level);
    layer.iDLayerQp = 26;
    layer.sSliceArgument.uiSliceMode = sys::SM_SINGLE_SLICE;
    layer.sSliceArgument.uiSliceNum = 1;
    if let Some(colour) = config.colour {
        layer.bVideoSignalTypePresent = true;
        layer.uiVideoFormat = sys::VF_UNDEF as u8;
        layer.bFullRange = colour.full_range;
        layer.bColorDescriptionPresent = true;
        // Code points of 8 bits in H.264; 2 is "unspecified".
        let code = |point: u16| u8::try_from(point).unwrap_or(2);
        layer.uiColorPrimaries = code(colour.primaries);
        layer.uiTransferCharacteristics = code(colour.transfer);
        layer.uiColorMatrix = code(colour.matrix);
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: `raw` was created by the library, is destroyed exactly once, and nothing uses it afterwards.
        unsafe {
            if let Some(uninitialize) = (**self.raw).Uninitialize {
                uninitialize(self.raw);
            }
            APILoader::WelsDestroySVCEncoder(self.raw);
        }
    }
}
