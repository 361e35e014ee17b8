//! Image folders: one folder per class, at the top level or inside `train`, `val` and `test`.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::class_folders::{ClassFolder, FolderTree, arrange};
use super::encoded_images::EncodedImages;
use super::skipped::Skipped;
use super::{Format, listed};
use crate::error::{Error, Location, Result, quoted};
use crate::image::{ImageSource, Kind, is_image};
use crate::{DataOptions, Dataset};

/// The format.
pub struct Folder;

impl Format for Folder {
    fn name(&self) -> &'static str {
        "folder"
    }

    fn summary(&self) -> &'static str {
        "a folder of images (JPEG, PNG, BMP, GIF, WebP, TIFF) with one subfolder per class"
    }

    fn recognizes(&self, path: &Path) -> bool {
        let may_contain_images = |entry: &PathBuf| entry.is_dir() || is_image(entry);
        path.is_dir() && entries(path).is_ok_and(|entries| entries.iter().any(may_contain_images))
    }

    fn read(&self, path: &Path, options: &DataOptions) -> Result<Dataset> {
        if !path.is_dir() {
            return Err(Error::data(path, "this is not a folder"));
        }
        let tree = FolderTree::of(path)?;
        if tree.below.is_empty() {
            let problem = match tree.files {
                0 => "no images found; expected one subfolder per class, as in photos/cat/1.jpg".to_string(),
                count => format!(
                    "its {count} images are not in class folders; sort them into one subfolder per class, as in photos/cat/1.jpg, or list \
                     them with their labels in a CSV file"
                ),
            };
            return Err(Error::data(path, problem));
        }
        let arrangement = arrange(&tree).map_err(|problem| Error::data(path, problem))?;
        let mut collected = Collected::default();
        for class in &arrangement.classes {
            collected.add_class(path, class)?;
        }
        collected.skip_loose(path, &arrangement.classes)?;
        for note in arrangement.notes.into_iter().chain(collected.skipped.sentence()) {
            tracing::warn!("{}: {note}", Location::from(path));
        }
        if let Some(list) = listed::list_in(path) {
            tracing::warn!(
                "{}: using the folders as classes; to use the labels of the list {}, pass it as --data",
                Location::from(path),
                quoted(&list)
            );
        }
        collected.images.into_dataset(path, options)
    }
}

/// The entries of a folder, sorted, without hidden files.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let error = |e: std::io::Error| Error::data(folder, format!("cannot read the folder: {e}"));
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The files of a class folder and its subfolders for which `is_example` is true.
pub fn files_of_class(class: &Path, is_example: &mut dyn FnMut(&Path) -> bool) -> Result<Vec<PathBuf>> {
    // Symbolic links may form cycles: skip visited folders and ancestors of the class folder.
    let class_folder = resolve_links(class)?;
    let mut visited = HashSet::from([class_folder.clone()]);
    let mut pending = vec![class.to_path_buf()];
    let mut files = Vec::new();
    while let Some(folder) = pending.pop() {
        for path in entries(&folder)? {
            if path.is_dir() {
                let target = resolve_links(&path)?;
                if class_folder.starts_with(&target) {
                    tracing::warn!("{}: skipped a link to a parent folder", path.display());
                } else if visited.insert(target) {
                    pending.push(path);
                }
            } else if is_example(&path) {
                files.push(path);
            }
        }
    }
    Ok(files)
}

#[derive(Default)]
struct Collected {
    images: EncodedImages,
    /// Files that are not images.
    skipped: Skipped,
}

impl Collected {
    /// Adds all images in the folder of a class and its subfolders.
    fn add_class(&mut self, root: &Path, class: &ClassFolder) -> Result<()> {
        let skipped = &mut self.skipped;
        let images = files_of_class(&class.path, &mut |path| match Kind::of(path) {
            Kind::Image => true,
            kind => {
                skipped.add(path, kind);
                false
            }
        })?;
        images.into_iter().for_each(|path| self.add(root, path, &class.class));
        if let Some(portion) = class.portion {
            let count = self.images.labels.len();
            self.images.portions.get_or_insert_default().resize(count, portion);
        }
        Ok(())
    }

