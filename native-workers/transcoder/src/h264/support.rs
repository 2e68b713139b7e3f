//! What OpenH264's decoder cannot do, told from the sequence parameter set before a sample is read.

use headwater_bmff::sps::Sps;

/// Why OpenH264 cannot decode a stream, in words that follow "H.264 with"; `None` when it can.
pub fn unsupported(sps: &Sps) -> Option<String> {
    if !sps.frames_only {
        return Some("interlaced (field) coding".into());
    }
    let depth = sps.bit_depth_luma.max(sps.bit_depth_chroma);
    if depth > 8 {
        return Some(format!(
            "{depth} bits a sample (profile {})",
            profile_name(sps.profile)
        ));
    }
    match sps.chroma_format {
        1 => {}
        0 => return Some("monochrome (4:0:0) pictures".into()),
        2 => return Some("4:2:2 chroma".into()),
        _ => return Some("4:4:4 chroma".into()),
    }
    if !matches!(sps.profile, 66 | 77 | 88 | 100) {
        return Some(format!("profile {}", profile_name(sps.profile)));
    }
    // Level 5.2's largest picture: more than any rendition needs, and the bound for what a decoder may allocate.
    let macroblocks = u64::from(sps.width.div_ceil(16)) * u64::from(sps.height.div_ceil(16));
    if macroblocks > 36_864 || sps.width > 8192 || sps.height > 8192 {
        return Some(format!(
            "pictures of {}x{}, larger than level 5.2 allows",
            sps.width, sps.height
        ));
    }
    if sps.width < 16 || sps.height < 16 {
        return Some(format!(
            "pictures of {}x{}, smaller than 16x16",
            sps.width, sps.height
        ));
    }
    None
}

/// For people.
fn profile_name(profile: u8) -> String {
    match profile {
        66 => "Baseline".into(),
        77 => "Main".into(),
        88 => "Extended".into(),
        100 => "High".into(),
        110 => "High 10".into(),
        122 => "High 4:2:2".into(),
        244 => "High 4:4:4 Predictive".into(),
        other => other.to_string(),
    }
}
