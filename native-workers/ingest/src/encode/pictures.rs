//! Incoming pictures: decoded, put in order, thinned, scaled to every size, and handed to the layers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use headwater_live::encode::cadence::{Cadence, Step};
use headwater_live::encode::ladder::{self, Shape};
use headwater_live::encode::order::Order;
use headwater_live::encode::relief::{Rate, Relief};
use headwater_live::engine::{AccessUnit, SourceId};
use headwater_live::reason::Reason;
use headwater_live::stream::Kind;
use headwater_transcoder::h264::decoder::{Decoded, Decoder};
use headwater_transcoder::picture::{self, Picture};
use headwater_transcoder::scale::Ladder;

use super::Encoding;
use super::layer::{Frame, Lane};
use super::queue::Queue;
use super::source::Video;
use crate::event::Live;

/// Samples in a row that gave no picture before a stream is taken for one that cannot be decoded: more than any decoder
/// holds back, and a good second.
const MOST_BARREN: u32 = 50;

/// What the threads of a session share.
pub(super) struct Shared {
    pub(super) live: Arc<Live>,
    pub(super) source: SourceId,
    pub(super) queue: Arc<Queue>,
    /// A picture has come to the event.
    pub(super) shown: AtomicBool,
    pub(super) interval_ms: u32,
}

pub(super) struct Pictures {
    shared: Arc<Shared>,
    video: Video,
    decoder: Option<Decoder>,
    /// Nothing can be decoded before a key frame.
    waits: bool,
    /// Number of the next sample.
    number: u64,
    barren: u32,
    order: Order<Picture>,
    out: Vec<Decoded>,
    cadence: Cadence,
    /// Pictures come after what the event has already.
    begun: bool,
    shapes: Vec<Shape>,
    lanes: Vec<Lane>,
    relief: Relief,
    /// To the sizes of the layers that are encoded, and which these are.
    ladder: Option<(Ladder, Vec<usize>)>,
}

impl Pictures {
    /// Errors: the reason to end the connection.
    pub(super) fn new(
        live: Arc<Live>,
        source: SourceId,
        queue: Arc<Queue>,
        video: Video,
    ) -> Result<Self, Reason> {
        let interval_ms = live.encoding.as_ref().map_or(2_000, |e| e.interval_ms);
        let shared = Arc::new(Shared {
            live,
            source,
            queue,
            shown: AtomicBool::new(false),
            interval_ms,
        });
        let mut pictures = Self {
            shared,
            video: video.clone(),
            decoder: None,
            waits: true,
            number: 0,
            barren: 0,
            order: Order::default(),
            out: Vec::new(),
            cadence: Cadence::new(interval_ms),
            begun: false,
            shapes: Vec::new(),
            lanes: Vec::new(),
            relief: Relief::new(0, 0),
            ladder: None,
        };
        pictures.configure(video)?;
        Ok(pictures)
    }

    fn encoding(&self) -> Option<&Encoding> {
        self.shared.live.encoding.as_ref()
    }

    /// Whether a picture has come to the event.
    pub(super) fn is_shown(&self) -> bool {
        self.shared.shown.load(Ordering::Relaxed)
    }

    /// Takes on a configuration: another decoder, and other layers if they look different.
    pub(super) fn configure(&mut self, video: Video) -> Result<(), Reason> {
        self.drain()?;
        if self.lanes.is_empty() || !self.video.looks_like(&video) {
            self.end_lanes();
            let Some(encoding) = self.encoding() else {
                return Ok(());
            };
            let level = encoding.desk.level.load(Ordering::Relaxed);
            self.shapes = ladder::shapes(&encoding.layers, encoding.stretch, video.displayed);
            self.relief = Relief::new(self.shapes.len(), level);
            for shape in &self.shapes {
                let lane = Lane::start(&self.shared, *shape, video.colour);
                let lane = lane.map_err(|error| self.fault(error))?;
                self.lanes.push(lane);
            }
            self.cadence = Cadence::new(self.shared.interval_ms);
            self.ladder = None;
        }
        let sets = video.avc.sps.iter().chain(&video.avc.pps);
        let decoder = Decoder::new(sets.map(Vec::as_slice), video.avc.nal_length_size);
        self.decoder = Some(decoder.map_err(|error| self.fault(error))?);
        (self.video, self.waits, self.barren) = (video, true, 0);
        Ok(())
    }

    fn fault(&self, error: impl std::fmt::Display) -> Reason {
        tracing::warn!(event = %self.shared.live.id, "live encoding: {error}");
        Reason::CapacityReached
    }

    /// The picture at that time of the source is to be a key frame.
    pub(super) fn key_at(&mut self, time: i64) {
        self.cadence.key_at(time);
    }

