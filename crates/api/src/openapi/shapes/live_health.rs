//! How a live event's ingest is doing: `resources/live_health.rs`.

use crate::openapi::schema::{flag, list, number, one_of, shape, text, time, whole};
use crate::openapi::shape::{Member, Shape, shown, sometimes};

/// What a point of the charts says of the whole.
fn drift() -> Member {
    sometimes(
        "avDriftMs",
        number().about(
            "By how much the times of sound run ahead of those of the pictures that come with it; negative if they are \
             behind.",
        ),
    )
}

fn bitrate() -> Member {
    shown(
        "incomingBitrate",
        whole().about("Bits per second over the last five seconds."),
    )
}

pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::answer(
            "LiveEventHealth",
            "How a live event's ingest is doing.",
            vec![
                shown(
                    "state",
                    one_of(&["Healthy", "Unhealthy", "NoEncoder", "NotMeasured", "NotRunning"]).about(
                        "`NotMeasured`: the event runs, and its ingest worker has not been heard of for a while.",
                    ),
                ),
                shown("healthy", flag()),
                shown("reasons", list(shape("LiveEventHealthReason"))),
                sometimes("measuredTime", time()),
                bitrate(),
                drift(),
                shown("encoders", list(shape("LiveEventHealthEncoder"))),
                shown("tracks", list(shape("LiveEventHealthTrack"))),
                shown(
                    "filled",
                    list(one_of(&["video", "audio"]))
                        .about("For which of both something stands in now, as `input.fillWith` of the event has it."),
                ),
                shown(
                    "history",
                    list(shape("LiveEventHealthPoint"))
                        .about("The last ten minutes, one point for every five seconds, the oldest first."),
                ),
            ],
        ),
        Shape::answer(
            "LiveEventHealthReason",
            "What is wrong.",
            vec![
                shown(
                    "code",
                    one_of(&[
                        "NoEncoder",
                        "NoData",
                        "NoKeyFrame",
                        "KeyFrameDistance",
                        "Dropped",
                        "Discontinuity",
                        "SlowDelivery",
                        "AudioVideoDrift",
                    ]),
                ),
                shown("message", text().about("A sentence for people.")),
                sometimes("trackName", text()),
            ],
        ),
        Shape::answer(
            "LiveEventHealthEncoder",
            "An encoder that is connected.",
            vec![
                shown("ingestUrl", text().about("Without the stream key.")),
                shown("streamId", text()),
                shown("protocol", one_of(&["RTMP", "RTMPS", "SRT", "FragmentedMP4"])),
                shown("encoderIp", text()),
                shown("encoderPort", text()),
                shown("connectedTime", time()),
                bitrate(),
            ],
        ),
        Shape::answer(
            "LiveEventHealthTrack",
            "A stream that comes in, in the words of `Microsoft.Media.LiveEventIngestHeartbeat`. Counts are those of the \
             last minute.",
            vec![
                shown("trackType", one_of(&["audio", "video"])),
                shown("trackName", text()),
                shown("bitrate", whole().about("As it was announced, bits per second.")),
                bitrate(),
                shown("frameRate", number().about("Frames per second over the last five seconds.")),
                sometimes(
                    "keyFrameDistanceMs",
                    whole().about("Of pictures: from one key frame to the next."),
                ),
                sometimes("lastKeyFrameTime", time()),
                sometimes("lastFragmentArrivalTime", time()),
                shown("lastTimestamp", text()),
                shown("timescale", text()),
                shown("overlapCount", whole()),
                shown("nonincreasingCount", whole()),
                shown("undecodableCount", whole().about("Pictures whose references are missing.")),
                shown(
                    "duplicateCount",
                    whole().about("What another connection of a redundant pair had sent."),
                ),
                shown("discontinuityCount", whole()),
                shown("unexpectedBitrate", flag()),
                shown(
                    "ingestDriftValue",
                    text().about(
                        "Seconds by which less media than time came in the last minute; `n/a` if nothing came.",
                    ),
                ),
                shown("state", one_of(&["Running", "Stopped"])),
                shown("healthy", flag()),
                shown("transcriptionState", text().about("Empty: nothing is transcribed.")),
                shown("transcriptionLanguage", text()),
            ],
        ),
        Shape::answer(
            "LiveEventHealthPoint",
            "What was measured at one moment.",
            vec![
                shown("time", time()),
                shown("encoders", whole()),
                bitrate(),
                drift(),
                shown("tracks", list(shape("LiveEventHealthPointTrack"))),
            ],
        ),
        Shape::answer(
            "LiveEventHealthPointTrack",
            "",
            vec![
                shown("trackName", text()),
                bitrate(),
                shown("frameRate", number()),
                shown("droppedCount", whole().about("Of the minute before.")),
            ],
        ),
    ]
}
