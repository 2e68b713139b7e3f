//! Edit lists (ISO/IEC 14496-12 §8.6.6): from media time to presentation time.

use headwater_time::{Rounding, Timescale, rescale};

/// The entries of an `elst` box; empty if media time is presentation time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EditList {
    /// In the order in which they are presented.
    pub entries: Vec<Edit>,
}

/// One entry of an edit list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit {
    /// Length in the *movie's* timescale; 0 means "to the end of the media".
    pub duration: u64,
    /// Where in the media it starts, in the track's timescale; `None` for an empty edit, which only waits.
    pub media_time: Option<u64>,
    /// Playback rate, 16.16 fixed point; `0x1_0000` is normal speed.
    pub rate: i32,
}

/// What part of the media is presented, and when. All in ticks of the track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaWindow {
    /// Presentation time at which the media begins to be presented: the sum of the leading empty edits.
    pub delay: u64,
    /// Media (composition) time that is presented at `delay`.
    pub start: u64,
    /// Media time at which presentation ends; `None` for the end of the media.
    pub end: Option<u64>,
}

/// Why an edit list cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// Several pieces of the media are spliced together.
    #[error("an edit list that splices several pieces of the media is not supported")]
    Splice,
    /// A freeze frame, slow motion or reverse.
    #[error("an edit list that changes the playback rate is not supported")]
    Rate,
    /// A time passes `u64::MAX`.
    #[error("an edit list's times are out of range")]
    OutOfRange,
}

const NORMAL_SPEED: i32 = 0x1_0000;

impl EditList {
    /// The one piece of media that the list presents. Pieces that follow each other without a gap count as one; an
    /// empty edit at the end says nothing. Delays round to the nearest tick of the track, ends round up.
    pub fn window(&self, movie: Timescale, track: Timescale) -> Result<MediaWindow, EditError> {
        let mut delay: u64 = 0;
        let mut window: Option<MediaWindow> = None;
        let mut gap = false;
        for edit in &self.entries {
            let Some(media_time) = edit.media_time else {
                match window {
                    None => {
                        delay = delay
                            .checked_add(edit.duration)
                            .ok_or(EditError::OutOfRange)?;
                    }
                    Some(_) => gap = true,
                }
                continue;
            };
            if edit.rate != NORMAL_SPEED {
                return Err(EditError::Rate);
            }
            let length = rescale(edit.duration, movie, track, Rounding::Ceil)
                .ok_or(EditError::OutOfRange)?;
            let end = match edit.duration {
                0 => None,
                _ => Some(
                    media_time
                        .checked_add(length)
                        .ok_or(EditError::OutOfRange)?,
                ),
            };
            window = Some(match window {
                None => MediaWindow {
                    delay: rescale(delay, movie, track, Rounding::HalfUp)
                        .ok_or(EditError::OutOfRange)?,
                    start: media_time,
                    end,
                },
                Some(so_far) if !gap && follows(so_far.end, media_time, movie, track) => {
                    MediaWindow { end, ..so_far }
                }
                Some(_) => return Err(EditError::Splice),
            });
        }
        Ok(window.unwrap_or(MediaWindow {
            delay: 0,
            start: 0,
            end: None,
        }))
    }
}

/// Whether `media_time` continues a piece that ends at `end`, give or take one tick of the movie, which is what the
/// rounding of the piece's duration may cost.
fn follows(end: Option<u64>, media_time: u64, movie: Timescale, track: Timescale) -> bool {
    let slack = rescale(1, movie, track, Rounding::Ceil).unwrap_or(1);
    end.is_some_and(|end| end.abs_diff(media_time) <= slack)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(duration: u64, media_time: Option<u64>) -> Edit {
        Edit {
            duration,
            media_time,
            rate: NORMAL_SPEED,
        }
    }

    fn window(entries: Vec<Edit>) -> Result<MediaWindow, EditError> {
        let track = Timescale::new(48_000).unwrap();
        EditList { entries }.window(Timescale::MILLIS, track)
    }

    #[test]
    fn empty_edits_delay_and_media_time_skips() {
        let expected = MediaWindow {
            delay: 24_000,
            start: 1024,
            end: Some(1024 + 96_000),
        };
        assert_eq!(
            window(vec![
                edit(250, None),
                edit(250, None),
                edit(2000, Some(1024))
            ]),
            Ok(expected)
        );
    }

    #[test]
    fn contiguous_pieces_are_one_and_a_splice_is_refused() {
        let joined = window(vec![edit(1000, Some(0)), edit(1000, Some(48_010))]).unwrap();
        assert_eq!(joined.end, Some(96_010));
        assert_eq!(
            window(vec![edit(1000, Some(0)), edit(1000, Some(96_000))]),
            Err(EditError::Splice)
        );
        let frozen = Edit {
            rate: 0,
            ..edit(1000, Some(0))
        };
        assert_eq!(window(vec![frozen]), Err(EditError::Rate));
    }

    #[test]
    fn no_list_and_zero_duration_present_everything() {
        let everything = MediaWindow {
            delay: 0,
            start: 0,
            end: None,
        };
        assert_eq!(window(vec![]), Ok(everything));
        assert_eq!(window(vec![edit(0, Some(0))]), Ok(everything));
    }
}
