//! Finds the images of a list: next to it, in a folder next to it, or in a folder set by the user.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::shown;
use crate::format::folder::entries;
use crate::image::is_image;

/// An index of the images in some folders by file name and by name without extension.
#[derive(Clone)]
pub(crate) struct ImageIndex {
    /// The base of relative paths.
    base: PathBuf,
    /// The folders, in order of preference, with their images.
    folders: Vec<(PathBuf, Arc<Files>)>,
    /// Whether the first folder takes precedence if several contain an image.
    prefers_first: bool,
    /// Other folders that are referenced by paths, read on demand.
    others: HashMap<PathBuf, Arc<Files>>,
}

/// The maximum number of folders next to a list that are read.
const MAX_FOLDERS: usize = 64;

impl ImageIndex {
    /// Indexes the folder set by the user and its subfolders; otherwise the folder of the list and its
    /// subfolders, where the one with the list's name comes first.
    pub fn new(list: &Path, images: Option<&Path>) -> Self {
        let list_folder =
            list.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let base = images.unwrap_or(list_folder).to_path_buf();
        let stem = list.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let stem = stem.split('.').next().unwrap_or_default().to_string();
        let mut inner: Vec<_> =
            entries(&base).unwrap_or_default().into_iter().filter(|path| path.is_dir()).collect();
        let has_list_name =
            |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().to_lowercase() == stem;
        inner.sort_by_key(|path| !has_list_name(path));
        let prefers_first = inner.first().is_some_and(has_list_name);
        let folders = inner.into_iter().take(MAX_FOLDERS);
        // Files in the folder itself take precedence.
        let folders = folders.chain([base.clone()]).map(|path| {
            let files = Arc::new(Files::of(&path));
            (path, files)
        });
        let folders = folders.filter(|(_, files)| !files.by_name.is_empty()).collect();
        ImageIndex { base, folders, prefers_first, others: HashMap::new() }
    }

    /// The image with the name or path in a cell.
    ///
    /// # Errors
    /// No image, or several.
    pub fn find(&mut self, cell: &str) -> Result<PathBuf, String> {
        self.find_all(cell).unwrap_or_else(|| Err(self.not_found()))
    }

    /// Whether at least one image has the name or path in a cell.
    pub fn contains(&mut self, cell: &str) -> bool {
        self.find_all(cell).is_some()
    }

    fn find_all(&mut self, cell: &str) -> Option<Result<PathBuf, String>> {
        let cell = cell.trim();
        if cell.is_empty() || cell.contains('\0') {
            return None;
        }
        if cell.contains(['/', '\\']) {
            let mut folders = vec![self.base.clone()];
            folders.extend(self.folders.iter().map(|(path, _)| path.clone()));
            let find_all = folders.iter().find_map(|folder| {
                self.in_folder(folder, cell).or_else(|| self.in_folder(folder, &cell.replace('\\', "/")))
            });
            return find_all;
        }
        let find_all: Vec<_> =
            self.folders.iter().filter_map(|(path, files)| Some((path.clone(), files.find(cell)?))).collect();
        match &find_all[..] {
            [] => None,
            [(_, file)] => Some(file.clone()),
            [(first, file), ..] if self.prefers_first && *first == self.folders[0].0 => Some(file.clone()),
            [.., (folder, file)] if *folder == self.base => Some(file.clone()),
            [(one, _), (other, _), ..] => Some(Err(format!(
                "the image exists in {} and in {}; choose one with --images",
                shown(one),
                shown(other)
            ))),
        }
    }

    /// The image at a path relative to a folder.
    fn in_folder(&mut self, folder: &Path, path: &str) -> Option<Result<PathBuf, String>> {
        let path = folder.join(path);
        if path.is_file() {
            return Some(Ok(path));
        }
        let (parent, name) = (path.parent()?.to_path_buf(), path.file_name()?.to_string_lossy().into_owned());
        let files = self.others.entry(parent.clone()).or_insert_with(|| Arc::new(Files::of(&parent)));
        files.find(&name)
    }

    fn not_found(&self) -> String {
        let folders: Vec<_> = self.folders.iter().take(4).map(|(path, _)| shown(path)).collect();
        match folders.len() {
            0 => format!("there are no images in {} and its subfolders", shown(&self.base)),
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

    /// The image with this name, with or without its extension.
    fn find(&self, name: &str) -> Option<Result<PathBuf, String>> {
        if let Some(path) = self.by_name.get(name) {
            return Some(Ok(path.clone()));
        }
        match &self.by_stem.get(name)?[..] {
            [only] => Some(Ok(only.clone())),
            several => {
                let names: Vec<_> =
                    several.iter().filter_map(|path| path.file_name()).map(Path::new).map(shown).collect();
                Some(Err(format!("several images have this name ({}); add the extension", names.join(", "))))
            }
        }
    }
}
