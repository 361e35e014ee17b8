//! A caching allocator for CPU tensors.

use super::Kernel;
use crate::ffi;

/// While a value of this type exists, the CPU allocator keeps freed blocks of 128 KiB and more and reuses them for new
/// tensors.
///
/// Each training step needs the same blocks as the one before. The C library would return them to the system in between,
/// which then provides them again page by page, each one cleared. The cache never increases the peak memory of the
/// process: used and cached blocks together stay below the largest amount that was in use at once. When the last value
/// is dropped, all cached memory returns to the system.
#[derive(Debug)]
pub struct KeptMemory(());

impl KeptMemory {
    /// Starts caching; `None` if the kernel is disabled.
    pub fn start_if_enabled() -> Option<Self> {
        Kernel::TensorMemory.is_enabled().then(|| {
            Kernel::TensorMemory.count_run();
            KeptMemory::start()
        })
    }

    fn start() -> Self {
        ffi::start_keeping_memory();
        KeptMemory(())
    }

    /// Bytes in the cache, not used by any tensor.
    pub fn bytes() -> usize {
        ffi::kept_bytes()
    }
}

impl Drop for KeptMemory {
    fn drop(&mut self) {
        ffi::stop_keeping_memory();
    }
}

/// Lets the C library keep up to 64 MiB of freed memory, for the rest of the process. By default it returns the larger
/// tensors of each forward pass to the system, which then provides them again page by page.
pub fn keep_freed_memory() {
    if Kernel::HeapMemory.is_enabled() {
        Kernel::HeapMemory.count_run();
        ffi::keep_freed_memory();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    const MEGABYTE: usize = 1 << 20;

    fn tensor(megabytes: usize) -> Tensor {
        Tensor::zeros([(megabytes * MEGABYTE) as i64], (Kind::Uint8, Device::Cpu))
    }

    #[test]
    fn what_a_tensor_gives_back_serves_the_next_one() {
        let memory = KeptMemory::start();
        let (four, three) = (tensor(4), tensor(3));
        let places = [four.data_ptr(), three.data_ptr()];
        drop((four, three));
        assert_eq!(KeptMemory::bytes(), 7 * MEGABYTE);
        let again = (tensor(4), tensor(3));
        assert_eq!([again.0.data_ptr(), again.1.data_ptr()], places);
        drop(again);
        // The smaller block would waste two thirds, so a new one is allocated and the oldest cached one is freed.
        let small = tensor(1);
        assert_eq!(KeptMemory::bytes(), 3 * MEGABYTE);
        drop(memory);
        assert_eq!(KeptMemory::bytes(), 0);
        assert_eq!(small.sum(Kind::Int64).int64_value(&[]), 0);
    }

    #[test]
    fn memory_is_kept_until_nobody_asks_for_it() {
        let (one, other) = (KeptMemory::start(), KeptMemory::start());
        drop(one);
        drop(tensor(2));
        assert_eq!(KeptMemory::bytes(), 2 * MEGABYTE);
        drop(other);
        drop(tensor(2));
        assert_eq!(KeptMemory::bytes(), 0);
    }

    #[test]
    fn the_process_never_takes_more_for_what_is_kept() {
        let _memory = KeptMemory::start();
        let early = tensor(10);
        drop((tensor(4), tensor(6)));
        assert_eq!(KeptMemory::bytes(), 10 * MEGABYTE);
        // The peak was 20 MB. With these 12, 22 MB are in use, so nothing can be cached.
        let late = tensor(12);
        assert_eq!(KeptMemory::bytes(), 0);
        drop(late);
        // With these 8, only 4 may be cached, so the block of 12 is freed.
        let last = tensor(8);
        assert_eq!(KeptMemory::bytes(), 0);
        drop((early, last));
        assert_eq!(KeptMemory::bytes(), 18 * MEGABYTE);
    }

    #[test]
    fn tensors_from_before_and_of_other_threads_are_freed_well() {
        let before = tensor(2);
        let memory = KeptMemory::start();
        drop(before);
        let elsewhere = std::thread::spawn(|| tensor(2)).join().unwrap();
        drop(memory);
        assert_eq!(elsewhere.sum(Kind::Int64).int64_value(&[]), 0);
        drop(elsewhere);
        assert_eq!(KeptMemory::bytes(), 0);
    }

    #[test]
    fn more_memory_than_there_is_is_an_error_of_a_line() {
        let _memory = KeptMemory::start();
        drop(tensor(2));
        let error = Tensor::f_empty([1 << 60], (Kind::Uint8, Device::Cpu)).unwrap_err().to_string();
        assert!(error.contains("allocate memory"), "{error}");
        assert_eq!(KeptMemory::bytes(), 0);
        drop(tensor(2));
    }
}
