//! One layer: a thread that puts bars around pictures where it has to, encodes them, and hands them to the event.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use headwater_bmff::Colour;
use headwater_live::encode::ladder::Shape;
use headwater_live::encode::relief::Rate;
use headwater_live::engine::AccessUnit;
use headwater_live::reason::Reason;
use headwater_live::stream::{Kind, StreamConfig};
use headwater_live::timeline::TrackIndex;
use headwater_transcoder::h264::encoder::{EncodeError, Encoder, EncoderConfig, Profile};
use headwater_transcoder::h264::level;
use headwater_transcoder::h264::pace::Pace;
use headwater_transcoder::picture::{PLANES, Picture, Plane, Size};

use super::pictures::Shared;
use super::threads;

/// Pictures that wait for an encoder.
const QUEUE: usize = 4;

/// Layers have no more pictures a second. Level and parameter sets follow from it and not from what comes, so that they are
/// the same after a restart.
const FRAME_RATE: f32 = 30.0;

/// A picture of a layer, in its scaled size.
pub(super) struct Frame {
    /// 90 kHz ticks of the source.
    pub(super) pts: i64,
    pub(super) key: bool,
    pub(super) picture: Arc<Picture>,
}

enum Order {
    Encode(Frame),
    /// Nothing comes for a while.
    Rest,
}

/// The near end of a layer's thread.
pub(super) struct Lane {
    orders: SyncSender<Order>,
    thread: JoinHandle<()>,
    /// Pictures since a key frame; nothing is encoded before one.
    running: Option<u32>,
}

impl Lane {
    pub(super) fn start(
        shared: &Arc<Shared>,
        shape: Shape,
        colour: Colour,
    ) -> Result<Self, String> {
        let (orders, frames) = sync_channel(QUEUE);
        let size = Size::even(shape.size.width, shape.size.height);
        let config = EncoderConfig {
            size,
            profile: match size.short_side() >= 720 {
                true => Profile::High,
                false => Profile::Main,
            },
            level: level::lowest(size, FRAME_RATE.into(), shape.bitrate / 1_000),
            frames_per_second: FRAME_RATE,
            colour: Some(colour),
        };
        let layer = Layer {
            encoder: Encoder::new(config).map_err(|error| error.to_string())?,
            shared: shared.clone(),
            size,
            black: if colour.full_range { 0 } else { 16 },
            bitrate: shape.bitrate,
            track: None,
            pace: None,
            last: None,
            step: None,
        };
        let thread = threads::spawn("live layer", threads::LAYER, move || layer.run(&frames));
        Ok(Self {
            orders,
            thread: thread.map_err(|error| error.to_string())?,
            running: None,
        })
    }

    /// Hands a picture on, if it is one that `rate` leaves. Waits while too many wait for the encoder.
    ///
    /// Errors: the layer has ended.
    pub(super) fn hand_on(&mut self, rate: Rate, frame: Frame) -> Result<(), Reason> {
        let at = match (frame.key, self.running) {
            (true, _) => 0,
            (false, Some(at)) => at + 1,
            (false, None) => return Ok(()),
        };
        self.running = Some(at);
        match rate {
            Rate::Full => {}
            Rate::Half if at % 2 == 0 => {}
            Rate::Half | Rate::Off => return Ok(()),
        }
        let sent = self.orders.send(Order::Encode(frame));
        sent.map_err(|_| Reason::CapacityReached)
    }

    pub(super) fn rest(&mut self) {
        self.running = None;
        // A layer that has ended says why by itself.
        let _ = self.orders.send(Order::Rest);
    }

    /// Waits until everything is encoded.
    pub(super) fn end(self) {
        drop(self.orders);
        if self.thread.join().is_err() {
            tracing::error!("a live encoder panicked");
        }
    }
}

/// The far end.
struct Layer {
    shared: Arc<Shared>,
    encoder: Encoder,
    size: Size,
    /// Luma of bars.
    black: u8,
    /// Bits per second.
    bitrate: u32,
    track: Option<TrackIndex>,
    pace: Option<Pace>,
    last: Option<i64>,
    /// 90 kHz ticks from picture to picture.
    step: Option<i64>,
}

impl Layer {
    fn run(mut self, orders: &Receiver<Order>) {
        // The first picture waits for the second: both are tried before they are encoded in earnest.
        let mut first = None;
        while let Ok(order) = orders.recv() {
            let done = match order {
                Order::Rest => {
                    first = None;
                    if let Some(track) = self.track {
                        self.shared.live.rest(track);
                    }
                    Ok(())
                }
                Order::Encode(frame) => {
                    let frame = self.framed(frame);
                    match (self.pace.is_some(), first.take()) {
                        (true, _) => self.encode(&frame),
                        (false, None) => {
                            first = Some(frame);
                            Ok(())
                        }
                        (false, Some(before)) => self.begin(&before, Some(&frame)),
                    }
                }
            };
            if let Err(reason) = done {
                self.shared.queue.fail(reason);
                return;
            }
        }
        if let Some(first) = &first {
            let _ = self.begin(first, None);
        }
    }

