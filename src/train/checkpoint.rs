//! Checkpoints: one safetensors file each, written whole or not at all.
//!
//! The weights stand under their PyTorch names, everything else under a prefix that no weight has (`optimizer/…`), and
//! the position of the run in the file's metadata. One file, because one rename is atomic and two are not.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::loss_scale::LossScale;
use super::resume::Identity;
use super::schedule::PlateauState;
use crate::error::{Error, Result};
use crate::model::Tensors;
use crate::weights::safetensors;

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The epoch under way, from 1; one more than the last when all are done.
    pub epoch: u32,
    /// The steps of it that are done.
    pub step: usize,
    /// The training examples of it that are done, by all processes together. Training goes on from here, so that it can do
    /// so with another number of processes.
    pub rows: usize,
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
            rows: 0,
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
    let held = groups.iter().flat_map(|(prefix, tensors)| {
        tensors.iter().map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
    });
    let origin = Origin { position: position.clone(), run: identity.clone() };
    let origin = serde_json::to_string(&origin).expect("an origin is plain data");
    let metadata = HashMap::from([(safetensors::CHECKPOINT.to_string(), origin)]);
    safetensors::write(path, &held.collect::<Vec<_>>(), metadata).map_err(|error| match error {
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
        let damaged = |reason: &str| broken(path, reason);
        let metadata = safetensors::metadata(&bytes, damaged)?;
        let origin = metadata.get(safetensors::CHECKPOINT).and_then(|text| serde_json::from_str(text).ok());
        let Origin { position, run: identity } =
            origin.ok_or_else(|| broken(path, "it does not say how far the run had come"))?;
        let tensors = safetensors::tensors(&bytes, damaged)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::safetensors::DTYPES;
    use proptest::prelude::*;
    use tch::Tensor;

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

    fn losses_come_back(losses: &[f64]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        for held_out_loss in losses.iter().copied() {
            let position = Position { best: Some(Best { epoch: 1, held_out_loss }), ..position() };
            save(&path, &[], &position, &identity()).unwrap();
            assert_eq!(Checkpoint::load(&path).unwrap().position, position);
        }
    }

    /// An epoch of the same loss would count as a better one otherwise.
    #[test]
    fn a_loss_comes_back_to_the_bit() {
        losses_come_back(&[2.3078998209581734, 0.1 + 0.2, f64::MIN_POSITIVE, 1e-320, f64::MAX]);
    }

    proptest! {
        #[test]
        fn any_loss_comes_back_to_the_bit(losses in prop::collection::vec(0f64..10., 4)) {
            losses_come_back(&losses);
        }
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
