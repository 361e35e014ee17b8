//! Kernels that replace operations of libtorch where they are faster.
//!
//! [`TABLE`] lists them: what each replaces, when it runs, its speedup, and the test that proves that it runs. The entry
//! point of a kernel checks [`Kernel::is_enabled`] and counts its runs. If the kernel is disabled or does not apply, the
//! entry point returns `None` and the caller uses libtorch's operations.

pub mod allocator;
#[cfg(test)]
mod bernoulli;
pub mod column_vectors;
pub mod compiled;
pub mod convolution;
pub mod embedding_bag;
pub mod lstm;
#[cfg(test)]
mod matrix_product;
pub mod norm;
pub mod perceptron;
mod table;
pub mod tally;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub use table::{Bits, Entry, TABLE};

use crate::ffi;
use crate::processor::has_vectors;

/// A kernel of this project. Its discriminant is its index in [`TABLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table describes each")]
pub enum Kernel {
    TensorMemory,
    HeapMemory,
    MatrixProduct,
    Bernoulli,
    MlpTraining,
    MlpInference,
    BatchNorm,
    Bf16Convolution,
    Lstm,
    EmbeddingBag,
    RowAdagrad,
    ColumnVectors,
    SmallAdam,
    SubnormalFlush,
    LossAndConfusion,
    GraphInterpreter,
    FoldedGraph,
    Preprocessing,
    DecimalParser,
}

const COUNT: usize = Kernel::DecimalParser as usize + 1;

static IS_ENABLED: [AtomicBool; COUNT] = [const { AtomicBool::new(true) }; COUNT];
static RUNS: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];

impl Kernel {
    /// Whether the kernel is enabled in this process.
    pub fn is_enabled(self) -> bool {
        match self {
            Kernel::DecimalParser => cresset_decimals::is_enabled(),
            _ => IS_ENABLED[self as usize].load(Ordering::Relaxed),
        }
    }

    /// Whether this CPU has the instructions that the kernel requires.
    pub fn is_supported(self) -> bool {
        match self {
            Kernel::MlpInference | Kernel::BatchNorm | Kernel::Lstm | Kernel::DecimalParser => has_vectors(),
            Kernel::MatrixProduct => ffi::has_matrix_products(),
            Kernel::Bf16Convolution => ffi::multiplies_bfloat16_tiles(),
            Kernel::SubnormalFlush => cfg!(target_arch = "x86_64"),
            _ => true,
        }
    }

    /// Enables or disables the kernel for the whole process. All kernels are enabled initially. Objects created while a kernel
    /// was enabled, such as a compiled module, keep using it.
    pub fn set_enabled(self, is_enabled: bool) {
        match self {
            Kernel::DecimalParser => cresset_decimals::set_enabled(is_enabled),
            _ => {
                IS_ENABLED[self as usize].store(is_enabled, Ordering::Relaxed);
                match self {
                    Kernel::MatrixProduct => ffi::enable_matrix_products(is_enabled),
                    Kernel::Bernoulli => ffi::enable_bernoulli(is_enabled),
                    _ => {}
                }
            }
        }
    }

    /// The number of runs of the kernel in this process: calls, or numbers for the decimal parser.
    pub fn runs(self) -> u64 {
        match self {
            Kernel::MatrixProduct => ffi::matrix_product_runs(),
            Kernel::Bernoulli => ffi::bernoulli_runs(),
            Kernel::DecimalParser => cresset_decimals::runs(),
            _ => RUNS[self as usize].load(Ordering::Relaxed),
        }
    }

    pub(crate) fn count_run(self) {
        RUNS[self as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// Disables all kernels for the whole process, so that libtorch computes everything.
pub fn use_libtorch_only() {
    TABLE.iter().for_each(|entry| entry.kernel.set_enabled(false));
}

/// The kernels that have run in this process, with the number of their runs.
pub fn that_ran() -> impl Iterator<Item = (&'static Entry, u64)> {
    TABLE.iter().map(|entry| (entry, entry.kernel.runs())).filter(|(_, runs)| *runs > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_each_kernel_in_its_place() {
        assert_eq!(TABLE.len(), COUNT);
        for (place, entry) in TABLE.iter().enumerate() {
            assert_eq!(entry.kernel as usize, place, "{}", entry.name);
        }
    }
}
