//! Files of `torch.save` before PyTorch 1.6: pickles of a magic number, the protocol version, system information, the saved
//! object and the keys of the storages; then the storages in the order of their keys, each with its number of values as prefix.

use std::collections::BTreeMap;
use std::path::Path;

use super::pickle::{Pickle, Value};
use super::view::StorageRef;
use super::{load, names};
use crate::error::{Error, Result, quoted};
use crate::model::Tensors;

/// The first bytes of such files: the pickle of the magic number.
pub(crate) const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const PROTOCOL: i64 = 1001;

/// Reads the tensors from the bytes of a file.
pub fn read(path: &Path, bytes: &[u8]) -> Result<Tensors> {
    let fault = |problem: String| Error::artifact(path, problem);
    let (views, storages) = parse(bytes).map_err(fault)?;
    load(path, views, |storage| match storages.get(&storage.key) {
        Some(bytes) if bytes.len() == storage.bytes => Ok(bytes.to_vec()),
        Some(bytes) => Err(fault(format!(
            "the storage {} should have {} bytes, but has {}",
            quoted(&storage.key),
            storage.bytes,
            bytes.len()
        ))),
        None => Err(fault(format!("the storage {} is missing", quoted(&storage.key)))),
    })
}

type Parsed<'a> = (Vec<(String, super::view::StorageView)>, BTreeMap<String, &'a [u8]>);

fn parse(bytes: &[u8]) -> std::result::Result<Parsed<'_>, String> {
    let mut rest =
        bytes.strip_prefix(MAGIC).ok_or("it does not start with the magic number of torch.save")?;
    let mut next = || {
        let pickle = Pickle::read(rest)?;
        rest = &rest[pickle.length()..];
        Ok::<_, String>(pickle)
    };
    let protocol = next()?;
    if protocol.int(protocol.root()) != Some(PROTOCOL) {
        return Err(format!("its protocol version is not {PROTOCOL}"));
    }
    let system = next()?;
    let is_little = system.entry(system.root(), "little_endian");
    if is_little.is_some_and(|id| system.get(id) == &Value::Bool(false)) {
        return Err("it was written on a big-endian machine, which is not supported".to_string());
    }
    let (saved, keys) = (next()?, next()?);
    let views = names::views(&saved)?;
    Ok((views, storages(&saved, &keys, rest)?))
}

/// The bytes of each storage, by key.
fn storages<'a>(
    saved: &Pickle,
    keys: &Pickle,
    mut rest: &'a [u8],
) -> std::result::Result<BTreeMap<String, &'a [u8]>, String> {
    let mut widths = BTreeMap::new();
    for value in saved.values() {
        if let Value::Persistent(id) = value {
            let stored = StorageRef::of(saved, *id)?;
            widths.insert(stored.storage.key, stored.width);
        }
    }
    let mut storages = BTreeMap::new();
    for key in keys.members(keys.root()).ok_or("the keys of the storages are not a list")? {
        let key = keys.text(*key).ok_or("the key of a storage is not a string")?;
        let too_short = || format!("it ends within the storage {}", quoted(key));
        let width = widths.get(key).ok_or_else(|| format!("no tensor uses the storage {}", quoted(key)))?;
        let (count, values) = rest.split_first_chunk().ok_or_else(too_short)?;
        let length = usize::try_from(i64::from_le_bytes(*count)).ok().and_then(|n| n.checked_mul(*width));
        let (values, behind) =
            length.and_then(|length| values.split_at_checked(length)).ok_or_else(too_short)?;
        storages.insert(key.to_string(), values);
        rest = behind;
    }
    Ok(storages)
}
