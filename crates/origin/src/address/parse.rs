//! Path to [`Address`].

use super::{Address, Format, Noun, Options, Part, Protocol, Target, TrackAddress, TsVersion};
use crate::error::{Code, OriginError};
use percent_encoding::percent_decode_str;

/// The clock's place beside a manifest.
pub(crate) const TIME: &str = "time";
/// Longest path that is looked at.
pub const MAX_PATH_BYTES: usize = 4096;

/// Reads the path of a request, as it came: with its leading slash, percent-encoded, without query.
///
/// Errors: 404 if the first element is not a locator's identifier, so that stray paths do not look like broken
/// streaming URLs; 400 `MPE_BAD_URL_SYNTAX` for what no rule of the grammar matches; see [`Options`] for the rest.
pub fn parse(path: &str) -> Result<Address, OriginError> {
    if path.len() > MAX_PATH_BYTES {
        return Err(bad("the path is too long"));
    }
    let mut raw = path.strip_prefix('/').unwrap_or(path).split('/');
    let locator = raw.next().and_then(uuid).ok_or_else(not_found)?;
    let elements = raw.map(element).collect::<Result<Vec<_>, _>>()?;
    let target = match elements.as_slice() {
        [] => return Err(not_found()),
        [manifest, rest @ ..] if !rest.is_empty() && stem(manifest).is_some() => {
            presentation(stem(manifest).unwrap_or_default(), rest)?
        }
        path => Target::File {
            path: path.join("/"),
        },
    };
    Ok(Address { locator, target })
}

/// What follows `{name}.ism/`.
fn presentation(name: &str, rest: &[String]) -> Result<Target, OriginError> {
    match rest {
        [time] if time.eq_ignore_ascii_case(TIME) => Ok(Target::Time),
        [manifest] => {
            let (word, inner) = call(without_suffix(manifest))?;
            if !word.eq_ignore_ascii_case("manifest") {
                return Err(bad(
                    "after the server manifest's name only manifest or QualityLevels may follow",
                ));
            }
            let parts = inner
                .into_iter()
                .flat_map(|i| i.split(','))
                .filter(|part| !part.trim().is_empty());
            let options = Options::read(parts)?;
            if options.key_frames && options.format.protocol() != Protocol::Dash {
                return Err(bad(
                    "type=keyframes is for playlists of single tracks, and for MPDs",
                ));
            }
            whole(&options)?;
            Ok(Target::Manifest {
                name: name.to_owned(),
                options,
            })
        }
        [level, noun] => {
            let (word, bitrate) = call(level)?;
            if !word.eq_ignore_ascii_case("qualitylevels") {
                return Err(bad(
                    "QualityLevels is expected after the server manifest's name",
                ));
            }
            let bitrate = bitrate
                // Smooth clients may add custom attributes behind a comma; no track has any.
                .and_then(|b| number(b.split(',').next().unwrap_or_default().trim()))
                .and_then(|b| u32::try_from(b).ok())
                .ok_or_else(|| bad("the bit rate of QualityLevels is not a number"))?;
            let (word, inner) = call(without_suffix(noun))?;
            let mut parts = inner.ok_or_else(|| bad("the track is missing"))?.split(',');
            let subject = parts.next().unwrap_or_default().trim();
            let track = |track: &str| match track.trim() {
                "" => Err(bad("the track has no name")),
                track => Ok(TrackAddress {
                    manifest: name.to_owned(),
                    bitrate,
                    name: track.to_owned(),
                }),
            };
            match word.to_ascii_lowercase().as_str() {
                "manifest" => {
                    let options = Options::read(parts)?;
                    if options.format.protocol() != Protocol::Hls {
                        return Err(bad("this protocol has no manifests of single tracks"));
                    }
                    whole(&options)?;
                    Ok(Target::MediaPlaylist {
                        track: track(subject)?,
                        options,
                    })
                }
                noun => {
                    let noun = match noun {
                        "fragments" => Noun::Fragments,
                        "fragmentinfo" => Noun::FragmentInfo,
                        "rawfragments" => Noun::RawFragments,
                        "keyframes" => Noun::KeyFrames,
                        _ => {
                            return Err(bad(
                                "after QualityLevels only Manifest or Fragments may follow",
                            ));
                        }
                    };
                    // The last `=`: stream names of hand-made manifests may hold one.
                    let (subject, part) = subject
                        .rsplit_once('=')
                        .ok_or_else(|| bad("the fragment has no time"))?;
                    let part = match part.trim() {
                        "i" => Part::Init,
                        time => Part::Start(
                            number(time)
                                .ok_or_else(|| bad("the fragment's time is not a number"))?,
                        ),
                    };
                    let options = Options::read(parts)?;
                    let there = match (options.format, part, noun) {
                        (Format::Smooth(_), Part::Start(_), _) => true,
                        (Format::Smooth(_), Part::Init, _) => false,
                        (Format::HlsTs(_), Part::Init, _) => false,
                        // Has no I-frame playlists.
                        (Format::HlsTs(TsVersion::V3), _, noun) => noun == Noun::Fragments,
                        (_, Part::Start(_), Noun::KeyFrames) => true,
                        (_, _, noun) => noun == Noun::Fragments,
                    };
                    let whole = noun == Noun::Fragments;
                    if (options.format != Format::HlsCmaf || !whole) && part != Part::Init {
                        no_parts(&options)?;
                    }
                    if part != Part::Init {
                        no_period(&options)?;
                    }
                    let several = whole
                        && matches!((options.format, part), (Format::HlsTs(_), Part::Start(_)));
                    if !several {
                        no_count(&options)?;
                    }
                    if !there || options.key_frames {
                        return Err(bad("this protocol has no such fragments"));
                    }
                    Ok(Target::Fragment {
                        track: track(subject)?,
                        part,
                        noun,
                        options,
                    })
                }
            }
        }
        _ => Err(bad("the URL has too many elements")),
    }
}

