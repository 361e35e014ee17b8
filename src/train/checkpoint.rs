//! Checkpoints: one safetensors file each, written atomically.
//!
//! Weights have their PyTorch names, other tensors a prefix that no weight has (`optimizer/…`). The file's metadata holds the
//! position of the run. A checkpoint is a single file because renaming one file is atomic.

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
///
/// ```
/// use cresset::train::checkpoint::CheckpointFolder;
///
/// let checkpoints = CheckpointFolder::new("run/checkpoints".into());
/// assert!(checkpoints.last().ends_with("last.safetensors"));
/// ```
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

    /// The weights of the best epoch.
    pub fn best(&self) -> PathBuf {
        self.0.join("best.safetensors")
    }
}

/// The position of a run in training.
///
/// ```
/// use cresset::train::checkpoint::Position;
///
/// let position = Position::default();
/// assert_eq!((position.epoch, position.step), (1, 0));
/// assert!(position.best.is_none() && !position.is_over);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The current epoch, from 1; the number of epochs plus one when all are finished.
    pub epoch: u32,
    /// Finished steps of the epoch.
    pub step: usize,
    /// Training examples of the epoch that all processes together have finished. Training resumes here, also with a different
    /// number of processes.
    pub rows: usize,
    /// The best epoch so far.
    pub best: Option<Best>,
    /// The state of the plateau schedule.
    pub plateau: PlateauState,
    /// The loss scale, in float16 only.
    pub scale: Option<LossScale>,
    /// Factor of the learning rate after rollbacks.
    pub rate: f64,
    /// Number of rollbacks.
    pub rollbacks: u32,
    /// Number of consecutive batches skipped because of a NaN or infinite loss.
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

/// The epoch with the best weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Its mean validation loss.
    #[serde(deserialize_with = "numbers::or_nan")]
    #[serde(rename = "held_out_loss")]
    pub validation_loss: f64,
    /// Its monitored metric, from 0 to 1; none if the loss is monitored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// The metadata of a checkpoint.
#[derive(Serialize, Deserialize)]
struct CheckpointMetadata {
    position: Position,
    run: Identity,
    /// Last in the file.
    #[serde(flatten)]
    checksums: Checksums,
}

/// Writes tensors, grouped by prefix (`""` for the weights), and the metadata.
///
/// ```
/// use cresset::model::Tensors;
/// use cresset::train::Identity;
/// use cresset::train::checkpoint::{Checkpoint, Position, save};
/// use tch::Tensor;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("last.safetensors");
/// let weights = Tensors::from([("fc1.bias".to_string(), Tensor::from_slice(&[1f32, 2.]))]);
/// save(&path, &[("", &weights)], &Position::default(), &Identity::new())?;
/// assert_eq!(Checkpoint::load(&path)?.group(""), weights);
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// A file that cannot be written. An existing file is then unchanged.
pub fn save(
    path: &Path,
    groups: &[(&str, &Tensors)],
    position: &Position,
    identity: &Identity,
) -> Result<()> {
    let named = groups.iter().flat_map(|(prefix, tensors)| {
        tensors.iter().map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
    });
    let metadata = |checksums| {
        let metadata = CheckpointMetadata { position: position.clone(), run: identity.clone(), checksums };
        serde_json::to_string(&metadata).expect("the metadata can be serialized")
    };
    safetensors::write_checked(path, &named.collect::<Vec<_>>(), metadata).map_err(|error| match error {
        Error::Io { path, reason, .. } if path.exists() => {
            let action = "save the checkpoint, so the last good one was kept:";
            Error::Io { action, path, reason }
        }
        other => other,
    })
}

/// A checkpoint's contents.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::train::checkpoint::Checkpoint;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { recipe: "none".into(), epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let checkpoint = Checkpoint::load(&out.join("checkpoints/last.safetensors"))?;
/// assert_eq!(checkpoint.position.epoch, 4);
/// assert!(checkpoint.group("").contains_key("fc1.weight"));
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Checkpoint {
    tensors: Tensors,
    /// The position of the run.
    pub position: Position,
    /// The identity of the run that wrote it.
    pub identity: Identity,
}

