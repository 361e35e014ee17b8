//! Safetensors (<https://github.com/huggingface/safetensors>): a JSON header, then the values.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::{Device, Kind, Tensor};

use crate::data::atomic;
use crate::error::{Error, Result};
use crate::model::Tensors;
use crate::model::weights::checksums::{self, Checksums};

/// The metadata key of checkpoints. A single key, because the order of several keys would be random.
pub const CHECKPOINT: &str = "cresset.checkpoint";

/// The supported dtypes of tensors in files of all formats.
pub const DTYPES: [(Kind, Dtype); 10] = [
    (Kind::Float, Dtype::F32),
    (Kind::Double, Dtype::F64),
    (Kind::Half, Dtype::F16),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Int64, Dtype::I64),
    (Kind::Int, Dtype::I32),
    (Kind::Int16, Dtype::I16),
    (Kind::Int8, Dtype::I8),
    (Kind::Uint8, Dtype::U8),
    (Kind::Bool, Dtype::BOOL),
];

/// Writes tensors and metadata atomically.
///
/// ```
/// use cresset::model::weights::safetensors;
/// use std::collections::HashMap;
/// use tch::Tensor;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("weights.safetensors");
/// let weight = Tensor::from_slice2(&[[1f32, 2.], [3., 4.]]);
/// let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
/// safetensors::write(&path, &[("fc1.weight".to_string(), &weight)], metadata)?;
/// assert!(path.is_file());
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// An unsupported dtype, and a file that cannot be written. An existing file is then unchanged.
pub fn write(path: &Path, tensors: &[(String, &Tensor)], metadata: HashMap<String, String>) -> Result<()> {
    Ok(atomic::write(path, &serialized(path, tensors, |_| metadata)?)?)
}

/// Writes a checkpoint: tensors, and the metadata entry [`CHECKPOINT`] with the result of `text` for their checksums, which must
/// be its last fields.
///
/// # Errors
/// Those of [`write()`].
pub(crate) fn write_checked(
    path: &Path,
    tensors: &[(String, &Tensor)],
    text: impl FnOnce(Checksums) -> String,
) -> Result<()> {
    let metadata = |tensors: &[NamedBytes]| {
        let sums = Checksums::of(tensors.iter().map(|(name, _, bytes)| (name.as_str(), &bytes[..])));
        HashMap::from([(CHECKPOINT.to_string(), text(sums))])
    };
    let mut bytes = serialized(path, tensors, metadata)?;
    checksums::seal(&mut bytes);
    Ok(atomic::write(path, &bytes)?)
}

/// A tensor with its name and bytes.
type NamedBytes<'a> = (&'a String, &'a Tensor, Vec<u8>);

/// The bytes of a file with these tensors.
fn serialized(
    path: &Path,
    tensors: &[(String, &Tensor)],
    metadata: impl FnOnce(&[NamedBytes]) -> HashMap<String, String>,
) -> Result<Vec<u8>> {
    let held = tensors.iter().map(|(name, tensor)| Ok((name, *tensor, bytes_of(tensor)?)));
    let held = held.collect::<Result<Vec<_>>>()?;
    let fault = |e: safetensors::SafeTensorError| Error::artifact(path, format!("cannot be written: {e}"));
    let views = held.iter().map(|(name, tensor, bytes)| {
        let shape = tensor.size().iter().map(|n| *n as usize).collect();
        Ok((name.as_str(), TensorView::new(dtype(tensor.kind())?, shape, bytes).map_err(fault)?))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    safetensors::serialize(views, Some(metadata(&held))).map_err(fault)
}

/// The metadata of a file, given as bytes.
///
/// ```
/// use cresset::error::Error;
/// use cresset::model::weights::safetensors;
/// # use std::collections::HashMap;
/// # use tch::Tensor;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("weights.safetensors");
/// # let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
/// # safetensors::write(&path, &[("w".to_string(), &Tensor::from_slice(&[1f32]))], metadata)?;
///
/// let bytes = std::fs::read(&path).unwrap();
/// let metadata = safetensors::metadata(&bytes, |reason| Error::artifact(&path, reason))?;
/// assert_eq!(metadata["format"], "pt");
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// `fault` of the reason, if the bytes are not a safetensors file.
pub fn metadata(bytes: &[u8], fault: impl Fn(&str) -> Error) -> Result<HashMap<String, String>> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| fault(&e.to_string()))?;
    Ok(header.metadata().clone().unwrap_or_default())
}

