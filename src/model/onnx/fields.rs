//! Protocol Buffers decoder: the fields of a message, in order (<https://protobuf.dev/programming-guides/encoding/>).

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The bytes, none for a number.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Value::Bytes(bytes) => bytes,
            Value::Number(_) => &[],
        }
    }

    /// The text.
    pub fn text(self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The numbers of a repeated int64, packed or not.
    pub fn ints(self) -> Option<Vec<i64>> {
        let Value::Bytes(mut bytes) = self else {
            return Some(vec![self.int()?]);
        };
        let mut numbers = Vec::new();
        while !bytes.is_empty() {
            numbers.push(varint(&mut bytes)? as i64);
        }
        Some(numbers)
    }

    /// The number.
    pub fn int(self) -> Option<i64> {
        match self {
            Value::Number(number) => Some(number as i64),
            Value::Bytes(_) => None,
        }
    }
}

/// The fields of a message: number and value. `None` for bytes that are not a message.
pub fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)?),
            1 => Value::Number(u64::from_le_bytes(take(&mut bytes, 8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                Value::Bytes(take(&mut bytes, length)?)
            }
            5 => Value::Number(u32::from_le_bytes(take(&mut bytes, 4)?.try_into().ok()?).into()),
            _ => return None,
        };
        all.push((key >> 3, value));
    }
    Some(all)
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_have_numbers_and_values() {
        // The example of the documentation: 150 in field 1, and "testing" in field 2.
        let bytes = [&[0x08, 0x96, 0x01, 0x12, 0x07][..], b"testing"].concat();
        assert_eq!(fields(&bytes).unwrap(), [(1, Value::Number(150)), (2, Value::Bytes(b"testing"))]);
        assert_eq!(Value::Bytes(&[3, 0x8e, 2]).ints(), Some(vec![3, 270]));
        assert_eq!(Value::Number(u64::MAX).ints(), Some(vec![-1]));
        assert!(fields(&bytes[..bytes.len() - 1]).is_none());
        assert!(fields(&[0xff; 11]).is_none() && fields(&[0x0b]).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            for (_, value) in fields(&bytes).into_iter().flatten() {
                let _ = (value.ints(), value.text());
            }
        }
    }
}
