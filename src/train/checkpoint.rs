//! Checkpoints: one safetensors file each, written whole or not at all.
//!
//! The weights stand under their PyTorch names, everything else under a prefix that no weight has (`optimizer/…`), and
//! the position of the run in the file's metadata. One file, because one rename is atomic and two are not.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::loss_scale::LossScale;
use super::resume::Identity;
use super::schedule::PlateauState;
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
    /// How the held-out loss has developed, for the schedule.
    pub plateau: PlateauState,
    /// The scale of the loss, in float16.
    pub scale: Option<LossScale>,
    /// What the learning rate is multiplied with since training went back.
    pub rate: f64,
    /// How often it went back.
    pub rollbacks: u32,
    /// Batches without a finite loss that were left out, up to now.
    pub skipped_in_a_row: u32,
    /// Whether training ended before its last epoch.
    pub is_over: bool,
}

impl Default for Position {
    fn default() -> Self {
        Position {
            epoch: 1,
            step: 0,
            best: None,
            plateau: PlateauState::default(),
            scale: None,
            rate: 1.,
            rollbacks: 0,
            skipped_in_a_row: 0,
            is_over: false,
        }
    }
}

/// The epoch whose weights are kept as the best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Its mean loss over the held-out rows.
    pub held_out_loss: f64,
}

/// The key of the [`Origin`] in the file's metadata. One key, because several would be written in a random order.
const ORIGIN: &str = "cresset.checkpoint";

/// What the tensors of a checkpoint are of.
#[derive(Serialize, Deserialize)]
struct Origin {
    position: Position,
    run: Identity,
}

/// Writes tensors, grouped under prefixes (`""` for the weights), and what they are of.
///
/// # Errors
/// A file that cannot be written; one that was there is then as it was.
pub fn save(
    path: &Path,
    groups: &[(&str, &Tensors)],
    position: &Position,
    identity: &Identity,
) -> Result<()> {
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
    let origin = Origin { position: position.clone(), run: identity.clone() };
    let origin = serde_json::to_string(&origin).expect("an origin is plain data");
    let metadata = HashMap::from([(ORIGIN.to_string(), origin)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| broken(path, &e.to_string()))?;
    atomic::write(path, &bytes).map_err(|error| match error {
        Error::Io { path, reason, .. } if path.exists() => {
            let action = "save the checkpoint, so the last good one was kept:";
            Error::Io { action, path, reason }
        }
        other => other,
    })
}

/// A checkpoint's contents.
#[derive(Debug)]
pub struct Checkpoint {
    tensors: Tensors,
    /// How far the run had come.
    pub position: Position,
    /// The run that wrote it.
    pub identity: Identity,
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
        let origin = header.metadata().as_ref().and_then(|metadata| metadata.get(ORIGIN));
        let origin = origin.and_then(|text| serde_json::from_str(text).ok());
        let Origin { position, run: identity } =
            origin.ok_or_else(|| broken(path, "it does not say how far the run had come"))?;
        let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let tensor = |(name, view): (String, TensorView)| {
            let size: Vec<i64> = view.shape().iter().map(|n| *n as i64).collect();
            let kind = kind(view.dtype())
                .ok_or_else(|| broken(path, &format!("`{name}` has dtype {}", view.dtype())))?;
            Ok((name, Tensor::f_from_data_size(view.data(), &size, kind)?))
        };
        let tensors = file.tensors().into_iter().map(tensor).collect::<Result<_>>()?;
        Ok(Checkpoint { tensors, position, identity })
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
        Position { epoch: 3, step: 17, ..Position::default() }
    }

    fn identity() -> Identity {
        Identity::from([("lr".to_string(), "0.1".to_string())])
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
        save(&path, &[("", &weights), ("optimizer/", &state)], &position(), &identity()).unwrap();

        let read = Checkpoint::load(&path).unwrap();
        assert_eq!((&read.position, &read.identity), (&position(), &identity()));
        assert_eq!(read.group(""), weights);
        assert_eq!(read.group("optimizer/"), state);
    }

    #[test]
    fn no_damaged_file_is_taken_for_a_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let weights = Tensors::from([("w".to_string(), Tensor::from_slice(&[1f32, 2., 3.]))]);
        save(&path, &[("", &weights)], &position(), &identity()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(Checkpoint::load(&path).is_err(), "cut to {length} bytes");
        }
    }
}
