//! Creation of parameters.

use std::cell::Cell;

use tch::Tensor;
use tch::nn::{Init, Path};

thread_local! {
    /// Whether parameters are zeros on this thread.
    static ARE_ZEROS: Cell<bool> = const { Cell::new(false) };
}

/// Runs `build`, during which layers create parameters of zeros. Random values take most of the time when a large network is
/// built, and its sizes and costs do not depend on them.
pub(crate) fn with_zeros<T>(build: impl FnOnce() -> T) -> T {
    let _end = End;
    ARE_ZEROS.set(true);
    build()
}

/// Ends the creation of zeros, also after a panic.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        ARE_ZEROS.set(false);
    }
}

/// Creation of parameters in a path.
pub(super) trait Parameters {
    /// Creates a trainable tensor. Inside [`with_zeros`], `init` is ignored.
    fn parameter(&self, name: &str, size: &[i64], init: Init) -> Tensor;
}

impl Parameters for Path<'_> {
    fn parameter(&self, name: &str, size: &[i64], init: Init) -> Tensor {
        self.var(name, size, if ARE_ZEROS.get() { Init::Const(0.) } else { init })
    }
}
