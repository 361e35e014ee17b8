//! Structured pruning: removes whole channels, which gives a smaller dense network (Li et al., "Pruning Filters for Efficient
//! ConvNets", 2017).
//!
//! Channels that are added to each other or multiplied, as at the end of a residual block or in a gate, are pruned together.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::Tensors;
use super::layer::{ChannelEffect, FlatStep, Sequential};

/// The indexes of a tensor to keep, along one dimension.
pub(super) struct Cut {
    /// Name of the tensor.
    pub tensor: String,
    dim: i64,
    indexes: Tensor,
}

impl Cut {
    /// The pruned tensor.
    pub fn apply(&self, tensor: &Tensor) -> Tensor {
        tensor.index_select(self.dim, &self.indexes.to_device(tensor.device()))
    }
}

/// The cuts that remove the share `share` (above 0, below 1) of the least important channels of every prunable group. At least
/// one channel stays. Input and logits keep their sizes. `path` is the name of the layers in `state`, empty for a whole model.
pub(super) fn cuts(layers: &Sequential, path: &str, state: &Tensors, share: f64) -> Vec<Cut> {
    let mut flow = Flow::default();
    let input = flow.streams.len();
    flow.streams.push(Stream { is_fixed: true, ..Stream::default() });
    let output = flow.through(layers.walk(path), input);
    flow.streams[output].is_fixed = true;
    flow.groups().iter().flat_map(|group| flow.cuts_of(group, state, share)).collect()
}

/// The channels between two layers.
#[derive(Default)]
struct Stream {
    /// The layer that produces them, if it can be pruned.
    producer: Option<String>,
    /// Layers with per-channel parameters.
    per_channel: Vec<String>,
    /// Layers that consume them.
    consumers: Vec<String>,
    is_fixed: bool,
    /// A stream that shares its channels through a sum or a product.
    same_as: Option<usize>,
}

#[derive(Default)]
struct Flow {
    streams: Vec<Stream>,
}

impl Flow {
    /// Follows the channels of the stream `from` through layers. Returns the output stream.
    fn through(&mut self, parts: Vec<FlatStep>, from: usize) -> usize {
        parts.into_iter().fold(from, |from, part| match part {
            FlatStep::Sum(body, shortcut) => {
                let (body, shortcut) = (self.through(body, from), self.through(shortcut, from));
                self.join(body, shortcut);
                body
            }
            FlatStep::Gate(gate) => {
                let gate = self.through(gate, from);
                self.join(gate, from);
                from
            }
            FlatStep::Layer(name, layer) => match layer.channel_effect() {
                ChannelEffect::Keeps => from,
                ChannelEffect::PerChannel => {
                    self.streams[from].per_channel.push(name);
                    from
                }
                ChannelEffect::Mixes => {
                    self.streams[from].consumers.push(name.clone());
                    self.begin(Stream { producer: Some(name), ..Stream::default() })
                }
                ChannelEffect::Opaque => {
                    self.streams[from].is_fixed = true;
                    self.begin(Stream { is_fixed: true, ..Stream::default() })
                }
            },
        })
    }

    fn begin(&mut self, stream: Stream) -> usize {
        self.streams.push(stream);
        self.streams.len() - 1
    }

    fn first(&self, stream: usize) -> usize {
        self.streams[stream].same_as.map_or(stream, |other| self.first(other))
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.first(a), self.first(b));
        if a != b {
            self.streams[b].same_as = Some(a);
        }
    }

    /// Groups of streams that share channels, if they can be pruned.
    fn groups(&self) -> Vec<Vec<&Stream>> {
        let mut groups: BTreeMap<usize, Vec<&Stream>> = BTreeMap::new();
        for (index, stream) in self.streams.iter().enumerate() {
            groups.entry(self.first(index)).or_default().push(stream);
        }
        groups.into_values().filter(|group| group.iter().all(|stream| !stream.is_fixed)).collect()
    }

    fn cuts_of(&self, group: &[&Stream], state: &Tensors, share: f64) -> Vec<Cut> {
        let importance: Tensor = group.iter().filter_map(|stream| importance(stream, state)).sum();
        let channels = importance.numel() as i64;
        let kept = ((channels as f64 * (1. - share)).round() as i64).clamp(1, channels);
        let (kept, _) = importance.topk(kept, 0, true, true).1.sort(0, false);
        let mut cuts = Vec::new();
        for stream in group {
            let own = stream.producer.iter().chain(&stream.per_channel);
            cuts.extend(own.flat_map(|layer| output_cuts(layer, state, &kept)));
            cuts.extend(stream.consumers.iter().map(|layer| input_cut(layer, state, &kept, channels)));
        }
        cuts
    }
}

