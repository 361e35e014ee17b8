//! Checkpoints: one safetensors file each, written whole or not at all.
//!
//! The weights stand under their PyTorch names, everything else under a prefix that no weight has (`optimizer/…`), and
//! the position of the run in the file's metadata. One file, because one rename is atomic and two are not.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::model::Tensors;
use crate::run::atomic;

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The epoch under way, from 1; one more than the last when all are done.
    pub epoch: u32,
    /// The steps of it that are done.
    pub step: usize,
    /// The epoch with the least held-out loss so far.
    pub best: Option<Best>,
}

/// The epoch whose weights are kept as the best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Its mean loss over the held-out rows.
    pub held_out_loss: f64,
}

/// The key of the [`Position`] in the file's metadata.
const POSITION: &str = "cresset.position";

/// Writes tensors, grouped under prefixes (`""` for the weights), and the position.
pub fn save(path: &Path, groups: &[(&str, &Tensors)], position: &Position) -> Result<()> {
    let mut held = Vec::new();
    for (prefix, tensors) in groups {
        for (name, tensor) in *tensors {
            held.push((format!("{prefix}{name}"), tensor.size(), tensor.kind(), bytes_of(tensor)?));
        }
    }
    let views = held.iter().map(|(name, size, kind, bytes)| {
        let shape = size.iter().map(|n| *n as usize).collect();
        let view = TensorView::new(dtype(*kind)?, shape, bytes).map_err(|e| broken(path, &e.to_string()))?;
        Ok((name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    let position = serde_json::to_string(position).expect("a position is plain data");
    let metadata = HashMap::from([(POSITION.to_string(), position)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| broken(path, &e.to_string()))?;
    atomic::write(path, &bytes)
}

/// A checkpoint's contents.
#[derive(Debug)]
pub struct Checkpoint {
    tensors: Tensors,
    /// How far the run had come.
    pub position: Position,
}

impl Checkpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// A file that is missing, damaged, or none of ours.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .map_err(|e| Error::artifact(path, format!("cannot read the checkpoint: {e}")))?;
        let damaged = |e: safetensors::SafeTensorError| broken(path, &e.to_string());
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let position = header.metadata().as_ref().and_then(|metadata| metadata.get(POSITION));
        let position = position.and_then(|text| serde_json::from_str(text).ok());
        let position = position.ok_or_else(|| broken(path, "it does not say how far the run had come"))?;
        let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let tensor = |(name, view): (String, TensorView)| {
            let size: Vec<i64> = view.shape().iter().map(|n| *n as i64).collect();
            let kind = kind(view.dtype())
                .ok_or_else(|| broken(path, &format!("`{name}` has dtype {}", view.dtype())))?;
            Ok((name, Tensor::f_from_data_size(view.data(), &size, kind)?))
        };
        Ok(Checkpoint { tensors: file.tensors().into_iter().map(tensor).collect::<Result<_>>()?, position })
    }

    /// The tensors under a prefix, without it; with `""`, the weights.
    pub fn group(&self, prefix: &str) -> Tensors {
        let of_group = self.tensors.iter().filter_map(|(name, tensor)| {
            let name = name.strip_prefix(prefix)?;
            (!name.contains('/')).then(|| (name.to_string(), tensor.shallow_clone()))
        });
        of_group.collect()
    }
}

fn broken(path: &Path, reason: &str) -> Error {
    Error::artifact(path, format!("this is no checkpoint of cresset, or it is damaged ({reason})"))
}

fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>> {
    let tensor = tensor.detach().f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}

const DTYPES: [(Kind, Dtype); 7] = [
    (Kind::Float, Dtype::F32),
    (Kind::Double, Dtype::F64),
    (Kind::Half, Dtype::F16),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Int64, Dtype::I64),
    (Kind::Uint8, Dtype::U8),
    (Kind::Bool, Dtype::BOOL),
];

fn dtype(kind: Kind) -> Result<Dtype> {
    let known = DTYPES.iter().find(|(known, _)| *known == kind);
    let known = known
        .ok_or_else(|| Error::Usage(format!("tensors of kind {kind:?} cannot be kept in a checkpoint")))?;
    Ok(known.1)
}

fn kind(dtype: Dtype) -> Option<Kind> {
    DTYPES.iter().find(|(_, known)| *known == dtype).map(|(kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> Position {
        Position { epoch: 3, step: 17, best: None }
    }

    #[test]
    fn every_dtype_and_every_group_survives_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let base = Tensor::from_slice(&[0f32, 1., 2., 3., 4., 5.]).view([2, 3]);
        let weights: Tensors =
            DTYPES.iter().map(|(kind, _)| (format!("w.{kind:?}"), base.to_kind(*kind))).collect();
        // Transposed, so not contiguous.
        let state =
            Tensors::from([("exp_avg.w".to_string(), base.tr()), ("step".to_string(), Tensor::from(2f32))]);
        save(&path, &[("", &weights), ("optimizer/", &state)], &position()).unwrap();

        let read = Checkpoint::load(&path).unwrap();
        assert_eq!(read.position, position());
        assert_eq!(read.group(""), weights);
        assert_eq!(read.group("optimizer/"), state);
    }

    #[test]
    fn no_damaged_file_is_taken_for_a_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let weights = Tensors::from([("w".to_string(), Tensor::from_slice(&[1f32, 2., 3.]))]);
        save(&path, &[("", &weights)], &position()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(Checkpoint::load(&path).is_err(), "cut to {length} bytes");
        }
    }
}
