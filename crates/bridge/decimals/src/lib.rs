//! Short decimal numbers of a table's text, several at once by the vector instructions of the processor.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[cxx::bridge(namespace = "cresset")]
mod ffi {
    unsafe extern "C++" {
        include!("cresset-decimals/src/decimals.h");

        fn read_decimals(
            text: &[u8],
            from: usize,
            delimiter: u8,
            values: &mut [f32],
            behind: &mut usize,
        ) -> usize;
    }
}

static IS_ENABLED: AtomicBool = AtomicBool::new(true);
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// Switches the kernel on or off for the whole process. It is on at first.
pub fn set_enabled(is_enabled: bool) {
    IS_ENABLED.store(is_enabled, Ordering::Relaxed);
}

/// Whether the kernel is switched on.
pub fn is_enabled() -> bool {
    IS_ENABLED.load(Ordering::Relaxed)
}

/// How many numbers the kernel has read in this process.
pub fn runs() -> u64 {
    NUMBERS.load(Ordering::Relaxed)
}

/// Reads numbers that are followed by a delimiter.
#[derive(Debug)]
pub struct Decimals {
    delimiter: u8,
    /// Added to the counter of the process at the end, so that threads do not share a cache line for each row.
    numbers: u64,
}

impl Decimals {
    /// None where the kernel is switched off.
    pub fn new(delimiter: u8) -> Option<Self> {
        is_enabled().then_some(Decimals { delimiter, numbers: 0 })
    }

    /// Reads numbers from a place of a text on, each of which ends at the delimiter, into `values`: how many there were, and the
    /// place behind the last one's delimiter.
    ///
    /// A number has at most eight bytes: a sign, if it is negative, and one to seven digits, with a point or without. What is
    /// read is the nearest float32. Reading ends when `values` are full, and may end at any cell before that: in front of one
    /// that is no such number, within the first eight and the last 64 bytes of the text, and at once on a processor without AVX2.
    pub fn read(&mut self, text: &[u8], from: usize, values: &mut [f32]) -> (usize, usize) {
        let mut behind = from;
        let count = ffi::read_decimals(text, from, self.delimiter, values, &mut behind);
        self.numbers += count as u64;
        (count, behind)
    }
}

impl Drop for Decimals {
    fn drop(&mut self) {
        NUMBERS.fetch_add(self.numbers, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], from: usize, delimiter: u8, values: &mut [f32]) -> (usize, usize) {
        let before = runs();
        let mut decimals = Decimals::new(delimiter).expect("it is switched on");
        let read = decimals.read(text, from, values);
        drop(decimals);
        assert!(runs() >= before + read.0 as u64);
        read
    }

    /// Whether the processor has the instructions that the kernel needs: asked of the processor itself.
    fn has_vectors() -> bool {
        #[cfg(target_arch = "x86_64")]
        return is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("popcnt");
        #[cfg(not(target_arch = "x86_64"))]
        return false;
    }

    /// What is read of cells, and how many of their bytes.
    fn read_cells(cells: &[String]) -> (Vec<f32>, usize) {
        let text = format!("in front;{};{}", cells.join(";"), "behind".repeat(20));
        let mut values = vec![f32::NAN; cells.len()];
        let (count, behind) = read(text.as_bytes(), 9, b';', &mut values);
        values.truncate(count);
        (values, behind - 9)
    }

    fn is_read(cell: &str) -> bool {
        read_cells(&[cell.into()]).0.len() == 1
    }

    #[test]
    fn numbers_are_the_nearest_float32() {
        assert_eq!(is_read("0"), has_vectors());
        if !has_vectors() {
            return;
        }
        // All places of the point among up to seven digits, with both signs, in rows of all lengths around those of a vector.
        let mut cells = Vec::new();
        for digits in 1..=7 {
            for point in (0..=digits).map(Some).chain([None]) {
                for sign in ["", "-"] {
                    let mut cell = "9081726"[7 - digits..].to_string();
                    point.inspect(|point| cell.insert(*point, '.'));
                    cell.insert_str(0, sign);
                    cells.extend(Some(cell).filter(|cell| cell.len() <= 8));
                }
            }
        }
        for count in (1..40).chain([cells.len()]) {
            for cells in cells.windows(count) {
                let expected: Vec<f32> = cells.iter().map(|cell| cell.parse().unwrap()).collect();
                let (values, behind) = read_cells(cells);
                let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&values), bits(&expected), "{cells:?}");
                assert_eq!(behind, cells.join(";").len() + 1);
            }
        }
    }

    #[test]
    fn whatever_is_no_short_number_ends_it() {
        let other = [
            "",
            "-",
            ".",
            "-.",
            "1.2.3",
            "--1",
            "1-",
            "+1",
            "1e5",
            "nan",
            " 1",
            "1 ",
            "12345678",
            "0.1234567",
            "1\n2",
            "-123.4567",
            "1/2",
            "1:2",
            "\u{b7}1",
            "\"1\"",
        ];
        for cell in other {
            assert!(!is_read(cell), "{cell}");
            for place in [0, 3, 7, 8, 12, 70] {
                let mut cells = vec!["-1.5".to_string(); 75];
                cells[place] = cell.into();
                let (values, behind) = read_cells(&cells);
                assert!(
                    values.len() <= place && values.iter().all(|value| *value == -1.5),
                    "{cell} at {place}"
                );
                assert_eq!(behind, 5 * values.len());
                // Cells of a block of 64 bytes before the one with the other cell are read.
                assert!(place < 70 || values.is_empty() != has_vectors(), "{cell} at {place}");
            }
        }
    }

    #[test]
    fn the_ends_of_a_text_are_left_alone() {
        let text = "1,".repeat(100);
        let mut values = [0.; 100];
        assert_eq!(read(text.as_bytes(), 0, b',', &mut values), (0, 0));
        let (count, behind) = read(text.as_bytes(), 8, b',', &mut values);
        assert_eq!(count >= 64, has_vectors(), "{count} numbers were read");
        assert_eq!(behind, 8 + 2 * count);
        assert!(
            values[..count].iter().all(|value| *value == 1.)
                && values[count..].iter().all(|value| *value == 0.)
        );
        assert_eq!(read(text.as_bytes(), 200, b',', &mut values), (0, 200));
        assert_eq!(read(text.as_bytes(), 250, b',', &mut values), (0, 250));
        assert_eq!(read(text.as_bytes(), 10, b',', &mut []), (0, 10));
    }
}
