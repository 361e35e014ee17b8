//! Matches the tensors of a file with those of a model.

use std::collections::BTreeSet;

use tch::Tensor;

use super::copies;
use crate::error::{Error, Result, excerpt, quoted};
use crate::model::Tensors;

/// A matching between the tensors of a file and those of a model.
///
/// Names in files often have a prefix: `module.`, `state_dict.`, `model.`. If the file contains several copies of the model, one
/// is chosen (`copies`).
///
/// ```
/// use cresset::model::weights::Matching;
/// use cresset::model::{Task, Tensors};
/// use cresset::prelude::*;
/// use tch::Device;
///
/// let task = Task::new(InputShape(vec![4]), 3);
/// let model = Network::new("mlp", "width=8", &task, Device::Cpu, 0)?.state();
/// // The weights of a DistributedDataParallel module, whose names have a prefix.
/// let source = Network::new("mlp", "width=8", &task, Device::Cpu, 1)?.state();
/// let file: Tensors = source.into_iter().map(|(name, tensor)| (format!("module.{name}"), tensor)).collect();
///
/// let matching = Matching::of(&model, &file, None)?;
/// matching.apply(&model, &file)?;
/// assert_eq!(matching.matched.len(), 4);
/// assert_eq!(model["fc1.weight"], file["module.fc1.weight"]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Matching {
    /// The key of the chosen copy, empty if the names have no prefix, then the keys of the other copies.
    pub keys: Vec<String>,
    /// Names, in the model and in the file, of tensors of equal size.
    pub matched: Vec<(String, String)>,
    /// Tensors with another size in the file: the name, the size in the model, the size in the file.
    pub reshaped: Vec<(String, Vec<i64>, Vec<i64>)>,
    /// Names in the model that are missing in the file.
    pub fresh: Vec<String>,
    /// Names in the file that are not in the model.
    pub unused: Vec<String>,
}

/// The batch counter of PyTorch's normalization layers. Old files lack it, and PyTorch uses it only with `momentum=None`.
const COUNTER: &str = "num_batches_tracked";

/// Names listed in a message.
const LISTED: usize = 4;

