//! TorchScript files whose code is checked before any of it runs.
//!
//! `torch::jit::load` executes code from the file while it creates the objects in it. This module compiles the code first
//! and returns an error for operations that are not allowed before it creates any object. It also checks that the values
//! in the file have the types that the code declares, which libtorch does not.

use std::fs::File;
use std::os::fd::AsRawFd;

use cxx::UniquePtr;
use tch::Device;

use crate::ffi;
use crate::script::{Module, device_name};
use crate::{Error, Result};

/// An open TorchScript file.
pub struct ModelFile(UniquePtr<ffi::ModelFile>);

/// How many times an operation occurs in a method of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The qualified name of the method, such as `__torch__.Net.forward`; empty for the types of values stored in the file.
    pub method: String,
    /// The name of the operation, such as `aten::conv2d`, or of a class implemented in C++.
    pub kind: String,
    /// Number of occurrences.
    pub count: u64,
    /// Whether the operation is allowed.
    pub is_allowed: bool,
}

/// Why a file was not loaded.
#[derive(Debug)]
pub enum Refusal {
    /// Some of these operations are not allowed. The list ends where the check stopped.
    Operations(Vec<Operation>),
    /// The file is damaged, or is not a TorchScript file.
    Damaged(Error),
}

impl ModelFile {
    /// Reads the directory of records. The file may be moved or replaced afterwards.
    ///
    /// # Errors
    /// The file is not a zip archive written by PyTorch.
    pub fn open(file: &File) -> Result<Self> {
        Ok(ModelFile(ffi::open_model_file(file.as_raw_fd())?))
    }

    /// The size of a record in bytes, such as `data/0`; `None` if it does not exist.
    ///
    /// # Errors
    /// The directory is damaged.
    pub fn size(&self, record: &str) -> Result<Option<u64>> {
        Ok(u64::try_from(self.0.size(record)?).ok())
    }

    /// Reads a record.
    ///
    /// # Errors
    /// The record is missing or cannot be read.
    pub fn read(&self, record: &str) -> Result<Vec<u8>> {
        Ok(self.0.read(record)?)
    }

    /// Loads the module onto `device` and lists the operations in its code. `allowed` names the allowed operations, one per
    /// line. If the code has any other operation, none of it runs.
    ///
    /// # Errors
    /// The code has an operation that is not allowed, or the file is damaged.
    pub fn load(
        &self,
        device: Device,
        allowed: &str,
    ) -> std::result::Result<(Module, Vec<Operation>), Refusal> {
        let mut found = Vec::new();
        let module = self.0.load(&device_name(device), allowed, &mut found);
        let found: Vec<_> = found.into_iter().map(operation).collect();
        match module {
            Ok(module) => Ok((Module(module), found)),
            Err(_) if found.iter().any(|operation| !operation.is_allowed) => Err(Refusal::Operations(found)),
            Err(error) => Err(Refusal::Damaged(error.into())),
        }
    }

    /// Loads the module without restrictions, for a file from a trusted source: all its code may run.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn load_trusted(&self, device: Device) -> Result<(Module, Vec<Operation>)> {
        let mut found = Vec::new();
        let module = self.0.load_trusted(&device_name(device), &mut found)?;
        Ok((Module(module), found.into_iter().map(operation).collect()))
    }
}

fn operation(found: ffi::FoundOperation) -> Operation {
    let ffi::FoundOperation { method, kind, count, is_allowed } = found;
    Operation { method, kind, count, is_allowed }
}

