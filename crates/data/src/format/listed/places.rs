//! Where the images of a list are: beside it, in a folder beside it, or where the user says.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::shown;
use crate::format::folder::entries;
use crate::image::is_image;

/// The images of some folders by their names, and by their names without an extension.
#[derive(Clone)]
pub struct Places {
    /// Against which paths are relative.
    base: PathBuf,
    /// The folders, the likeliest first, with what is in them.
    folders: Vec<(PathBuf, Arc<Files>)>,
    /// The first folder alone decides where several have an image.
    has_own: bool,
    /// Folders that paths lead to, as they are needed.
    others: HashMap<PathBuf, Arc<Files>>,
}

/// More folders beside a list are not looked into.
const MOST_FOLDERS: usize = 64;

impl Places {
    /// For a list: the folder that the user names and those in it; else that of the list, and those beside the list, of which
    /// that with the list's name comes first.
    pub fn new(list: &Path, images: Option<&Path>) -> Self {
        let beside = list.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let base = images.unwrap_or(beside).to_path_buf();
        let stem = list.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let stem = stem.split('.').next().unwrap_or_default().to_string();
        let mut inner: Vec<_> =
            entries(&base).unwrap_or_default().into_iter().filter(|path| path.is_dir()).collect();
        let is_own =
            |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().to_lowercase() == stem;
        inner.sort_by_key(|path| !is_own(path));
        let has_own = inner.first().is_some_and(is_own);
        let folders = inner.into_iter().take(MOST_FOLDERS);
        // The folder's own files come before all others.
        let folders = folders.chain([base.clone()]).map(|path| {
            let files = Arc::new(Files::of(&path));
            (path, files)
        });
        let folders = folders.filter(|(_, files)| !files.by_name.is_empty()).collect();
        Places { base, folders, has_own, others: HashMap::new() }
    }

    /// The image that a cell names.
    ///
    /// # Errors
    /// None, or several.
    pub fn find(&mut self, cell: &str) -> Result<PathBuf, String> {
        self.found(cell).unwrap_or_else(|| Err(self.nowhere()))
    }

    /// Whether a cell names an image, or several.
    pub fn knows(&mut self, cell: &str) -> bool {
        self.found(cell).is_some()
    }

    fn found(&mut self, cell: &str) -> Option<Result<PathBuf, String>> {
        let cell = cell.trim();
        if cell.is_empty() || cell.contains('\0') {
            return None;
        }
        if cell.contains(['/', '\\']) {
            let mut folders = vec![self.base.clone()];
            folders.extend(self.folders.iter().map(|(path, _)| path.clone()));
            let found = folders.iter().find_map(|folder| {
                self.in_folder(folder, cell).or_else(|| self.in_folder(folder, &cell.replace('\\', "/")))
            });
            return found;
        }
        let found: Vec<_> =
            self.folders.iter().filter_map(|(path, files)| Some((path.clone(), files.find(cell)?))).collect();
        match &found[..] {
            [] => None,
            [(_, file)] => Some(file.clone()),
            [(own, file), ..] if self.has_own && *own == self.folders[0].0 => Some(file.clone()),
            [.., (folder, file)] if *folder == self.base => Some(file.clone()),
            [(one, _), (other, _), ..] => Some(Err(format!(
                "there is such an image in {} and in {}; name one of them with --images",
                shown(one),
                shown(other)
            ))),
        }
    }

    /// What a path in a folder names.
    fn in_folder(&mut self, folder: &Path, path: &str) -> Option<Result<PathBuf, String>> {
        let path = folder.join(path);
        if path.is_file() {
            return Some(Ok(path));
        }
        let (parent, name) = (path.parent()?.to_path_buf(), path.file_name()?.to_string_lossy().into_owned());
        let files = self.others.entry(parent.clone()).or_insert_with(|| Arc::new(Files::of(&parent)));
        files.find(&name)
    }

    fn nowhere(&self) -> String {
        let folders: Vec<_> = self.folders.iter().take(4).map(|(path, _)| shown(path)).collect();
        match folders.len() {
            0 => format!("there are no images in {} and in the folders in it", shown(&self.base)),
            _ => format!("there is no such image in {}", folders.join(", ")),
        }
    }
}

/// The images of a folder.
struct Files {
    by_name: HashMap<String, PathBuf>,
    by_stem: HashMap<String, Vec<PathBuf>>,
}

impl Files {
    fn of(folder: &Path) -> Self {
        let mut files = Files { by_name: HashMap::new(), by_stem: HashMap::new() };
        for path in entries(folder).unwrap_or_default() {
            if !is_image(&path) {
                continue;
            }
            let text =
                |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
            files.by_stem.entry(text(path.file_stem())).or_default().push(path.clone());
            files.by_name.insert(text(path.file_name()), path);
        }
        files
    }

    /// The image of this name, or of this name and an extension.
    fn find(&self, name: &str) -> Option<Result<PathBuf, String>> {
        if let Some(path) = self.by_name.get(name) {
            return Some(Ok(path.clone()));
        }
        match &self.by_stem.get(name)?[..] {
            [only] => Some(Ok(only.clone())),
            several => {
                let names: Vec<_> =
                    several.iter().filter_map(|path| path.file_name()).map(Path::new).map(shown).collect();
                Some(Err(format!(
                    "several images are called so ({}); write the extension, too",
                    names.join(", ")
                )))
            }
        }
    }
}
