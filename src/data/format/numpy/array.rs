//! One array in NumPy's format NPY (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).

use std::io::Read;
use std::path::Path;

use crate::data::format::binary::{ended, exactly};
use crate::error::{Error, Result, quoted};

/// An array as it was saved.
pub struct Array {
    /// The dtype: order of the bytes, kind, and bytes an item, as in `<f4`.
    descr: String,
    /// The sizes of its dimensions.
    pub shape: Vec<usize>,
    /// The bytes of an item.
    width: usize,
    /// Its items, the last dimension fastest.
    bytes: Vec<u8>,
}

/// Longer headers are of no array that we can use; NumPy itself warns of them.
const LONGEST_HEADER: u64 = 10_000;

impl Array {
    /// Reads an array to the end of `source`.
    ///
    /// # Errors
    /// What is no NPY, of a dtype that holds Python objects or records, or of another length than it says.
    pub fn read(path: &Path, source: &mut dyn Read) -> Result<Self> {
        let fault = |problem: String| Error::data(path, problem);
        let start = exactly(path, source, 8)?;
        if &start[..6] != b"\x93NUMPY" {
            return Err(fault("this is no NumPy array: it does not begin as one".to_string()));
        }
        let length = match start[6] {
            1 => u64::from(u16::from_le_bytes(two(&exactly(path, source, 2)?))),
            2 | 3 => u64::from(u32::from_le_bytes(four(&exactly(path, source, 4)?))),
            version => return Err(fault(format!("version {version} of NumPy's format is not known"))),
        };
        if length > LONGEST_HEADER {
            return Err(fault(format!("the header of the array is {length} bytes long, so it is damaged")));
        }
        let header = exactly(path, source, length)?;
        let header = String::from_utf8_lossy(&header);
        let header = Header::parse(&header)
            .ok_or_else(|| fault(format!("the header of the array cannot be read: {}", quoted(&header))))?;
        let item = header.item_size().ok_or_else(|| {
            fault(format!(
                "arrays of the dtype {} cannot be read; save numbers or texts",
                quoted(&header.descr)
            ))
        })?;
        let count = header.shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
        let length = count.and_then(|count| count.checked_mul(item));
        let length =
            length.ok_or_else(|| fault(format!("the shape {:?} of the array is too large", header.shape)))?;
        let bytes = exactly(path, source, length as u64)?;
        ended(path, source)?;
        let bytes =
            if header.fortran_order { first_fastest_to_last(&bytes, &header.shape, item) } else { bytes };
        Ok(Array { descr: header.descr, shape: header.shape, width: item, bytes })
    }

    /// The bytes, if the array holds bytes from 0 to 255.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        (self.kind() == "u1").then_some(&self.bytes)
    }

    /// The items as float32; none if they are texts.
    pub fn to_floats(&self) -> Option<Vec<f32>> {
        macro_rules! read {
            ($number:ty) => {{
                let width = size_of::<$number>();
                let item =
                    |item: &[u8]| <$number>::from_ne_bytes(self.native(item).try_into().expect("an item"));
                self.bytes.chunks_exact(width).map(|bytes| item(bytes) as f32).collect()
            }};
        }
        Some(match self.kind() {
            "b1" | "u1" => self.bytes.iter().map(|byte| f32::from(*byte)).collect(),
            "i1" => self.bytes.iter().map(|byte| f32::from(*byte as i8)).collect(),
            "i2" => read!(i16),
            "i4" => read!(i32),
            "i8" => read!(i64),
            "u2" => read!(u16),
            "u4" => read!(u32),
            "u8" => read!(u64),
            "f2" => {
                self.bytes.chunks_exact(2).map(|b| half(u16::from_ne_bytes(two(&self.native(b))))).collect()
            }
            "f4" => read!(f32),
            "f8" => read!(f64),
            _ => return None,
        })
    }

    /// The items as labels: whole numbers or texts; none if they are fractions.
    pub fn to_labels(&self) -> Option<Vec<String>> {
        let text = |characters: String| characters.trim_end_matches('\0').to_string();
        let width = self.width;
        match self.kind().as_bytes()[0] {
            b'S' => Some(
                self.bytes.chunks_exact(width).map(|b| text(String::from_utf8_lossy(b).into())).collect(),
            ),
            b'U' => {
                let character = |b: &[u8]| {
                    char::from_u32(u32::from_ne_bytes(four(&self.native(b)))).unwrap_or('\u{fffd}')
                };
                let item = |item: &[u8]| text(item.chunks_exact(4).map(character).collect());
                Some(self.bytes.chunks_exact(width).map(item).collect())
            }
            b'f' => {
                let double = |b: &[u8]| f64::from_ne_bytes(self.native(b).try_into().expect("an item"));
                let values: Vec<f64> = match self.kind() {
                    "f8" => self.bytes.chunks_exact(width).map(double).collect(),
                    _ => self.to_floats()?.into_iter().map(f64::from).collect(),
                };
                // Whole numbers that were saved as fractions, up to where they are exact.
                let is_whole = |value: &f64| value.fract() == 0. && value.abs() <= (1u64 << 53) as f64;
                values.iter().map(|value| is_whole(value).then(|| (*value as i64).to_string())).collect()
            }
            _ => Some(self.to_floats()?.iter().map(f32::to_string).collect()),
        }
    }

    /// The kind and the size of an item, without the order of its bytes.
    fn kind(&self) -> &str {
        self.descr.trim_start_matches(['<', '>', '|', '='])
    }

    /// The bytes of an item in the order of this machine.
    fn native(&self, item: &[u8]) -> Vec<u8> {
        let mut item = item.to_vec();
        let is_big = self.descr.starts_with('>');
        if is_big != cfg!(target_endian = "big") && !self.descr.starts_with('|') {
            item.reverse();
        }
        item
    }
}

struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// The header is a Python dictionary of three entries.
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

    fn item_size(&self) -> Option<usize> {
        let kind = self.descr.trim_start_matches(['<', '>', '|', '=']);
        let (letter, size) = (kind.get(..1)?, kind.get(1..)?.parse::<usize>().ok()?);
        match (letter, size) {
            ("b", 1) | ("u" | "i", 1 | 2 | 4 | 8) | ("f", 2 | 4 | 8) => Some(size),
            ("S", 1..=1024) => Some(size),
            ("U", 1..=1024) => Some(4 * size),
            _ => None,
        }
    }
}

/// Reorders items whose first dimension is the fastest.
fn first_fastest_to_last(bytes: &[u8], shape: &[usize], item: usize) -> Vec<u8> {
    let mut ordered = Vec::with_capacity(bytes.len());
    let mut strides = Vec::new();
    shape.iter().fold(item, |stride, size| {
        strides.push(stride);
        stride * size
    });
    let mut index = vec![0; shape.len()];
    for _ in 0..bytes.len() / item {
        let at: usize = index.iter().zip(&strides).map(|(index, stride)| index * stride).sum();
        ordered.extend_from_slice(&bytes[at..at + item]);
        for (place, size) in index.iter_mut().zip(shape).rev() {
            *place += 1;
            if *place < *size {
                break;
            }
            *place = 0;
        }
    }
    ordered
}

/// A float16 as float32 (IEEE 754).
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
        Array::read(Path::new("a.npy"), &mut &bytes[..])
    }

    #[test]
    fn every_dtype_is_read_in_both_orders_of_bytes() {
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
            assert_eq!(array.to_floats().unwrap(), [1., 0.], "{descr}");
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
    fn labels_are_whole_numbers_or_texts() {
        let labels = |descr, items: &[u8]| array(&npy(descr, "False", "(2,)", items)).unwrap().to_labels();
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
            assert_eq!(none.to_labels(), Some(Vec::new()));
        }
    }

    #[test]
    fn the_order_of_fortran_is_turned() {
        let columns_first = npy("|u1", "True", "(2, 3)", &[1, 4, 2, 5, 3, 6]);
        assert_eq!(array(&columns_first).unwrap().as_bytes().unwrap(), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn what_is_damaged_or_no_numbers_is_refused() {
        let whole = npy("<f4", "False", "(2, 1)", &[0; 8]);
        for length in 0..whole.len() {
            assert!(array(&whole[..length]).is_err());
        }
        let problem = |bytes: Vec<u8>| array(&bytes).err().unwrap().to_string();
        assert!(
            problem(npy("|O", "False", "(1,)", b"pickle"))
                .contains("arrays of the dtype `|O` cannot be read")
        );
        assert!(problem(npy("<f4", "False", "(99999999999, 99999999999)", &[])).contains("is too large"));
        assert!(problem(npy("<f4", "False", "(9999999999,)", &[])).contains("ends too early"));
        assert!(problem([whole, vec![0]].concat()).contains("longer than its header"));
        assert!(problem(b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec()).contains("so it is damaged"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, descr in "[<>|]?[biufSUO]?[0-9]{0,3}", shape in "\\([0-9, ]{0,8}\\)?") {
            let _ = array(&bytes);
            if let Ok(array) = array(&npy(&descr, "True", &shape, &bytes)) {
                let _ = (array.to_floats(), array.to_labels());
            }
        }
    }
}
