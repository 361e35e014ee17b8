//! Packages that AOTInductor compiled (`torch._inductor.aoti_compile_and_package`): a `.pt2` with a shared library.

use std::path::Path;

use cxx::UniquePtr;
use tch::Tensor;

use crate::ffi::{self, lend, own};
use crate::{Error, Result};

/// An empty library with the name of libtorch.so, which compiled packages name as a dependency. The real one needs the libraries of
/// CUDA, and has nothing that libtorch_cpu.so does not have.
const LIBTORCH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/empty_libtorch.so"));

/// A compiled model that has one input.
///
/// Loading it runs code of the package: its shared library is unpacked to a temporary folder and opened. Load only packages that you
/// trust like a program.
pub struct CompiledPackage(UniquePtr<ffi::CompiledPackage>);

impl CompiledPackage {
    /// Loads the model `model` of a package. `aoti_compile_and_package` names it `model`.
    ///
    /// # Errors
    /// A file that is missing, damaged or not a compiled package, and one for another system or device.
    pub fn load(path: &Path, model: &str) -> Result<Self> {
        let text = path.to_str().ok_or_else(|| Error(format!("the path {} is not UTF-8", path.display())))?;
        Ok(CompiledPackage(ffi::open_compiled_package(text, model, LIBTORCH)?))
    }

    /// The first output for an input (N, shape…) of the dtype and shape that the model was compiled for, without gradients.
    ///
    /// # Errors
    /// An input of another shape or dtype.
    pub fn run(&self, input: &Tensor) -> Result<Tensor> {
        Ok(own(self.0.run(lend(input))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_a_compiled_package_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.pt2");
        assert!(CompiledPackage::load(&path, "model").is_err());
        std::fs::write(&path, "not a package").unwrap();
        assert!(CompiledPackage::load(&path, "model").is_err());
    }
}
