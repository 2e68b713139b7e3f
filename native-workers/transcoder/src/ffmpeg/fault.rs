//! What the end of a child means for the job: its words, sorted into AMS's error codes.

use headwater_work::{JobErrorCode, JobFailure};

use super::sandbox::Ended;
use crate::failure::{self, Step, Stopped};

/// Phrases of ffmpeg, and what they mean. The first that is found decides.
const PHRASES: [(&str, JobErrorCode, &str); 17] = [
    (
        "No space left on device",
        JobErrorCode::ServiceTransientError,
        "the worker's disk is full",
    ),
    (
        "File too large",
        JobErrorCode::ContentUnsupported,
        "what is made of it is larger than a job may write",
    ),
    (
        "Cannot allocate memory",
        JobErrorCode::ContentUnsupported,
        "it needs more memory than a job may have",
    ),
    (
        "moov atom not found",
        JobErrorCode::ContentMalformed,
        "it is cut off: its description of the media is missing",
    ),
    (
        "EBML header parsing failed",
        JobErrorCode::ContentMalformed,
        "its header is damaged",
    ),
    (
        "Picture size",
        JobErrorCode::ContentMalformed,
        "it claims an impossible picture size",
    ),
    (
        "Decoder not found",
        JobErrorCode::ContentUnsupported,
        "its codec cannot be decoded",
    ),
    (
        "Unknown decoder",
        JobErrorCode::ContentUnsupported,
        "its codec cannot be decoded",
    ),
    (
        "Decoding requested, but no decoder found",
        JobErrorCode::ContentUnsupported,
        "its codec cannot be decoded",
    ),
    (
        "no decoder found for",
        JobErrorCode::ContentUnsupported,
        "its codec cannot be decoded",
    ),
    (
        "Could not find tag for codec",
        JobErrorCode::ContentUnsupported,
        "its codec cannot be put into the file that the preset asks for",
    ),
    (
        "codec not currently supported in container",
        JobErrorCode::ContentUnsupported,
        "its codec cannot be put into the file that the preset asks for",
    ),
    (
        "Could not find codec parameters",
        JobErrorCode::ContentMalformed,
        "its streams cannot be made out",
    ),
    (
        "Cannot determine format of input stream",
        JobErrorCode::ContentMalformed,
        "nothing in it could be decoded",
    ),
    (
        "Invalid data found when processing input",
        JobErrorCode::ContentMalformed,
        "it is damaged",
    ),
    (
        ": End of file",
        JobErrorCode::ContentMalformed,
        "nothing in it can be read",
    ),
    (
        "Error while opening encoder",
        JobErrorCode::ConfigurationUnsupported,
        "the encoder does not accept what the preset asks for",
    ),
];

/// Lines of a child's standard error that go into a job's details.
const LINES: usize = 6;

/// The output of a child that ended well.
///
/// Errors: `Interrupted` if it was stopped; else the code that fits what it said of `file`.
pub fn outcome(file: &str, ended: Ended) -> Step<(Vec<u8>, String)> {
    let (stderr, what) = match ended {
        Ended::Done { stdout, stderr } => return Ok((stdout, stderr)),
        Ended::Stopped => return Err(Stopped::Interrupted),
        Ended::NotStarted(error) => {
            return Err(failure::passing(format!(
                "ffmpeg could not be started: {error}."
            )));
        }
        Ended::Silent { stderr } => (
            stderr,
            "made no progress for too long and was stopped".into(),
        ),
        Ended::Failed {
            signal: Some(libc::SIGXCPU),
            stderr,
            ..
        } => (stderr, "used up the time of a job".to_owned()),
        // ffmpeg's own answer to a signal that it has a handler for, as it has for SIGXCPU.
        Ended::Failed {
            code: Some(255),
            stderr,
            ..
        } => (
            stderr,
            "used up the time of a job, or was told to stop".to_owned(),
        ),
        // Not by us: most likely by a kernel that was out of memory, which need not be this file's doing.
        Ended::Failed {
            signal: Some(libc::SIGKILL),
            stderr,
            ..
        } => {
            return Err(told(
                JobErrorCode::ServiceTransientError,
                format!(
                    "The input file '{file}' could not be encoded: ffmpeg was killed, as happens where memory runs out."
                ),
                &stderr,
            ));
        }
        Ended::Failed {
            signal: Some(libc::SIGXFSZ),
            ..
        } => ("File too large".into(), String::new()),
        Ended::Failed {
            signal: Some(signal),
            stderr,
            ..
        } => {
            return Err(told(
                JobErrorCode::ContentMalformed,
                format!(
                    "The input file '{file}' cannot be encoded: ffmpeg crashed on it (signal {signal})."
                ),
                &stderr,
            ));
        }
        Ended::Failed { code, stderr, .. } => {
            (stderr, format!("ended with status {}", code.unwrap_or(-1)))
        }
    };
    Err(
        match PHRASES.iter().find(|(phrase, ..)| stderr.contains(phrase)) {
            Some((_, code, why)) => told(
                *code,
                format!("The input file '{file}' cannot be encoded: {why}."),
                &stderr,
            ),
            None => told(
                JobErrorCode::ServiceError,
                format!("The input file '{file}' could not be encoded: ffmpeg {what}."),
                &stderr,
            ),
        },
    )
}

fn told(code: JobErrorCode, message: String, stderr: &str) -> Stopped {
    Stopped::Failed(JobFailure {
        code,
        message,
        details: last_lines(stderr),
    })
}

/// The last lines, without what would give the worker's folders away.
pub fn last_lines(stderr: &str) -> Vec<String> {
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(LINES))
        .map(|line| {
            line.split(' ')
                .map(|word| {
                    let path = word.trim_start_matches('\'').trim_start_matches("file:");
                    if path.starts_with('/') {
                        "(file)"
                    } else {
                        word
                    }
                })
                .collect::<Vec<_>>()
                .join(" ")
                .chars()
                .take(300)
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(stderr: &str, signal: Option<i32>) -> JobErrorCode {
        let ended = Ended::Failed {
            code: signal.is_none().then_some(1),
            signal,
            stderr: stderr.into(),
        };
        match outcome("film.mkv", ended) {
            Err(Stopped::Failed(failure)) => {
                assert!(failure.details.iter().all(|line| !line.contains("/tmp")));
                failure.code
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_become_codes() {
        use JobErrorCode::{
            ContentMalformed, ContentUnsupported, ServiceError, ServiceTransientError,
        };
        let invalid = "file:/tmp/x/in0: Invalid data found when processing input";
        assert_eq!(code(invalid, None), ContentMalformed);
        assert_eq!(code("[mov] moov atom not found", None), ContentMalformed);
        assert_eq!(
            code(
                "av_interleaved_write_frame(): No space left on device",
                None
            ),
            ServiceTransientError
        );
        assert_eq!(code("Decoder not found", None), ContentUnsupported);
        assert_eq!(code("", Some(libc::SIGXCPU)), ServiceError);
        assert_eq!(code("", Some(libc::SIGSEGV)), ContentMalformed);
        assert_eq!(code(invalid, Some(libc::SIGKILL)), ServiceTransientError);
        assert_eq!(code("something new", None), ServiceError);
    }

    #[test]
    fn what_never_ran_may_run_elsewhere() {
        let ended = Ended::NotStarted(std::io::ErrorKind::OutOfMemory.into());
        match outcome("film.mkv", ended) {
            Err(Stopped::Failed(failure)) => assert!(failure.code.may_retry(), "{failure:?}"),
            other => panic!("{other:?}"),
        }
    }
}
