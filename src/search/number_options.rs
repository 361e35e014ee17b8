//! Nested options, such as the width of an architecture: `model_options.width` in a search space.

use crate::model::ARCHITECTURES;
use crate::options::ModelChoice;
use crate::train::objective::OBJECTIVES;
use crate::train::optimizer::OPTIMIZERS;
use crate::train::schedule::SCHEDULES;
use cresset_options::number::NumberOption;

/// Options that contain nested options, each with the option that selects them.
pub(crate) const OWNERS: [(&str, &str); 4] = [
    ("model_options", "model"),
    ("optimizer_options", "optimizer"),
    ("loss_options", "loss"),
    ("schedule_options", "schedule"),
];

/// The nested options of `option` (`model_options`) for the choice `chosen` (`cnn`); empty for a model from a file.
pub fn known(option: &str, chosen: &str) -> &'static [NumberOption] {
    let found = match option {
        "model_options" => match ModelChoice::of(chosen) {
            ModelChoice::Architecture(name) => {
                ARCHITECTURES.iter().find(|known| known.name == name).map(|known| known.options)
            }
            ModelChoice::File(_) | ModelChoice::Own(_) => None,
        },
        "optimizer_options" => {
            OPTIMIZERS.iter().find(|known| known.name == chosen).map(|known| known.options)
        }
        "loss_options" => OBJECTIVES.iter().find(|known| known.name == chosen).map(|known| known.options),
        "schedule_options" => SCHEDULES.iter().find(|known| known.name == chosen).map(|known| known.options),
        _ => None,
    };
    found.unwrap_or(&[])
}