/// The importance of each channel, (channels): the norm of its kernel, times the scale of a following batch normalization,
/// divided by the mean over the channels.
fn importance(stream: &Stream, state: &Tensors) -> Option<Tensor> {
    let weight = state.get(&format!("{}.weight", stream.producer.as_ref()?))?.detach().to_kind(Kind::Float);
    let mut norm = weight.flatten(1, -1).square().sum_dim_intlist(1, false, Kind::Float).sqrt();
    for layer in &stream.per_channel {
        let tensor = |name: &str| state.get(&format!("{layer}.{name}")).map(Tensor::detach);
        if let (Some(weight), Some(variance)) = (tensor("weight"), tensor("running_var")) {
            norm = norm * weight.abs() / (variance + 1e-5).sqrt();
        }
    }
    let mean = norm.mean(Kind::Float).clamp_min(1e-12);
    Some(norm / mean)
}

/// Cuts all tensors of a layer along its output channels, the first dimension.
fn output_cuts(layer: &str, state: &Tensors, kept: &Tensor) -> Vec<Cut> {
    let of_layer = |name: &str| name.rsplit_once('.').is_some_and(|(of, _)| of == layer);
    let tensors = state.iter().filter(|(name, tensor)| of_layer(name) && tensor.dim() > 0);
    tensors.map(|(name, _)| Cut { tensor: name.clone(), dim: 0, indexes: kept.shallow_clone() }).collect()
}

