//! Reads short decimal numbers from the text of a table, several at once with vector instructions.

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

/// Enables or disables the kernel for the whole process. It is enabled initially.
pub fn set_enabled(is_enabled: bool) {
    IS_ENABLED.store(is_enabled, Ordering::Relaxed);
}

/// Whether the kernel is enabled.
pub fn is_enabled() -> bool {
    IS_ENABLED.load(Ordering::Relaxed)
}

/// The number of values that the kernel has read in this process.
pub fn runs() -> u64 {
    NUMBERS.load(Ordering::Relaxed)
}

/// A reader of numbers that are followed by a delimiter.
#[derive(Debug)]
pub struct Decimals {
    delimiter: u8,
    /// Added to the global counter on drop, so that threads do not contend for a cache line on each row.
    numbers: u64,
}

impl Decimals {
    /// Creates a reader; `None` if the kernel is disabled.
    pub fn new(delimiter: u8) -> Option<Self> {
        is_enabled().then_some(Decimals { delimiter, numbers: 0 })
    }

    /// Reads numbers from `text`, starting at `from`, into `values`; each number ends at the delimiter. Returns how many
    /// numbers were read, and the position after the last delimiter.
    ///
    /// A number has at most eight bytes: a sign, if it is negative, and one to seven digits, with or without a decimal point.
    /// The result is the nearest float32. Reading stops when `values` is full, and may stop at any cell before that: before a
    /// cell that is not such a number, within the first eight and the last 64 bytes of the text, and immediately on a CPU
    /// without AVX2.
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
        let mut decimals = Decimals::new(delimiter).expect("the kernel is enabled");
        let read = decimals.read(text, from, values);
        drop(decimals);
        assert!(runs() >= before + read.0 as u64);
        read
    }

    /// Whether the CPU has the instructions that the kernel needs, read from the CPU itself.
    fn has_vectors() -> bool {
        #[cfg(target_arch = "x86_64")]
        return is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("popcnt");
        #[cfg(not(target_arch = "x86_64"))]
        return false;
    }

    /// The values read from cells, and the number of bytes read.
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
        // All positions of the point among up to seven digits, with both signs, in rows of all lengths around the vector length.
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
                // Cells in 64-byte blocks before the one with the invalid cell are read.
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
