//! Saving checkpoints and resuming from them.

use std::collections::BTreeMap;

use rand::RngExt;
use tch::Device;

use super::checkpoint::{self, Checkpoint, Position};
use super::{Plan, Running, Training};
use crate::data::random::{Purpose, epoch_stream, stream};
use crate::error::{Error, Result};
use crate::model::{Network, Tensors};

/// Everything that determines the result of a run bit by bit: options, data and program versions, by name.
pub type Identity = BTreeMap<String, String>;

const OPTIMIZER: &str = "optimizer/";
const RUNNING: &str = "running/";
const RANDOM: &str = "random/";

/// The random generator states of all processes, (world size, bytes).
const CPU: &str = "cpu";
const CUDA: &str = "cuda";

const AVERAGE: &str = "average/";

/// Options that may change when a run is resumed: they affect how long and where it runs, but not what a step computes.
///
/// ```
/// use cresset::train::RESUMABLE_OPTIONS;
///
/// assert!(RESUMABLE_OPTIONS.contains(&"epochs") && !RESUMABLE_OPTIONS.contains(&"seed"));
/// ```
pub const RESUMABLE_OPTIONS: [&str; 10] = [
    "epochs",
    "device",
    "threads",
    "max_memory",
    "peer_timeout",
    "patience",
    "max_minutes",
    "checkpoint_minutes",
    "cuda_graph",
    "gradient_checkpointing",
];

/// The options in [`RESUMABLE_OPTIONS`] that affect when training ends.
const END_OPTIONS: [&str; 3] = ["epochs", "patience", "max_minutes"];

impl Training {
    /// Resumes from the run's last checkpoint. The result is bit-identical to that of an uninterrupted run.
    ///
    /// # Errors
    /// A checkpoint that is damaged or belongs to another run; the message names the difference.
    pub fn resume(&mut self, network: &mut Network) -> Result<()> {
        let saved_identity = self.load_last(network)?;
        if self.is_head_only() {
            return Ok(());
        }
        let finished = self.position.epoch - 1;
        if self.plan.epochs < finished {
            return Err(Error::Usage(format!(
                "--epochs {} is less than the {finished} finished epochs of the run; use {finished} to end the run here, or more to \
                 continue training",
                self.plan.epochs
            )));
        }
        let changed = |name: &&str| saved_identity.get(*name) != self.plan.identity.get(*name);
        if END_OPTIONS.iter().any(changed) {
            self.position.is_over = false;
            let schedule_changes = changed(&"epochs") && self.schedule_depends_on_epochs();
            if schedule_changes && self.position.epoch <= self.plan.epochs {
                return Err(Error::Usage(format!(
                    "--epochs cannot be changed when a run is resumed with the learning rate schedule {}, which depends on the \
                     number of epochs; start a new run to change it",
                    self.plan.options.schedule
                )));
            }
        }
        Ok(())
    }

    /// Loads the last checkpoint and returns the identity of the run that wrote it.
    pub(super) fn load_last(&mut self, network: &mut Network) -> Result<Identity> {
        let path = self.checkpoints.last();
        let mut checkpoint = Checkpoint::load(&path)?;
        let identity = std::mem::take(&mut checkpoint.identity).into_iter();
        checkpoint.identity =
            identity.map(|(name, value)| ((self.plan.canonical)(&name).to_string(), value)).collect();
        let fault = |problem: String| {
            Error::artifact(&path, format!("the checkpoint belongs to another run: {problem}"))
        };
        if let Some(difference) = difference(&checkpoint.identity, &self.plan) {
            return Err(fault(difference));
        }
        network.load_state(&checkpoint.group("")).map_err(fault)?;
        self.learner.context.optimizer.load_state(&checkpoint.group(OPTIMIZER)).map_err(fault)?;
        self.learner.context.average.load_state(&checkpoint.group(AVERAGE)).map_err(fault)?;
        self.running.load_state(&checkpoint.group(RUNNING)).map_err(fault)?;
        self.learner.context.scaler = checkpoint.position.scale.or(self.learner.context.scaler);
        self.position = checkpoint.position.clone();
        self.restore_generators(&checkpoint.group(RANDOM), network.device()).map_err(fault)?;
        if !self.world.is_rank_zero() {
            // The saved sums are those of all processes. Only rank 0 keeps them.
            self.running = Running::of(&self.plan.outputs, network.device());
        }
        Ok(checkpoint.identity)
    }