/// Cuts the weight of a layer along its inputs, the second dimension. After a flatten, a channel has several values.
fn input_cut(layer: &str, state: &Tensors, kept: &Tensor, channels: i64) -> Cut {
    let tensor = format!("{layer}.weight");
    let values = state[&tensor].size()[1] / channels;
    let places = Tensor::arange(values, (Kind::Int64, kept.device()));
    let indexes = (kept.unsqueeze(1) * values + places).flatten(0, -1);
    Cut { tensor, dim: 1, indexes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::InputShape;
    use crate::model::{Network, Task};
    use tch::Device;

    fn network(name: &str) -> Network {
        let task = Task::new(InputShape(vec![3, 16, 16]), 7);
        let network = Network::new(name, "", &task, Device::Cpu, 1).unwrap();
        // Distinct values in each channel, as after training.
        for (_, mut tensor) in network.state().into_iter().filter(|(_, tensor)| tensor.is_floating_point()) {
            let figures = tensor.rand_like() + 0.5;
            tensor.set_data(&(if tensor.dim() == 1 { figures } else { tensor.detach() * figures }));
        }
        network
    }

    /// Sets the kernels of the channels that the cuts remove to zero.
    fn silence(network: &Network, cuts: &[Cut]) {
        for cut in cuts.iter().filter(|cut| cut.dim == 0 && network.is_parameter(&cut.tensor)) {
            let tensor = &network.state()[&cut.tensor];
            let mut size = vec![1; tensor.dim()];
            size[0] = tensor.size()[0];
            let kept = Tensor::zeros(size, (Kind::Float, Device::Cpu)).index_fill(0, &cut.indexes, 1.);
            let _ = tch::no_grad(|| tensor.shallow_clone().g_mul_(&kept));
        }
    }

    #[test]
    fn a_pruned_network_equals_the_full_one_with_zeroed_channels() {
        let x = Tensor::randn([4, 3, 16, 16], (Kind::Float, Device::Cpu));
        for (name, share) in [
            ("mlp", 0.5),
            ("cnn", 0.3),
            ("resnet9", 0.5),
            ("resnet18", 0.75),
            ("resnet50", 0.5),
            ("vit", 0.5),
            ("efficientnet_lite0", 0.5),
            ("mobilenetv3_small_100", 0.5),
            ("convnext_atto", 0.5),
            ("vit_tiny_patch16_224", 0.5),
        ] {
            let (mut pruned, whole) = (network(name), network(name));
            let state = pruned.state();
            whole
                .state()
                .iter()
                .for_each(|(name, tensor)| tensor.shallow_clone().set_data(&state[name].detach().copy()));
            silence(&whole, &cuts(whole.layers().unwrap(), "", &state, share));
            let before = pruned.parameter_count();
            pruned.prune(share).unwrap();
            assert!(pruned.parameter_count() < before * 4 / 5, "{name}");

            let expected = whole.forward(&x, false).unwrap();
            let logits = pruned.forward(&x, false).unwrap();
            let error = ((&logits - &expected).abs().max() / expected.abs().max()).double_value(&[]);
            assert!(error < 1e-5, "{name}: {error}");
            // It can be trained and exported.
            logits.sum(Kind::Float).backward();
            assert!(pruned.parameters().values().all(|tensor| tensor.grad().size() == tensor.size()));
            let mut module = pruned.script(&|class| class).unwrap();
            module.set_training(false).unwrap();
            assert_eq!(module.call("logits", &x).unwrap()[0], logits, "{name}");
        }
    }

    #[test]
    fn the_least_important_kernels_are_pruned_first() {
        let mut network = network("mlp");
        let weight = &network.state()["fc1.weight"];
        tch::no_grad(|| drop(weight.narrow(0, 10, 3).g_mul_scalar_(1e-3)));
        let kept = weight.detach().copy();
        network.prune(3. / 128.).unwrap();
        let expected = Tensor::cat(&[kept.narrow(0, 0, 10), kept.narrow(0, 13, 115)], 0);
        assert_eq!(network.state()["fc1.weight"].detach(), expected);
        assert_eq!(network.state()["fc2.weight"].size(), [7, 125]);
    }

    #[test]
    fn each_member_of_a_bag_is_pruned_like_a_single_network() {
        let task = Task::new(InputShape(vec![3, 16, 16]), 7);
        for name in ["mlp", "resnet9"] {
            let mut bag = Network::bag(name, "", &task, 2, (Device::Cpu, 1)).unwrap();
            let prefix = "bag.member2.";
            let own = |bag: &Network| -> Tensors {
                let own = |(name, tensor): (String, Tensor)| {
                    Some((name.strip_prefix(prefix)?.to_string(), tensor.detach().copy()))
                };
                bag.state().into_iter().filter_map(own).collect()
            };
            let mut single = Network::new(name, "", &task, Device::Cpu, 0).unwrap();
            single.load_state(&own(&bag)).unwrap();
            single.prune(0.5).unwrap();
            bag.prune(0.5).unwrap();
            let expected: Tensors =
                single.state().into_iter().map(|(name, tensor)| (name, tensor.detach())).collect();
            assert_eq!(own(&bag), expected, "{name}");
            let x = Tensor::randn([4, 3, 16, 16], (Kind::Float, Device::Cpu));
            let mut module = bag.script(&|class| class).unwrap();
            module.set_training(false).unwrap();
            let logits = tch::no_grad(|| bag.forward(&x, false)).unwrap();
            assert_eq!(module.call("logits", &x).unwrap()[0], logits, "{name}");
        }
    }

    #[test]
    fn models_that_cannot_be_pruned_are_refused() {
        let problem = network("lstm").prune(0.5).unwrap_err().to_string();
        assert!(problem.contains("no channels or hidden units"), "{problem}");
    }
}