/// Returns the names of all operations registered in libtorch.
///
/// # Errors
/// libtorch fails.
pub fn operation_names() -> Result<Vec<String>> {
    Ok(ffi::operation_names()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Values;
    use std::path::Path;
    use tch::Tensor;

    const HEAD: &str = "class M(Module):\n  __parameters__ = [\"w\", ]\n  __buffers__ = []\n  w : Tensor\n  training : bool\n";
    const PLAIN: &str =
        "  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n    return torch.mul(x, self.w)\n";
    const ALLOWED: &str = "aten::mul\nprim::GetAttr\nprim::Constant\nprim::SetAttr\nprim::TupleConstruct\nprim::TupleUnpack\nprim::TupleIndex";

    fn saved(methods: &str, path: &Path) {
        let mut values = Values::new();
        values.put_tensor("w", &Tensor::from_slice(&[2f32])).unwrap();
        let module = Module::from_source(&format!("{HEAD}{methods}"), "__torch__.M", &values).unwrap();
        module.save(path, &[]).unwrap();
    }

    fn load(methods: &str, allowed: &str) -> std::result::Result<(Module, Vec<Operation>), Refusal> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.pt");
        saved(methods, &path);
        ModelFile::open(&File::open(&path).unwrap()).unwrap().load(Device::Cpu, allowed)
    }

    #[test]
    fn a_module_of_allowed_operations_is_loaded_and_they_are_counted() {
        let (module, found) = load(PLAIN, ALLOWED).unwrap();
        let x = Tensor::from_slice(&[3f32]);
        assert_eq!(module.call("forward", &x).unwrap().remove(0), Tensor::from_slice(&[6f32]));
        let mul = found.iter().find(|operation| operation.kind == "aten::mul").unwrap();
        assert_eq!((mul.method.as_str(), mul.count, mul.is_allowed), ("__torch__.M.forward", 1, true));
    }

    #[test]
    fn an_operation_that_is_not_allowed_is_named_wherever_it_stands() {
        let hidden = "  def other(self: __torch__.M, x: Tensor) -> Tensor:\n    if torch.is_floating_point(x):\n      print(1)\n    else:\n      pass\n    return x\n";
        let Err(Refusal::Operations(found)) = load(&format!("{PLAIN}{hidden}"), ALLOWED) else {
            panic!("the file is rejected")
        };
        let refused: Vec<_> = found.iter().filter(|operation| !operation.is_allowed).collect();
        assert!(
            refused.iter().any(|it| it.kind == "prim::Print" && it.method == "__torch__.M.other"),
            "{refused:?}"
        );
    }

    /// The state of an object is set by code in the file before any method is called.
    #[test]
    fn code_that_would_run_while_the_file_is_loaded_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (path, written) = (folder.path().join("m.pt"), folder.path().join("written"));
        let state = format!(
            "  def __getstate__(self: __torch__.M) -> Tuple[Tensor, bool]:\n    return (self.w, self.training)\n  \
             def __setstate__(self: __torch__.M, state: Tuple[Tensor, bool]) -> NoneType:\n    w, training, = state\n    \
             self.w = torch.from_file(\"{}\", True, 64, dtype=0)\n    self.training = training\n    return None\n",
            written.display()
        );
        saved(&format!("{PLAIN}{state}"), &path);
        let file = ModelFile::open(&File::open(&path).unwrap()).unwrap();
        let refused = file.load(Device::Cpu, ALLOWED).err();
        assert!(matches!(refused, Some(Refusal::Operations(_))), "{refused:?}");
        assert!(!written.exists());
        file.load_trusted(Device::Cpu).unwrap();
        assert!(written.exists());
        std::fs::remove_file(&written).unwrap();
        let all = format!("{ALLOWED}\naten::from_file");
        file.load(Device::Cpu, &all).unwrap();
        assert!(written.exists());
    }

    #[test]
    fn a_record_has_a_size_and_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.pt");
        saved(PLAIN, &path);
        let file = ModelFile::open(&File::open(&path).unwrap()).unwrap();
        assert_eq!(file.size("data/0").unwrap(), Some(4));
        assert_eq!(file.read("data/0").unwrap(), 2f32.to_le_bytes());
        assert_eq!(file.size("data/7").unwrap(), None);
        assert!(file.read("data/7").is_err());
    }
}