    /// Restores the random generators. Ranks without a saved state (a job may resume with more processes) are seeded anew.
    fn restore_generators(&self, random: &Tensors, device: Device) -> std::result::Result<(), String> {
        let rank = i64::from(self.world.rank());
        let of_rank = |name: &str| {
            let states = random.get(name)?;
            // A copy, because libtorch reads a state where the tensor's memory begins, aligned.
            (rank < states.size()[0]).then(|| states.get(rank).copy())
        };
        match of_rank(CPU) {
            Some(state) => {
                cresset_bridge::random::set_cpu_generator_state(&state).map_err(|error| error.to_string())?;
            }
            None if self.world.is_rank_zero() => return Err("the random generator's state is missing".into()),
            None => self.seed_rank(),
        }
        if let Some(state) = of_rank(CUDA) {
            cresset_bridge::random::set_cuda_generator_state(device, &state)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Seeds the random generator by rank, from the run's seed and position, on all ranks but 0. Otherwise dropout would drop
    /// the same units on all ranks.
    pub(super) fn seed_rank(&self) {
        let Position { epoch, rows, .. } = self.position;
        let rank = self.world.rank();
        if rank > 0 {
            let number = epoch_stream(epoch, rows) ^ (u64::from(rank) << 48);
            let mut generator = stream(self.plan.seed, Purpose::Process, number);
            tch::manual_seed(generator.random::<i64>());
        }
    }

    /// Writes the last checkpoint on rank 0, with the state gathered from all ranks. The write is atomic.
    ///
    /// # Errors
    /// A file that cannot be written, such as on a full disk.
    pub(crate) fn save_last(&self, network: &Network) -> Result<()> {
        self.learner.check()?;
        let state = cresset_bridge::random::cpu_generator_state()?;
        let mut random = Tensors::from([(CPU.to_string(), self.world.all_gather(&state)?)]);
        if network.device().is_cuda() {
            let state = cresset_bridge::random::cuda_generator_state(network.device())?;
            random.insert(CUDA.to_string(), self.world.all_gather(&state)?);
        }
        let running = self.running.all_reduce(&self.world)?;
        if !self.world.is_rank_zero() {
            return Ok(());
        }
        let groups = [
            ("", &network.state()),
            (OPTIMIZER, self.learner.context.optimizer.state()),
            (AVERAGE, &self.learner.context.average.state()),
            (RUNNING, &running.state()),
            (RANDOM, &random),
        ];
        let position = Position { scale: self.learner.context.scaler, ..self.position.clone() };
        checkpoint::save(&self.checkpoints.last(), &groups, &position, &self.plan.identity)?;
        tracing::debug!(epoch = position.epoch, step = position.step, "wrote the last checkpoint");
        Ok(())
    }
}

/// The first difference between the identities of a checkpoint and of the plan that prevents resuming.
fn difference(saved: &Identity, plan: &Plan) -> Option<String> {
    let current = &plan.identity;
    let value = |of: &Identity, name: &str| of.get(name).map(|value| (plan.portable)(name, value));
    let mut names =
        saved.keys().chain(current.keys()).filter(|name| !RESUMABLE_OPTIONS.contains(&name.as_str()));
    names.find(|name| value(saved, name) != value(current, name)).map(|name| {
        let shown =
            |of: &Identity| value(of, name).map_or("not set".to_string(), |value| format!("`{value}`"));
        format!("it was written with {name} {}, and now it is {}", shown(saved), shown(current))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(entries: &[(&str, &str)]) -> Identity {
        entries.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn the_first_difference_that_matters_is_named() {
        let identity_of_plan = identity(&[("epochs", "3"), ("lr", "0.1"), ("model", "cnn")]);
        let ours =
            Plan { identity: identity_of_plan, portable: crate::options::portable, ..Plan::new(3, 32, 0.1) };
        let moved = identity(&[("lr", "0.1"), ("model", "/old/place/cnn")]);
        assert_eq!(difference(&moved, &ours), None);
        assert_eq!(difference(&identity(&[("epochs", "9"), ("lr", "0.1"), ("model", "cnn")]), &ours), None);
        assert_eq!(
            difference(&identity(&[("epochs", "3"), ("lr", "0.2"), ("model", "mlp")]), &ours).unwrap(),
            "it was written with lr `0.2`, and now it is `0.1`"
        );
        assert!(
            difference(&identity(&[("epochs", "3"), ("model", "cnn")]), &ours)
                .unwrap()
                .contains("lr not set")
        );
    }
}
