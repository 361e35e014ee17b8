//! ONNX's messages in the encoding of Protocol Buffers.
//!
//! Written by hand: a crate would be several times as long as the few messages that a model needs, whose numbers
//! (onnx/onnx.proto) never change.

use tch::Kind;

/// A message under construction. Fields stand in the order in which they are put.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Message(Vec<u8>);

const VARINT: u64 = 0;
const BYTES: u64 = 2;
const FIXED_32: u64 = 5;

impl Message {
    /// No fields.
    pub fn new() -> Self {
        Message::default()
    }

    /// Adds an int64 or an enumeration.
    pub fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3 | VARINT);
        // A negative number takes all ten bytes.
        self.varint(value as u64);
        self
    }

    /// Adds a repeated int64.
    pub fn ints(self, field: u64, values: &[i64]) -> Self {
        values.iter().fold(self, |message, value| message.int(field, *value))
    }

    /// Adds a float.
    pub fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | FIXED_32);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds bytes or a string.
    pub fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    /// Adds a string.
    pub fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    /// Adds a message.
    pub fn message(self, field: u64, message: &Message) -> Self {
        self.bytes(field, &message.0)
    }

    /// Adds several messages.
    pub fn messages(self, field: u64, messages: impl IntoIterator<Item = Message>) -> Self {
        messages.into_iter().fold(self, |message, one| message.message(field, &one))
    }

    /// The encoded message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The number of a dtype in `TensorProto.DataType`.
pub fn data_type(kind: Kind) -> Option<i64> {
    Some(match kind {
        Kind::Float => 1,
        Kind::Uint8 => 2,
        Kind::Int8 => 3,
        Kind::Int16 => 5,
        Kind::Int => 6,
        Kind::Int64 => 7,
        Kind::Bool => 9,
        Kind::Half => 10,
        Kind::Double => 11,
        Kind::BFloat16 => 16,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the encoding's own description (protobuf.dev, "Encoding").
    #[test]
    fn fields_are_encoded_as_the_description_says() {
        let nested = Message::new().int(1, 150);
        assert_eq!(nested.clone().into_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::new().message(3, &nested).into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(Message::new().text(2, "testing").into_bytes(), b"\x12\x07testing");
        let minus_two = [0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Message::new().int(1, -2).into_bytes(), minus_two);
        assert_eq!(Message::new().float(2, 1.).into_bytes(), [0x15, 0, 0, 0x80, 0x3f]);
    }
}
