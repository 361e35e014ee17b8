//! Whether a name means a local path, a model of the hub or weights of torchvision.

use std::path::{Path, PathBuf};

use super::TORCHVISION;

/// The prefix of models of the hub, for names that are also local paths.
pub const HUB: &str = "hf:";

/// The extensions of files of weights.
const EXTENSIONS: [&str; 6] = ["safetensors", "bin", "pt", "pth", "ckpt", "tar"];

/// What a name means.
///
/// ```
/// use cresset::model::pretrained::Source;
///
/// assert_eq!(Source::of("timm/resnet18.a1_in1k@v1"), Source::Hub("timm/resnet18.a1_in1k@v1"));
/// assert_eq!(Source::of("hf:timm/resnet18.a1_in1k"), Source::Hub("timm/resnet18.a1_in1k"));
/// assert_eq!(Source::of("torchvision/resnet18"), Source::Torchvision("resnet18"));
/// assert_eq!(Source::of("weights/resnet18.pth"), Source::Local("weights/resnet18.pth".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source<'a> {
    /// A model of the hub, with or without a revision.
    Hub(&'a str),
    /// Weights of torchvision, by the name of their enumeration or of the architecture.
    Torchvision(&'a str),
    /// A file or folder.
    Local(PathBuf),
}

impl<'a> Source<'a> {
    /// A name with the prefix `hf:` is a model of the hub; one that exists as a path, or looks like one, is a path.
    pub fn of(name: &'a str) -> Self {
        if let Some(id) = name.strip_prefix(HUB) {
            return Source::Hub(id);
        }
        let path = Path::new(name);
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let looks_like_path = name.starts_with(['.', '/', '~'])
            || name.contains('\\')
            || name.split_once('@').map_or(name, |(name, _)| name).matches('/').count() > 1
            || EXTENSIONS.contains(&extension);
        match looks_like_path || path.exists() {
            true => Source::Local(path.to_path_buf()),
            false => name.strip_prefix(TORCHVISION).map_or(Source::Hub(name), Source::Torchvision),
        }
    }
}

/// Whether the name `pinned` of resolved weights may be what `name` meant: the same name, or the same model of the hub with `name`
/// without a commit.
pub(crate) fn is_revision_of(pinned: &str, name: &str) -> bool {
    let is_default = pinned.starts_with(TORCHVISION)
        && pinned.strip_prefix(name).is_some_and(|weights| weights.starts_with('.'));
    if pinned == name || is_default {
        return true;
    }
    let Some(pinned) = pinned.strip_prefix(HUB) else { return false };
    let name = name.strip_prefix(HUB).unwrap_or(name);
    let (model, revision) = name.split_once('@').unwrap_or((name, ""));
    let is_commit = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (pinned_model, commit) = pinned.split_once('@').unwrap_or((pinned, ""));
    pinned_model == model && (!is_commit || revision == commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_exists_or_looks_like_one_is_a_path() {
        for path in ["src", "./a/b", "/a/b", "a/b/c", "a/model.safetensors", "..", "a\\b"] {
            assert_eq!(Source::of(path), Source::Local(path.into()), "{path}");
        }
        for id in ["timm/resnet18.a1_in1k", "org/net@refs/pr/1", "gpt2"] {
            assert_eq!(Source::of(id), Source::Hub(id));
        }
        assert_eq!(Source::of("hf:src"), Source::Hub("src"));
    }

    #[test]
    fn a_commit_belongs_to_every_name_of_its_model_but_other_commits() {
        let (commit, other) = ("0".repeat(40), "1".repeat(40));
        let pinned = format!("hf:timm/a@{commit}");
        for name in
            ["timm/a".to_string(), "hf:timm/a@main".to_string(), pinned.clone(), format!("timm/a@{commit}")]
        {
            assert!(is_revision_of(&pinned, &name), "{name}");
        }
        for name in ["timm/b".to_string(), format!("timm/a@{other}"), "a".to_string()] {
            assert!(!is_revision_of(&pinned, &name), "{name}");
        }
        assert!(is_revision_of("weights/a", "weights/a") && !is_revision_of("weights/a", "weights/b"));
    }
}
