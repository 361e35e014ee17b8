use super::*;
use std::fs;

use proptest::prelude::*;

fn tree(files: &[&str]) -> (tempfile::TempDir, FolderTree) {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let tree = FolderTree::of(folder.path()).unwrap();
    (folder, tree)
}

/// The classes with a letter for their subsets, and the notes.
fn arranged(files: &[&str]) -> (Vec<String>, String) {
    let (_folder, tree) = tree(files);
    let FolderLayout { classes, notes } = arrange(&tree).unwrap();
    let shown =
        |class: ClassFolder| class.class + class.portion.map_or("", |p| ["/t", "/v", "/s"][p as usize]);
    (classes.into_iter().map(shown).collect(), notes.join("; "))
}

fn problem(files: &[&str]) -> String {
    arrange(&tree(files).1).unwrap_err()
}

#[test]
fn subset_names_are_recognized() {
    use Subset::{Test, Train, Validation};
    for (name, portion) in [
        ("train", Train),
        ("Training", Train),
        ("TRAIN", Train),
        ("train_set", Train),
        ("training-set", Train),
        ("trainset", Train),
        ("train_data", Train),
        ("TrainData", Train),
        ("train_images", Train),
        ("seg_train", Train),
        ("train2017", Train),
        ("Train 1", Train),
        ("trainval", Train),
        ("val", Validation),
        ("valid", Validation),
        ("Validation", Validation),
        ("dev", Validation),
        ("eval", Validation),
        ("val2017", Validation),
        ("validation_set", Validation),
        ("validset", Validation),
        ("test", Test),
        ("Testing", Test),
        ("test_set", Test),
        ("test1", Test),
        ("seg_test", Test),
        ("testdata", Test),
        ("test.images", Test),
    ] {
        assert_eq!(subset_in(name), Some((portion, String::new())), "{name}");
    }
    for name in ["cat", "steam train station of test", "contest", "detrain", "trains", "devil", "", "_", "12"]
    {
        assert_eq!(subset_in(name), None, "{name}");
    }
    assert_eq!(subset_in("dogs_train"), Some((Train, "dogs".to_string())));
}

#[test]
fn subsets_are_found_among_other_folders() {
    let (classes, notes) = arranged(&[
        "train/cat/1.png",
        "train/dog/1.png",
        "val/cat/1.png",
        "Testing/dog/1.png",
        "test1/9.png",
        "sample/7.png",
        "__MACOSX/train/cat/._1.png",
        "__MACOSX/x.png",
        "annotations/a.xml",
        "labels.csv",
        "train/list.txt",
        "train/8.png",
        "train/empty/a.txt",
        ".git/cat/1.png",
    ]);
    assert_eq!(classes, ["dog/s", "cat/t", "dog/t", "cat/v"]);
    for note in [
        "skipped the folder `test1`: it has 1 image outside class folders",
        "skipped the folder `sample` with 1 image, which is not named like a subset",
        "skipped 1 image in `train`, outside its class folders",
        "skipped folders without images in `train`: `empty`",
        "skipped 2 folders without images: `__MACOSX`, `annotations`",
    ] {
        assert!(notes.contains(note), "{notes}");
    }
}

#[test]
fn images_next_to_subsets_are_reported() {
    let (classes, notes) = arranged(&["1.png", "train/a/1.png", "test/a/2.png"]);
    assert_eq!((classes.len(), notes.as_str()), (2, "skipped 1 image outside the class folders"));
}

#[test]
fn nested_subsets_are_found_and_copies_are_ignored() {
    let xray = ["train/a/1.png", "train/b/1.png", "test/a/2.png"].map(|file| format!("xray/{file}"));
    let copy = xray.iter().map(|file| format!("xray/{file}"));
    let files: Vec<String> = xray.iter().cloned().chain(copy).chain(["more/9.png".to_string()]).collect();
    let (classes, notes) = arranged(&files.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(classes, ["a/s", "a/t", "b/t"]);
    assert!(
        notes.contains("the folder `xray` with 3 images") && notes.contains("1 image outside"),
        "{notes}"
    );
    let (classes, _) =
        arranged(&["seg_train/seg_train/a/1.png", "seg_test/seg_test/a/2.png", "seg_pred/seg_pred/3.png"]);
    assert_eq!(classes, ["a/s", "a/t"]);
    let (classes, _) =
        arranged(&["asl_train/asl_train/A/1.png", "asl_train/asl_train/B/1.png", "asl_test/A/1.png"]);
    assert_eq!(classes, ["A/s", "A/t", "B/t"]);
    assert_eq!(arranged(&["photos/cat/1.png", "photos/dog/1.png"]).0, ["cat", "dog"]);
    assert_eq!(
        arranged(&["cat/train/1.png", "cat/test/2.png", "dog/train/1.png"]).0,
        ["cat/s", "cat/t", "dog/t"]
    );
}

#[test]
fn classes_named_like_subsets_are_classes() {
    assert_eq!(arranged(&["train/1.png", "bus/1.png", "car/x/1.png"]).0, ["bus", "car", "train"]);
    assert_eq!(arranged(&["test/a.png", "exam/b.png"]).0, ["exam", "test"]);
    assert_eq!(arranged(&["dress_train/a.png", "coat/b.png"]).0, ["coat", "dress_train"]);
    assert_eq!(arranged(&["cat/1.png", "none/a.txt", "dog/1.png"]).0, ["cat", "dog"]);
}

#[test]
fn invalid_subset_folders_are_rejected() {
    assert!(problem(&["train/1.png", "test1/2.png"]).contains("`test1`, `train` are named like subsets"));
    assert!(problem(&["train/1.png", "test/2.png", "extra/3.png"]).contains("not in class folders"));
    assert!(problem(&["train/1.png"]).contains("not in class folders"));
    assert!(problem(&["val/a/1.png", "test/a/1.png"]).contains("none is a training set"));
    assert!(problem(&["train/x/1.png", "bus/1.png"]).contains("if it is a class, rename it"));
    let message = problem(&["x/train/a/1.png", "x/test/a/1.png", "y/train/a/1.png", "y/test/a/1.png"]);
    assert!(message.contains("several data sets") && message.contains("`x`, `y`"), "{message}");
}

proptest! {
    #[test]
    fn every_image_is_in_one_class_or_noted_or_the_folders_are_refused(
        files in prop::collection::btree_set("((train|test|val|a|b)/){1,4}[12]\\.png", 1..12)
    ) {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let (_folder, tree) = tree(&files);
        prop_assert_eq!(tree.total(), files.len());
        if let Ok(FolderLayout { classes, notes }) = arrange(&tree) {
            let counts = classes.iter().map(|class| FolderTree::of(&class.path).unwrap().total());
            prop_assert!(counts.sum::<usize>() == files.len() || !notes.is_empty());
            prop_assert!(classes.iter().all(|class| class.portion.is_some() == classes[0].portion.is_some()));
        }
    }
}
