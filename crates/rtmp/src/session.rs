//! One connection of a publisher: handshake, commands, media.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::RtmpError;
use crate::amf0::{self, Value};
use crate::chunk::{ChunkReader, Limits, Message, write_message};

/// What happened. Media time stamps are milliseconds modulo 2^32.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The peer names the application. Waits for [`Session::accept`] or [`Session::reject`].
    Connect { app: String, url: String },
    /// The peer wants to publish under a name. Waits likewise.
    Publish { stream: String },
    /// `onMetaData`.
    Metadata(Value),
    /// Another data message: its name and values.
    Data {
        timestamp: u32,
        name: String,
        values: Vec<Value>,
    },
    /// An FLV video tag without its header.
    Video { timestamp: u32, payload: Bytes },
    /// An FLV audio tag without its header.
    Audio { timestamp: u32, payload: Bytes },
    /// The peer has said that it is done.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// C0 and C1 are awaited.
    Hello,
    /// C2 is awaited.
    Echo,
    Messages,
}

#[derive(Debug, Clone, PartialEq)]
enum Asked {
    Connect { transaction: f64 },
    Publish { stream: u32 },
}

/// A publisher's connection.
#[derive(Debug)]
pub struct Session {
    stage: Stage,
    input: BytesMut,
    chunks: ChunkReader,
    output: Vec<u8>,
    events: VecDeque<Event>,
    asked: Option<Asked>,
    connected: bool,
    publishing: Option<u32>,
    /// Bytes received, and of these acknowledged.
    received: u64,
    acknowledged: u64,
    /// Sent with, once Set Chunk Size is out.
    out_chunk: usize,
}

const HELLO: usize = 1536;

/// An acknowledgement is sent this often.
const WINDOW: u32 = 2_500_000;

const OUT_CHUNK: u32 = 4096;

