//! What the processor can do, for tests: asked of the processor itself, and not of the kernels that are tested.

/// Whether it has the instructions that kernels of the bridge need which leave their work to libtorch on others (`for_processor` in
/// `vector.h`).
pub(crate) fn has_vectors() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("popcnt");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}
