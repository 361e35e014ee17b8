//! Protocol Buffers encoder for ONNX files and TensorBoard event files.
//!
//! Written by hand: only a few messages are needed, and their field numbers (onnx/onnx.proto, tensorboard/compat/proto) never
//! change. A generated crate would be several times as long.

/// A message under construction. Fields are encoded in the order in which they are added.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Message(Vec<u8>);

const VARINT: u64 = 0;
#[cfg(feature = "tensorboard")]
const FIXED_64: u64 = 1;
const BYTES: u64 = 2;
const FIXED_32: u64 = 5;

impl Message {
    /// An empty message.
    pub fn new() -> Self {
        Message::default()
    }

    /// Adds an int64 or an enumeration.
    pub fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3 | VARINT);
        // A negative number takes ten bytes.
        self.varint(value as u64);
        self
    }

    /// Adds a repeated int64.
    pub(crate) fn ints(self, field: u64, values: &[i64]) -> Self {
        values.iter().fold(self, |message, value| message.int(field, *value))
    }

    /// Adds a float.
    pub fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | FIXED_32);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a double.
    #[cfg(feature = "tensorboard")]
    pub fn double(mut self, field: u64, value: f64) -> Self {
        self.varint(field << 3 | FIXED_64);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a packed repeated double.
    #[cfg(feature = "tensorboard")]
    pub fn doubles(self, field: u64, values: &[f64]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.bytes(field, &bytes)
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

    /// Adds the fields of another message of the same type.
    #[cfg(feature = "tensorboard")]
    pub fn and(mut self, other: Message) -> Self {
        self.0.extend(other.0);
        self
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples from the specification (protobuf.dev, "Encoding").
    #[test]
    fn fields_are_encoded_as_in_the_specification() {
        let nested = Message::new().int(1, 150);
        assert_eq!(nested.clone().into_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::new().message(3, &nested).into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(Message::new().text(2, "testing").into_bytes(), b"\x12\x07testing");
        let minus_two = [0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Message::new().int(1, -2).into_bytes(), minus_two);
        assert_eq!(Message::new().float(2, 1.).into_bytes(), [0x15, 0, 0, 0x80, 0x3f]);
        #[cfg(feature = "tensorboard")]
        assert_eq!(Message::new().double(1, 1.).into_bytes(), [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        #[cfg(feature = "tensorboard")]
        assert_eq!(Message::new().doubles(6, &[1.]).into_bytes(), [0x32, 8, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    }
}
