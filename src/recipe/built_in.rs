//! The run files of `recipes/`.

/// A recipe that is part of the program.
///
/// ```
/// use cresset::recipe::BUILT_IN;
///
/// let cnn = BUILT_IN.iter().find(|recipe| recipe.name == "cnn").unwrap();
/// assert!(cnn.settings().contains(&("lr".to_string(), "0.005".to_string())));
/// ```
#[derive(Debug)]
pub struct BuiltIn {
    /// The value of `--recipe`.
    pub name: &'static str,
    /// A one-line description.
    pub summary: &'static str,
    /// The run file.
    text: &'static str,
}

/// All built-in recipes.
pub const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "cnn",
        summary: "small convolutional network for small images",
        text: include_str!("../../recipes/cnn.toml"),
    },
    BuiltIn {
        name: "resnet9",
        summary: "residual network for small images",
        text: include_str!("../../recipes/resnet9.toml"),
    },
    BuiltIn { name: "mlp", summary: "MLP for small images", text: include_str!("../../recipes/mlp.toml") },
    BuiltIn {
        name: "lstm",
        summary: "LSTM that reads small images row by row",
        text: include_str!("../../recipes/lstm.toml"),
    },
    BuiltIn {
        name: "vit",
        summary: "small vision transformer for small images",
        text: include_str!("../../recipes/vit.toml"),
    },
];

impl BuiltIn {
    /// Options with their values as text, in the order of their names.
    pub fn settings(&self) -> Vec<(String, String)> {
        let table: toml::Table = self.text.parse().expect("the file is valid TOML");
        let text = |value: toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
        table.into_iter().map(|(name, value)| (name, text(value))).collect()
    }

    /// The value of an option; empty if the recipe leaves it alone.
    pub fn value(&self, name: &str) -> String {
        let own = self.settings().into_iter().find(|(own, _)| own == name);
        own.map(|(_, value)| value).unwrap_or_default()
    }
}
