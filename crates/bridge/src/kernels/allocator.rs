//! Memory of tensors on the CPU that is kept for the next tensors.

use super::Kernel;
use crate::ffi;

/// While one of these lives, the CPU keeps the larger blocks of memory (128 KiB and more) that tensors give back, and hands them
/// out to the next tensors.
///
/// A training step wants the same blocks as the one before. The C library gives them back to the system in between, which hands
/// them out again page by page, each cleared. What is kept never makes a process larger than it has been: blocks in use and kept
/// ones together stay below the most that was in use at once. With the last of these values, all goes back to the system.
#[derive(Debug)]
pub struct KeptMemory(());

impl KeptMemory {
    /// Keeps memory from here on; none where the kernel is switched off.
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

    /// The bytes that are kept at this moment, used by no tensor.
    pub fn bytes() -> usize {
        ffi::kept_bytes()
    }
}

impl Drop for KeptMemory {
    fn drop(&mut self) {
        ffi::stop_keeping_memory();
    }
}

/// Lets the C library keep up to 64 MiB of freed memory for the next use, from now on and for the whole process. Otherwise it
/// returns the larger tensors of each forward pass to the system, which hands them out again page by page.
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
        // Two thirds of the smaller block would be left over. A new one has to come, and the older of these to go.
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
        // At most, 20 MB were in use. With these 12 there are 22, so that nothing can be kept.
        let late = tensor(12);
        assert_eq!(KeptMemory::bytes(), 0);
        drop(late);
        // With these 8 there may be 4 besides, so that the block of 12 goes.
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
