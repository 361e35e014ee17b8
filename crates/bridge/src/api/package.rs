//! Packages of torch.export (`.pt2`), run by libtorch's interpreter for them (`torch::nativert`), without Python.

use std::path::Path;

use cxx::UniquePtr;
use tch::Tensor;

use crate::ffi::{self, lend, own};
use crate::{Error, Result};

/// A model of a package that has one input.
///
/// A package names any operators that libtorch has, and they run with its inputs. Run only packages that you trust.
pub struct Package(UniquePtr<ffi::Package>);

impl Package {
    /// Loads the model `model` of a package, with its weights on the CPU. `torch.export.save` names it `model`.
    ///
    /// # Errors
    /// A file that is missing, damaged or not a package of torch.export, an operator that libtorch does not have, and a version of
    /// libtorch whose interpreter is unknown to this crate.
    pub fn load(path: &Path, model: &str) -> Result<Self> {
        let text = path.to_str().ok_or_else(|| Error(format!("the path {} is not UTF-8", path.display())))?;
        Ok(Package(ffi::open_package(text, model)?))
    }

    /// The first output for an input (N, shape…) of the dtype and shape that the model was exported for, without gradients. Packages of
    /// cresset take raw values, float32, and return logits (N, classes).
    ///
    /// # Errors
    /// An input of another shape or dtype.
    pub fn run(&self, input: &Tensor) -> Result<Tensor> {
        Ok(own(self.0.run(lend(input))?))
    }

    /// The text of an extra file, such as `metadata.json`.
    ///
    /// # Errors
    /// No such file, or a file that is not UTF-8.
    pub fn extra(&self, name: &str) -> Result<String> {
        let bytes = self.0.extra(name)?;
        String::from_utf8(bytes).map_err(|_| Error(format!("the extra file {name} is not UTF-8")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_a_package_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.pt2");
        assert!(Package::load(&path, "model").is_err());
        std::fs::write(&path, "not a package").unwrap();
        assert!(Package::load(&path, "model").is_err());
    }
}
