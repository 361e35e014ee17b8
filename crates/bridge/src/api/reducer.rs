//! Gradient all-reduce during the backward pass: c10d's Reducer, the engine of PyTorch's DistributedDataParallel
//! (Li et al., 2020, "PyTorch Distributed: Experiences on Accelerating Data Parallel Training").

use cxx::UniquePtr;
use tch::Tensor;

use crate::Result;
use crate::ffi::lend;
use crate::ffi_distributed as ffi;
use crate::process_group::ProcessGroup;

/// Averages the gradients of a set of parameters over a process group.
pub struct Reducer(UniquePtr<ffi::Reducer>);

/// Bucket size of the gradient all-reduce, the default of DistributedDataParallel.
const BUCKET_BYTES: i64 = 25 * 1024 * 1024;

// SAFETY: the C++ object holds reference-counted tensors and nothing bound to a thread, and locks the data that its hooks
// share with the threads of the backward pass.
unsafe impl Send for Reducer {}

impl Reducer {
    /// Broadcasts the parameters from rank 0 and averages their gradients from then on. All parameters must require
    /// gradients, and have the same order in each process.
    ///
    /// # Errors
    /// The parameters differ in number or shape between processes.
    pub fn new<'a>(group: &ProcessGroup, parameters: impl IntoIterator<Item = &'a Tensor>) -> Result<Self> {
        let mut reducer = ffi::new_reducer(group.inner())?;
        for parameter in parameters {
            reducer.pin_mut().add_parameter(lend(parameter))?;
        }
        reducer.pin_mut().begin(BUCKET_BYTES)?;
        Ok(Reducer(reducer))
    }

    /// Prepares a forward pass whose backward pass averages the gradients over all processes. Without it, the backward pass
    /// accumulates local gradients, which the next prepared backward pass includes.
    pub fn prepare(&self) -> Result<()> {
        Ok(self.0.prepare()?)
    }
}
