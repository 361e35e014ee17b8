//! Options in exported models and reports, which contain only the file names of paths and nothing else about the machine.

use std::path::Path;

use cresset_options::{OptionSet, Spec};

use super::Config;
use crate::model::pretrained::HUB;

/// Whether an option is a path, or may be one.
fn is_path(spec: &Spec) -> bool {
    spec.value_name.split('|').any(|kind| ["PATH", "FILE", "DIR"].contains(&kind))
}

/// The value of an option, reduced to the file name if it is a path.
pub(crate) fn portable(name: &str, value: &str) -> String {
    // The name of a model of the hub contains a slash.
    let may_be_path = !value.starts_with(HUB) && Config::spec(name).is_some_and(is_path);
    let file = Path::new(value).file_name().filter(|_| may_be_path);
    file.map_or_else(|| value.to_string(), |file| file.to_string_lossy().into_owned())
}

impl Config {
    /// As [`Config::entries`], with paths reduced to their file names.
    pub(crate) fn portable_entries(&self) -> Vec<(&'static str, toml::Value)> {
        let mut entries = self.entries();
        for (name, value) in &mut entries {
            if let toml::Value::String(text) = value {
                *text = portable(name, text);
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_reduced_to_its_file_and_nothing_else_is() {
        for (name, value, expected) in [
            ("data", "/home/ann/photos/", "photos"),
            ("data", "digits", "digits"),
            ("train_list", "../lists/a b.txt", "a b.txt"),
            ("exclude", "/home/ann/exclude.tsv", "exclude.tsv"),
            ("init", "/home/ann/start.pth", "start.pth"),
            ("teacher", "/home/ann/runs/encoder", "encoder"),
            ("unlabelled", "/home/ann/more.csv", "more.csv"),
            ("pretrained", "/home/ann/weights", "weights"),
            ("pretrained", "hf:timm/resnet18.a1_in1k@v1", "hf:timm/resnet18.a1_in1k@v1"),
            ("feedback", "/home/ann/runs/1/feedback", "feedback"),
            ("model", "/home/ann/net.pt", "net.pt"),
            ("model", "cnn", "cnn"),
            ("label", "km/h", "km/h"),
            ("ignore", "a/b", "a/b"),
        ] {
            assert_eq!(portable(name, value), expected, "{name}");
        }
    }

    #[test]
    fn every_option_that_is_a_path_is_known() {
        for name in [
            "data",
            "images",
            "exclude",
            "train_list",
            "validation_list",
            "test_list",
            "feedback",
            "init",
            "teacher",
            "unlabelled",
            "pretrained",
            "model",
        ] {
            assert!(Config::spec(name).is_some_and(is_path), "{name}");
        }
    }
}
