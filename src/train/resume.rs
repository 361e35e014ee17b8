//! Saving where training stands, and going on from there.

use std::collections::BTreeMap;
use std::path::Path;

use rand::RngExt;
use tch::Device;

use super::checkpoint::{self, Checkpoint, Position};
use super::{Plan, Running, Training};
use crate::data::random::{Purpose, in_epoch, stream};
use crate::error::{Error, Result};
use crate::model::{Network, Tensors};

/// What decides the bits of a run: its options, its data and the versions of the programs, by name.
pub type Identity = BTreeMap<String, String>;

const OPTIMIZER: &str = "optimizer/";
const RUNNING: &str = "running/";
const RANDOM: &str = "random/";

/// The states of the generators of all processes, (size, bytes).
const CPU: &str = "cpu";
const CUDA: &str = "cuda";

const AVERAGE: &str = "average/";

/// Options that may differ when a run goes on: they decide how long and where it runs, but not what a step computes.
pub const MAY_DIFFER: [&str; 9] = [
    "epochs",
    "device",
    "threads",
    "max_memory",
    "peer_timeout",
    "patience",
    "max_minutes",
    "checkpoint_minutes",
    "cuda_graph",
];

/// Of those, the ones that decide when it is over.
const DECIDE_THE_END: [&str; 3] = ["epochs", "patience", "max_minutes"];

impl Training {
    /// Goes on from the run's last checkpoint: the steps that follow give the bits that an uninterrupted run would have
    /// given.
    ///
    /// # Errors
    /// A checkpoint that is damaged, or of another run: the difference is named.
    pub fn resume(&mut self, network: &mut Network) -> Result<()> {
        let before = self.load_last(network)?;
        let done = self.position.epoch - 1;
        if self.plan.epochs < done {
            return Err(Error::Usage(format!(
                "--epochs {} is less than the {done} epochs that the run has behind it, which cannot be undone; name {done} to end \
                 it here, or more to train on",
                self.plan.epochs
            )));
        }
        let changed = |name: &&str| before.get(*name) != self.plan.identity.get(*name);
        if DECIDE_THE_END.iter().any(changed) {
            self.position.is_over = false;
            let has_other_end = changed(&"epochs") && self.schedule_has_end();
            if has_other_end && self.position.epoch <= self.plan.epochs {
                return Err(Error::Usage(format!(
                    "--epochs cannot be changed when a run goes on whose learning rate follows the schedule {}, which \
                     ends with the last epoch; start a new run to change it",
                    self.plan.options.schedule
                )));
            }
        }
        Ok(())
    }

    /// Takes everything from the last checkpoint; gives the identity of the run that wrote it.
    pub(super) fn load_last(&mut self, network: &mut Network) -> Result<Identity> {
        let path = self.checkpoints.last();
        let mut checkpoint = Checkpoint::load(&path)?;
        let identity = std::mem::take(&mut checkpoint.identity).into_iter();
        checkpoint.identity =
            identity.map(|(name, value)| ((self.plan.canonical)(&name).to_string(), value)).collect();
        let fault =
            |problem: String| Error::artifact(&path, format!("the checkpoint is not of this run: {problem}"));
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
        if !self.world.is_first() {
            // The sums are those of all processes together, and process 0 goes on with them.
            self.running = Running::new(network.device());
        }
        Ok(checkpoint.identity)
    }

    /// Gives the random generators the states that they had, where they are known: a job may go on with more processes.
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
            None if self.world.is_first() => return Err("the random generator's state is missing".into()),
            None => self.draw_own_numbers(),
        }
        if let Some(state) = of_rank(CUDA) {
            cresset_bridge::random::set_cuda_generator_state(device, &state)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Has each process but the first draw numbers of its own, by the run's seed and the place where it stands: for dropout,
    /// say, which would else leave out the same units in all of them.
    pub(super) fn draw_own_numbers(&self) {
        let Position { epoch, rows, .. } = self.position;
        let rank = self.world.rank();
        if rank > 0 {
            let number = in_epoch(epoch, rows) ^ (u64::from(rank) << 48);
            let mut generator = stream(self.plan.seed, Purpose::Process, number);
            tch::manual_seed(generator.random::<i64>());
        }
    }

    /// Writes the last checkpoint, which process 0 does with what all have to tell. A file that was there stays until the new one is whole.
    ///
    /// # Errors
    /// A disk that is full, say.
    pub fn save_last(&self, network: &Network) -> Result<()> {
        self.learner.check()?;
        let state = cresset_bridge::random::cpu_generator_state()?;
        let mut random = Tensors::from([(CPU.to_string(), self.world.gather(&state)?)]);
        if network.device().is_cuda() {
            let state = cresset_bridge::random::cuda_generator_state(network.device())?;
            random.insert(CUDA.to_string(), self.world.gather(&state)?);
        }
        let running = self.running.over(&self.world)?;
        if !self.world.is_first() {
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

/// The first difference between the identity in a checkpoint and the plan's that rules out resuming.
fn difference(theirs: &Identity, plan: &Plan) -> Option<String> {
    let ours = &plan.identity;
    let value = |of: &Identity, name: &str| {
        let value = of.get(name)?;
        let file = Path::new(value).file_name().filter(|_| (plan.is_path)(name));
        Some(file.map_or_else(|| value.clone(), |file| file.to_string_lossy().into_owned()))
    };
    let mut names = theirs.keys().chain(ours.keys()).filter(|name| !MAY_DIFFER.contains(&name.as_str()));
    names.find(|name| value(theirs, name) != value(ours, name)).map(|name| {
        let shown =
            |of: &Identity| value(of, name).map_or("not set".to_string(), |value| format!("`{value}`"));
        format!("it was written with {name} {}, and here it is {}", shown(theirs), shown(ours))
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
            Plan { identity: identity_of_plan, is_path: |name| name == "model", ..Plan::new(3, 32, 0.1) };
        let moved = identity(&[("lr", "0.1"), ("model", "/old/place/cnn")]);
        assert_eq!(difference(&moved, &ours), None);
        assert_eq!(difference(&identity(&[("epochs", "9"), ("lr", "0.1"), ("model", "cnn")]), &ours), None);
        assert_eq!(
            difference(&identity(&[("epochs", "3"), ("lr", "0.2"), ("model", "mlp")]), &ours).unwrap(),
            "it was written with lr `0.2`, and here it is `0.1`"
        );
        assert!(
            difference(&identity(&[("epochs", "3"), ("model", "cnn")]), &ours)
                .unwrap()
                .contains("lr not set")
        );
    }
}
