//! Kernels that compute what libtorch could compute, too, and are faster where they are used.

pub mod allocator;
pub mod compiled;
pub mod convolution;
pub mod lstm;
pub mod norm;
pub mod perceptron;
pub mod tally;
