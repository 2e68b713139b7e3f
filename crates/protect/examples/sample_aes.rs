//! Encrypts elementary streams as Apple's SAMPLE-AES does, for the tests in `tests/protect`:
//! `sample_aes IN OUT h264|adts|eac3 KEY IV`. H.264 is in Annex B form with start codes of any length.

use std::error::Error;

use headwater_protect::Key;
use headwater_protect::sample_aes::SampleAes;

/// Where the NAL units of an Annex B stream are.
fn nals(bytes: &[u8]) -> Vec<&[u8]> {
    let mut starts = Vec::new();
    let mut at = 0;
    while at + 3 <= bytes.len() {
        if bytes[at..at + 3] == [0, 0, 1] {
            starts.push(at + 3);
            at += 3;
        } else {
            at += 1;
        }
    }
    let ends = starts[1..]
        .iter()
        .map(|start| start - 3)
        .chain([bytes.len()]);
    let nals = starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &bytes[*start..end]);
    nals.map(|nal| {
        &nal[..nal
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1)]
    })
    .collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, input, output, kind, key, iv] = arguments.as_slice() else {
        return Err("usage: sample_aes IN OUT h264|adts|eac3 KEY IV".into());
    };
    let number = |text: &str| u128::from_str_radix(text, 16).map(u128::to_be_bytes);
    let cipher = SampleAes::new(&Key::new(number(key)?), number(iv)?);
    let bytes = std::fs::read(input)?;
    let mut out = Vec::new();
    if kind == "h264" {
        for nal in nals(&bytes) {
            out.extend([0, 0, 0, 1]);
            cipher.nal(nal, &mut out);
        }
    } else if kind == "eac3" {
        out.extend_from_slice(&bytes);
        cipher.syncframes(&mut out);
    } else {
        let mut rest = bytes.as_slice();
        while rest.len() >= 7 {
            let length = (usize::from(rest[3] & 3) << 11)
                | (usize::from(rest[4]) << 3)
                | usize::from(rest[5] >> 5);
            let (frame, after) = rest.split_at(length);
            let mut frame = frame.to_vec();
            let header = if frame[1] & 1 == 1 { 7 } else { 9 };
            cipher.audio_frame(&mut frame, header);
            out.extend(frame);
            rest = after;
        }
    }
    std::fs::write(output, out)?;
    Ok(())
}
