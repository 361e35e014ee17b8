//! Published data sets, in the cache of cresset.

use std::fs;
use std::path::Path;

use cresset_data::error::Error as DataError;
use cresset_data::hosted::HostedDataset;

use crate::client::RemoteFile;
use crate::download::{Download, Expected};
use crate::error::Result;
use crate::{Hub, Progress, cache, problem};

impl Hub {
    /// Downloads a published data set to a folder that does not exist before it is complete. The SHA-256 of each file is checked,
    /// and archives are unpacked.
    ///
    /// # Errors
    /// An unreachable server, a download that ends early or has the wrong SHA-256, and a folder that cannot be written.
    pub fn dataset(
        &self,
        dataset: &HostedDataset,
        folder: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        if self.settings.offline {
            return Err(problem::dataset_offline(dataset.name, folder));
        }
        let beside = |ending: &str| folder.with_file_name(format!(".{}.{ending}", dataset.name));
        let _lock = cache::lock(&beside("lock"))?;
        if folder.is_dir() {
            return Ok(());
        }
        let incomplete = beside("incomplete");
        fs::create_dir_all(&incomplete).map_err(DataError::io("create the folder", &incomplete))?;
        for file in dataset.files {
            let path = incomplete.join(file.name);
            let url = self.url(dataset, file.name);
            let remote = RemoteFile { name: file.name.to_string(), size: Some(file.bytes), url };
            let expected = Expected::Prefix(file.sha256.to_string());
            let label = format!("the data set {}", dataset.name);
            Download {
                client: &self.client,
                label,
                file: remote,
                expected,
                path: &path,
                renew: &|| None,
                cache_variable: "XDG_CACHE_HOME",
            }
            .run(progress)?;
        }
        dataset.unpack(&incomplete)?;
        Ok(fs::rename(&incomplete, folder).map_err(DataError::io("write", folder))?)
    }

    fn url(&self, dataset: &HostedDataset, file: &str) -> String {
        match &self.settings.datasets_endpoint {
            Some(mirror) => format!("{mirror}/{}/{file}", dataset.name),
            None => format!("{}/{file}", dataset.url),
        }
    }
}
