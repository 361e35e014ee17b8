//! The name of a model on the hub.

use std::fmt;
use std::str::FromStr;

/// The revision that is meant if none is given.
const MAIN: &str = "main";

/// The maximum length of a name.
const MAX_LENGTH: usize = 96;

/// The name of a model, `ORGANIZATION/NAME` or `NAME`, with a revision: a branch, a tag or a commit.
///
/// ```
/// use cresset_hub::ModelId;
///
/// let id: ModelId = "timm/resnet18.a1_in1k".parse()?;
/// assert_eq!((id.name(), id.revision()), ("timm/resnet18.a1_in1k", "main"));
/// assert_eq!(id.at("v2").to_string(), "timm/resnet18.a1_in1k@v2");
/// assert!("../secrets".parse::<ModelId>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelId {
    name: String,
    revision: String,
}

impl ModelId {
    /// The name without the revision.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The revision.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The same model at another revision.
    pub fn at(&self, revision: &str) -> Self {
        ModelId { name: self.name.clone(), revision: revision.to_string() }
    }
}

/// Whether a revision is a commit: 40 hexadecimal digits.
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a part of a name can be a part of a path and of a URL as it is.
fn is_plain(part: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let ends = [part.bytes().next(), part.bytes().last()];
    part.bytes().all(is_allowed)
        && !ends.iter().any(|end| matches!(end, None | Some(b'.' | b'-')))
        && !part.contains("..")
        && !part.contains("--")
}

/// Whether a revision, which is a path in the cache, stays in its folder.
fn is_revision(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+/".contains(&byte);
    text.bytes().all(is_allowed) && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

impl FromStr for ModelId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, revision) = text.split_once('@').unwrap_or((text, MAIN));
        let parts: Vec<_> = name.split('/').collect();
        if parts.len() > 2 || !parts.iter().all(|part| is_plain(part)) || name.len() > MAX_LENGTH {
            return Err("expected a name such as timm/resnet18.a1_in1k".to_string());
        }
        if !is_revision(revision) {
            return Err("the revision after `@` must be a branch, a tag or a commit".to_string());
        }
        Ok(ModelId { name: name.to_string(), revision: revision.to_string() })
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision.as_str() {
            MAIN => f.write_str(&self.name),
            revision => write!(f, "{}@{revision}", self.name),
        }
    }
}