    /// Puts bars around a picture that does not fill the layer.
    fn framed(&self, frame: Frame) -> Frame {
        if frame.picture.size() == self.size {
            return frame;
        }
        Frame {
            picture: Arc::new(with_bars(&frame.picture, self.size, self.black)),
            ..frame
        }
    }

    fn fault(&self, error: &EncodeError) -> Reason {
        tracing::error!(event = %self.shared.live.id, bitrate = self.bitrate, "live encoding: {error}");
        Reason::CapacityReached
    }

    /// Tries the first two pictures, announces the track, and encodes them.
    fn begin(&mut self, first: &Frame, second: Option<&Frame>) -> Result<(), Reason> {
        let tried: Vec<&Picture> = std::iter::once(first)
            .chain(second)
            .map(|frame| &*frame.picture)
            .collect();
        let pace = Pace::begin(&mut self.encoder, self.bitrate, &tried);
        self.pace = Some(pace.map_err(|error| self.fault(&error))?);
        self.step = second.map(|second| second.pts - first.pts);
        if let Some(sets) = self.encoder.parameter_sets() {
            let config = StreamConfig::avc_sets(vec![sets.sps.clone()], vec![sets.pps.clone()]);
            let config = config.map_err(|error| {
                tracing::error!(event = %self.shared.live.id, "live encoding: {error}");
                Reason::CapacityReached
            })?;
            let shared = &self.shared;
            let live = &shared.live;
            self.track =
                Some(live.announce_layer(shared.source, Kind::Video, self.bitrate, config)?);
        }
        self.encode(first)?;
        second.map_or(Ok(()), |second| self.encode(second))
    }

    fn encode(&mut self, frame: &Frame) -> Result<(), Reason> {
        if let Some(last) = self.last.replace(frame.pts) {
            self.step = Some(frame.pts - last);
        }
        let (Some(pace), Some(track)) = (&mut self.pace, self.track) else {
            return Ok(());
        };
        if frame.key {
            let interval = i64::from(self.shared.interval_ms) * 90;
            let step = self.step.unwrap_or(3_600).clamp(3_000, interval.max(3_000));
            let pictures = u32::try_from((interval + step / 2) / step).unwrap_or(1);
            // Nobody knows which will be the last, and what comes after it is not ours.
            pace.start_gop(
                f64::from(self.shared.interval_ms) / 1_000.0,
                pictures,
                false,
            );
        }
        let coded = pace.encode(&mut self.encoder, frame.picture.clone(), frame.key);
        let coded = coded.map_err(|error| self.fault(&error))?;
        let unit = AccessUnit {
            dts: frame.pts,
            pts: frame.pts,
            sync: coded.idr,
            bytes: coded.bytes.into(),
        };
        self.shared.live.push(self.shared.source, track, unit)?;
        self.shared.shown.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// `picture` in the middle of a black one of `size`, at least as large both ways.
fn with_bars(picture: &Picture, size: Size, black: u8) -> Picture {
    let mut out = Picture::black(size);
    out.plane_mut(Plane::Y).fill(black);
    for plane in PLANES {
        let ((width, height), (across, down)) = (size.plane(plane), picture.size().plane(plane));
        let (left, top) = (
            width.saturating_sub(across) / 2,
            height.saturating_sub(down) / 2,
        );
        let rows = out.plane_mut(plane).chunks_exact_mut(width).skip(top);
        for (row, from) in rows.zip(picture.plane(plane).chunks_exact(across)) {
            if let Some(row) = row.get_mut(left..left + across) {
                row.copy_from_slice(from);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_even_on_both_sides() {
        let size = |width, height| Size { width, height };
        let mut picture = Picture::black(size(4, 2));
        picture.plane_mut(Plane::Y).fill(200);
        picture.plane_mut(Plane::Cb).fill(90);
        let made = with_bars(&picture, size(8, 6), 16);
        let rows: Vec<&[u8]> = made.plane(Plane::Y).chunks(8).collect();
        assert_eq!(rows[1], [16; 8]);
        assert_eq!(rows[2], [16, 16, 200, 200, 200, 200, 16, 16]);
        assert_eq!(rows[4], [16; 8]);
        assert_eq!(made.plane(Plane::Cb)[4..8], [128, 90, 90, 128]);
    }
}