impl Session {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            stage: Stage::Hello,
            input: BytesMut::new(),
            chunks: ChunkReader::new(limits),
            output: Vec::new(),
            events: VecDeque::new(),
            asked: None,
            connected: false,
            publishing: None,
            received: 0,
            acknowledged: 0,
            out_chunk: 128,
        }
    }

    /// Bytes of the peer.
    ///
    /// Errors: the connection is to be closed; what was understood before is still in [`Self::poll`].
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), RtmpError> {
        self.input.extend_from_slice(bytes);
        let count = u64::try_from(bytes.len()).unwrap_or(0);
        self.received = self.received.saturating_add(count);
        if self.stage == Stage::Hello {
            if let Some(version) = self.input.first().filter(|version| **version != 3) {
                return Err(RtmpError::Version(*version));
            }
            let Some(hello) = self.input.get(1..HELLO.saturating_add(1)) else {
                return Ok(());
            };
            // S0, S1 (of zeros: nobody checks the digest that some peers put there), S2.
            self.output.push(3);
            self.output.resize(HELLO.saturating_add(1), 0);
            self.output.extend_from_slice(hello);
            self.input.advance(HELLO.saturating_add(1));
            self.stage = Stage::Echo;
        }
        if self.stage == Stage::Echo {
            if self.input.len() < HELLO {
                return Ok(());
            }
            self.input.advance(HELLO);
            self.stage = Stage::Messages;
            let offset = HELLO.saturating_mul(2).saturating_add(1);
            self.chunks.offset = u64::try_from(offset).unwrap_or(0);
        }
        while let Some(message) = self.chunks.next(&mut self.input)? {
            self.message(message)?;
        }
        if self.received.saturating_sub(self.acknowledged) >= u64::from(WINDOW) {
            self.acknowledged = self.received;
            // The count is modulo 2^32 by design.
            let count = u32::try_from(self.received & u64::from(u32::MAX)).unwrap_or(0);
            self.control(3, &count.to_be_bytes());
        }
        Ok(())
    }

    /// What happened next.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes to send to the peer.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The handshake is over.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Messages
    }

    /// What was asked last may be: connect, or publish.
    pub fn accept(&mut self) {
        match self.asked.take() {
            Some(Asked::Connect { transaction }) => {
                self.connected = true;
                self.control(5, &WINDOW.to_be_bytes());
                let [a, b, c, d] = WINDOW.to_be_bytes();
                self.control(6, &[a, b, c, d, 2]);
                self.control(1, &OUT_CHUNK.to_be_bytes());
                self.out_chunk = usize::try_from(OUT_CHUNK).unwrap_or(128);
                let codecs = ["hvc1", "av01", "Opus"].map(|name| Value::Text(name.into()));
                let properties = object(&[
                    ("fmsVer", text("FMS/3,0,1,123")),
                    ("capabilities", Value::Number(31.0)),
                ]);
                let information = object(&[
                    ("level", text("status")),
                    ("code", text("NetConnection.Connect.Success")),
                    ("description", text("Connection succeeded.")),
                    ("objectEncoding", Value::Number(0.0)),
                    ("fourCcList", Value::List(codecs.to_vec())),
                ]);
                self.command(
                    0,
                    &[
                        text("_result"),
                        Value::Number(transaction),
                        properties,
                        information,
                    ],
                );
            }
            Some(Asked::Publish { stream }) => {
                self.publishing = Some(stream);
                let [a, b, c, d] = stream.to_be_bytes();
                self.control(4, &[0, 0, a, b, c, d]);
                self.status(stream, "status", "NetStream.Publish.Start", "Publishing.");
            }
            None => {}
        }
    }

    /// What was asked last may not be. `reason`: told to the peer. The connection is to be closed once it is sent.
    pub fn reject(&mut self, reason: &str) {
        match self.asked.take() {
            Some(Asked::Connect { transaction }) => {
                let information = object(&[
                    ("level", text("error")),
                    ("code", text("NetConnection.Connect.Rejected")),
                    ("description", text(reason)),
                ]);
                self.command(
                    0,
                    &[
                        text("_error"),
                        Value::Number(transaction),
                        Value::Null,
                        information,
                    ],
                );
            }
            Some(Asked::Publish { stream }) => {
                self.status(stream, "error", "NetStream.Publish.Denied", reason);
            }
            None => self.close(reason),
        }
    }

    /// Tells a publisher that it is cut off.
    pub fn close(&mut self, reason: &str) {
        if let Some(stream) = self.publishing.take() {
            self.status(stream, "error", "NetStream.Publish.Failed", reason);
        }
    }

    fn control(&mut self, kind: u8, payload: &[u8]) {
        write_message(&mut self.output, 2, self.out_chunk, kind, 0, payload);
    }

    fn command(&mut self, stream: u32, values: &[Value]) {
        let mut payload = Vec::new();
        for value in values {
            amf0::write(&mut payload, value);
        }
        write_message(&mut self.output, 3, self.out_chunk, 20, stream, &payload);
    }

    fn status(&mut self, stream: u32, level: &str, code: &str, description: &str) {
        let information = object(&[
            ("level", text(level)),
            ("code", text(code)),
            ("description", text(description)),
        ]);
        self.command(
            stream,
            &[
                text("onStatus"),
                Value::Number(0.0),
                Value::Null,
                information,
            ],
        );
    }

    fn malformed(&self, fault: &'static str) -> RtmpError {
        RtmpError::Malformed {
            offset: self.chunks.offset,
            fault,
        }
    }

    fn message(&mut self, message: Message) -> Result<(), RtmpError> {
        let Message {
            kind,
            timestamp,
            payload,
            stream,
        } = message;
        let number = || {
            payload
                .first_chunk::<4>()
                .map(|bytes| u32::from_be_bytes(*bytes))
        };
        match kind {
            1 => match number() {
                Some(bytes) => self.chunks.set_chunk_size(bytes)?,
                None => return Err(self.malformed("a chunk size is cut off")),
            },
            2 => self.chunks.abort(number().unwrap_or(0)),
            // A ping is answered; the rest of user control is for players.
            4 if payload.starts_with(&[0, 6]) => {
                let mut answer = vec![0, 7];
                answer.extend_from_slice(payload.get(2..6).unwrap_or_default());
                self.control(4, &answer);
            }
            3..=6 => {}
            8 if self.publishing.is_some() => {
                self.events.push_back(Event::Audio { timestamp, payload });
            }
            9 if self.publishing.is_some() => {
                self.events.push_back(Event::Video { timestamp, payload });
            }
            // The AMF3 forms carry AMF0 behind a byte.
            15 => self.data(timestamp, payload.get(1..).unwrap_or_default())?,
            18 => self.data(timestamp, &payload)?,
            17 => self.asked(stream, payload.get(1..).unwrap_or_default())?,
            20 => self.asked(stream, &payload)?,
            8 | 9 => return Err(self.malformed("media before publish was granted")),
            _ => {}
        }
        Ok(())
    }

    fn data(&mut self, timestamp: u32, payload: &[u8]) -> Result<(), RtmpError> {
        if self.publishing.is_none() {
            return Ok(());
        }
        let mut values: VecDeque<Value> = amf0::read(payload)?.into();
        let mut name = values.pop_front();
        if name.as_ref().and_then(Value::as_text) == Some("@setDataFrame") {
            name = values.pop_front();
        }
        let Some(name) = name.as_ref().and_then(Value::as_text) else {
            return Ok(());
        };
        self.events.push_back(match (name, values.front()) {
            ("onMetaData", Some(metadata)) => Event::Metadata(metadata.clone()),
            _ => Event::Data {
                timestamp,
                name: name.to_owned(),
                values: values.into(),
            },
        });
        Ok(())
    }

    fn asked(&mut self, stream: u32, payload: &[u8]) -> Result<(), RtmpError> {
        let values = amf0::read(payload)?;
        let name = values.first().and_then(Value::as_text).unwrap_or_default();
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        let argument = |at: usize| values.get(at).and_then(Value::as_text).unwrap_or_default();
        match name {
            "connect" => {
                if self.connected || self.asked.is_some() {
                    return Err(self.malformed("a second connect"));
                }
                let member = |name: &str| {
                    let value = values.get(2).and_then(|object| object.get(name));
                    value
                        .and_then(Value::as_text)
                        .unwrap_or_default()
                        .to_owned()
                };
                self.asked = Some(Asked::Connect { transaction });
                self.events.push_back(Event::Connect {
                    app: member("app"),
                    url: member("tcUrl"),
                });
            }
            _ if !self.connected => return Err(self.malformed("a command before connect")),
            "createStream" => {
                let answer = [
                    text("_result"),
                    Value::Number(transaction),
                    Value::Null,
                    Value::Number(1.0),
                ];
                self.command(0, &answer);
            }
            "releaseStream" | "FCPublish" | "_checkbw" => {
                let answer = [text("_result"), Value::Number(transaction), Value::Null];
                self.command(0, &answer);
            }
            "publish" => {
                if self.publishing.is_some() || self.asked.is_some() {
                    return Err(self.malformed("a second publish"));
                }
                self.asked = Some(Asked::Publish { stream });
                self.events.push_back(Event::Publish {
                    stream: argument(3).to_owned(),
                });
            }
            "FCUnpublish" | "deleteStream" | "closeStream" => {
                let published = self.publishing.take();
                self.events.extend(published.map(|_| Event::End));
            }
            "play" | "play2" => return Err(self.malformed("nothing is played here")),
            _ => {}
        }
        Ok(())
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn object(members: &[(&str, Value)]) -> Value {
    let members = members.iter();
    Value::Object(
        members
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    )
}
