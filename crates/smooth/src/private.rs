//! `CodecPrivateData` ([MS-SSTR] §2.2.2.5): hexadecimal digits.

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Of `FourCC="H264"`: each parameter set behind a start code. `sets`: SPS, then PPS, NAL headers included.
pub fn avc_private_data<'a>(sets: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut bytes = Vec::new();
    for set in sets {
        bytes.extend_from_slice(&START_CODE);
        bytes.extend_from_slice(set);
    }
    hex(&bytes)
}

/// Of `FourCC="AACL"` and `"AACH"`: the AudioSpecificConfig.
pub fn aac_private_data(config: &[u8]) -> String {
    hex(config)
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
    let digits = bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]);
    digits.map(|d| d.to_ascii_uppercase()).collect()
}
