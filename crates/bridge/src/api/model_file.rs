//! TorchScript files, of which nothing runs before what their code does was looked through.
//!
//! `torch::jit::load` runs code of the file while it makes the objects in it. Here the code is compiled first, and an operation
//! that is not allowed is an error before an object is made. Values in the file are compared with the types that the code
//! declares, which libtorch does not do.

use std::fs::File;
use std::os::fd::AsRawFd;

use cxx::UniquePtr;
use tch::Device;

use crate::ffi;
use crate::script::{Module, device_name};
use crate::{Error, Result};

/// A TorchScript file that is open.
pub struct ModelFile(UniquePtr<ffi::ModelFile>);

/// How often an operation stands in a method of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The qualified name of the method, such as `__torch__.Net.forward`; empty for what the values of the file are of.
    pub method: String,
    /// What it does, such as `aten::conv2d`; the name of a class for what is written in C++.
    pub kind: String,
    /// How often it stands there.
    pub count: u64,
    /// Whether it is one that may be run.
    pub is_allowed: bool,
}

/// Why a file was not loaded.
#[derive(Debug)]
pub enum Refusal {
    /// There are operations that are not allowed among these, which are all that were seen up to there.
    Operations(Vec<Operation>),
    /// The file is damaged, or no TorchScript.
    Damaged(Error),
}

impl ModelFile {
    /// Reads what records there are. The file may be moved or replaced from now on.
    ///
    /// # Errors
    /// What is no zip archive of PyTorch.
    pub fn open(file: &File) -> Result<Self> {
        Ok(ModelFile(ffi::open_model_file(file.as_raw_fd())?))
    }

    /// The bytes of a record, such as `data/0`, if there is one of this name.
    ///
    /// # Errors
    /// A damaged directory.
    pub fn size(&self, record: &str) -> Result<Option<u64>> {
        Ok(u64::try_from(self.0.size(record)?).ok())
    }

    /// A record.
    ///
    /// # Errors
    /// A record that is missing, and one that cannot be read.
    pub fn read(&self, record: &str) -> Result<Vec<u8>> {
        Ok(self.0.read(record)?)
    }

    /// The module onto `device`, and the operations in its code; `allowed` names those that may be run, one a line. Nothing is run
    /// of a file with another one.
    ///
    /// # Errors
    /// An operation that is not allowed, and a damaged file.
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

    /// The same without any limit, for a file whose maker is trusted: all its code may run.
    ///
    /// # Errors
    /// A damaged file.
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

/// The names of all operations that libtorch has.
///
/// # Errors
/// A failure of libtorch.
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
            panic!("it is refused")
        };
        let refused: Vec<_> = found.iter().filter(|operation| !operation.is_allowed).collect();
        assert!(
            refused.iter().any(|it| it.kind == "prim::Print" && it.method == "__torch__.M.other"),
            "{refused:?}"
        );
    }

    /// The state of an object is set by its own code, before anybody calls a method.
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
