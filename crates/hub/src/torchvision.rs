//! Files of torchvision's weights, in the cache of `torch.hub`.

use std::fs;
use std::path::{Path, PathBuf};

use cresset_data::error::Error as DataError;

use crate::client::RemoteFile;
use crate::download::{Download, Expected};
use crate::error::Result;
use crate::{Hub, Progress, cache, problem};

/// The folder of the files in the cache of `torch.hub`.
const CHECKPOINTS: &str = "hub/checkpoints";

impl Hub {
    /// The path of a file of torchvision's weights, such as `resnet18-f37072fd.pth`, after downloading it if necessary. The name ends
    /// with the first digits of the file's SHA-256, which are checked.
    ///
    /// # Errors
    /// An unreachable server, a download that ends early or has the wrong SHA-256, and a cache that cannot be written.
    pub fn torchvision_file(&self, name: &str, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
        let folder = self.settings.torch_home.join(CHECKPOINTS);
        let path = folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
        if self.settings.offline {
            return Err(problem::torchvision_offline(name, &folder));
        }
        let _lock = cache::lock(&folder.join(format!(".{name}.lock")))?;
        if path.is_file() {
            return Ok(path);
        }
        let incomplete = folder.join(format!("{name}.incomplete"));
        let url = format!("{}/{name}", self.settings.torchvision_endpoint);
        let file = RemoteFile { name: name.to_string(), size: None, url };
        let expected = Expected::Prefix(sha256_prefix(name).to_string());
        let label = "torchvision".to_string();
        let cache_variable = "TORCH_HOME";
        Download {
            client: &self.client,
            label,
            file,
            expected,
            path: &incomplete,
            renew: &|| None,
            cache_variable,
        }
        .run(progress)?;
        fs::rename(&incomplete, &path).map_err(DataError::io("write", &path))?;
        Ok(path)
    }
}

/// The digits between the last hyphen and the extension.
fn sha256_prefix(name: &str) -> &str {
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    stem.rsplit_once('-').map_or("", |(_, digits)| digits)
}
