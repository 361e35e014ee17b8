//! Converts the options of a run to a training plan.

use super::{Config, canonical, portable};
use crate::train::{Identity, Plan};

/// Options that earlier versions did not have, with the value that means the same as their absence, so that runs of these versions
/// can be resumed.
const AS_BEFORE: [(&str, &str); 16] = [
    ("column_types", "basic"),
    ("mask_categories", "0.0"),
    ("monitor", "loss"),
    ("ood_score", "energy"),
    ("head_only", "false"),
    ("head", "linear"),
    ("head_options", ""),
    ("head_views", "0"),
    ("finetune", "false"),
    ("bag", "0"),
    ("temperature", "4.0"),
    ("teacher_share", "0.7"),
    ("length_buckets", "false"),
    ("char_ngrams", "0"),
    ("stream", "auto"),
    ("stream", "never"),
];

impl Config {
    /// The training plan of these options.
    ///
    /// ```
    /// use cresset::prelude::*;
    ///
    /// let plan = Config { epochs: 30, optimizer: "sgd".into(), ..Config::default() }.plan(None);
    /// assert_eq!((plan.epochs, plan.optimizer.as_str()), (30, "sgd"));
    /// ```
    pub fn plan(&self, class_weights: Option<Vec<f32>>) -> Plan {
        Plan {
            optimizer: self.optimizer.clone(),
            seed: self.seed,
            class_weights,
            options: self.training.clone(),
            identity: self.identity(),
            canonical,
            portable,
            ..Plan::new(self.epochs, self.batch_size, self.lr)
        }
    }

    /// Everything that determines the result of a run bit by bit: versions and options, by name.
    fn identity(&self) -> Identity {
        let versions = [
            ("the version of cresset".to_string(), env!("CARGO_PKG_VERSION").to_string()),
            ("the version of libtorch".to_string(), cresset_bridge::LIBTORCH_VERSION.to_string()),
        ];
        let text = |value: toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
        let options =
            self.portable_entries().into_iter().map(|(name, value)| (name.to_string(), text(value)));
        let is_as_before = |(name, value): &(String, String)| {
            AS_BEFORE.iter().any(|(known, before)| name == known && value == before)
        };
        // The recipe has its effect before the run starts.
        let counts = |option: &(String, String)| !is_as_before(option) && option.0 != "recipe";
        versions.into_iter().chain(options.filter(counts)).collect()
    }
}