impl Matching {
    /// Matches the tensors of `file`, or of those under `key`, with those of `model`.
    ///
    /// # Errors
    /// No match, and a key that is not in the file.
    pub fn of(model: &Tensors, file: &Tensors, key: Option<&str>) -> Result<Self> {
        let copies = copies::of(model, file, key)?;
        let prefix = &copies.first().ok_or_else(|| mismatch(0, model, file))?.prefix;
        let (mut matched, mut reshaped, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
        let mut unused: BTreeSet<&String> = file.keys().collect();
        for (name, tensor) in model {
            let in_file = format!("{prefix}{name}");
            unused.remove(&in_file);
            match file.get(&in_file) {
                Some(found) if found.size() == tensor.size() => matched.push((name.clone(), in_file)),
                Some(found) => reshaped.push((name.clone(), tensor.size(), found.size())),
                None if is_counter(name) => (),
                None => fresh.push(name.clone()),
            }
        }
        let keys = copies.iter().map(|copy| copy.key().to_string()).collect();
        Ok(Matching { keys, matched, reshaped, fresh, unused: unused.into_iter().cloned().collect() })
    }

    /// Rejects a matching by chance, in which some names of an inner block equal names of the model and training would start
    /// from mostly random weights. At least half must match of the tensors of the model without its head, or of those of the
    /// file if it contains fewer.
    ///
    /// # Errors
    /// Less than half matches.
    pub(crate) fn reject_chance_match(
        &self,
        model: &Tensors,
        file: &Tensors,
        is_head: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let is_body = |name: &str| !is_counter(name) && !is_head(name);
        let body = model.keys().filter(|name| is_body(name)).count();
        let found = self.matched.iter().filter(|(name, _)| is_body(name)).count();
        let others: Vec<String> = self.keys.iter().skip(1).map(|key| format!("{key}.")).collect();
        let is_candidate = |name: &str| {
            !is_counter(name)
                && !copies::is_optimizer_state(name)
                && !others.iter().any(|other| other != "." && name.starts_with(other))
        };
        let available = file.keys().filter(|name| is_candidate(name)).count();
        if 2 * found < body.min(available) { Err(mismatch(found, model, file)) } else { Ok(()) }
    }

    /// Excludes the names of the model for which `is_excluded` is true.
    pub fn without(mut self, is_excluded: impl Fn(&str) -> bool) -> Self {
        let (excluded, matched) = self.matched.into_iter().partition(|(name, _)| is_excluded(name));
        self.matched = matched;
        for (name, in_file) in excluded {
            self.fresh.push(name);
            self.unused.push(in_file);
        }
        self
    }

    /// Copies the matched tensors into `model`, in its dtype and on its device.
    ///
    /// # Errors
    /// Floating-point values for an integer tensor. In this case nothing is copied.
    pub fn apply(&self, model: &Tensors, file: &Tensors) -> Result<()> {
        let pairs = self.matched.iter().map(|(name, in_file)| {
            let (to, from) = (get(model, name)?, get(file, in_file)?);
            let is_lossy = from.is_floating_point() && !to.is_floating_point();
            if is_lossy {
                let (to, from) = (to.kind(), from.kind());
                let problem = format!("`{name}` is an integer tensor ({to:?}), but {from:?} in the file");
                return Err(Error::Usage(problem));
            }
            Ok((to.shallow_clone(), from))
        });
        let pairs = pairs.collect::<Result<Vec<_>>>()?;
        tch::no_grad(|| pairs.into_iter().try_for_each(|(mut to, from)| Ok(to.f_copy_(from)?)))
    }

    /// A one-line summary.
    pub fn summary(&self) -> String {
        let total = self.matched.len() + self.reshaped.len() + self.fresh.len();
        let mut text = format!("{} of {} matched", self.matched.len(), counted(total, "tensor"));
        match self.keys.as_slice() {
            [taken, others @ ..] if !others.is_empty() => {
                let others: Vec<_> = others.iter().map(|key| named(key)).collect();
                text += &format!(
                    ", from {}; choose another copy with --init-key: {}",
                    named(taken),
                    listed(&others)
                );
            }
            [taken] if !taken.is_empty() => text += &format!(", from {}", named(taken)),
            _ => (),
        }
        let reshaped = self
            .reshaped
            .iter()
            .map(|(name, here, there)| format!("{name} ({} here, {} in the file)", size(here), size(there)));
        let initialized: Vec<String> = reshaped.chain(self.fresh.iter().cloned()).collect();
        if !initialized.is_empty() {
            text += &format!("; randomly initialized: {}", listed(&initialized));
        }
        if !self.unused.is_empty() {
            text += &format!("; unused: {} of the file", counted(self.unused.len(), "tensor"));
        }
        text
    }
}

/// A key as an argument of --init-key. The empty one needs quotation marks in a shell.
fn named(key: &str) -> String {
    if key.is_empty() { "\"\"".to_string() } else { quoted(key) }
}

/// The error for a file of another model, with the first names of both.
fn mismatch(found: usize, model: &Tensors, file: &Tensors) -> Error {
    let found = if found == 0 { "none".to_string() } else { format!("only {found}") };
    Error::Usage(format!(
        "{found} of the model's {} match the file by name and size, so the file is for another model, or its layers have other \
         names. The file has {}; the model has {}. Choose the --model of the weights, or rename the tensors; if the file \
         contains several models, choose one with --init-key",
        counted(model.keys().filter(|name| !is_counter(name)).count(), "tensor"),
        some_of(file),
        some_of(model)
    ))
}

pub(super) fn is_counter(name: &str) -> bool {
    name.rsplit('.').next() == Some(COUNTER)
}

fn get<'a>(tensors: &'a Tensors, name: &str) -> Result<&'a Tensor> {
    tensors.get(name).ok_or_else(|| Error::Usage(format!("there is no tensor `{name}`")))
}

/// A size as text: `64x3x7x7`.
fn size(size: &[i64]) -> String {
    match size {
        [] => "one value".to_string(),
        size => size.iter().map(i64::to_string).collect::<Vec<_>>().join("x"),
    }
}

