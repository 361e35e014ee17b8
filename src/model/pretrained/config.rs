//! The configuration of pretrained weights, config.json of timm.

use std::path::Path;

use serde_json::Value;

use crate::data::image::{CENTER_CROPS, Interpolation};
use crate::data::terminal;
use crate::error::{Error, Result, did_you_mean, quoted};
use crate::model::ARCHITECTURES;
use crate::model::preprocessing::Normalization;

/// How weights were trained and evaluated, by the config.json of timm.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainedConfig {
    /// timm's name of the architecture.
    pub architecture: Option<String>,
    /// Channels, height and width in training.
    pub input_size: Option<[i64; 3]>,
    /// Mean and standard deviation of the inputs.
    pub normalization: Option<Normalization>,
    /// The filter that resizes images; none if the filter is unknown here.
    pub interpolation: Option<Interpolation>,
    /// The side of the center crop, relative to the largest one: `crop_pct`, from 0.1 to 1.
    pub center_crop: Option<f64>,
    /// The number of classes.
    pub classes: Option<i64>,
    /// The options of the architecture, of a model that `cresset push` published.
    pub model_options: Option<String>,
}

impl PretrainedConfig {
    /// Reads a config.json.
    ///
    /// ```
    /// use cresset::model::pretrained::PretrainedConfig;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("config.json");
    /// let text = r#"{ "architecture": "resnet18", "pretrained_cfg": { "input_size": [3, 224, 224] } }"#;
    /// std::fs::write(&path, text).unwrap();
    /// let config = PretrainedConfig::read(&path)?;
    /// assert_eq!((config.model()?, config.input_size), (Some("resnet18"), Some([3, 224, 224])));
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// A file that cannot be read or is not JSON, and values of the wrong type.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let json: Value = serde_json::from_str(&text)
            .map_err(|e| Error::artifact(path, format!("the configuration is not valid JSON: {e}")))?;
        PretrainedConfig::of(&json).map_err(|problem| Error::artifact(path, problem))
    }

    fn of(json: &Value) -> std::result::Result<Self, String> {
        // Early files have these entries at the top.
        let entry = |name: &str| json["pretrained_cfg"].get(name).or_else(|| json.get(name));
        let architecture = json.get("architecture").or_else(|| entry("architecture")).and_then(Value::as_str);
        let numbers = |name: &str| match entry(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let numbers = value.as_array().and_then(|all| all.iter().map(Value::as_f64).collect());
                let numbers: Vec<f64> = numbers.ok_or(format!("`{name}` is not a list of numbers"))?;
                Ok::<_, String>(Some(numbers))
            }
        };
        let input_size = match numbers("input_size")?.as_deref() {
            Some([channels, height, width]) => Some([*channels, *height, *width].map(|side| side as i64)),
            Some(_) => return Err("`input_size` is not channels, height and width".to_string()),
            None => None,
        };
        let normalization = match (numbers("mean")?, numbers("std")?) {
            (Some(mean), Some(deviation)) => Some(
                Normalization::fixed(&mean, &deviation)
                    .map_err(|problem| format!("`mean` and `std`: {problem}"))?,
            ),
            _ => None,
        };
        Ok(PretrainedConfig {
            architecture: architecture.map(str::to_string),
            input_size,
            normalization,
            interpolation: entry("interpolation").and_then(Value::as_str).and_then(|name| name.parse().ok()),
            center_crop: entry("crop_pct")
                .and_then(Value::as_f64)
                .filter(|share| CENTER_CROPS.contains(share)),
            classes: entry("num_classes").and_then(Value::as_i64),
            model_options: json.get("model_options").and_then(Value::as_str).map(str::to_string),
        })
    }

    /// The name of the architecture among [`ARCHITECTURES`]; none if the configuration has none.
    ///
    /// # Errors
    /// An architecture that is not among them. The message lists those with timm's names.
    pub fn model(&self) -> Result<Option<&'static str>> {
        let Some(name) = self.architecture.as_deref() else { return Ok(None) };
        let names = || ARCHITECTURES.iter().map(|known| known.name);
        match names().find(|known| *known == name) {
            Some(known) => Ok(Some(known)),
            None => {
                let hint = did_you_mean(name, names()).unwrap_or_default();
                Err(Error::Usage(format!(
                    "the weights are for the architecture {}, which is not available; there are {}{hint}",
                    quoted(&terminal::line(name)),
                    names().collect::<Vec<_>>().join(", ")
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_configuration_of_timm_is_read() {
        let json = json!({
            "architecture": "resnet18", "num_classes": 1000, "num_features": 512,
            "pretrained_cfg": {
                "tag": "a1_in1k", "input_size": [3, 224, 224], "test_input_size": [3, 288, 288], "interpolation": "bicubic",
                "crop_pct": 0.95, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "num_classes": 1000,
            },
        });
        let config = PretrainedConfig::of(&json).unwrap();
        assert_eq!((config.model().unwrap(), config.classes), (Some("resnet18"), Some(1000)));
        assert_eq!(config.input_size, Some([3, 224, 224]));
        assert_eq!(config.normalization.unwrap().to_string(), "imagenet");
        assert_eq!((config.interpolation, config.center_crop), (Some(Interpolation::Bicubic), Some(0.95)));
        let early = json!({ "architecture": "resnet18", "input_size": [3, 32, 32], "mean": [0.5, 0.5, 0.5], "std": [1, 1, 1] });
        let config = PretrainedConfig::of(&early).unwrap();
        assert_eq!((config.input_size, config.classes), (Some([3, 32, 32]), None));
        assert_eq!((config.interpolation, config.center_crop), (None, None));
        assert_eq!(config.normalization.unwrap().to_string(), "0.5,0.5,0.5/1,1,1");
        assert_eq!(PretrainedConfig::of(&json!({})).unwrap().model().unwrap(), None);
    }

    #[test]
    fn invalid_values_and_unknown_architectures_are_named() {
        let problem = |json| PretrainedConfig::of(&json).unwrap_err();
        assert!(problem(json!({ "input_size": [3, 224] })).contains("`input_size`"));
        assert!(problem(json!({ "mean": [0.5], "std": [0] })).contains("`mean` and `std`: "));
        assert!(problem(json!({ "mean": "imagenet" })).contains("`mean` is not a list"));
        let unknown = PretrainedConfig::of(&json!({ "architecture": "resnet19" })).unwrap();
        let says = unknown.model().unwrap_err().to_string();
        assert!(says.contains("`resnet19`") && says.contains("resnet18, resnet34"), "{says}");
    }
}
