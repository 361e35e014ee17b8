//! Reads arrays in NumPy's NPY format
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).

use std::io::Read;
use std::path::Path;

use crate::Inputs;
use crate::error::{Error, Result, quoted};
use crate::format::binary::{check_end, exactly, floats};

/// A NumPy array.
pub struct Array {
    /// The shape.
    pub shape: Vec<usize>,
    /// The items in C order.
    items: Items,
}

/// The items of an array.
enum Items {
    /// uint8.
    Bytes(Vec<u8>),
    /// Other numbers, and whether they are integers.
    Numbers(Vec<f32>, bool),
    /// Strings.
    Texts(Vec<String>),
}

/// The maximum header length; NumPy warns about longer headers too.
const MAX_HEADER_LENGTH: u64 = 10_000;

impl Array {
    /// Reads an array to the end of `source`. `budget` gets the number of bytes in memory and may reject
    /// them.
    ///
    /// # Errors
    /// Data that is not NPY, has a dtype of Python objects or records, has a different length than declared,
    /// or exceeds the memory budget.
    pub fn read(path: &Path, source: &mut dyn Read, budget: &dyn Fn(u64) -> Result<()>) -> Result<Self> {
        let error = |problem: String| Error::data(path, problem);
        let header = Header::read(path, source)?;
        let item = header.item_size().ok_or_else(|| {
            error(format!("the dtype {} is not supported; save numbers or strings", quoted(&header.descr)))
        })?;
        let count = header.shape.iter().try_fold(1u64, |count, size| count.checked_mul(*size as u64));
        let sizes = count.and_then(|count| Some((count, count.checked_mul(item.max(4) as u64)?)));
        let (count, bytes) =
            sizes.ok_or_else(|| error(format!("the shape {:?} of the array is too large", header.shape)))?;
        budget(if header.kind() == "u1" { count } else { bytes })?;
        let items = match header.kind() {
            "u1" => Items::Bytes(header.ordered(exactly(path, source, count)?)),
            kind if kind.starts_with(['S', 'U']) => {
                let bytes = exactly(path, source, count * item as u64)?;
                Items::Texts(
                    header.ordered(bytes.chunks_exact(item).map(|bytes| header.text(bytes)).collect()),
                )
            }
            kind => {
                let values = floats(path, source, count, item, header.number())?;
                Items::Numbers(header.ordered(values), !kind.starts_with('f'))
            }
        };
        check_end(path, source)?;
        Ok(Array { shape: header.shape, items })
    }

    /// The items as inputs; `None` for strings.
    pub(crate) fn into_numbers(self) -> Option<Inputs> {
        match self.items {
            Items::Bytes(bytes) => Some(Inputs::Bytes(bytes)),
            Items::Numbers(values, _) => Some(Inputs::Floats(values)),
            Items::Texts(_) => None,
        }
    }

    /// The items as labels: integers or strings; `None` for fractions.
    pub(crate) fn into_labels(self) -> Option<Vec<String>> {
        match self.items {
            Items::Bytes(bytes) => Some(bytes.iter().map(u8::to_string).collect()),
            Items::Numbers(values, true) => Some(values.iter().map(f32::to_string).collect()),
            Items::Numbers(values, false) => {
                // Integers saved as floats, up to the limit of exact float32.
                let is_whole = |value: &f32| value.fract() == 0. && value.abs() <= (1 << 24) as f32;
                values.iter().map(|value| is_whole(value).then(|| (*value as i64).to_string())).collect()
            }
            Items::Texts(texts) => Some(texts),
        }
    }
}

/// Converts the bytes of an item to a number.
type Number = Box<dyn Fn(&[u8]) -> f32>;

struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Parses the header, a Python dictionary with three entries.
    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| Some(text.split_once(key)?.1.trim_start().strip_prefix(':')?.trim_start());
        let descr = value("'descr'")?.strip_prefix('\'')?.split_once('\'')?.0.to_string();
        let fortran_order = value("'fortran_order'")?.starts_with("True");
        let shape = value("'shape'")?.strip_prefix('(')?.split_once(')')?.0;
        let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
        Some(Header {
            descr,
            fortran_order,
            shape: sizes.map(|size| size.parse().ok()).collect::<Option<_>>()?,
        })
    }

    /// Reads the header.
    fn read(path: &Path, source: &mut dyn Read) -> Result<Self> {
        let error = |problem: String| Error::data(path, problem);
        let start = exactly(path, source, 8)?;
        if &start[..6] != b"\x93NUMPY" {
            return Err(error("this is not a NumPy array: the signature is missing".to_string()));
        }
        let length = match start[6] {
            1 => u64::from(u16::from_le_bytes(two(&exactly(path, source, 2)?))),
            2 | 3 => u64::from(u32::from_le_bytes(four(&exactly(path, source, 4)?))),
            version => return Err(error(format!("unknown version {version} of the NPY format"))),
        };
        if length > MAX_HEADER_LENGTH {
            return Err(error(format!("the array header has {length} bytes, so it is damaged")));
        }
        let header = exactly(path, source, length)?;
        let header = String::from_utf8_lossy(&header);
        Header::parse(&header).ok_or_else(|| error(format!("invalid array header: {}", quoted(&header))))
    }

    /// The type and size of an item, without the byte order.
    fn kind(&self) -> &str {
        self.descr.trim_start_matches(['<', '>', '|', '='])
    }

    /// Whether the byte order differs from this machine's.
    fn is_reversed(&self) -> bool {
        self.descr.starts_with('>') != cfg!(target_endian = "big") && !self.descr.starts_with('|')
    }

    fn item_size(&self) -> Option<usize> {
        let kind = self.kind();
        let (letter, size) = (kind.get(..1)?, kind.get(1..)?.parse::<usize>().ok()?);
        match (letter, size) {
            ("b", 1) | ("u" | "i", 1 | 2 | 4 | 8) | ("f", 2 | 4 | 8) => Some(size),
            ("S", 1..=1024) => Some(size),
            ("U", 1..=1024) => Some(4 * size),
            _ => None,
        }
    }

    /// Converts the bytes of an item to a number.
    fn number(&self) -> Number {
        let is_reversed = self.is_reversed();
        macro_rules! read {
            ($bits:ty, $number:expr) => {
                Box::new(move |item| {
                    let bits = <$bits>::from_ne_bytes(item.try_into().expect("an item"));
                    $number(if is_reversed { bits.swap_bytes() } else { bits })
                })
            };
        }
        match self.kind() {
            "i1" => Box::new(|item| f32::from(item[0] as i8)),
            "i2" => read!(i16, f32::from),
            "i4" => read!(i32, |number: i32| number as f32),
            "i8" => read!(i64, |number: i64| number as f32),
            "u2" => read!(u16, f32::from),
            "u4" => read!(u32, |number: u32| number as f32),
            "u8" => read!(u64, |number: u64| number as f32),
            "f2" => read!(u16, half),
            "f4" => read!(u32, f32::from_bits),
            "f8" => read!(u64, |bits: u64| f64::from_bits(bits) as f32),
            _ => Box::new(|item| f32::from(item[0])),
        }
    }

    /// Decodes an item as a string.
    fn text(&self, item: &[u8]) -> String {
        let text: String = match self.kind().starts_with('S') {
            true => String::from_utf8_lossy(item).into(),
            false => item
                .chunks_exact(4)
                .map(|bytes| {
                    let code = u32::from_ne_bytes(four(bytes));
                    let code = if self.is_reversed() { code.swap_bytes() } else { code };
                    char::from_u32(code).unwrap_or('\u{fffd}')
                })
                .collect(),
        };
        text.trim_end_matches('\0').to_string()
    }

    /// The items in C order, converted from Fortran order if necessary.
    fn ordered<T: Clone>(&self, items: Vec<T>) -> Vec<T> {
        if !self.fortran_order {
            return items;
        }
        let mut ordered = Vec::with_capacity(items.len());
        let mut strides = Vec::new();
        self.shape.iter().fold(1, |stride, size| {
            strides.push(stride);
            stride * size
        });
        let mut index = vec![0; self.shape.len()];
        for _ in 0..items.len() {
            let at: usize = index.iter().zip(&strides).map(|(index, stride)| index * stride).sum();
            ordered.push(items[at].clone());
            for (coordinate, size) in index.iter_mut().zip(&self.shape).rev() {
                *coordinate += 1;
                if *coordinate < *size {
                    break;
                }
                *coordinate = 0;
            }
        }
        ordered
    }
}

/// Converts a float16 to float32 (IEEE 754).
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1. } else { 1. };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0. => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1. + fraction / 1024.) * 2f32.powi(exponent - 15),
    }
}

fn two(bytes: &[u8]) -> [u8; 2] {
    bytes.try_into().expect("two bytes")
}

