//! The copies of a model in a file (`model` and `model_ema`, `student` and `teacher`), told by what stands before the model's
//! names, and which of them is taken.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::matching::{counted, is_counter, listed};
use crate::error::{Error, Result, quoted};
use crate::model::Tensors;

/// A copy of a model in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What stands before the model's names: nothing, or keys that each end with a dot.
    pub beginning: String,
    /// The tensors that have the name and the size of one of the model's, without counters.
    pub fitting: usize,
    /// Whether hardly any tensor of the copy is left over. A deeper model has all tensors of a shallower one, too.
    is_whole: bool,
}

/// Words of keys whose tensors belong to the training, not to a model.
const OF_TRAINING: [&str; 8] = ["optimizer", "optimizers", "optim", "exp", "grad", "grads", "adam", "sgd"];

/// Words of keys, and how much a copy under them is to be preferred. Averages of the weights over the last steps are more accurate
/// than the weights of the last one (Polyak & Juditsky 1992; Izmailov et al. 2018), and so is the teacher of DINO, which is one. Of
/// MoCo and BYOL, the encoder that was trained is the one that people evaluate, and not the one that follows it.
const PREFERENCES: [(&str, i8); 15] = [
    ("ema", 3),
    ("swa", 3),
    ("average", 3),
    ("averaged", 3),
    ("avg", 3),
    ("shadow", 3),
    ("polyak", 3),
    ("teacher", 2),
    ("best", 1),
    ("student", -1),
    ("momentum", -1),
    ("target", -1),
    ("key", -1),
    ("k", -1),
    ("last", -1),
];

impl Copy {
    /// The key that [`of`] takes for it.
    pub fn key(&self) -> &str {
        self.beginning.trim_end_matches('.')
    }

    fn preference(&self) -> i8 {
        let preference =
            |word: &String| PREFERENCES.iter().find(|(known, _)| known == word).map_or(0, |p| p.1);
        words(&self.beginning).iter().map(preference).max_by_key(|preference| preference.abs()).unwrap_or(0)
    }
}

/// The copies of `model` that `file` holds, the one to take first: the one that most tensors are found in; of equals, the one that
/// is preferred by its name, and then the shortest. With a `key`, only those below it. None if no tensor fits.
///
/// # Errors
/// A key that the file does not have.
pub fn of(model: &Tensors, file: &Tensors, key: Option<&str>) -> Result<Vec<Copy>> {
    let found = all(model, file);
    let Some(key) = key else {
        let of_models = found.into_iter().filter(|copy| !is_of_training(&copy.beginning)).collect();
        return Ok(best_first(of_models, None));
    };
    let beginning = format!("{}.", key.trim_end_matches('.'));
    let is_below = |name: &str| beginning == "." || name.starts_with(&beginning);
    if !file.keys().any(|name| is_below(name)) {
        return Err(Error::Usage(unknown(key, &best_first(found, None), file)));
    }
    let below = found.into_iter().filter(|copy| is_below(&copy.beginning)).collect();
    Ok(best_first(below, Some(beginning.trim_start_matches('.'))))
}

/// Whether a tensor of the file belongs to the training: to the optimizer, mostly.
pub fn is_of_training(name: &str) -> bool {
    words(name).iter().any(|word| OF_TRAINING.contains(&word.as_str()))
}

fn all(model: &Tensors, file: &Tensors) -> Vec<Copy> {
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
    let copy = |(beginning, fitting): (&str, usize)| {
        let from_here = file.range(beginning.to_string()..).map(|(name, _)| name);
        let below =
            from_here.take_while(|name| name.starts_with(beginning)).filter(|name| !is_counter(name)).count();
        Copy { beginning: beginning.to_string(), fitting, is_whole: (below - fitting) * 10 <= fitting }
    };
    counts.into_iter().map(copy).collect()
}

/// In the order in which they are to be taken, without those that fit by chance. `wanted` is taken before all others.
fn best_first(mut copies: Vec<Copy>, wanted: Option<&str>) -> Vec<Copy> {
    let most = copies.iter().map(|copy| copy.fitting).max().unwrap_or(0);
    copies.retain(|copy| 2 * copy.fitting > most);
    copies.sort_by_key(|copy| {
        let is_wanted = Some(copy.beginning.as_str()) == wanted;
        let (fitting, preference) = (copy.fitting, copy.preference());
        Reverse((is_wanted, fitting, copy.is_whole, preference, Reverse(copy.beginning.len())))
    });
    copies
}

