use super::*;
use crate::Inputs;
use image::{GrayImage, Luma};
use proptest::prelude::*;

/// A folder with these images, and other files with their text.
fn folder(images: &[&str], files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        images.iter().map(|name| (name, None)).chain(files.iter().map(|(name, text)| (name, Some(text))))
    {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => GrayImage::from_pixel(3, 3, Luma([name.len() as u8])).save(&path).unwrap(),
        }
    }
    folder
}

fn read(folder: &tempfile::TempDir, name: &str, options: &DataOptions) -> Result<Dataset> {
    let path = folder.path().join(name);
    ImageList.read(if name.is_empty() { folder.path() } else { &path }, options)
}

fn problem(folder: &tempfile::TempDir, name: &str) -> String {
    read(folder, name, &DataOptions::default()).unwrap_err().to_string()
}

fn names(dataset: &Dataset) -> Vec<String> {
    (0..dataset.rows()).map(|row| dataset.names.name(row)).collect()
}

const TWO: [&str; 2] = ["train/001.png", "train/002.png"];

#[test]
fn names_are_found_with_and_without_an_extension_beside_the_list_and_in_folders_beside_it() {
    for (images, cells) in [
        (TWO, ["001", "002"]),
        (TWO, ["001.png", "002.png"]),
        (TWO, ["train/001.png", "./train/002"]),
        (TWO, ["train\\001.png", "train\\002.png"]),
        (["1 a.png", "ü,b.png"], ["1 a.png", "\"ü,b.png\""]),
        (["part_1/x.png", "part_2/y.png"], ["x", "y"]),
    ] {
        for head in ["id,label\n", ""] {
            let text = format!("{head}{},cat\n{},dog\n", cells[0], cells[1]);
            let folder = folder(&images, &[("train.csv", &text)]);
            for (name, is_known) in [("train.csv", true), ("", true)] {
                let path = folder.path().join(name);
                assert_eq!(ImageList.recognises(&path), is_known, "{cells:?} {head}");
                let data = read(&folder, name, &DataOptions::default()).unwrap();
                assert_eq!(
                    (data.classes.as_slice(), data.labels.as_slice()),
                    (&["cat".into(), "dog".into()][..], &[0, 1][..])
                );
                assert_eq!(names(&data), images);
                assert_eq!(data.place(1).path, folder.path().join(images[1]));
            }
        }
    }
}

#[test]
fn a_table_beside_images_is_a_table() {
    let numbers = "id,a,b,c,d,e,f,g,h,label\n1,0,0,0,0,0,0,0,0,x\n2,1,1,1,1,1,1,1,1,y\n";
    let folder =
        folder(&["images/1.png", "images/2.png"], &[("wide.csv", numbers), ("t.csv", "x,y\n0.5,a\n1.5,b\n")]);
    assert!(!ImageList.recognises(&folder.path().join("wide.csv")));
    assert!(!ImageList.recognises(&folder.path().join("t.csv")) && !ImageList.recognises(folder.path()));
}

#[test]
fn folders_of_classes_come_before_a_list() {
    let folder =
        folder(&["cat/1.png", "dog/2.png"], &[("list.csv", "file,label\ncat/1.png,x\ndog/2.png,y\n")]);
    assert!(!ImageList.recognises(folder.path()) && ImageList.recognises(&folder.path().join("list.csv")));
    assert_eq!(list_in(folder.path()).as_deref(), Some("list.csv"));
}

#[test]
fn images_that_are_not_there_are_all_named_with_their_lines() {
    let text = "id,label\n001,a\n009,b\n\n002,a\n010,b\n";
    let said = problem(&folder(&TWO, &[("train.csv", text)]), "train.csv");
    assert!(said.contains("2 of 4 listed images cannot be found: `009` (line 3), `010` (line 6)"), "{said}");
    assert!(said.contains("--images"), "{said}");
    let said = problem(&folder(&[], &[("train.csv", "file,label\na.jpg,x\nb.jpg,y\n")]), "train.csv");
    assert!(
        said.contains("2 of 2 listed images cannot be found") && said.contains("there are no images in"),
        "{said}"
    );
}

#[test]
fn the_folder_of_the_images_can_be_named() {
    let folder =
        folder(&["far/deep/a.png", "far/deep/b.png"], &[("lists/l.csv", "file,label\na.png,x\nb.png,y\n")]);
    let options = DataOptions { images: Some(folder.path().join("far/deep")), ..DataOptions::default() };
    let data = read(&folder, "lists/l.csv", &options).unwrap();
    assert_eq!(names(&data), ["a.png", "b.png"]);
    let text = format!("file,label\n{0}/far/deep/a.png,x\n{0}/far/deep/b.png,y\n", folder.path().display());
    std::fs::write(folder.path().join("lists/absolute.csv"), text).unwrap();
    let data = read(&folder, "lists/absolute.csv", &DataOptions::default()).unwrap();
    assert!(matches!(&data.inputs, Inputs::Images(sources) if sources.len() == 2));
}

