//! Gradients that are averaged over processes while the backward pass goes on: c10d's Reducer, the engine of PyTorch's
//! DistributedDataParallel (Li et al., 2020, "PyTorch Distributed: Experiences on Accelerating Data Parallel Training").

use cxx::UniquePtr;
use tch::Tensor;

use crate::Result;
use crate::ffi::{self, lend};
use crate::process_group::ProcessGroup;

/// Averages the gradients of a set of parameters over a group.
pub struct Reducer(UniquePtr<ffi::Reducer>);

/// Gradients are sent when so many bytes of them have come together, as DistributedDataParallel does.
const BUCKET_BYTES: i64 = 25 * 1024 * 1024;

// SAFETY: the C++ object holds reference-counted tensors and nothing bound to a thread, and locks what its hooks share
// with the threads of the backward pass.
unsafe impl Send for Reducer {}

impl Reducer {
    /// Gives the parameters the values of process 0, and averages their gradients from then on. All of them must require
    /// gradients, and come in the same order in every process.
    ///
    /// # Errors
    /// Processes whose parameters differ in number or shape.
    pub fn new<'a>(group: &ProcessGroup, parameters: impl IntoIterator<Item = &'a Tensor>) -> Result<Self> {
        let mut reducer = ffi::new_reducer(group.inner())?;
        for parameter in parameters {
            reducer.pin_mut().add_parameter(lend(parameter))?;
        }
        reducer.pin_mut().begin(BUCKET_BYTES)?;
        Ok(Reducer(reducer))
    }

    /// Makes ready for a forward pass whose backward pass ends with gradients that are means over the processes. Without
    /// it, a backward pass adds to this process's own gradients, which the next prepared one takes along.
    pub fn prepare(&self) -> Result<()> {
        Ok(self.0.prepare()?)
    }
}
