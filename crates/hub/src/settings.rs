//! The endpoint, the cache and the access token, as the environment variables of `huggingface_hub` set them.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use cresset_data::error::Error as DataError;

use crate::error::Result;

/// The endpoint unless `HF_ENDPOINT` names another one.
pub const ENDPOINT: &str = "https://huggingface.co";

/// The base URL of torchvision's weights unless `TORCHVISION_ENDPOINT` names another one.
const TORCHVISION_ENDPOINT: &str = "https://download.pytorch.org/models";

/// The settings of the hub.
///
/// | variable | meaning |
/// | --- | --- |
/// | `HF_ENDPOINT` | base URL of the hub, such as a mirror |
/// | `HF_HOME` | folder of the cache (`hub/`) and of the file `token`; default `~/.cache/huggingface` |
/// | `HF_HUB_CACHE` | folder of the cache |
/// | `HF_TOKEN`, `HF_TOKEN_PATH` | access token, and the file that has it |
/// | `HF_HUB_OFFLINE` | `1`: use only the cache |
/// | `TORCHVISION_ENDPOINT` | base URL of a mirror of torchvision's weights |
/// | `DATASETS_ENDPOINT` | base URL of a mirror of the published data sets, with a folder for each |
/// | `TORCH_HOME` | folder of torchvision's weights (`hub/checkpoints/`); default `~/.cache/torch` |
/// | `SSL_CERT_FILE` | trusted certificates in PEM format, instead of Mozilla's |
///
/// ureq follows `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Base URL, without a slash at its end.
    pub endpoint: String,
    /// Folder of the cache.
    pub cache: PathBuf,
    /// Access token, sent only to the endpoint.
    pub token: Option<String>,
    /// The file from which the token is read if `HF_TOKEN` is not set.
    pub token_file: PathBuf,
    /// Base URL of torchvision's weights, without a slash at its end.
    pub torchvision_endpoint: String,
    /// Folder of the cache of `torch.hub`.
    pub torch_home: PathBuf,
    /// Base URL of a mirror of the published data sets, without a slash at its end.
    pub datasets_endpoint: Option<String>,
    /// Whether only the cache is used.
    pub offline: bool,
    /// Trusted certificates.
    pub certificates: Option<PathBuf>,
}

impl Settings {
    /// The settings of this process.
    ///
    /// # Errors
    /// If no variable tells where the cache is.
    pub fn from_environment() -> Result<Self> {
        Settings::of(|name| std::env::var_os(name))
    }

    /// The settings by the values of environment variables.
    ///
    /// # Errors
    /// If no variable tells where the cache is.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| variable(name).map(|value| value.to_string_lossy().trim().to_string());
        let user_cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
        let user_cache = user_cache.or_else(|| Some(Path::new(&variable("HOME")?).join(".cache")));
        let folder = |name: &str, own: &str| {
            variable(name).map(PathBuf::from).or_else(|| Some(user_cache.as_ref()?.join(own)))
        };
        let home = folder("HF_HOME", "huggingface");
        let cache = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE")).map(PathBuf::from);
        let Some(cache) = cache.or_else(|| Some(home.as_ref()?.join("hub"))) else {
            let problem = "there is no home folder for downloaded models; set HF_HOME to a folder";
            return Err(DataError::Usage(problem.to_string()).into());
        };
        let token_file = variable("HF_TOKEN_PATH").map(PathBuf::from);
        let token_file = token_file.unwrap_or_else(|| home.unwrap_or_default().join("token"));
        let token = text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN"));
        let token = token.or_else(|| Some(std::fs::read_to_string(&token_file).ok()?.trim().to_string()));
        let url = |name: &str, default: &str| {
            let url = text(name).unwrap_or_else(|| default.to_string());
            url.trim_end_matches('/').to_string()
        };
        let offline = text("HF_HUB_OFFLINE").unwrap_or_default().to_ascii_uppercase();
        Ok(Settings {
            endpoint: url("HF_ENDPOINT", ENDPOINT),
            cache,
            token: token.filter(|token| !token.is_empty()),
            token_file,
            torchvision_endpoint: url("TORCHVISION_ENDPOINT", TORCHVISION_ENDPOINT),
            torch_home: folder("TORCH_HOME", "torch").unwrap_or_default(),
            datasets_endpoint: text("DATASETS_ENDPOINT").map(|url| url.trim_end_matches('/').to_string()),
            offline: ["1", "ON", "YES", "TRUE"].contains(&offline.as_str()),
            certificates: variable("SSL_CERT_FILE").map(PathBuf::from),
        })
    }
}

// Not derived, because the token is a secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { endpoint, cache, token, offline, .. } = self;
        write!(f, "Settings({endpoint}, {}, token: {}, offline: {offline})", cache.display(), token.is_some())
    }
}
