//! AMF0 (Adobe, "Action Message Format - AMF 0"): the values of commands and metadata.

use crate::RtmpError;

/// A value. Dates, XML and typed objects are read as what they hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Number(f64),
    Boolean(bool),
    Text(String),
    /// Members in order.
    Object(Vec<(String, Value)>),
    List(Vec<Value>),
    Null,
}

/// Deepest nesting read.
const DEEPEST: u8 = 8;

/// Most values of one message, counted at every level.
const MOST: usize = 4096;

impl Value {
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The member of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                let mut members = members.iter();
                members
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], RtmpError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(RtmpError::Amf("it is cut off"))?;
        self.rest = rest;
        Ok(*head)
    }

    fn text(&mut self, len: usize) -> Result<String, RtmpError> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(RtmpError::Amf("a text is cut off"))?;
        self.rest = rest;
        Ok(String::from_utf8_lossy(head).into_owned())
    }

    fn short_text(&mut self) -> Result<String, RtmpError> {
        let len = u16::from_be_bytes(self.take()?);
        self.text(usize::from(len))
    }

    fn members(&mut self, depth: u8) -> Result<Value, RtmpError> {
        let mut members = Vec::new();
        loop {
            let name = self.short_text()?;
            if name.is_empty() && self.rest.first() == Some(&9) {
                self.take::<1>()?;
                return Ok(Value::Object(members));
            }
            members.push((name, self.value(depth)?));
            // Some encoders leave the end marker of metadata out.
            if self.rest.is_empty() {
                return Ok(Value::Object(members));
            }
        }
    }

    fn value(&mut self, depth: u8) -> Result<Value, RtmpError> {
        let depth = depth
            .checked_sub(1)
            .ok_or(RtmpError::Amf("it is nested too deeply"))?;
        self.left = self
            .left
            .checked_sub(1)
            .ok_or(RtmpError::Amf("it has too many values"))?;
        let [marker] = self.take()?;
        Ok(match marker {
            0 => Value::Number(f64::from_be_bytes(self.take()?)),
            1 => Value::Boolean(self.take::<1>()? != [0]),
            2 => Value::Text(self.short_text()?),
            3 => self.members(depth)?,
            5 | 6 | 13 => Value::Null,
            7 => {
                self.take::<2>()?;
                Value::Null
            }
            8 => {
                self.take::<4>()?;
                self.members(depth)?
            }
            10 => {
                let count = u32::from_be_bytes(self.take()?);
                let mut list = Vec::new();
                for _ in 0..count {
                    list.push(self.value(depth)?);
                }
                Value::List(list)
            }
            11 => {
                let date = f64::from_be_bytes(self.take()?);
                self.take::<2>()?;
                Value::Number(date)
            }
            12 | 15 => {
                let len = u32::from_be_bytes(self.take()?);
                Value::Text(self.text(usize::try_from(len).unwrap_or(usize::MAX))?)
            }
            16 => {
                self.short_text()?;
                self.members(depth)?
            }
            _ => return Err(RtmpError::Amf("an unknown kind of value")),
        })
    }
}

/// All values of a message.
///
/// Errors: `Amf`.
pub fn read(bytes: &[u8]) -> Result<Vec<Value>, RtmpError> {
    let mut reader = Reader {
        rest: bytes,
        left: MOST,
    };
    let mut values = Vec::new();
    while !reader.rest.is_empty() {
        values.push(reader.value(DEEPEST)?);
    }
    Ok(values)
}

fn short_text(out: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let text = text.get(..end).unwrap_or_default();
    out.extend_from_slice(&u16::try_from(end).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Appends a value. Texts longer than 65535 bytes are cut off.
pub fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Number(number) => {
            out.push(0);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Boolean(value) => out.extend_from_slice(&[1, u8::from(*value)]),
        Value::Text(text) => {
            out.push(2);
            short_text(out, text);
        }
        Value::Object(members) => {
            out.push(3);
            for (name, value) in members {
                short_text(out, name);
                write(out, value);
            }
            out.extend_from_slice(&[0, 0, 9]);
        }
        Value::List(list) => {
            out.push(10);
            let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&count.to_be_bytes());
            for value in list {
                write(out, value);
            }
        }
        Value::Null => out.push(5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_come_back() {
        let value = Value::Object(vec![
            ("a".into(), Value::Number(1.5)),
            (
                "b".into(),
                Value::List(vec![Value::Null, Value::Boolean(true)]),
            ),
            ("c".into(), Value::Text("é".into())),
        ]);
        let mut bytes = Vec::new();
        write(&mut bytes, &value);
        assert_eq!(read(&bytes).unwrap(), [value]);
    }

    #[test]
    fn bombs_are_refused() {
        let nested = [3, 0, 1, b'a'].repeat(1000);
        assert!(read(&nested).is_err());
        assert!(read(&[10, 0xff, 0xff, 0xff, 0xff]).is_err());
        let mut wide = vec![10, 0, 1, 0, 0];
        wide.extend([5].repeat(65_536));
        assert!(read(&wide).is_err());
    }

    proptest! {
        #[test]
        fn anything_may_come(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