/// The tensors of a file, given as bytes.
///
/// ```
/// use cresset::error::Error;
/// use cresset::model::weights::safetensors;
/// use std::path::Path;
///
/// let fault = |reason: &str| Error::artifact(Path::new("weights.safetensors"), reason);
/// assert!(safetensors::tensors(b"not a safetensors file", fault).is_err());
/// ```
///
/// # Errors
/// `fault` of the reason, if the bytes are not a safetensors file or have an unsupported dtype.
pub fn tensors(bytes: &[u8], fault: impl Fn(&str) -> Error) -> Result<Tensors> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| fault(&e.to_string()))?;
    let tensor = |(name, view): (String, TensorView)| {
        let size: Vec<i64> = view.shape().iter().map(|n| *n as i64).collect();
        let kind =
            kind(view.dtype()).ok_or_else(|| fault(&format!("`{name}` has dtype {}", view.dtype())))?;
        let tensor = Tensor::f_from_data_size(view.data(), &size, kind)?;
        Ok((name, tensor))
    };
    file.tensors().into_iter().map(tensor).collect()
}

/// The values of a tensor in row-major order and native byte order (little-endian on x86-64).
pub(crate) fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>> {
    let tensor = tensor.detach().f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}

fn dtype(kind: Kind) -> Result<Dtype> {
    known_dtype(kind)
        .ok_or_else(|| Error::Usage(format!("tensors of dtype {kind:?} cannot be stored in a file")))
}

/// The safetensors dtype, if it is supported.
pub(crate) fn known_dtype(kind: Kind) -> Option<Dtype> {
    DTYPES.iter().find(|(known, _)| *known == kind).map(|(_, dtype)| *dtype)
}

fn kind(dtype: Dtype) -> Option<Kind> {
    DTYPES.iter().find(|(_, known)| *known == dtype).map(|(kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(reason: &str) -> Error {
        Error::Usage(reason.to_string())
    }

    #[test]
    fn a_dtype_that_is_not_known_is_named_with_its_tensor() {
        let values = [0; 8];
        let view = TensorView::new(Dtype::U64, vec![1], &values).unwrap();
        let bytes = safetensors::serialize([("odd", view)], None).unwrap();
        assert_eq!(tensors(&bytes, fault).unwrap_err().to_string(), "`odd` has dtype U64");
    }

    #[test]
    fn a_file_that_is_too_long_or_too_short_is_refused() {
        let values = [0; 8];
        let view = TensorView::new(Dtype::F32, vec![2], &values).unwrap();
        let whole = safetensors::serialize([("w", view)], None).unwrap();
        assert!(tensors(&whole, fault).is_ok());
        for length in 0..whole.len() {
            assert!(tensors(&whole[..length], fault).is_err(), "cut to {length} bytes");
        }
        assert!(tensors(&[whole, vec![0]].concat(), fault).is_err());
    }

    proptest! {
        #[test]
        fn files_round_trip(
            size in prop::collection::vec(0i64..4, 0..4),
            which in 0..DTYPES.len(),
            name in "[a-z]{1,8}(\\.[a-z]{1,8}){0,3}",
            note in ".{0,20}",
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.safetensors");
            let (kind, _) = DTYPES[which];
            let count: i64 = size.iter().product();
            let tensor = Tensor::arange(count, (Kind::Int64, Device::Cpu)).view(&size[..]).to_kind(kind);
            let notes = HashMap::from([("note".to_string(), note)]);
            write(&path, &[(name.clone(), &tensor)], notes.clone()).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            prop_assert_eq!(tensors(&bytes, fault).unwrap(), Tensors::from([(name, tensor)]));
            prop_assert_eq!(metadata(&bytes, fault).unwrap(), notes);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(
            bytes: Vec<u8>,
            dtype in "F32|BOOL|I8|F8_E5M2|X",
            shape in "\\[([0-9]{1,20}(,[0-9]{1,20}){0,3})?\\]",
            end: u64,
        ) {
            let _ = tensors(&bytes, fault);
            let header = format!("{{\"a\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[0,{end}]}}}}");
            let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes].concat();
            let _ = tensors(&file, fault);
        }
    }
}
