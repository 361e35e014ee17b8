//! Which tensor of a file belongs where in a model.

use std::collections::{BTreeMap, BTreeSet};

use tch::Tensor;

use crate::error::{Error, Result, excerpt};
use crate::model::Tensors;

/// Which tensors of a file are for which of a model.
///
/// Names in files often have something before the model's own: `module.`, `state_dict.`, `model.`. The beginning that gives
/// the most tensors of equal size is taken for the file's, the shortest of several.
#[derive(Debug, Clone, PartialEq)]
pub struct Matching {
    /// Names in the model and in the file of tensors of equal size.
    pub matched: Vec<(String, String)>,
    /// Names in the model whose tensor has another size in the file: the name, the model's size, the file's.
    pub reshaped: Vec<(String, Vec<i64>, Vec<i64>)>,
    /// Names in the model that the file does not have.
    pub fresh: Vec<String>,
    /// Names in the file that the model does not have.
    pub unused: Vec<String>,
}

/// PyTorch's counter of the batches that a normalisation has seen: old files lack it, and it is of use only with a momentum
/// of none.
const COUNTER: &str = "num_batches_tracked";

/// How many names a message lists.
const LISTED: usize = 4;

impl Matching {
    /// Finds out which tensors of `file` are for which of `model`.
    ///
    /// # Errors
    /// Not one that is.
    pub fn of(model: &Tensors, file: &Tensors) -> Result<Self> {
        let beginning = beginning(model, file).ok_or_else(|| {
            let problem = format!(
                "none of the {} fits the model: the file has {}; the model has {}",
                counted(file.len(), "tensor"),
                some_of(file),
                some_of(model)
            );
            Error::Usage(problem)
        })?;
        let (mut matched, mut reshaped, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
        let mut unused: BTreeSet<&String> = file.keys().collect();
        for (name, tensor) in model {
            let in_file = format!("{beginning}{name}");
            unused.remove(&in_file);
            match file.get(&in_file) {
                Some(found) if found.size() == tensor.size() => matched.push((name.clone(), in_file)),
                Some(found) => reshaped.push((name.clone(), tensor.size(), found.size())),
                None if is_counter(name) => (),
                None => fresh.push(name.clone()),
            }
        }
        Ok(Matching { matched, reshaped, fresh, unused: unused.into_iter().cloned().collect() })
    }

    /// The same, with those names of the model left as they are that `is_left` says so of.
    pub fn without(mut self, is_left: impl Fn(&str) -> bool) -> Self {
        let (left, matched) = self.matched.into_iter().partition(|(name, _)| is_left(name));
        self.matched = matched;
        for (name, in_file) in left {
            self.fresh.push(name);
            self.unused.push(in_file);
        }
        self
    }

    /// Copies what matched into `model`, in its dtype and on its device.
    ///
    /// # Errors
    /// Fractions for a tensor of whole numbers, before anything is copied.
    pub fn apply(&self, model: &Tensors, file: &Tensors) -> Result<()> {
        let pairs = self.matched.iter().map(|(name, in_file)| {
            let (to, from) = (get(model, name)?, get(file, in_file)?);
            let is_lossy = from.is_floating_point() && !to.is_floating_point();
            if is_lossy {
                let (to, from) = (to.kind(), from.kind());
                let problem =
                    format!("`{name}` holds whole numbers ({to:?}), but those in the file are {from:?}");
                return Err(Error::Usage(problem));
            }
            Ok((to.shallow_clone(), from))
        });
        let pairs = pairs.collect::<Result<Vec<_>>>()?;
        tch::no_grad(|| pairs.into_iter().try_for_each(|(mut to, from)| Ok(to.f_copy_(from)?)))
    }

    /// What matched and what did not, on a line.
    pub fn summary(&self) -> String {
        let total = self.matched.len() + self.reshaped.len() + self.fresh.len();
        let mut text = format!("{} of {} matched", self.matched.len(), counted(total, "tensor"));
        let reshaped = self
            .reshaped
            .iter()
            .map(|(name, here, there)| format!("{name} ({} here, {} in the file)", size(here), size(there)));
        let left: Vec<String> = reshaped.chain(self.fresh.iter().cloned()).collect();
        if !left.is_empty() {
            text += &format!("; left as they were drawn: {}", listed(&left));
        }
        if !self.unused.is_empty() {
            text += &format!("; not used: {} of the file", counted(self.unused.len(), "tensor"));
        }
        text
    }
}

/// What stands before the model's names in the file: with which most tensors of equal size are found.
fn beginning<'a>(model: &Tensors, file: &'a Tensors) -> Option<&'a str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (in_file, tensor) in file {
        let starts = std::iter::once(0).chain(in_file.match_indices('.').map(|(at, _)| at + 1));
        for (beginning, name) in starts.map(|at| in_file.split_at(at)) {
            let fits = model.get(name).is_some_and(|known| known.size() == tensor.size());
            // Every model has such counters, and all are of one size.
            if fits && !is_counter(name) {
                *counts.entry(beginning).or_default() += 1;
            }
        }
    }
    counts
        .into_iter()
        .max_by_key(|(beginning, count)| (*count, std::cmp::Reverse(beginning.len())))
        .map(|(b, _)| b)
}

