//! Weight averaging, which often generalizes better than the last weights.

use tch::Tensor;

use super::options::{AverageKind, TrainOptions};
use crate::model::{Network, Tensors};

/// An average of the parameters and buffers of a network during training: an exponential moving average over the updates
/// (Polyak and Juditsky, 1992), or the mean over the last epochs (Izmailov et al., "Averaging Weights Leads to Wider Optima",
/// 2018).
pub(crate) struct Average {
    kind: AverageKind,
    decay: f64,
    start: f64,
    values: Tensors,
    /// Number of averaged states.
    count: u64,
}

impl Average {
    /// An average of no states yet.
    pub fn new(options: &TrainOptions, network: &Network) -> Self {
        // Without epochs after the fit of a head, nothing is averaged.
        let has_epochs = !options.head_only || options.finetune;
        let values = if options.average == AverageKind::None || !has_epochs {
            Tensors::new()
        } else {
            network.state().into_iter().map(|(name, value)| (name, value.detach().copy())).collect()
        };
        let (decay, start) = (options.average_decay, options.average_start);
        Average { kind: options.average, decay, start, values, count: 0 }
    }

    /// Replaces the initial weights by those of `network`, before the first update.
    pub(crate) fn start_from(&mut self, network: &Network) {
        for (name, value) in network.state() {
            let _ = self.values.get_mut(&name).map(|average| average.copy_(&value));
        }
    }

    /// Adds the weights after an update. The decay is smaller at first, so that the initial weights soon lose influence.
    pub(crate) fn after_update(&mut self, network: &Network) {
        if self.kind == AverageKind::Ema {
            let count = self.count as f64;
            self.add(network, 1. - self.decay.min((1. + count) / (10. + count)));
        }
    }

    /// Adds the weights after an epoch.
    pub(crate) fn after_epoch(&mut self, network: &Network, epoch: u32, epochs: u32) {
        if self.kind == AverageKind::Swa && f64::from(epoch) > self.start * f64::from(epochs) {
            self.add(network, 1. / (self.count as f64 + 1.));
        }
    }

    fn add(&mut self, network: &Network, share: f64) {
        tch::no_grad(|| {
            for (name, value) in network.state() {
                let average = self.values.get_mut(&name).expect("a network keeps its tensors");
                if average.is_floating_point() {
                    let _ = average.lerp_(&value, share);
                } else {
                    average.copy_(&value);
                }
            }
        });
        self.count += 1;
    }

    /// Runs `evaluate` with the averaged weights in the network, or with the current ones if there is no average yet.
    pub fn with<R>(&self, network: &Network, evaluate: impl FnOnce() -> R) -> R {
        if self.count == 0 {
            return evaluate();
        }
        let current: Vec<Tensor> = network.state().values().map(|value| value.detach().copy()).collect();
        copy(self.values.values(), network);
        let result = evaluate();
        copy(current.iter(), network);
        result
    }

    /// The state for a checkpoint.
    pub fn state(&self) -> Tensors {
        let mut state: Tensors =
            self.values.iter().map(|(name, value)| (name.clone(), value.shallow_clone())).collect();
        state.insert(COUNT.to_string(), Tensor::from(self.count as i64));
        state
    }

    /// Restores the state of a checkpoint.
    pub fn load_state(&mut self, state: &Tensors) -> Result<(), String> {
        let missing = |name: &str| format!("the average of `{name}` is missing or has a different shape");
        for (name, value) in &mut self.values {
            let saved = state.get(name).filter(|saved| saved.size() == value.size());
            value.copy_(saved.ok_or_else(|| missing(name))?);
        }
        self.count = state.get(COUNT).ok_or_else(|| missing(COUNT))?.int64_value(&[]) as u64;
        Ok(())
    }
}

const COUNT: &str = "averaged states";

fn copy<'a>(values: impl Iterator<Item = &'a Tensor>, network: &Network) {
    tch::no_grad(|| network.state().into_values().zip(values).for_each(|(mut own, value)| own.copy_(value)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::InputShape;
    use crate::model::Task;
    use tch::Device;

    fn network() -> Network {
        let task = Task::new(InputShape(vec![1, 8, 8]), 3);
        Network::new("cnn", "width=2", &task, Device::Cpu, 1).unwrap()
    }

    fn set(network: &Network, value: f64) {
        tch::no_grad(|| network.state().into_values().for_each(|mut tensor| drop(tensor.fill_(value))));
    }

    fn value(network: &Network) -> f64 {
        network.state()["fc1.weight"].double_value(&[0, 0])
    }

    fn average(kind: AverageKind, network: &Network) -> Average {
        let options =
            TrainOptions { average: kind, average_start: 0.5, average_decay: 0.9, ..TrainOptions::default() };
        Average::new(&options, network)
    }

    #[test]
    fn the_mean_over_the_last_epochs_is_evaluated_and_the_weights_stay() {
        let network = network();
        let mut average = average(AverageKind::Swa, &network);
        for epoch in 1..=4 {
            set(&network, f64::from(epoch));
            average.after_epoch(&network, epoch, 4);
            let expected = [1., 2., 3., 3.5][epoch as usize - 1];
            assert_eq!(average.with(&network, || value(&network)), expected);
            assert_eq!(value(&network), f64::from(epoch));
        }
    }

    #[test]
    fn the_moving_average_follows_fast_at_first() {
        let network = network();
        let mut average = average(AverageKind::Ema, &network);
        let mut expected = value(&network);
        for count in 0..200 {
            set(&network, f64::from(count));
            average.after_update(&network);
            let decay = (f64::from(1 + count) / f64::from(10 + count)).min(0.9);
            expected = decay * expected + (1. - decay) * f64::from(count);
        }
        assert!((average.with(&network, || value(&network)) - expected).abs() < 1e-3);
    }

    #[test]
    fn an_average_resumes_from_a_checkpoint() {
        let network = network();
        let mut first = average(AverageKind::Ema, &network);
        set(&network, 2.);
        first.after_update(&network);
        let mut second = average(AverageKind::Ema, &network);
        second.load_state(&first.state()).unwrap();
        set(&network, 5.);
        for average in [&mut first, &mut second] {
            average.after_update(&network);
        }
        assert_eq!(first.state(), second.state());
        assert!(second.load_state(&Tensors::new()).unwrap_err().contains("is missing"));
    }
}
