//! A folder of pictures: a folder a class, by themselves or below `train`, `val` and `test`.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::pictures::Pictures;
use super::portions::{ClassFolder, Tree, arrange};
use super::skipped::Skipped;
use super::{Format, listed};
use crate::error::{Error, Place, Result, quoted};
use crate::image::{ImageSource, Kind, is_image};
use crate::{DataOptions, Dataset};

/// The format.
pub struct Folder;

impl Format for Folder {
    fn name(&self) -> &'static str {
        "folder"
    }

    fn summary(&self) -> &'static str {
        "a folder of pictures (JPEG, PNG, BMP, GIF, WebP, TIFF), a class a folder"
    }

    fn recognises(&self, path: &Path) -> bool {
        let is_of_images = |entry: &PathBuf| entry.is_dir() || is_image(entry);
        path.is_dir() && entries(path).is_ok_and(|entries| entries.iter().any(is_of_images))
    }

    fn read(&self, path: &Path, options: &DataOptions) -> Result<Dataset> {
        if !path.is_dir() {
            return Err(Error::data(path, "this is no folder"));
        }
        let tree = Tree::of(path)?;
        if tree.below.is_empty() {
            let problem = match tree.images {
                0 => "there are no pictures in its folders; a class is a folder with pictures, as in photos/cat/1.jpg".to_string(),
                count => format!(
                    "its {count} images are in no folder of a class; sort them into a folder a class, as in photos/cat/1.jpg, or list \
                     them with their labels in a CSV file"
                ),
            };
            return Err(Error::data(path, problem));
        }
        let arrangement = arrange(&tree).map_err(|problem| Error::data(path, problem))?;
        let mut found = Found::default();
        for class in &arrangement.classes {
            found.add_class(path, class)?;
        }
        found.skip_loose(path, &arrangement.classes)?;
        for note in arrangement.notes.into_iter().chain(found.skipped.sentence()) {
            tracing::warn!("{}: {note}", Place::from(path));
        }
        if let Some(list) = listed::list_in(path) {
            tracing::warn!(
                "{}: the folders are taken for the classes; the labels of the list {} are taken if it is named as --data",
                Place::from(path),
                quoted(&list)
            );
        }
        found.pictures.into_dataset(path, options)
    }
}

/// What is in a folder, sorted, without hidden files.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let fault = |e: std::io::Error| Error::data(folder, format!("cannot read the folder: {e}"));
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[derive(Default)]
struct Found {
    pictures: Pictures,
    /// Files that are no images.
    skipped: Skipped,
}

impl Found {
    /// Adds all pictures at and below the folder of a class.
    fn add_class(&mut self, root: &Path, class: &ClassFolder) -> Result<()> {
        // Links may lead anywhere: no real folder is walked twice, and none that holds the class itself.
        let own = real(&class.path)?;
        let mut walked = HashSet::from([own.clone()]);
        let mut pending = vec![class.path.clone()];
        while let Some(folder) = pending.pop() {
            for path in entries(&folder)? {
                if path.is_dir() {
                    let inner = real(&path)?;
                    if own.starts_with(&inner) {
                        tracing::warn!(
                            "{}: leads back to a folder above it, so it is passed over",
                            path.display()
                        );
                    } else if walked.insert(inner) {
                        pending.push(path);
                    }
                    continue;
                }
                match Kind::of(&path) {
                    Kind::Image => self.add(root, path, &class.class),
                    kind => self.skipped.add(&path, kind),
                }
            }
        }
        if let Some(portion) = class.portion {
            let count = self.pictures.labels.len();
            self.pictures.portions.get_or_insert_default().resize(count, portion);
        }
        Ok(())
    }

    /// Counts the files beside the folders of classes, on the way to them.
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
        let below = path.strip_prefix(root).unwrap_or(&path);
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        self.pictures.names.push(parts.join("/"));
        // A file that cannot even be looked at is found damaged when it is read.
        self.pictures.sizes.push(fs::metadata(&path).map_or(0, |metadata| metadata.len()));
        self.pictures.labels.push(label.to_string());
        self.pictures.sources.push(ImageSource::File(path));
    }
}

/// The folder that links lead to.
pub fn real(folder: &Path) -> Result<PathBuf> {
    folder.canonicalize().map_err(|e| Error::data(folder, format!("cannot read the folder: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InputShape, Names, Portion};
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
        assert!(Folder.recognises(folder.path()));
        Folder.read(folder.path(), &DataOptions::default())
    }

    #[test]
    fn a_class_is_a_folder_however_deep_its_pictures_are() {
        let data =
            read(&folder(&["dog/a.png", "cat/x/y/b.PNG", "cat/c.jpg", "cat/notes.txt", ".git/d/e.png"]))
                .unwrap();
        assert_eq!((data.classes, data.labels), (vec!["cat".into(), "dog".into()], vec![0, 0, 1]));
        let names = ["cat/c.jpg", "cat/x/y/b.PNG", "dog/a.png"].map(String::from);
        assert_eq!(data.names, Names::Files(names.into()));
        assert_eq!((data.shape, data.portions), (InputShape(vec![1, 4, 6]), None));
    }

    #[test]
    fn folders_of_portions_hold_folders_of_classes() {
        let data =
            read(&folder(&["train/1/a.png", "train/10/b.png", "val/1/c.png", "test/10/d.png"])).unwrap();
        assert_eq!(data.classes, ["1", "10"]);
        let portions = [Portion::Test, Portion::Train, Portion::Train, Portion::Validation];
        assert_eq!(data.portions.unwrap(), portions);
        // Two classes that only happen to be called like portions.
        assert_eq!(read(&folder(&["test/a.png", "exam/b.png"])).unwrap().classes, ["exam", "test"]);
    }

    #[test]
    fn one_picture_of_another_size_or_in_color_decides_for_all() {
        let folder = folder(&["a/1.png", "a/2.png", "b/1.png"]);
        RgbImage::from_pixel(300, 4, image::Rgb([1, 2, 3])).save(folder.path().join("b/2.png")).unwrap();
        assert_eq!(read(&folder).unwrap().shape, InputShape(vec![3, 224, 224]));
        let options = DataOptions { image_size: "32x48".parse().unwrap(), ..DataOptions::default() };
        let data = Folder.read(folder.path(), &options).unwrap();
        assert_eq!(data.shape, InputShape(vec![3, 32, 48]));
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_in_circles_come_to_an_end() {
        use std::os::unix::fs::symlink;
        let folder = folder(&["a/1.png", "a/deep/2.png", "b/1.png"]);
        symlink(folder.path(), folder.path().join("a/deep/root")).unwrap();
        symlink(folder.path().join("a"), folder.path().join("a/deep/self")).unwrap();
        symlink("nowhere", folder.path().join("a/gone.png")).unwrap();
        symlink(folder.path().join("a/deep"), folder.path().join("a/twice")).unwrap();
        assert_eq!(read(&folder).unwrap().labels, [0, 0, 0, 1]);
    }

    #[test]
    fn folders_without_pictures_and_pictures_that_cannot_be_read_are_refused() {
        let problem = |folder: &tempfile::TempDir| read(folder).unwrap_err().to_string();
        assert!(problem(&folder(&["a/1.txt", "b/2.txt"])).contains("as in photos/cat/1.jpg"));
        let folder = folder(&["a/x", "b/x"]);
        fs::write(folder.path().join("a/1.png"), "no picture").unwrap();
        assert!(problem(&folder).contains("none of the pictures that were tried can be read: this is no"));
    }
}
