//! Which tensor of a file belongs where in a model.

use std::collections::BTreeSet;

use tch::Tensor;

use super::copies;
use crate::error::{Error, Result, excerpt, quoted};
use crate::model::Tensors;

/// Which tensors of a file are for which of a model.
///
/// Names in files often have something before the model's own: `module.`, `state_dict.`, `model.`. Of several copies of the
/// model, one is taken (`copies`).
#[derive(Debug, Clone, PartialEq)]
pub struct Matching {
    /// The key of the copy that was taken, empty if the names have nothing before them, and those of the others.
    pub keys: Vec<String>,
    /// Names in the model and in the file of tensors of equal size.
    pub matched: Vec<(String, String)>,
    /// Names in the model whose tensor has another size in the file: the name, the model's size, the file's.
    pub reshaped: Vec<(String, Vec<i64>, Vec<i64>)>,
    /// Names in the model that the file does not have.
    pub fresh: Vec<String>,
    /// Names in the file that the model does not have.
    pub unused: Vec<String>,
}

/// PyTorch's counter of the batches that a normalization has seen: old files lack it, and it is of use only with a momentum
/// of none.
const COUNTER: &str = "num_batches_tracked";

/// How many names a message lists.
const LISTED: usize = 4;

impl Matching {
    /// Finds out which tensors of `file` are for which of `model`: of those below `key`, if there is one.
    ///
    /// # Errors
    /// Not one that is, and a key that the file does not have.
    pub fn of(model: &Tensors, file: &Tensors, key: Option<&str>) -> Result<Self> {
        let copies = copies::of(model, file, key)?;
        let beginning = &copies.first().ok_or_else(|| misfit(0, model, file))?.beginning;
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
        let keys = copies.iter().map(|copy| copy.key().to_string()).collect();
        Ok(Matching { keys, matched, reshaped, fresh, unused: unused.into_iter().cloned().collect() })
    }

