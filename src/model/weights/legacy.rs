//! Files of `torch.save` before PyTorch 1.6: a magic number, the version of the protocol, the system, what was saved, and the
//! keys of the storages, each a pickle; then the storages in the order of their keys, each with its number of values before.

use std::collections::BTreeMap;
use std::path::Path;

use super::pickle::{Pickle, Value};
use super::view::Stored;
use super::{load, names};
use crate::error::{Error, Result, quoted};
use crate::model::Tensors;

/// What such files begin with: the pickle of the magic number.
pub const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const PROTOCOL: i64 = 1001;

/// Reads the tensors of a file with these bytes.
pub fn read(path: &Path, bytes: &[u8]) -> Result<Tensors> {
    let fault = |problem: String| Error::artifact(path, problem);
    let (views, storages) = parse(bytes).map_err(fault)?;
    load(path, views, |storage| match storages.get(&storage.key) {
        Some(bytes) if bytes.len() == storage.bytes => Ok(bytes.to_vec()),
        Some(bytes) => Err(fault(format!(
            "its storage {} should have {} bytes, but has {}",
            quoted(&storage.key),
            storage.bytes,
            bytes.len()
        ))),
        None => Err(fault(format!("its storage {} is not there", quoted(&storage.key)))),
    })
}

type Parsed<'a> = (Vec<(String, super::view::View)>, BTreeMap<String, &'a [u8]>);

fn parse(bytes: &[u8]) -> std::result::Result<Parsed<'_>, String> {
    let mut rest =
        bytes.strip_prefix(MAGIC).ok_or("it does not begin with the number that torch.save writes")?;
    let mut next = || {
        let pickle = Pickle::read(rest)?;
        rest = &rest[pickle.length()..];
        Ok::<_, String>(pickle)
    };
    let protocol = next()?;
    if protocol.int(protocol.root()) != Some(PROTOCOL) {
        return Err(format!("it is not of version {PROTOCOL} of PyTorch's protocol, the only one there was"));
    }
    let system = next()?;
    let is_little = system.entry(system.root(), "little_endian");
    if is_little.is_some_and(|id| system.get(id) == &Value::Bool(false)) {
        return Err("it was written on a big-endian machine, which is not read here".to_string());
    }
    let (saved, keys) = (next()?, next()?);
    let views = names::views(&saved)?;
    Ok((views, storages(&saved, &keys, rest)?))
}

/// The bytes of each storage, by its key.
fn storages<'a>(
    saved: &Pickle,
    keys: &Pickle,
    mut rest: &'a [u8],
) -> std::result::Result<BTreeMap<String, &'a [u8]>, String> {
    let mut widths = BTreeMap::new();
    for value in saved.values() {
        if let Value::Persistent(id) = value {
            let stored = Stored::of(saved, *id)?;
            widths.insert(stored.storage.key, stored.width);
        }
    }
    let mut storages = BTreeMap::new();
    for key in keys.members(keys.root()).ok_or("the keys of its storages are no list")? {
        let key = keys.text(*key).ok_or("the key of a storage is no text")?;
        let too_short = || format!("it ends within its storage {}", quoted(key));
        let width = widths.get(key).ok_or_else(|| format!("no tensor has its storage {}", quoted(key)))?;
        let (count, values) = rest.split_first_chunk().ok_or_else(too_short)?;
        let length = usize::try_from(i64::from_le_bytes(*count)).ok().and_then(|n| n.checked_mul(*width));
        let (values, behind) =
            length.and_then(|length| values.split_at_checked(length)).ok_or_else(too_short)?;
        storages.insert(key.to_string(), values);
        rest = behind;
    }
    Ok(storages)
}
