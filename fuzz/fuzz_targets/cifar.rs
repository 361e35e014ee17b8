//! Records of CIFAR-10.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    cresset_fuzz::read_as("data_batch_1.bin", bytes, None);
});