/// What is of segments alone is not there.
fn whole(options: &Options) -> Result<(), OriginError> {
    no_parts(options)?;
    no_period(options)?;
    no_count(options)
}

fn no_period(options: &Options) -> Result<(), OriginError> {
    match options.period {
        None => Ok(()),
        Some(_) => Err(bad("only init segments are of one period of keys")),
    }
}

fn no_count(options: &Options) -> Result<(), OriginError> {
    match options.fragments {
        None => Ok(()),
        Some(_) => Err(bad(
            "only segments of HLS over MPEG-2 TS hold several fragments",
        )),
    }
}

fn no_parts(options: &Options) -> Result<(), OriginError> {
    match options.part {
        None => Ok(()),
        Some(_) => Err(bad("only segments of HLS over CMAF have parts")),
    }
}

/// One path element, decoded. Elements that could name something outside of the asset's folder are refused.
fn element(raw: &str) -> Result<String, OriginError> {
    let decoded = percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| bad("the URL is not UTF-8 once decoded"))?;
    if decoded.is_empty() || decoded == "." || decoded == ".." {
        return Err(bad("the URL has an empty or relative element"));
    }
    if decoded
        .chars()
        .any(|c| c == '/' || c == '\\' || c.is_control())
    {
        return Err(bad(
            "an element of the URL has a character that file names cannot have",
        ));
    }
    Ok(decoded.into_owned())
}

/// `word` or `word(inner)`.
fn call(text: &str) -> Result<(&str, Option<&str>), OriginError> {
    let text = text.trim();
    match text.split_once('(') {
        None => Ok((text, None)),
        Some((word, rest)) => {
            let inner = rest
                .strip_suffix(')')
                .ok_or_else(|| bad("a parenthesis is not closed at the end"))?;
            Ok((word.trim(), Some(inner)))
        }
    }
}

/// Drops what is there for players that look at the end of a URL: `.m3u8` or `.mpd`, which tools append, and what our own
/// playlists append to segments.
fn without_suffix(text: &str) -> &str {
    [".m3u8", ".mpd", ".m4s", ".mp4", ".ts", ".vtt", ".jpg"]
        .iter()
        .find_map(|suffix| strip_suffix_ignore_case(text, suffix))
        .unwrap_or(text)
}

/// The name of `{name}.ism`; `None` for other files and for a bare `.ism`.
fn stem(file: &str) -> Option<&str> {
    strip_suffix_ignore_case(file, ".ism").filter(|stem| !stem.is_empty())
}

fn strip_suffix_ignore_case<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(suffix.len())?;
    let (head, tail) = text.split_at_checked(at)?;
    tail.eq_ignore_ascii_case(suffix).then_some(head)
}

/// A decimal number of digits only: `u64::from_str` would also take `+5`, and one fragment has one URL.
fn number(text: &str) -> Option<u64> {
    let canonical =
        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

/// A UUID with hyphens, in lower case.
fn uuid(text: &str) -> Option<String> {
    let valid = text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        });
    valid.then(|| text.to_ascii_lowercase())
}

fn bad(detail: &'static str) -> OriginError {
    OriginError::new(Code::BadUrlSyntax, detail)
}

fn not_found() -> OriginError {
    OriginError::new(Code::ResourceNotFound, "there is nothing at this address")
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