impl Checkpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// A file that is missing, damaged, or not a checkpoint of cresset.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .map_err(|e| Error::artifact(path, format!("cannot read the checkpoint: {e}")))?;
        Checkpoint::parse(path, &bytes)
    }

    /// Parses the bytes of the file `path`.
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let damaged = |reason: &str| broken(path, reason);
        if !checksums::check(bytes).map_err(|problem| damaged(&problem))? {
            checksums::warn_missing(path);
        }
        let metadata = safetensors::metadata(bytes, damaged)?;
        let parsed = metadata.get(safetensors::CHECKPOINT).and_then(|text| serde_json::from_str(text).ok());
        let CheckpointMetadata { mut position, run: identity, .. }: CheckpointMetadata =
            parsed.ok_or_else(|| broken(path, "the position of the run is missing"))?;
        // In older versions, an epoch with a NaN loss could be the best one.
        position.best = position.best.filter(|best| best.validation_loss.is_finite());
        let tensors = safetensors::tensors(bytes, damaged)?;
        Ok(Checkpoint { tensors, position, identity })
    }

    /// The tensors with a prefix, which is removed from their names; `""` gives the weights.
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
    Error::artifact(path, format!("not a checkpoint of cresset, or damaged ({reason}){remedy}"))
}

/// The remedy for a damaged checkpoint of a run.
fn remedy(path: &Path) -> Option<String> {
    let run = path.parent()?.parent()?;
    let (config, run) = (run.join("config.toml"), run.display());
    if !config.is_file() {
        return None;
    }
    let config = config.display();
    Some(match checksums::whole_sibling(path) {
        Some(other) if other.ends_with("best.safetensors") => format!(
            "{other} is intact: `cresset export {run} --output FILE` exports its model, and `cresset train --config {config} \
             --init {other}` continues training from its weights",
            other = other.display()
        ),
        Some(other) => format!(
            "{} is intact: `cresset export {run} --checkpoint last --output FILE` exports its model",
            other.display()
        ),
        None => {
            format!("there is no intact checkpoint, so train again: `cresset train --config {config}`")
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
        for validation_loss in losses.iter().copied() {
            for score in [None, Some(validation_loss)] {
                let position =
                    Position { best: Some(Best { epoch: 1, validation_loss, score }), ..position() };
                save(&path, &[], &position, &identity()).unwrap();
                assert_eq!(Checkpoint::load(&path).unwrap().position, position);
            }
        }
    }

    /// Otherwise an epoch with the same loss would count as better.
    #[test]
    fn a_loss_round_trips_exactly() {
        losses_come_back(&[2.3078998209581734, 0.1 + 0.2, f64::MIN_POSITIVE, 1e-320, f64::MAX]);
    }

    /// As in files of older versions.
    #[test]
    fn an_epoch_without_a_finite_loss_is_not_the_best() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        for validation_loss in [f64::NAN, f64::INFINITY] {
            let position =
                Position { best: Some(Best { epoch: 1, validation_loss, score: None }), ..position() };
            save(&path, &[], &position, &identity()).unwrap();
            assert_eq!(Checkpoint::load(&path).unwrap().position.best, None);
        }
    }

    /// A small checkpoint: weights, optimizer state, and non-ASCII text in its identity.
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
            assert!(Checkpoint::parse(&path, &bytes).is_err(), "{place}");
            // Only every seventh bit, because writing a file for each takes long.
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
    fn the_other_checkpoint_is_named_if_it_is_intact() {
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
        assert!(said.contains("best.safetensors is intact: `cresset export "), "{said}");
        let said = crate::model::weights::read(&last).unwrap_err().to_string();
        assert!(said.contains(&format!("is intact: use --init {}", best.display())), "{said}");
        std::fs::write(&best, &bad).unwrap();
        let said = Checkpoint::load(&last).unwrap_err().to_string();
        assert!(said.contains("there is no intact checkpoint"), "{said}");
    }

    proptest! {
        #[test]
        fn any_loss_round_trips_exactly(losses in prop::collection::vec(0f64..10., 4)) {
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