fn unknown(key: &str, copies: &[Copy], file: &Tensors) -> String {
    let of_models = copies.iter().filter(|copy| !is_of_training(&copy.beginning));
    let mut keys: Vec<String> = of_models.map(|copy| copy.key().to_string()).collect();
    keys.extend(file.keys().map(|name| name.split('.').next().unwrap_or_default().to_string()));
    keys.retain(|key| !key.is_empty());
    let mut known = Vec::new();
    for key in keys {
        if !known.iter().any(|(other, _)| *other == key) {
            let below = format!("{key}.");
            let count = file.keys().filter(|name| **name == key || name.starts_with(&below)).count();
            known.push((key, count));
        }
    }
    let named: Vec<_> =
        known.iter().map(|(key, count)| format!("{} ({})", quoted(key), counted(*count, "tensor"))).collect();
    format!("the file has no tensors below the key {}; its keys are {}", quoted(key), listed(&named))
}

/// The words of a name, in lower case: `modelEma.state_dict` has model, ema, state and dict.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = '.';
    for character in name.chars() {
        if !character.is_alphanumeric() || before.is_lowercase() && character.is_uppercase() {
            words.push(String::new());
        }
        if character.is_alphanumeric() {
            words.last_mut().expect("there is a word").extend(character.to_lowercase());
        }
        before = character;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    const MODEL: [(&str, i64); 4] = [("conv1.weight", 8), ("bn1.bias", 4), ("fc.weight", 6), ("fc.bias", 3)];

    fn below(beginning: &str, model: &[(&str, i64)]) -> Tensors {
        let tensor = |size: i64| Tensor::zeros([size], (Kind::Float, Device::Cpu));
        model.iter().map(|(name, size)| (format!("{beginning}{name}"), tensor(*size))).collect()
    }

    fn file(beginnings: &[&str]) -> Tensors {
        beginnings.iter().flat_map(|beginning| below(beginning, &MODEL)).collect()
    }

    fn keys(file: &Tensors, key: Option<&str>) -> Vec<String> {
        let copies = of(&below("", &MODEL), file, key).unwrap();
        copies.iter().map(|copy| copy.key().to_string()).collect()
    }

    #[test]
    fn of_copies_that_fit_alike_the_better_one_is_taken() {
        for (beginnings, first) in [
            (&["model.", "model_ema.module.", "optimizer.exp_avg."][..], "model_ema.module"),
            (&["state_dict.", "state_dict_ema."], "state_dict_ema"),
            (&["model.", "modelEMA."], "modelEMA"),
            (&["", "ema."], "ema"),
            (&["student.module.backbone.", "teacher.backbone."], "teacher.backbone"),
            (
                &["state_dict.module.encoder_q.", "state_dict.module.encoder_k."],
                "state_dict.module.encoder_q",
            ),
            (&["online_encoder.", "target_encoder."], "online_encoder"),
            (&["best_state.", "state."], "best_state"),
            (&["a.net.", "net."], "net"),
        ] {
            let found = keys(&file(beginnings), None);
            assert_eq!(found[0], first);
            assert_eq!(found.len(), 2, "{found:?}");
        }
    }

    #[test]
    fn a_copy_that_lacks_tensors_or_is_of_a_larger_model_is_taken_last() {
        let mut lacking = file(&["model."]);
        lacking.extend(below("ema.", &MODEL[..3]));
        assert_eq!(keys(&lacking, None), ["model", "ema"]);
        let mut deeper = file(&["student.", "teacher."]);
        deeper.extend(below("teacher.", &[("conv2.weight", 8), ("conv3.weight", 8)]));
        assert_eq!(keys(&deeper, None), ["student", "teacher"]);
    }

    #[test]
    fn a_key_chooses_a_copy_in_it() {
        let file = file(&["", "ckpt.model.", "ckpt.ema.", "optimizer.exp_avg."]);
        assert_eq!(keys(&file, None)[0], "ckpt.ema");
        for (key, first) in [
            ("ckpt.model", "ckpt.model"),
            ("ckpt.model.", "ckpt.model"),
            ("ckpt", "ckpt.ema"),
            ("", ""),
            ("optimizer", "optimizer.exp_avg"),
        ] {
            assert_eq!(keys(&file, Some(key))[0], first, "{key}");
        }
    }

    #[test]
    fn an_unknown_key_is_answered_with_those_that_there_are() {
        let file = file(&["state_dict.model.", "state_dict.ema_model.", "optimizer.exp_avg."]);
        let problem = of(&below("", &MODEL), &file, Some("ema")).unwrap_err().to_string();
        assert_eq!(
            problem,
            "the file has no tensors below the key `ema`; its keys are `state_dict.ema_model` (4 tensors), `state_dict.model` \
             (4 tensors), `optimizer` (4 tensors), `state_dict` (8 tensors)"
        );
    }
}
