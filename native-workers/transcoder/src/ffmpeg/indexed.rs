//! Sources in whose container nothing says where key frames are: their pictures, as they are, in a file where it is said.
//!
//! A transport stream can only be searched by guess, and decoding begins with the next key frame after that: the pictures up to there
//! would be missing from a clip. So pictures that are gone to are copied to a QuickTime file beside it.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::container::Demuxer;
use super::inputs::{Input, Loader, open_own};
use super::probe::VideoStream;
use super::sandbox::Program;
use super::split::CHUNK_MS;
use super::{UNRIPE, fault};
use crate::failure::{Step, Stopped};

/// Demuxers of containers without an index, whose packets say when they are shown.
const WITHOUT: [&str; 2] = ["mpegts", "flv"];

/// Whether the pictures of a file for `demuxer` can be gone to.
pub(super) fn has_index(demuxer: &Demuxer) -> bool {
    ["mov", "matroska"].contains(&demuxer.name)
}

impl Loader<'_> {
    /// Puts `videos` of `input`, which is the job's `number`th and `seconds` long, into a file with an index if they are going to be gone
    /// to, and tells them that they are the `next` input. `None`: they are not, or it cannot be done.
    ///
    /// Errors: `Interrupted` if the job is.
    pub(super) async fn indexed(
        &self,
        (number, input): (usize, &Input),
        seconds: f64,
        videos: &mut [VideoStream],
        next: usize,
    ) -> Step<Option<Input>> {
        let gone_to = input.start_ms > 0 || seconds * 1000.0 >= 2.0 * CHUNK_MS as f64;
        let own = || videos.iter().filter(|video| video.input == number);
        if !gone_to || !WITHOUT.contains(&input.demuxer.name) || own().next().is_none() {
            return Ok(None);
        }
        if input.demuxer.name == "flv" && comes_back(&input.path).await {
            return Ok(None);
        }
        let streams: Vec<u32> = own().map(|video| video.index).collect();
        let copy = match self.copied(input, seconds, &streams).await {
            Ok(copy) => copy,
            // Encoding it says more exactly what is wrong with it.
            Err(Stopped::Failed(_)) => return Ok(None),
            Err(stopped) => return Err(stopped),
        };
        let own = videos.iter_mut().filter(|video| video.input == number);
        for (index, video) in own.enumerate() {
            video.input = next;
            video.index = index as u32;
        }
        Ok(Some(copy))
    }

    async fn copied(&self, input: &Input, seconds: f64, streams: &[u32]) -> Step<Input> {
        let mut made: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| made.extend(words.iter().map(|&word| word.to_owned()));
        for stream in streams {
            add(&["-map", &format!("0:{stream}")]);
        }
        add(&["-c", "copy"]);
        add(&UNRIPE);
        add(&["-video_track_timescale", "90000", "-f", "mov"]);
        self.remade(input, (seconds, streams.len()), made, streams)
            .await
    }

    /// A file of streams of `input`, which is so many seconds long and of which so many streams are taken, as `made` says. `pictures`: what is read
    /// beside it, see [`Input::read_along`].
    pub(super) async fn remade(
        &self,
        input: &Input,
        (seconds, streams): (f64, usize),
        made: Vec<String>,
        pictures: &[u32],
    ) -> Step<Input> {
        let path = self.path();
        let mut arguments: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
        add(&["-hide_banner", "-nostdin", "-y", "-v", "error"]);
        // So that a long one is not taken for one that hangs.
        add(&["-progress", "pipe:1", "-stats_period", "5"]);
        arguments.extend(input.whole().arguments(true));
        arguments.extend(["-map_metadata", "-1", "-map_chapters", "-1"].map(str::to_owned));
        arguments.extend(made);
        arguments.push(format!("file:{}", path.display()));
        arguments.extend(Input::read_along(0, pictures));
        let program = Program {
            path: self.engine.tools.ffmpeg.clone(),
            arguments,
            folder: self.folder.to_owned(),
            limits: self.engine.limits(seconds, streams),
            reads: vec![input.path.clone()],
        };
        let name = input.demuxer.called;
        let ended = program.run_counted(self.stop, &mut |_| ()).await;
        fault::outcome(name, ended)?;
        let (demuxer, media) = self.look(name, &path).await?;
        Ok(input.beside(path, demuxer, media.start))
    }
}

/// Whether the encoder of an FLV came back with other settings, which a copy, where settings are stated once, would not have.
async fn comes_back(path: &Path) -> bool {
    let path = path.to_owned();
    let looked = tokio::task::spawn_blocking(move || {
        let file = open_own(&path)?;
        changes_settings(&mut BufReader::new(file))
    });
    // What cannot be read to its end has nothing behind that.
    matches!(looked.await, Ok(Ok(true)))
}

/// Whether the AVC sequence headers of an FLV differ. Adobe's Video File Format 10.1, E.3 and E.4: behind a header of 9 bytes, of every
/// tag the length of the one before 4, type 1, length 3, time 4, stream 3, data; of video a byte of which the lower half is the codec,
/// and of AVC the type of packet 1 and an offset 3.
///
/// Errors: those of `file`, at whose end there is one.
fn changes_settings(file: &mut (impl Read + Seek)) -> std::io::Result<bool> {
    const VIDEO: u8 = 9;
    const AVC_SETTINGS: [u8; 2] = [7, 0];
    /// Settings are some dozen bytes.
    const MOST: u32 = 1 << 16;
    let mut first: Option<Vec<u8>> = None;
    file.seek(SeekFrom::Start(9))?;
    loop {
        let mut head = [0; 20];
        file.read_exact(&mut head)?;
        let [
            _,
            _,
            _,
            _,
            kind,
            a,
            b,
            c,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            codec,
            packet,
            ..,
        ] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        // Of the data, five bytes are read.
        let rest = i64::from(length) - 5;
        if kind != VIDEO
            || [codec & 15, packet] != AVC_SETTINGS
            || !(0..i64::from(MOST)).contains(&rest)
        {
            file.seek(SeekFrom::Current(rest))?;
            continue;
        }
        let mut settings = vec![0; usize::try_from(rest).unwrap_or(0)];
        file.read_exact(&mut settings)?;
        match &first {
            Some(first) if *first != settings => return Ok(true),
            _ => first = Some(settings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn tag(kind: u8, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        let head = [0, 0, 0, 0, kind, length[1], length[2], length[3]];
        [&head[..], &[0; 7], data].concat()
    }

    #[test]
    fn settings_that_come_again_are_no_others() {
        let settings = |profile: u8| tag(9, &[0x17, 0, 0, 0, 0, 1, profile, 0, 31]);
        let (sound, empty) = (tag(8, &[0xaf, 1]), tag(18, &[]));
        let picture = tag(9, &[0x27, 1, 0, 0, 0, 1, 2, 3]);
        let file =
            |tags: &[&[u8]]| Cursor::new([b"FLV\x01\x05\0\0\0\x09", &tags.concat()[..]].concat());
        let (one, other) = (settings(66), settings(100));
        // The end is told by an error.
        assert!(
            changes_settings(&mut file(&[&one, &sound, &empty, &picture, &one, &picture])).is_err()
        );
        assert!(
            changes_settings(&mut file(&[
                &one, &sound, &empty, &picture, &other, &picture
            ]))
            .unwrap()
        );
        assert!(changes_settings(&mut file(&[])).is_err());
    }
}