fn is_counter(name: &str) -> bool {
    name.rsplit('.').next() == Some(COUNTER)
}

fn get<'a>(tensors: &'a Tensors, name: &str) -> Result<&'a Tensor> {
    tensors.get(name).ok_or_else(|| Error::Usage(format!("there is no tensor `{name}`")))
}

/// A size as people write it: `64x3x7x7`.
fn size(size: &[i64]) -> String {
    match size {
        [] => "one value".to_string(),
        size => size.iter().map(i64::to_string).collect::<Vec<_>>().join("x"),
    }
}

fn some_of(tensors: &Tensors) -> String {
    let named = |(name, tensor): (&String, &Tensor)| format!("{} ({})", excerpt(name), size(&tensor.size()));
    listed(&tensors.iter().map(named).collect::<Vec<_>>())
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_string(),
        names if names.len() <= LISTED => names.join(", "),
        names => format!("{} and {} more", names[..LISTED].join(", "), names.len() - LISTED),
    }
}

fn counted(count: usize, what: &str) -> String {
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
    fn the_beginning_that_gives_the_most_is_found_and_the_shortest_of_equals() {
        for beginning in ["", "module.", "state_dict.module.", "model.network."] {
            let file: Tensors =
                model().into_iter().map(|(name, t)| (format!("{beginning}{name}"), t)).collect();
            let matching = Matching::of(&model(), &file).unwrap();
            assert_eq!(matching.matched.len(), 5);
            assert!(matching.matched.iter().all(|(name, in_file)| *in_file == format!("{beginning}{name}")));
        }
        let twice = tensors(&[
            ("ema_model.fc.bias", &[5]),
            ("model.fc.bias", &[5]),
            ("optimizer.state.0.exp_avg", &[5]),
        ]);
        let matching = Matching::of(&model(), &twice).unwrap();
        assert_eq!(matching.matched, [("fc.bias".to_string(), "model.fc.bias".to_string())]);
        assert_eq!(matching.unused, ["ema_model.fc.bias", "optimizer.state.0.exp_avg"]);
    }

    #[test]
    fn a_head_of_another_size_is_left_and_reported() {
        let file = tensors(&[
            ("m.conv1.weight", &[8, 3]),
            ("m.fc.weight", &[1000, 8]),
            ("m.fc.bias", &[1000]),
            ("m.x", &[1]),
        ]);
        let matching = Matching::of(&model(), &file).unwrap();
        assert_eq!(
            matching.summary(),
            "1 of 4 tensors matched; left as they were drawn: fc.bias (5 here, 1000 in the file), fc.weight (5x8 here, 1000x8 \
             in the file), bn1.bias; not used: 1 tensor of the file"
        );
        assert_eq!(Matching::of(&model(), &model()).unwrap().summary(), "5 of 5 tensors matched");
    }

    #[test]
    fn a_layer_can_be_left_as_it_is() {
        let matching = Matching::of(&model(), &model()).unwrap().without(|name| name.starts_with("fc."));
        assert_eq!(
            matching.summary(),
            "3 of 5 tensors matched; left as they were drawn: fc.bias, fc.weight; not used: 2 tensors of the file"
        );
    }

    #[test]
    fn a_file_for_another_model_is_refused_with_names_of_both() {
        let file = tensors(&[("a", &[1]), ("b", &[2, 3]), ("c", &[]), ("d", &[1]), ("fc.bias", &[6])]);
        assert_eq!(
            Matching::of(&model(), &file).unwrap_err().to_string(),
            "none of the 5 tensors fits the model: the file has a (1), b (2x3), c (one value), d (1) and 1 more; the model has \
             bn1.bias (8), bn1.num_batches_tracked (one value), conv1.weight (8x3), fc.bias (5) and 1 more"
        );
        assert!(Matching::of(&model(), &Tensors::new()).is_err());
    }

    #[test]
    fn values_are_copied_in_the_models_dtype_also_into_what_is_trained() {
        let parameter = Tensor::zeros([2, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let model = Tensors::from([("w".to_string(), parameter), ("n".to_string(), Tensor::from(0i64))]);
        let values = Tensor::from_slice(&[1f32, 2., 3., 4.]).view([2, 2]);
        let file = Tensors::from([
            ("w".to_string(), values.tr().to_kind(Kind::Half)),
            ("n".to_string(), Tensor::from(7i32)),
        ]);
        Matching::of(&model, &file).unwrap().apply(&model, &file).unwrap();
        assert_eq!(model["w"], values.tr());
        assert!(model["w"].requires_grad());
        assert_eq!(model["n"].int64_value(&[]), 7);
    }

    #[test]
    fn fractions_are_not_made_whole_numbers() {
        let model =
            Tensors::from([("a".to_string(), Tensor::from(1f32)), ("n".to_string(), Tensor::from(1i64))]);
        let file =
            Tensors::from([("a".to_string(), Tensor::from(2f32)), ("n".to_string(), Tensor::from(2.5f32))]);
        let problem = Matching::of(&model, &file).unwrap().apply(&model, &file).unwrap_err().to_string();
        assert_eq!(problem, "`n` holds whole numbers (Int64), but those in the file are Float");
        assert_eq!(model["a"].double_value(&[]), 1.);
    }
}
