//! Finds the copies of a model in a file (`model` and `model_ema`, `student` and `teacher`) by the prefixes of the tensor names,
//! and ranks them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::matching::{counted, is_counter, listed};
use crate::error::{Error, Result, quoted};
use crate::model::Tensors;

/// A copy of a model in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The prefix of the names: empty, or keys that each end with a dot.
    pub prefix: String,
    /// The number of tensors with the name and size of one of the model, without counters.
    pub matching: usize,
    /// Whether nearly all tensors of the copy match. A deeper model contains all tensors of a shallower one.
    is_complete: bool,
}

/// Words in keys of the optimizer state.
const OPTIMIZER_WORDS: [&str; 8] =
    ["optimizer", "optimizers", "optim", "exp", "grad", "grads", "adam", "sgd"];

/// Words in keys, and the preference for a copy under such a key. Averaged weights are more accurate than those of the last step
/// (Polyak & Juditsky 1992; Izmailov et al. 2018), and the teacher of DINO is an average. For MoCo and BYOL, the trained
/// encoder is evaluated, not the momentum encoder.
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
    /// The key that selects it in [`of`].
    pub fn key(&self) -> &str {
        self.prefix.trim_end_matches('.')
    }

    fn preference(&self) -> i8 {
        let preference =
            |word: &String| PREFERENCES.iter().find(|(known, _)| known == word).map_or(0, |p| p.1);
        words(&self.prefix).iter().map(preference).max_by_key(|preference| preference.abs()).unwrap_or(0)
    }
}

/// The copies of `model` in `file`, best first: by the number of matching tensors, then by the preference for the key, then by
/// the shortest prefix. With a `key`, only copies below it. Empty if no tensor matches.
///
/// # Errors
/// A key that is not in the file.
pub fn of(model: &Tensors, file: &Tensors, key: Option<&str>) -> Result<Vec<Copy>> {
    let found = all(model, file);
    let Some(key) = key else {
        let candidates = found.into_iter().filter(|copy| !is_optimizer_state(&copy.prefix)).collect();
        return Ok(best_first(candidates, None));
    };
    let prefix = format!("{}.", key.trim_end_matches('.'));
    let is_below = |name: &str| prefix == "." || name.starts_with(&prefix);
    if !file.keys().any(|name| is_below(name)) {
        return Err(Error::Usage(unknown(key, &best_first(found, None), file)));
    }
    let below = found.into_iter().filter(|copy| is_below(&copy.prefix)).collect();
    Ok(best_first(below, Some(prefix.trim_start_matches('.'))))
}

/// Whether a tensor of the file belongs to the optimizer state.
pub(crate) fn is_optimizer_state(name: &str) -> bool {
    words(name).iter().any(|word| OPTIMIZER_WORDS.contains(&word.as_str()))
}

fn all(model: &Tensors, file: &Tensors) -> Vec<Copy> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (in_file, tensor) in file {
        let starts = std::iter::once(0).chain(in_file.match_indices('.').map(|(at, _)| at + 1));
        for (prefix, name) in starts.map(|at| in_file.split_at(at)) {
            let fits = model.get(name).is_some_and(|known| known.size() == tensor.size());
            // Counters are in every model and all have the same size.
            if fits && !is_counter(name) {
                *counts.entry(prefix).or_default() += 1;
            }
        }
    }
    let copy = |(prefix, matching): (&str, usize)| {
        let from_here = file.range(prefix.to_string()..).map(|(name, _)| name);
        let below =
            from_here.take_while(|name| name.starts_with(prefix)).filter(|name| !is_counter(name)).count();
        Copy { prefix: prefix.to_string(), matching, is_complete: (below - matching) * 10 <= matching }
    };
    counts.into_iter().map(copy).collect()
}

/// Sorts copies, best first, and drops those that match by chance. The copy with the prefix `wanted` comes first.
fn best_first(mut copies: Vec<Copy>, wanted: Option<&str>) -> Vec<Copy> {
    let most = copies.iter().map(|copy| copy.matching).max().unwrap_or(0);
    copies.retain(|copy| 2 * copy.matching > most);
    copies.sort_by_key(|copy| {
        let is_wanted = Some(copy.prefix.as_str()) == wanted;
        let (matching, preference) = (copy.matching, copy.preference());
        Reverse((is_wanted, matching, copy.is_complete, preference, Reverse(copy.prefix.len())))
    });
    copies
}

fn unknown(key: &str, copies: &[Copy], file: &Tensors) -> String {
    let candidates = copies.iter().filter(|copy| !is_optimizer_state(&copy.prefix));
    let mut keys: Vec<String> = candidates.map(|copy| copy.key().to_string()).collect();
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
    format!("the file has no tensors under the key {}; its keys are {}", quoted(key), listed(&named))
}

/// Splits a name into lowercase words: `modelEma.state_dict` gives model, ema, state and dict.
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
    fn of_equal_matches_the_preferred_copy_comes_first() {
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
    fn an_incomplete_copy_or_a_larger_model_comes_last() {
        let mut lacking = file(&["model."]);
        lacking.extend(below("ema.", &MODEL[..3]));
        assert_eq!(keys(&lacking, None), ["model", "ema"]);
        let mut deeper = file(&["student.", "teacher."]);
        deeper.extend(below("teacher.", &[("conv2.weight", 8), ("conv3.weight", 8)]));
        assert_eq!(keys(&deeper, None), ["student", "teacher"]);
    }

    #[test]
    fn a_key_selects_a_copy_below_it() {
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
    fn an_unknown_key_lists_the_available_keys() {
        let file = file(&["state_dict.model.", "state_dict.ema_model.", "optimizer.exp_avg."]);
        let problem = of(&below("", &MODEL), &file, Some("ema")).unwrap_err().to_string();
        assert_eq!(
            problem,
            "the file has no tensors under the key `ema`; its keys are `state_dict.ema_model` (4 tensors), `state_dict.model` \
             (4 tensors), `optimizer` (4 tensors), `state_dict` (8 tensors)"
        );
    }
}
