//! What a file's packets say of its times, where its header says nothing, or not enough.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use super::container::Demuxer;
use super::fault;
use super::inputs::{LIMITS, Loader};
use super::sandbox::{Limits, Program};
use crate::failure::{Step, Stopped};
use crate::jitter::{Heard, LOOK_SECONDS, evened, jitter};

/// The packets of each stream: `{stream},{time},{duration}` a line, as ffprobe writes them; those without either are left out.
fn packets(csv: &str) -> BTreeMap<u32, Vec<Heard>> {
    let mut found: BTreeMap<u32, Vec<Heard>> = BTreeMap::new();
    for line in csv.lines() {
        let mut fields = line.split(',');
        let mut next = || fields.next().unwrap_or_default().trim();
        let (stream, time, lasts) = (next().parse(), next().parse(), next().parse());
        if let (Ok(stream), Ok(time), Ok(lasts)) = (stream, time, lasts) {
            found.entry(stream).or_default().push((time, lasts));
        }
    }
    found
}

impl Loader<'_> {
    pub(super) fn asking(&self, tool: &Path, words: &[&str], file: (&Path, Demuxer)) -> Program {
        let (path, demuxer) = file;
        let mut arguments: Vec<String> = ["-v", "error"].map(str::to_owned).to_vec();
        arguments.extend(LIMITS.map(str::to_owned));
        arguments.extend(demuxer.patience().iter().map(|&word| word.to_owned()));
        arguments.extend(["-f", demuxer.name, "-i"].map(str::to_owned));
        arguments.push(format!("file:{}", path.display()));
        arguments.extend(words.iter().map(|&word| word.to_owned()));
        Program {
            path: tool.to_owned(),
            arguments,
            folder: self.folder.to_owned(),
            limits: Limits {
                file_bytes: 0,
                ..self.engine.limits(0.0, 0)
            },
            reads: vec![path.to_owned()],
        }
    }

    /// The jitter of each stream of sound, by its index in the file. `even`: those whose packets are equally long.
    pub(super) async fn jitters(
        &self,
        name: &str,
        file: (&Path, Demuxer),
        even: &[u32],
    ) -> Step<BTreeMap<u32, f64>> {
        let beginning = format!("%+{LOOK_SECONDS}");
        let entries = "packet=stream_index,pts_time,duration_time";
        let words = [
            "-of",
            "csv=p=0",
            "-select_streams",
            "a",
            "-show_entries",
            entries,
            "-read_intervals",
            &beginning,
        ];
        let program = self.asking(&self.engine.tools.ffprobe, &words, file);
        let csv = match fault::outcome(name, program.run(self.stop, None).await) {
            Ok((csv, _)) => csv,
            Err(Stopped::Interrupted) => return Err(Stopped::Interrupted),
            // Whether it can be decoded is another question.
            Err(Stopped::Failed(_)) => Vec::new(),
        };
        let found = packets(&String::from_utf8_lossy(&csv));
        Ok(found
            .into_iter()
            .map(|(stream, packets)| {
                let even = even.contains(&stream).then(|| jitter(&evened(&packets)));
                (stream, jitter(&packets).max(even.unwrap_or(0.0)))
            })
            .collect())
    }

    /// How many seconds of media are in a file that does not say so: what is recorded in a browser, and streams without a container.
    pub(super) async fn length(&self, name: &str, file: (&Path, Demuxer)) -> Step<f64> {
        let words = [
            "-nostdin",
            "-map",
            "0:v?",
            "-map",
            "0:a?",
            "-c",
            "copy",
            "-progress",
            "pipe:1",
            "-f",
            "null",
            "-",
        ];
        let program = self.asking(&self.engine.tools.ffmpeg, &words, file);
        let last = Mutex::new(0.0_f64);
        let mut line = |line: &str| {
            let time = line.strip_prefix("out_time_us=").map(str::trim);
            if let Some(time) = time.and_then(|time| time.parse::<f64>().ok())
                && let Ok(mut last) = last.lock()
            {
                *last = last.max(time / 1e6);
            }
        };
        let ended = program.run_counted(self.stop, &mut line).await;
        if let Err(Stopped::Interrupted) = fault::outcome(name, ended) {
            return Err(Stopped::Interrupted);
        }
        Ok(last.into_inner().unwrap_or(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_packets_are_read() {
        let found = packets("1,0.000000,0.021333\n2,0.1,N/A\n1,0.021333,0.021333,\n\nx,1,1\n");
        assert_eq!(found.len(), 1);
        assert_eq!(found[&1], [(0.0, 0.021_333), (0.021_333, 0.021_333)]);
    }
}
