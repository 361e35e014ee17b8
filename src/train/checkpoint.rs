//! Checkpoints: one safetensors file each, written whole or not at all.
//!
//! The weights stand under their PyTorch names, everything else under a prefix that no weight has (`optimizer/…`), and
//! the position of the run in the file's metadata. One file, because one rename is atomic and two are not.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::loss_scale::LossScale;
use super::resume::Identity;
use super::schedule::PlateauState;
use crate::error::{Error, Result};
use crate::evaluate::numbers;
use crate::model::Tensors;
use crate::model::weights::checksums::{self, Checksums};
use crate::model::weights::safetensors;

/// The folder of a run's checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointFolder(PathBuf);

impl CheckpointFolder {
    /// The folder at this path.
    pub fn new(path: PathBuf) -> Self {
        CheckpointFolder(path)
    }

    /// The checkpoint that training resumes from.
    pub fn last(&self) -> PathBuf {
        self.0.join("last.safetensors")
    }

    /// The weights of the epoch with the lowest validation loss.
    pub fn best(&self) -> PathBuf {
        self.0.join("best.safetensors")
    }
}

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
    #[serde(deserialize_with = "numbers::or_nan")]
    pub held_out_loss: f64,
}

/// What the tensors of a checkpoint are of.
#[derive(Serialize, Deserialize)]
struct Origin {
    position: Position,
    run: Identity,
    /// Behind everything else.
    #[serde(flatten)]
    checksums: Checksums,
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
    let origin = |checksums| {
        let origin = Origin { position: position.clone(), run: identity.clone(), checksums };
        serde_json::to_string(&origin).expect("an origin is plain data")
    };
    safetensors::write_checked(path, &held.collect::<Vec<_>>(), origin).map_err(|error| match error {
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
        Checkpoint::of(path, &bytes)
    }

    /// The checkpoint of the file `path` with these bytes.
    fn of(path: &Path, bytes: &[u8]) -> Result<Self> {
        let damaged = |reason: &str| broken(path, reason);
        if !checksums::check(bytes).map_err(|problem| damaged(&problem))? {
            checksums::say_none(path);
        }
        let metadata = safetensors::metadata(bytes, damaged)?;
        let origin = metadata.get(safetensors::CHECKPOINT).and_then(|text| serde_json::from_str(text).ok());
        let Origin { mut position, run: identity, .. }: Origin =
            origin.ok_or_else(|| broken(path, "it does not say how far the run had come"))?;
        // Older versions took an epoch for the best one although its loss was NaN.
        position.best = position.best.filter(|best| best.held_out_loss.is_finite());
        let tensors = safetensors::tensors(bytes, damaged)?;
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
    let remedy = remedy(path).map_or(String::new(), |remedy| format!("; {remedy}"));
    Error::artifact(path, format!("this is no checkpoint of cresset, or it is damaged ({reason}){remedy}"))
}

/// What can be done without this checkpoint of a run.
fn remedy(path: &Path) -> Option<String> {
    let run = path.parent()?.parent()?;
    let (config, run) = (run.join("config.toml"), run.display());
    if !config.is_file() {
        return None;
    }
    let config = config.display();
    Some(match checksums::whole_sibling(path) {
        Some(other) if other.ends_with("best.safetensors") => format!(
            "{other} is whole: `cresset export {run} --output FILE` writes its model, and `cresset train --config {config} \
             --init {other}` trains on from its weights",
            other = other.display()
        ),
        Some(other) => format!(
            "{} is whole: `cresset export {run} --checkpoint last --output FILE` writes its model",
            other.display()
        ),
        None => {
            format!(
                "there is no other checkpoint that is whole, so train again: `cresset train --config {config}`"
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::weights::safetensors::DTYPES;
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

    /// As files of older versions have it.
    #[test]
    fn an_epoch_without_a_finite_loss_is_not_the_best() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        for held_out_loss in [f64::NAN, f64::INFINITY] {
            let position = Position { best: Some(Best { epoch: 1, held_out_loss }), ..position() };
            save(&path, &[], &position, &identity()).unwrap();
            assert_eq!(Checkpoint::load(&path).unwrap().position.best, None);
        }
    }

    /// The checkpoint of a small run: weights, memory of the optimizer, and text that is not ASCII in its identity.
    fn small(path: &Path) -> Vec<u8> {
        let weights = Tensors::from([
            ("fc.bias".to_string(), Tensor::from_slice(&[0.5f32])),
            ("fc.weight".to_string(), Tensor::from_slice(&[1f32, 2., 3.])),
        ]);
        let identity = Identity::from([("data".to_string(), "Bl\u{fc}ten \"\u{1f}\"".to_string())]);
        save(path, &[("", &weights), ("optimizer/", &weights)], &position(), &identity).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn no_flipped_bit_is_taken_for_a_checkpoint_or_for_weights() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let whole = small(&path);
        assert!(Checkpoint::load(&path).is_ok() && crate::model::weights::read(&path).is_ok());
        for bit in 0..8 * whole.len() {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let place = format!("bit {} of byte {}", bit % 8, bit / 8);
            assert!(Checkpoint::of(&path, &bytes).is_err(), "{place}");
            // All places and all bits, as far as a file each takes no long time.
            if bit % 7 == 0 {
                std::fs::write(&path, &bytes).unwrap();
                assert!(crate::model::weights::read(&path).is_err(), "{place}, as weights");
            }
        }
    }

    #[test]
    fn a_checkpoint_without_checksums_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let origin = serde_json::json!({ "position": position(), "run": identity() }).to_string();
        let metadata = std::collections::HashMap::from([(safetensors::CHECKPOINT.to_string(), origin)]);
        let weight = Tensor::from_slice(&[1f32]);
        safetensors::write(&path, &[("w".to_string(), &weight)], metadata).unwrap();
        assert_eq!(checksums::check(&std::fs::read(&path).unwrap()), Ok(false));
        assert_eq!(Checkpoint::load(&path).unwrap().position, position());
        assert_eq!(crate::model::weights::read(&path).unwrap()["w"], weight);
    }

    #[test]
    fn the_other_checkpoint_is_named_if_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = folder.path().join("checkpoints");
        std::fs::create_dir(&checkpoints).unwrap();
        std::fs::write(folder.path().join("config.toml"), "").unwrap();
        let (last, best) = (checkpoints.join("last.safetensors"), checkpoints.join("best.safetensors"));
        let whole = small(&best);
        let bad =
            whole[..whole.len() - 1].iter().copied().chain([whole[whole.len() - 1] ^ 1]).collect::<Vec<_>>();
        std::fs::write(&last, &bad).unwrap();
        let said = Checkpoint::load(&last).unwrap_err().to_string();
        assert!(said.contains("the checksum of `optimizer/fc.weight` is wrong"), "{said}");
        assert!(said.contains("best.safetensors is whole: `cresset export "), "{said}");
        let said = crate::model::weights::read(&last).unwrap_err().to_string();
        assert!(said.contains(&format!("is whole: --init {}", best.display())), "{said}");
        std::fs::write(&best, &bad).unwrap();
        let said = Checkpoint::load(&last).unwrap_err().to_string();
        assert!(said.contains("there is no other checkpoint that is whole"), "{said}");
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