fn some_of(tensors: &Tensors) -> String {
    // Weights first: they identify a model better than biases and normalization parameters.
    let (layers, others): (Vec<_>, Vec<_>) = tensors.iter().partition(|(_, tensor)| tensor.dim() > 1);
    let named = |(name, tensor): (&String, &Tensor)| format!("{} ({})", excerpt(name), size(&tensor.size()));
    listed(&layers.into_iter().chain(others).map(named).collect::<Vec<_>>())
}

pub(super) fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_string(),
        names if names.len() <= LISTED => names.join(", "),
        names => format!("{} and {} more", names[..LISTED].join(", "), names.len() - LISTED),
    }
}

pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn tensors(list: &[(&str, &[i64])]) -> Tensors {
        let tensor = |size: &[i64]| Tensor::zeros(size, (Kind::Float, Device::Cpu));
        list.iter().map(|(name, size)| (name.to_string(), tensor(size))).collect()
    }

    fn model() -> Tensors {
        let mut model = tensors(&[
            ("conv1.weight", &[8, 3]),
            ("bn1.bias", &[8]),
            ("fc.weight", &[5, 8]),
            ("fc.bias", &[5]),
        ]);
        model.insert("bn1.num_batches_tracked".into(), Tensor::from(0i64));
        model
    }

    #[test]
    fn the_prefix_with_the_most_matches_is_chosen() {
        for beginning in ["", "module.", "state_dict.module.", "model.network."] {
            let file: Tensors =
                model().into_iter().map(|(name, t)| (format!("{beginning}{name}"), t)).collect();
            let matching = Matching::of(&model(), &file, None).unwrap();
            assert_eq!(matching.matched.len(), 5);
            assert!(matching.matched.iter().all(|(name, in_file)| *in_file == format!("{beginning}{name}")));
        }
        let twice = tensors(&[
            ("ema_model.fc.bias", &[5]),
            ("model.fc.bias", &[5]),
            ("optimizer.state.0.exp_avg", &[5]),
        ]);
        let matching = Matching::of(&model(), &twice, None).unwrap();
        assert_eq!(matching.matched, [("fc.bias".to_string(), "ema_model.fc.bias".to_string())]);
        assert_eq!(matching.unused, ["model.fc.bias", "optimizer.state.0.exp_avg"]);
        assert!(
            matching.summary().starts_with(
                "1 of 4 tensors matched, from `ema_model`; choose another copy with --init-key: `model`; randomly"
            ),
            "{}",
            matching.summary()
        );
    }

    #[test]
    fn a_head_of_another_size_is_skipped_and_reported() {
        let file = tensors(&[
            ("m.conv1.weight", &[8, 3]),
            ("m.fc.weight", &[1000, 8]),
            ("m.fc.bias", &[1000]),
            ("m.x", &[1]),
        ]);
        let matching = Matching::of(&model(), &file, None).unwrap();
        assert_eq!(
            matching.summary(),
            "1 of 4 tensors matched, from `m`; randomly initialized: fc.bias (5 here, 1000 in the file), fc.weight (5x8 here, 1000x8 \
             in the file), bn1.bias; unused: 1 tensor of the file"
        );
        assert_eq!(Matching::of(&model(), &model(), None).unwrap().summary(), "5 of 5 tensors matched");
    }

    #[test]
    fn a_layer_can_be_excluded() {
        let matching =
            Matching::of(&model(), &model(), None).unwrap().without(|name| name.starts_with("fc."));
        assert_eq!(
            matching.summary(),
            "3 of 5 tensors matched; randomly initialized: fc.bias, fc.weight; unused: 2 tensors of the file"
        );
    }

    #[test]
    fn a_file_for_another_model_is_refused_with_names_of_both() {
        let file = tensors(&[("a", &[1]), ("b", &[2, 3]), ("c", &[]), ("d", &[1]), ("fc.bias", &[6])]);
        assert_eq!(
            Matching::of(&model(), &file, None).unwrap_err().to_string(),
            "none of the model's 4 tensors match the file by name and size, so the file is for another model, or its layers have \
             other names. The file has b (2x3), a (1), c (one value), d (1) and 1 more; the model has conv1.weight (8x3), \
             fc.weight (5x8), bn1.bias (8), bn1.num_batches_tracked (one value) and 1 more. Choose the --model of the weights, \
             or rename the tensors; if the file contains several models, choose one with --init-key"
        );
        assert!(Matching::of(&model(), &Tensors::new(), None).is_err());
    }

    #[test]
    fn matches_by_chance_are_refused_and_partial_files_are_not() {
        let layers = |names: &[&str]| -> Tensors {
            let of_layer = |name: &&str| {
                tensors(&[(&format!("{name}.weight"), &[4, 4]), (&format!("{name}.bias"), &[4])])
            };
            names.iter().flat_map(of_layer).collect()
        };
        let model = layers(&["conv1", "bn1", "conv2", "bn2", "conv3", "fc"]);
        let is_refused = |file: &Tensors| {
            let matching = Matching::of(&model, file, None).unwrap();
            matching
                .reject_chance_match(&model, file, |name| name.starts_with("fc."))
                .err()
                .map(|e| e.to_string())
        };
        let whole = layers(&["conv1", "bn1", "conv2", "bn2", "conv3", "fc"]);
        assert_eq!(is_refused(&whole), None);
        // An inner block of a model whose layers are numbered.
        let numbered = layers(&["0.0", "0.1", "0.4.conv1", "0.4.bn1", "0.5.0", "0.6.0", "1.8"]);
        let problem = is_refused(&numbered).unwrap();
        assert!(problem.starts_with("only 4 of the model's 12 tensors"), "{problem}");
        assert!(problem.contains("The file has 0.0.weight (4x4)"), "{problem}");
        assert!(problem.contains("the model has bn1.weight (4x4)"), "{problem}");
        // A head without its body is useless.
        assert!(is_refused(&layers(&["fc", "a", "b"])).is_some());
        // A part of the model, and a larger model with this one in it.
        assert_eq!(is_refused(&layers(&["conv1", "bn1"])), None);
        assert_eq!(
            is_refused(&layers(&["conv1", "bn1", "conv2", "bn2", "conv3", "a", "b", "c", "d", "e", "f"])),
            None
        );
        // Other copies and the optimizer state do not count.
        let beginnings =
            ["a.conv1", "a.bn1", "b.conv1", "b.bn1", "c.conv1", "c.bn1", "optimizer.conv1", "optimizer.bn1"];
        assert_eq!(is_refused(&layers(&beginnings)), None);
    }

    #[test]
    fn values_are_copied_in_the_models_dtype() {
        let parameter = Tensor::zeros([2, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let model = Tensors::from([("w".to_string(), parameter), ("n".to_string(), Tensor::from(0i64))]);
        let values = Tensor::from_slice(&[1f32, 2., 3., 4.]).view([2, 2]);
        let file = Tensors::from([
            ("w".to_string(), values.tr().to_kind(Kind::Half)),
            ("n".to_string(), Tensor::from(7i32)),
        ]);
        Matching::of(&model, &file, None).unwrap().apply(&model, &file).unwrap();
        assert_eq!(model["w"], values.tr());
        assert!(model["w"].requires_grad());
        assert_eq!(model["n"].int64_value(&[]), 7);
    }

    #[test]
    fn floats_are_not_copied_into_integer_tensors() {
        let model =
            Tensors::from([("a".to_string(), Tensor::from(1f32)), ("n".to_string(), Tensor::from(1i64))]);
        let file =
            Tensors::from([("a".to_string(), Tensor::from(2f32)), ("n".to_string(), Tensor::from(2.5f32))]);
        let problem =
            Matching::of(&model, &file, None).unwrap().apply(&model, &file).unwrap_err().to_string();
        assert_eq!(problem, "`n` is an integer tensor (Int64), but Float in the file");
        assert_eq!(model["a"].double_value(&[]), 1.);
    }
}
