//! Options that only make sense beside a certain value of another option.

use super::Recipe;

/// An option, and those that were chosen for its value.
const DEPENDENT: &[(&str, &[&str])] = &[
    ("model", &["model_options", "image_size", "pretrained", "head_epochs", "layer_decay", "fresh_head"]),
    ("pretrained", &["model", "model_options", "image_size"]),
    ("init", &["pretrained"]),
    ("optimizer", &["lr", "optimizer_options", "weight_decay"]),
    ("loss", &["loss_options"]),
    ("schedule", &["schedule_options", "warmup_epochs", "patience"]),
    ("average", &["average_decay", "average_start"]),
    ("sampling", &["class_weights"]),
    ("freeze", &["head_epochs"]),
];

/// Whether an option of the recipe was chosen for a value that another option does not have, because that one was `given`.
pub fn depends_on_another(name: &str, recipe: &Recipe, given: &dyn Fn(&str) -> Option<String>) -> bool {
    DEPENDENT
        .iter()
        .filter(|(_, dependents)| dependents.contains(&name))
        .any(|(leader, _)| given(leader).is_some_and(|value| recipe.value(leader) != Some(&value)))
}
