//! The types of event that there are. Spec: the management API reference, 1.14 (MK.IO) and 2.13 (Event Grid).

use crate::jobs::JobState;

/// A type by its name on the wire: one of [`EventType::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventType(&'static str);

macro_rules! types {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl EventType {
            $($(#[$doc])* pub const $name: Self = Self($text);)*

            /// Every type, MK.IO's first.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

types! {
    /// A worker has begun: what a job's `startTime` says.
    JOB_STARTED = "MediaKind.JobStarted";
    /// Finished, failed or cancelled.
    JOB_FINISHED = "MediaKind.JobFinished";
    STREAMING_LOCATOR_CREATED = "MediaKind.StreamingLocatorCreated";
    /// Our own: neither AMS nor MK.IO tells.
    LIVE_EVENT_STATE_CHANGE = "Headwater.LiveEventStateChange";
    AMS_JOB_STATE_CHANGE = "Microsoft.Media.JobStateChange";
    AMS_JOB_SCHEDULED = "Microsoft.Media.JobScheduled";
    AMS_JOB_PROCESSING = "Microsoft.Media.JobProcessing";
    AMS_JOB_CANCELING = "Microsoft.Media.JobCanceling";
    AMS_JOB_FINISHED = "Microsoft.Media.JobFinished";
    AMS_JOB_CANCELED = "Microsoft.Media.JobCanceled";
    AMS_JOB_ERRORED = "Microsoft.Media.JobErrored";
    AMS_OUTPUT_STATE_CHANGE = "Microsoft.Media.JobOutputStateChange";
    AMS_OUTPUT_SCHEDULED = "Microsoft.Media.JobOutputScheduled";
    AMS_OUTPUT_PROCESSING = "Microsoft.Media.JobOutputProcessing";
    AMS_OUTPUT_CANCELING = "Microsoft.Media.JobOutputCanceling";
    AMS_OUTPUT_FINISHED = "Microsoft.Media.JobOutputFinished";
    AMS_OUTPUT_CANCELED = "Microsoft.Media.JobOutputCanceled";
    AMS_OUTPUT_ERRORED = "Microsoft.Media.JobOutputErrored";
    /// Five per cent more, or something more after thirty seconds.
    AMS_OUTPUT_PROGRESS = "Microsoft.Media.JobOutputProgress";
    LIVE_CONNECTION_REJECTED = "Microsoft.Media.LiveEventConnectionRejected";
    LIVE_ENCODER_CONNECTED = "Microsoft.Media.LiveEventEncoderConnected";
    LIVE_ENCODER_DISCONNECTED = "Microsoft.Media.LiveEventEncoderDisconnected";
    LIVE_STREAM_RECEIVED = "Microsoft.Media.LiveEventIncomingStreamReceived";
    LIVE_CHUNK_DROPPED = "Microsoft.Media.LiveEventIncomingDataChunkDropped";
    LIVE_STREAMS_OUT_OF_SYNC = "Microsoft.Media.LiveEventIncomingStreamsOutOfSync";
    LIVE_VIDEO_OUT_OF_SYNC = "Microsoft.Media.LiveEventIncomingVideoStreamsOutOfSync";
    LIVE_HEARTBEAT = "Microsoft.Media.LiveEventIngestHeartbeat";
    LIVE_DISCONTINUITY = "Microsoft.Media.LiveEventTrackDiscontinuityDetected";
}

impl EventType {
    pub fn name(self) -> &'static str {
        self.0
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.0 == name)
    }

    /// Whether it carries what Event Grid carried for AMS.
    pub fn is_ams(self) -> bool {
        self.0.starts_with("Microsoft.Media.")
    }

    /// AMS's type for a job that comes into this state, and the one for each of its outputs. A job that goes back into
    /// the queue has none but the general one.
    pub(crate) fn of_job_state(state: JobState) -> Option<(Self, Self)> {
        Some(match state {
            JobState::Queued => return None,
            JobState::Scheduled => (Self::AMS_JOB_SCHEDULED, Self::AMS_OUTPUT_SCHEDULED),
            JobState::Processing => (Self::AMS_JOB_PROCESSING, Self::AMS_OUTPUT_PROCESSING),
            JobState::Canceling => (Self::AMS_JOB_CANCELING, Self::AMS_OUTPUT_CANCELING),
            JobState::Finished => (Self::AMS_JOB_FINISHED, Self::AMS_OUTPUT_FINISHED),
            JobState::Canceled => (Self::AMS_JOB_CANCELED, Self::AMS_OUTPUT_CANCELED),
            JobState::Error => (Self::AMS_JOB_ERRORED, Self::AMS_OUTPUT_ERRORED),
        })
    }
}