#[test]
fn an_image_in_two_folders_is_asked_about_unless_one_is_called_like_the_list() {
    let images = ["train/001.png", "train/002.png", "test/001.png"];
    let text = "id,label\n001,a\n002,b\n";
    let folder = folder(&images, &[("labels.csv", text), ("train.csv", text)]);
    assert!(problem(&folder, "labels.csv").contains("and in"));
    assert_eq!(names(&read(&folder, "train.csv", &DataOptions::default()).unwrap()), TWO);
}

#[test]
fn the_column_of_the_labels_is_the_other_one_or_a_known_name_or_asked_for() {
    let with = |text: &str, label: &str, group: Option<&str>| {
        let folder = folder(&TWO, &[("train.csv", text)]);
        let group = group.map(|group| group.parse().unwrap());
        read(
            &folder,
            "train.csv",
            &DataOptions { label: label.parse().unwrap(), group, ..DataOptions::default() },
        )
    };
    let three = "label,id,fold\ncat,001,p1\ndog,002,p2\n";
    assert_eq!(with(three, "last", None).unwrap().classes, ["cat", "dog"]);
    let data = with(three, "last", Some("fold")).unwrap();
    assert_eq!(
        (data.classes, data.groups.unwrap()),
        (vec!["cat".into(), "dog".into()], vec!["p1".to_string(), "p2".into()])
    );
    let unnamed = "id,kind,fold\n001,cat,p1\n002,dog,p2\n";
    let said = with(unnamed, "last", None).unwrap_err().to_string();
    assert!(said.contains("which column holds the labels?") && said.contains("`kind`, `fold`"), "{said}");
    assert_eq!(with(unnamed, "kind", None).unwrap().classes, ["cat", "dog"]);
    let said = with(unnamed, "id", None).unwrap_err().to_string();
    assert!(said.contains("holds the names of the images"), "{said}");
    let said = with("id,cat,dog\n001,1,0\n002,0.0,1\n", "last", None).unwrap_err().to_string();
    assert!(said.contains("hold 0 and 1 for each class"), "{said}");
}

#[test]
fn gaps_repeats_and_several_labels_are_named() {
    let of = |text: &str| problem(&folder(&TWO, &[("train.csv", text)]), "train.csv");
    assert!(of("id,label\n001,\n002,b\n").contains("1 of 2 rows have no label in column `label` (line 2)"));
    assert!(
        of("id,label\n001,a\n001,b\n002,a\n").contains("with the label `a` in line 2 and with `b` in line 3")
    );
    let said = problem(
        &folder(&["a.png", "b.png", "c.png"], &[("l.csv", "f,l\na.png,x\nb.png,y\nc.png,x|y\n")]),
        "l.csv",
    );
    assert!(said.contains("`x|y` names several classes"), "{said}");
    let folder = folder(&TWO, &[("train.csv", "id,label\n001,a\n002,b\n001,a\n")]);
    assert_eq!(read(&folder, "train.csv", &DataOptions::default()).unwrap().labels, [0, 1]);
}

#[test]
fn lists_of_portions_are_taken_together() {
    let list = |names: [&str; 2]| format!("id,label\n{},a\n{},b\n", names[0], names[1]);
    let files = [
        ("train.csv", list(["001", "002"])),
        ("val.csv", list(["003", "004"])),
        ("test.csv", "id\n005\n".to_string()),
        ("sample_submission.csv", list(["005", "005"])),
    ];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let images = ["train/001.png", "train/002.png", "val/003.png", "val/004.png", "test/005.png"];
    let folder = folder(&images, &files);
    assert!(ImageList.recognises(folder.path()));
    let data = read(&folder, "", &DataOptions::default()).unwrap();
    assert_eq!(names(&data), images[..4]);
    use Portion::{Train, Validation};
    assert_eq!(data.portions.unwrap(), [Train, Train, Validation, Validation]);
}

#[test]
fn other_labels_are_other_data() {
    let of = |label: &str| {
        let folder = folder(&TWO, &[("train.csv", &format!("id,label\n001,a\n002,{label}\n"))]);
        read(&folder, "train.csv", &DataOptions::default()).unwrap().sha256
    };
    assert_ne!(of("b"), of("c"));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(id,label\n)?([a-c0-9./\\\\\"\u{0}, ;\t\n-]|\\.png){0,60}") {
        let folder = folder(&["a.png", "b/1.png"], &[("l.csv", &text), ("l.tsv", &text)]);
        for name in ["l.csv", "l.tsv", ""] {
            let path = folder.path().join(name);
            let _ = (ImageList.recognises(&path), read(&folder, name, &DataOptions::default()), images(&path, None));
        }
    }
}
