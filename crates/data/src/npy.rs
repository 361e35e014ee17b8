//! The header of arrays in NumPy's NPY format (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).

/// The size of a header in bytes: a multiple of 64, as the format requires, and enough for any shape.
pub const HEADER: usize = 128;

/// The header of a float32 array (rows, width). Its values follow in row-major order, little-endian.
pub fn header(rows: u64, width: u64) -> [u8; HEADER] {
    let start = b"\x93NUMPY\x01\x00";
    let length = HEADER - start.len() - 2;
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    let bytes =
        [start, &(length as u16).to_le_bytes()[..], format!("{text:<0$}\n", length - 1).as_bytes()].concat();
    bytes.try_into().expect("the header has a fixed size")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_shape_fits_in_the_header() {
        let header = header(u64::MAX, u64::MAX);
        let text = std::str::from_utf8(&header[10..]).unwrap();
        assert!(text.ends_with(" \n") && text.trim_end().ends_with("18446744073709551615), }"), "{text:?}");
        assert_eq!(header[8..10], [118, 0]);
    }
}