    /// Refuses what matched if it is less than half of what should: of the model without its head, which is another one for other
    /// classes, or of the file, which may hold less than the model. The names of some inner block then happen to be some of the
    /// model's, and training would start from random weights.
    ///
    /// # Errors
    /// A match of less than half.
    pub fn refuse_chance(
        &self,
        model: &Tensors,
        file: &Tensors,
        is_head: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let is_body = |name: &str| !is_counter(name) && !is_head(name);
        let body = model.keys().filter(|name| is_body(name)).count();
        let found = self.matched.iter().filter(|(name, _)| is_body(name)).count();
        let others: Vec<String> = self.keys.iter().skip(1).map(|key| format!("{key}.")).collect();
        let is_own = |name: &str| {
            !is_counter(name)
                && !copies::is_of_training(name)
                && !others.iter().any(|other| other != "." && name.starts_with(other))
        };
        let held = file.keys().filter(|name| is_own(name)).count();
        if 2 * found < body.min(held) { Err(misfit(found, model, file)) } else { Ok(()) }
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
        match self.keys.as_slice() {
            [taken, others @ ..] if !others.is_empty() => {
                let others: Vec<_> = others.iter().map(|key| named(key)).collect();
                text += &format!(
                    ", those of {}; --init-key chooses another copy: {}",
                    named(taken),
                    listed(&others)
                );
            }
            [taken] if !taken.is_empty() => text += &format!(", those of {}", named(taken)),
            _ => (),
        }
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

/// A key as a user gives it; the empty one needs its quotation marks in a shell.
fn named(key: &str) -> String {
    if key.is_empty() { "\"\"".to_string() } else { quoted(key) }
}

/// Why a file is not for a model, with the first names of both.
fn misfit(found: usize, model: &Tensors, file: &Tensors) -> Error {
    let found = if found == 0 { "none".to_string() } else { format!("only {found}") };
    Error::Usage(format!(
        "{found} of the model's {} can be taken from the file by name and size, so it is of another model, or names its layers \
         otherwise. The file has {}; the model has {}. Choose the --model that the weights are for, or rename the tensors; if the \
         file holds several models, --init-key names one",
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

/// A size as people write it: `64x3x7x7`.
fn size(size: &[i64]) -> String {
    match size {
        [] => "one value".to_string(),
        size => size.iter().map(i64::to_string).collect::<Vec<_>>().join("x"),
    }
}

fn some_of(tensors: &Tensors) -> String {
    // Those of layers say more than biases and figures of a normalization.
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
    fn the_beginning_that_gives_the_most_is_found_and_the_shortest_of_equals() {
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
                "1 of 4 tensors matched, those of `ema_model`; --init-key chooses another copy: `model`; left"
            ),
            "{}",
            matching.summary()
        );
    }

    #[test]
    fn a_head_of_another_size_is_left_and_reported() {
        let file = tensors(&[
            ("m.conv1.weight", &[8, 3]),
            ("m.fc.weight", &[1000, 8]),
            ("m.fc.bias", &[1000]),
            ("m.x", &[1]),
        ]);
        let matching = Matching::of(&model(), &file, None).unwrap();
        assert_eq!(
            matching.summary(),
            "1 of 4 tensors matched, those of `m`; left as they were drawn: fc.bias (5 here, 1000 in the file), fc.weight (5x8 here, 1000x8 \
             in the file), bn1.bias; not used: 1 tensor of the file"
        );
        assert_eq!(Matching::of(&model(), &model(), None).unwrap().summary(), "5 of 5 tensors matched");
    }

    #[test]
    fn a_layer_can_be_left_as_it_is() {
        let matching =
            Matching::of(&model(), &model(), None).unwrap().without(|name| name.starts_with("fc."));
        assert_eq!(
            matching.summary(),
            "3 of 5 tensors matched; left as they were drawn: fc.bias, fc.weight; not used: 2 tensors of the file"
        );
    }

    #[test]
    fn a_file_for_another_model_is_refused_with_names_of_both() {
        let file = tensors(&[("a", &[1]), ("b", &[2, 3]), ("c", &[]), ("d", &[1]), ("fc.bias", &[6])]);
        assert_eq!(
            Matching::of(&model(), &file, None).unwrap_err().to_string(),
            "none of the model's 4 tensors can be taken from the file by name and size, so it is of another model, or names its \
             layers otherwise. The file has b (2x3), a (1), c (one value), d (1) and 1 more; the model has conv1.weight (8x3), \
             fc.weight (5x8), bn1.bias (8), bn1.num_batches_tracked (one value) and 1 more. Choose the --model that the weights \
             are for, or rename the tensors; if the file holds several models, --init-key names one"
        );
        assert!(Matching::of(&model(), &Tensors::new(), None).is_err());
    }

    #[test]
    fn names_that_fit_by_chance_are_refused_and_a_part_of_a_model_is_not() {
        let layers = |names: &[&str]| -> Tensors {
            let of_layer = |name: &&str| {
                tensors(&[(&format!("{name}.weight"), &[4, 4]), (&format!("{name}.bias"), &[4])])
            };
            names.iter().flat_map(of_layer).collect()
        };
        let model = layers(&["conv1", "bn1", "conv2", "bn2", "conv3", "fc"]);
        let is_refused = |file: &Tensors| {
            let matching = Matching::of(&model, file, None).unwrap();
            matching.refuse_chance(&model, file, |name| name.starts_with("fc.")).err().map(|e| e.to_string())
        };
        let whole = layers(&["conv1", "bn1", "conv2", "bn2", "conv3", "fc"]);
        assert_eq!(is_refused(&whole), None);
        // An inner block of a model whose layers are numbered.
        let numbered = layers(&["0.0", "0.1", "0.4.conv1", "0.4.bn1", "0.5.0", "0.6.0", "1.8"]);
        let problem = is_refused(&numbered).unwrap();
        assert!(problem.starts_with("only 4 of the model's 12 tensors"), "{problem}");
        assert!(problem.contains("The file has 0.0.weight (4x4)"), "{problem}");
        assert!(problem.contains("the model has bn1.weight (4x4)"), "{problem}");
        // The head alone says nothing of what its inputs mean.
        assert!(is_refused(&layers(&["fc", "a", "b"])).is_some());
        // A part of the model, and a larger model with this one in it.
        assert_eq!(is_refused(&layers(&["conv1", "bn1"])), None);
        assert_eq!(
            is_refused(&layers(&["conv1", "bn1", "conv2", "bn2", "conv3", "a", "b", "c", "d", "e", "f"])),
            None
        );
        // Other copies of a part, and the optimizer's tensors, are not missed.
        let beginnings =
            ["a.conv1", "a.bn1", "b.conv1", "b.bn1", "c.conv1", "c.bn1", "optimizer.conv1", "optimizer.bn1"];
        assert_eq!(is_refused(&layers(&beginnings)), None);
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
        Matching::of(&model, &file, None).unwrap().apply(&model, &file).unwrap();
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
        let problem =
            Matching::of(&model, &file, None).unwrap().apply(&model, &file).unwrap_err().to_string();
        assert_eq!(problem, "`n` holds whole numbers (Int64), but those in the file are Float");
        assert_eq!(model["a"].double_value(&[]), 1.);
    }
}
