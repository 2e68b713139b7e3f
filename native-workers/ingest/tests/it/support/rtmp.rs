//! An encoder of few lines: it sends the tags of an FLV file at their times, and data messages between them, which ffmpeg
//! cannot.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use headwater_rtmp::amf0::{self, Value};

/// Bytes of a chunk.
const CHUNK: usize = 60_000;

pub struct Encoder {
    stream: TcpStream,
}

/// A tag of a file, or a message of one's own.
pub struct Tag {
    pub kind: u8,
    pub timestamp: u32,
    pub body: Vec<u8>,
}

/// The tags of an FLV file.
pub fn tags(flv: &[u8]) -> Vec<Tag> {
    let mut rest = &flv[13..];
    let mut tags = Vec::new();
    while rest.len() > 11 {
        let size = u32::from_be_bytes([0, rest[1], rest[2], rest[3]]) as usize;
        tags.push(Tag {
            kind: rest[0],
            timestamp: u32::from_be_bytes([rest[7], rest[4], rest[5], rest[6]]),
            body: rest[11..11 + size].to_vec(),
        });
        rest = &rest[11 + size + 4..];
    }
    tags
}

/// A data message.
pub fn data(timestamp: u32, name: &str, value: &Value) -> Tag {
    let mut body = Vec::new();
    amf0::write(&mut body, &Value::Text(name.to_owned()));
    amf0::write(&mut body, value);
    Tag {
        kind: 18,
        timestamp,
        body,
    }
}

impl Encoder {
    /// Publishes under `rtmp://host:port/app/name`.
    pub fn publish(url: &str) -> Self {
        let (host, path) = url
            .strip_prefix("rtmp://")
            .unwrap()
            .split_once('/')
            .unwrap();
        let (app, name) = path.rsplit_once('/').unwrap();
        let mut encoder = Self {
            stream: TcpStream::connect(host).unwrap(),
        };
        encoder
            .stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut hello = vec![3];
        hello.resize(1 + 1536, 0);
        encoder.stream.write_all(&hello).unwrap();
        let mut answer = vec![0; 1 + 2 * 1536];
        encoder.stream.read_exact(&mut answer).unwrap();
        encoder.stream.write_all(&answer[1..=1536]).unwrap();
        encoder.message(0, 1, 0, &u32::try_from(CHUNK).unwrap().to_be_bytes());
        let text = |text: &str| Value::Text(text.to_owned());
        let connect = Value::Object(vec![
            ("app".to_owned(), text(app)),
            ("tcUrl".to_owned(), text(&format!("rtmp://{host}/{app}"))),
        ]);
        encoder.command(
            0,
            &[text("connect"), Value::Number(1.0), connect],
            "_result",
        );
        encoder.command(
            0,
            &[text("createStream"), Value::Number(2.0), Value::Null],
            "_result",
        );
        let publish = [
            text("publish"),
            Value::Number(3.0),
            Value::Null,
            text(name),
            text("live"),
        ];
        encoder.command(1, &publish, "NetStream.Publish.Start");
        encoder
    }

    fn command(&mut self, stream: u32, values: &[Value], awaited: &str) {
        let mut body = Vec::new();
        values
            .iter()
            .for_each(|value| amf0::write(&mut body, value));
        self.message(stream, 20, 0, &body);
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        while !answer
            .windows(awaited.len())
            .any(|window| window == awaited.as_bytes())
        {
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "{awaited} was not answered");
            answer.extend_from_slice(&buffer[..count]);
        }
    }

    fn message(&mut self, stream: u32, kind: u8, timestamp: u32, body: &[u8]) {
        let [_, a, b, c] = timestamp.to_be_bytes();
        let [_, x, y, z] = u32::try_from(body.len()).unwrap().to_be_bytes();
        let mut bytes = vec![4, a, b, c, x, y, z, kind];
        bytes.extend_from_slice(&stream.to_le_bytes());
        for (at, chunk) in body.chunks(CHUNK).enumerate() {
            if at > 0 {
                bytes.push(0xc4);
            }
            bytes.extend_from_slice(chunk);
        }
        self.stream.write_all(&bytes).unwrap();
    }

    /// Sends tags when their time has come.
    pub fn send(&mut self, tags: &[Tag]) {
        let begun = Instant::now();
        for tag in tags {
            let due = Duration::from_millis(tag.timestamp.into());
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            self.message(1, tag.kind, tag.timestamp, &tag.body);
        }
    }
}