    /// An access unit that came at `came`.
    pub(super) fn push(&mut self, unit: AccessUnit, came: Instant) -> Result<(), Reason> {
        self.relieve(came);
        if self.waits && !unit.sync {
            return Ok(());
        }
        self.waits = false;
        let Some(decoder) = &mut self.decoder else {
            return Ok(());
        };
        let number = self.number;
        self.number += 1;
        self.order.sent(number, unit.dts, unit.pts);
        let decoded = decoder.decode(&unit.bytes, number, &mut self.out);
        self.barren = match self.out.is_empty() {
            true => self.barren + 1,
            false => 0,
        };
        if let Err(error) = decoded {
            tracing::debug!(event = %self.shared.live.id, "an incoming picture: {error}");
            if self.barren > MOST_BARREN {
                tracing::info!(event = %self.shared.live.id, "what comes in cannot be decoded: {error}");
                return Err(Reason::CodecNotSupported);
            }
        }
        self.take();
        while let Some((pts, picture)) = self.order.due() {
            self.show(pts, picture)?;
        }
        Ok(())
    }

    fn take(&mut self) {
        for decoded in self.out.drain(..) {
            self.order.came(decoded.sample, decoded.picture);
        }
    }

    /// Brings out what the decoder holds back.
    fn drain(&mut self) -> Result<(), Reason> {
        if let Some(decoder) = self.decoder.take() {
            decoder.flush(&mut self.out);
            self.take();
        }
        while let Some((pts, picture)) = self.order.pop() {
            self.show(pts, picture)?;
        }
        Ok(())
    }

    /// A picture, in order.
    fn show(&mut self, pts: i64, picture: Picture) -> Result<(), Reason> {
        let shared = &self.shared;
        if !self.begun {
            // Who comes back sends some of what it has sent already.
            let past = shared.live.is_past(shared.source, Kind::Video, pts);
            if past {
                return Ok(());
            }
            self.begun = true;
        }
        let key = match self.cadence.step(pts) {
            Step::Skip => return Ok(()),
            step => step == Step::Key,
        };
        if self.ladder.is_none() {
            self.ladder = Some(self.make_ladder()?);
        }
        let Some((ladder, active)) = &self.ladder else {
            return Ok(());
        };
        let scaled = ladder.apply(&Arc::new(picture)).map_err(|error| {
            tracing::info!(event = %self.shared.live.id, "the incoming picture changes its size: {error}");
            Reason::CodecNotSupported
        })?;
        for (at, picture) in active.iter().zip(scaled) {
            let rate = self.relief.rate(*at);
            if let Some(lane) = self.lanes.get_mut(*at) {
                lane.hand_on(rate, Frame { pts, key, picture })?;
            }
        }
        Ok(())
    }

    fn make_ladder(&self) -> Result<(Ladder, Vec<usize>), Reason> {
        let active = (0..self.shapes.len()).filter(|at| self.relief.rate(*at) != Rate::Off);
        let active: Vec<usize> = active.collect();
        let sizes = active.iter().filter_map(|at| self.shapes.get(*at));
        let sizes: Vec<picture::Size> = sizes
            .map(|shape| picture::Size::even(shape.picture.width, shape.picture.height))
            .collect();
        let ladder = Ladder::new(self.video.coded, &sizes);
        Ok((ladder.map_err(|error| self.fault(error))?, active))
    }

    /// Gives up or takes up again what encoders can do, by how long `came` waited.
    fn relieve(&mut self, came: Instant) {
        let behind = i64::try_from(came.elapsed().as_millis()).unwrap_or(i64::MAX);
        let before = self.relief.level();
        if !self.relief.look(crate::now_ms(), behind) {
            return;
        }
        let level = self.relief.level();
        if let Some(encoding) = self.encoding() {
            encoding.desk.level.store(level, Ordering::Relaxed);
        }
        self.ladder = None;
        // The step that was taken is of one layer: two for each, from the largest on.
        let at = level.max(before).saturating_sub(1) / 2;
        let Some(shape) = self.shapes.get(at) else {
            return;
        };
        let (bitrate, rate) = (shape.bitrate, self.relief.rate(at));
        if let (Rate::Off, Some(lane)) = (rate, self.lanes.get_mut(at)) {
            lane.rest();
        }
        let live = &self.shared.live;
        match level > before {
            true => live.encoder_dropped(Kind::Video.name(), bitrate),
            false => {
                tracing::info!(event = %live.id, bitrate, ?rate, "encoders keep up; a layer is taken up again")
            }
        }
        if level > before {
            tracing::warn!(event = %live.id, bitrate, ?rate, behind_ms = behind, "encoders cannot keep up");
        }
    }

    fn end_lanes(&mut self) {
        for lane in self.lanes.drain(..) {
            lane.end();
        }
    }

    /// Nothing comes any more: what has come is brought to its end.
    pub(super) fn end(mut self) {
        let _ = self.drain();
        self.end_lanes();
    }
}
