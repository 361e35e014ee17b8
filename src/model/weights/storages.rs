//! Checks of the tensors in a TorchScript file before libtorch loads them: libtorch uses sizes, strides and storage lengths of
//! the file without checks.

use super::pickle::{Object, Pickle, Value};
use super::view::{Extent, StorageRef};
use crate::error::quoted;

/// Globals in pickles of TorchScript other than tensors and its own classes.
const KNOWN: [&str; 12] = [
    "builtins.complex",
    "collections.OrderedDict",
    "torch.device",
    "torch.jit._pickle.build_boollist",
    "torch.jit._pickle.build_doublelist",
    "torch.jit._pickle.build_intlist",
    "torch.jit._pickle.build_tensorlist",
    "torch.jit._pickle.restore_type_tag",
    "torch.per_channel_affine",
    "torch.per_channel_affine_float_qparams",
    "torch.per_channel_symmetric",
    "torch.per_tensor_affine",
];

/// Functions that create a tensor from a storage.
const TENSORS: [&str; 2] = ["torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_qtensor"];

/// The package of the classes in the code.
const CLASSES: &str = "__torch__.";

/// Checks the pickle `FOLDER.pkl` with the storages `FOLDER/KEY`: each storage must have its declared size, and each tensor must
/// lie within its storage. `size` returns the size of a record in bytes.
///
/// # Errors
/// A message with the storage, and anything that TorchScript does not write.
pub fn check(
    pickle: &Pickle,
    folder: &str,
    size: &dyn Fn(&str) -> Result<Option<u64>, String>,
) -> Result<(), String> {
    pickle.values().iter().try_for_each(|value| match value {
        Value::Persistent(id) => {
            let StorageRef { storage, .. } = StorageRef::of(pickle, *id)?;
            check_storage(&storage.key, storage.bytes as u64, folder, size)
        }
        Value::Object(object) => check_object(pickle, object),
        Value::Global(name) => check_name(name),
        _ => Ok(()),
    })
}

fn check_storage(
    key: &str,
    needed: u64,
    folder: &str,
    size: &dyn Fn(&str) -> Result<Option<u64>, String>,
) -> Result<(), String> {
    let record = format!("{folder}/{key}");
    let named = quoted(&record);
    // libtorch may read other bytes as another key.
    if !key.is_ascii() {
        return Err(format!("the storage {named} has a name that PyTorch does not write"));
    }
    // libtorch does not read the values of an empty storage.
    match size(&record)? {
        None if needed > 0 => Err(format!("the storage {named} is missing")),
        Some(has) if has < needed => {
            Err(format!("the storage {named} should have {needed} bytes, but has {has}"))
        }
        _ => Ok(()),
    }
}

fn check_object(pickle: &Pickle, object: &Object) -> Result<(), String> {
    let name = pickle.global(object.callable).ok_or("it calls an unnamed object")?;
    let is_filled = !object.items.is_empty() || !object.entries.is_empty();
    if is_filled || (object.state.is_some() && !name.starts_with(CLASSES)) {
        return Err(format!("it creates {} in a way that TorchScript does not", quoted(name)));
    }
    if TENSORS.contains(&name) {
        let arguments = pickle.members(object.arguments).unwrap_or_default();
        let (stored, extent) = Extent::of_arguments(pickle, arguments)?;
        let held = (stored.storage.bytes / stored.width) as i64;
        let named = |problem| format!("a tensor of the storage {}: {problem}", quoted(&stored.storage.key));
        extent.check(held).map_err(named)?;
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    let is_storage = name.starts_with("torch.") && name.ends_with("Storage");
    if is_storage || name.starts_with(CLASSES) || TENSORS.contains(&name) || KNOWN.contains(&name) {
        return Ok(());
    }
    Err(format!("it refers to {}, which TorchScript does not write", quoted(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pickle of one float32 tensor with a storage of `count` values.
    fn tensor(count: u8, offset: u8, size: u8) -> Vec<u8> {
        let mut bytes =
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n\
                          X\x01\0\0\x000X\x03\0\0\0cpuK"
                .to_vec();
        bytes.extend([count, b't', b'Q', b'K', offset, b'K', size, 0x85, b'K', 1, 0x85, 0x89]);
        bytes.extend(b"ccollections\nOrderedDict\n)RtR.");
        bytes
    }

    fn problem(pickle: &[u8], has: Option<u64>) -> Option<String> {
        check(&Pickle::read(pickle).unwrap(), "data", &|_| Ok(has)).err()
    }

    #[test]
    fn a_storage_must_have_its_declared_size() {
        assert_eq!(problem(&tensor(4, 0, 4), Some(16)), None);
        assert_eq!(problem(&tensor(4, 0, 4), Some(17)), None);
        assert_eq!(problem(&tensor(0, 0, 0), None), None);
        let short = problem(&tensor(4, 0, 4), Some(15)).unwrap();
        assert_eq!(short, "the storage `data/0` should have 16 bytes, but has 15");
        assert_eq!(problem(&tensor(4, 0, 4), None).unwrap(), "the storage `data/0` is missing");
    }

    #[test]
    fn a_tensor_must_stay_within_its_storage() {
        let beyond = problem(&tensor(4, 1, 4), Some(16)).unwrap();
        assert!(beyond.contains("storage `0`: it exceeds its storage"), "{beyond}");
    }

    /// libtorch stores callables as numbers on the stack, where the file may put any number, and uses the state of an object as
    /// the arguments of a call.
    #[test]
    fn calls_of_numbers_and_states_are_refused() {
        for (pickle, says) in [
            (&b"\x80\x02K\x00)R."[..], "calls an unnamed object"),
            (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)\x81)b.", "in a way that TorchScript does not"),
            (b"\x80\x02ctorch.distributed.rpc\nrref\n.", "`torch.distributed.rpc.rref`, which TorchScript"),
            (b"\x80\x02cposix\nsystem\n.", "`posix.system`, which TorchScript"),
        ] {
            let found = problem(pickle, Some(0)).unwrap();
            assert!(found.contains(says), "{found}");
        }
        assert_eq!(problem(b"\x80\x02c__torch__\nM\n)\x81}b.", Some(0)), None);
    }
}