    /// Counts the other files in the parent folders of the classes.
    fn skip_loose(&mut self, root: &Path, classes: &[ClassFolder]) -> Result<()> {
        let above = classes.iter().flat_map(|class| class.path.ancestors().skip(1));
        let above: BTreeSet<&Path> = above.filter(|folder| folder.starts_with(root)).collect();
        for folder in above {
            for path in entries(folder)?.into_iter().filter(|path| !path.is_dir()) {
                match Kind::of(&path) {
                    Kind::Image => {}
                    kind => self.skipped.add(&path, kind),
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, root: &Path, path: PathBuf, label: &str) {
        let relative = path.strip_prefix(root).unwrap_or(&path);
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        self.images.names.push(parts.join("/"));
        // An inaccessible file is reported when it is decoded.
        self.images.sizes.push(fs::metadata(&path).map_or(0, |metadata| metadata.len()));
        self.images.labels.push(label.to_string());
        self.images.sources.push(ImageSource::File(path));
    }
}

/// Resolves symbolic links.
pub fn resolve_links(folder: &Path) -> Result<PathBuf> {
    folder.canonicalize().map_err(|e| Error::data(folder, format!("cannot read the folder: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InputShape, Names, Subset};
    use image::{GrayImage, Luma, RgbImage};

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match is_image(&path) {
                true => GrayImage::from_pixel(6, 4, Luma([9])).save(&path).unwrap(),
                false => fs::write(&path, "text").unwrap(),
            }
        }
        folder
    }

    fn read(folder: &tempfile::TempDir) -> Result<Dataset> {
        assert!(Folder.recognizes(folder.path()));
        Folder.read(folder.path(), &DataOptions::default())
    }

    #[test]
    fn a_class_folder_may_have_subfolders() {
        let data =
            read(&folder(&["dog/a.png", "cat/x/y/b.PNG", "cat/c.jpg", "cat/notes.txt", ".git/d/e.png"]))
                .unwrap();
        assert_eq!((data.classes, data.labels), (vec!["cat".into(), "dog".into()], vec![0, 0, 1]));
        let names = ["cat/c.jpg", "cat/x/y/b.PNG", "dog/a.png"].map(String::from);
        assert_eq!(data.names, Names::Files(names.into()));
        assert_eq!((data.shape, data.portions), (InputShape(vec![1, 4, 6]), None));
    }

    #[test]
    fn subset_folders_contain_class_folders() {
        let data =
            read(&folder(&["train/1/a.png", "train/10/b.png", "val/1/c.png", "test/10/d.png"])).unwrap();
        assert_eq!(data.classes, ["1", "10"]);
        let portions = [Subset::Test, Subset::Train, Subset::Train, Subset::Validation];
        assert_eq!(data.portions.unwrap(), portions);
        // Two classes that are named like subsets.
        assert_eq!(read(&folder(&["test/a.png", "exam/b.png"])).unwrap().classes, ["exam", "test"]);
    }

    #[test]
    fn one_image_of_another_size_or_in_color_changes_the_input_shape() {
        let folder = folder(&["a/1.png", "a/2.png", "b/1.png"]);
        RgbImage::from_pixel(300, 4, image::Rgb([1, 2, 3])).save(folder.path().join("b/2.png")).unwrap();
        assert_eq!(read(&folder).unwrap().shape, InputShape(vec![3, 224, 224]));
        let options = DataOptions { image_size: "32x48".parse().unwrap(), ..DataOptions::default() };
        let data = Folder.read(folder.path(), &options).unwrap();
        assert_eq!(data.shape, InputShape(vec![3, 32, 48]));
    }

    #[cfg(unix)]
    #[test]
    fn cyclic_links_terminate() {
        use std::os::unix::fs::symlink;
        let folder = folder(&["a/1.png", "a/deep/2.png", "b/1.png"]);
        symlink(folder.path(), folder.path().join("a/deep/root")).unwrap();
        symlink(folder.path().join("a"), folder.path().join("a/deep/self")).unwrap();
        symlink("nowhere", folder.path().join("a/gone.png")).unwrap();
        symlink(folder.path().join("a/deep"), folder.path().join("a/twice")).unwrap();
        assert_eq!(read(&folder).unwrap().labels, [0, 0, 0, 1]);
    }

    #[test]
    fn folders_without_readable_images_are_rejected() {
        let problem = |folder: &tempfile::TempDir| read(folder).unwrap_err().to_string();
        assert!(problem(&folder(&["a/1.txt", "b/2.txt"])).contains("as in photos/cat/1.jpg"));
        let folder = folder(&["a/x", "b/x"]);
        fs::write(folder.path().join("a/1.png"), "no image").unwrap();
        assert!(problem(&folder).contains("none of the sampled images can be read: this is not"));
    }
}