fn four(bytes: &[u8]) -> [u8; 4] {
    bytes.try_into().expect("four bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn npy(descr: &str, order: &str, shape: &str, items: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), items].concat()
    }

    fn array(bytes: &[u8]) -> Result<Array> {
        let budget = |bytes| match bytes {
            0..1_000_000 => Ok(()),
            _ => Err(Error::Usage(format!("over budget: {bytes}"))),
        };
        Array::read(Path::new("a.npy"), &mut &bytes[..], &budget)
    }

    #[test]
    fn every_dtype_is_read_in_both_byte_orders() {
        let cases: [(&str, Vec<u8>); 16] = [
            ("|b1", vec![1, 0]),
            ("|u1", vec![1, 0]),
            ("|i1", vec![1, 0]),
            ("<i2", vec![1, 0, 0, 0]),
            (">i2", vec![0, 1, 0, 0]),
            ("<u2", vec![1, 0, 0, 0]),
            (">i4", [1i32.to_be_bytes(), [0; 4]].concat()),
            ("<u4", [1u32.to_le_bytes(), [0; 4]].concat()),
            ("<i8", [1i64.to_le_bytes(), [0; 8]].concat()),
            (">u8", [1u64.to_be_bytes(), [0; 8]].concat()),
            ("<f4", [1f32.to_le_bytes(), [0; 4]].concat()),
            (">f4", [1f32.to_be_bytes(), [0; 4]].concat()),
            ("<f8", [1f64.to_le_bytes(), [0; 8]].concat()),
            (">f8", [1f64.to_be_bytes(), [0; 8]].concat()),
            ("<f2", vec![0, 0x3c, 0, 0]),
            (">f2", vec![0x3c, 0, 0, 0]),
        ];
        for (descr, items) in cases {
            let array = array(&npy(descr, "False", "(2,)", &items)).unwrap();
            match array.into_numbers().unwrap() {
                Inputs::Bytes(values) => assert_eq!((values, descr), (vec![1, 0], "|u1")),
                Inputs::Floats(values) => assert_eq!(values, [1., 0.], "{descr}"),
                Inputs::Images(_) | Inputs::Stored(_) => panic!("{descr}"),
            }
        }
    }

    #[test]
    fn half_floats_have_their_values() {
        let cases = [(0x3555, 0.333_251_95), (0x7bff, 65504.), (0x0001, 5.960_464_5e-8), (0xc000, -2.)];
        for (bits, value) in cases {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7e00).is_nan() && half(0xfc00) == f32::NEG_INFINITY);
    }

    #[test]
    fn labels_are_integers_or_strings() {
        let labels = |descr, items: &[u8]| array(&npy(descr, "False", "(2,)", items)).unwrap().into_labels();
        assert_eq!(labels("|u1", &[7, 0]).unwrap(), ["7", "0"]);
        assert_eq!(labels(">i2", &[0, 7, 255, 255]).unwrap(), ["7", "-1"]);
        assert_eq!(labels("<i2", &[7, 0, 255, 255]).unwrap(), ["7", "-1"]);
        assert_eq!(labels("|S3", b"catox\0").unwrap(), ["cat", "ox"]);
        let wide: Vec<u8> = "aé".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        assert_eq!(labels("<U1", &wide).unwrap(), ["a", "é"]);
        let floats = |values: [f32; 2]| labels("<f4", &values.map(f32::to_le_bytes).concat());
        assert_eq!(floats([2., -0.]).unwrap(), ["2", "0"]);
        assert_eq!(
            (floats([2., 0.5]), floats([0., f32::NAN]), floats([f32::INFINITY, 1.])),
            (None, None, None)
        );
        assert_eq!(labels("<f8", &[1e300f64.to_le_bytes(), [0; 8]].concat()), None);
        for descr in ["|S3", "<U1"] {
            let none = array(&npy(descr, "False", "(0,)", &[])).unwrap();
            assert_eq!(none.into_labels(), Some(Vec::new()));
        }
    }

    #[test]
    fn fortran_order_is_converted() {
        let columns_first = npy("|u1", "True", "(2, 3)", &[1, 4, 2, 5, 3, 6]);
        let values = array(&columns_first).unwrap().into_numbers().unwrap();
        assert!(matches!(values, Inputs::Bytes(values) if values == [1, 2, 3, 4, 5, 6]));
        let texts = npy("|S2", "True", "(2, 1)", b"a\0bc");
        assert_eq!(array(&texts).unwrap().into_labels().unwrap(), ["a", "bc"]);
    }

    #[test]
    fn damaged_arrays_and_unsupported_dtypes_are_rejected() {
        let whole = npy("<f4", "False", "(2, 1)", &[0; 8]);
        for length in 0..whole.len() {
            assert!(array(&whole[..length]).is_err());
        }
        let problem = |bytes: Vec<u8>| array(&bytes).err().unwrap().to_string();
        assert!(problem(npy("|O", "False", "(1,)", b"pickle")).contains("the dtype `|O` is not supported"));
        assert!(problem(npy("<f4", "False", "(99999999999, 99999999999)", &[])).contains("is too large"));
        assert!(problem(npy("<f4", "False", "(9999999999,)", &[])).contains("over budget: 39999999996"));
        assert!(problem(npy("<f4", "False", "(9999,)", &[])).contains("truncated"));
        assert!(problem([whole, vec![0]].concat()).contains("longer than its header"));
        assert!(problem(b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec()).contains("so it is damaged"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, descr in "[<>|]?[biufSUO]?[0-9]{0,3}", shape in "\\([0-9, ]{0,8}\\)?") {
            let _ = array(&bytes);
            if let Ok(array) = array(&npy(&descr, "True", &shape, &bytes)) {
                let _ = array.into_labels();
            }
        }
    }
}
