//! CPU features, read from the CPU independently of the kernels.

/// Whether the CPU has the instructions required by those kernels that otherwise fall back to libtorch (`for_processor`
/// in `processor.h`).
pub(crate) fn has_vectors() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("popcnt");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}
