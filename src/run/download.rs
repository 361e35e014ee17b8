//! Published data sets by name, downloaded when they are needed.

use crate::data::hosted::HostedDataset;
use crate::distributed::World;
use crate::error::{Error, Result};
use crate::model::pretrained::Download;

/// Downloads the data set that `data` names, such as `mnist`, unless it is in the cache. Does nothing for other data. `progress` is
/// called after each part of the download.
///
/// [`resolve_recipe`](super::resolve_recipe) and [`start`](super::start) do the same without progress.
///
/// ```no_run
/// use cresset::run;
///
/// run::download_data("fashion-mnist", &mut |download| println!("{}: {}", download.file, download.received))?;
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// An unreachable server, a download that ends early or has the wrong SHA-256, a folder that cannot be written, and a build without
/// the feature `hub`.
pub fn download_data(data: &str, progress: &mut dyn FnMut(Download)) -> Result<()> {
    let Some(dataset) = HostedDataset::of(data) else { return Ok(()) };
    let Some(folder) = dataset.folder() else {
        let problem = "there is no home folder for downloaded data sets; set XDG_CACHE_HOME to a folder";
        return Err(Error::Usage(problem.to_string()));
    };
    if folder.is_dir() { Ok(()) } else { download(dataset, &folder, progress) }
}

/// As [`download_data`], on rank 0 of `world`; the other ranks wait.
///
/// ```
/// use cresset::distributed::World;
/// use cresset::run;
///
/// // The digits are not a published data set, but come with the program.
/// run::download_data_on("digits", &World::alone(), &mut |_| unreachable!())?;
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// Those of [`download_data`].
pub fn download_data_on(data: &str, world: &World, progress: &mut dyn FnMut(Download)) -> Result<()> {
    world.broadcast_result(|| download_data(data, progress).map(|()| String::new())).map(drop)
}

#[cfg(feature = "hub")]
fn download(
    dataset: &HostedDataset,
    folder: &std::path::Path,
    progress: &mut dyn FnMut(Download),
) -> Result<()> {
    use cresset_hub::{Hub, Progress, Settings};

    tracing::info!("downloading {}: {}, license: {}", dataset.name, dataset.summary, dataset.license);
    let mut report =
        |Progress { file, received, total }: Progress| progress(Download { file, received, total });
    Ok(Hub::new(Settings::from_environment()?)?.dataset(dataset, folder, &mut report)?)
}

#[cfg(not(feature = "hub"))]
fn download(
    dataset: &HostedDataset,
    folder: &std::path::Path,
    _progress: &mut dyn FnMut(Download),
) -> Result<()> {
    Err(Error::Usage(format!(
        "this program was built without the feature `hub`, so it cannot download {}; put its files from {} into {}",
        dataset.name,
        dataset.url,
        folder.display()
    )))
}
