use super::*;
use crate::Inputs;
use image::{GrayImage, Luma};
use proptest::prelude::*;

/// A folder with these images and text files.
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
fn images_are_found_with_and_without_extension_next_to_the_list_and_in_subfolders() {
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
                assert_eq!(ImageList.recognizes(&path), is_known, "{cells:?} {head}");
                let data = read(&folder, name, &DataOptions::default()).unwrap();
                assert_eq!(
                    (data.classes.as_slice(), data.labels.as_slice()),
                    (&["cat".into(), "dog".into()][..], &[0, 1][..])
                );
                assert_eq!(names(&data), images);
                assert_eq!(data.location(1).path, folder.path().join(images[1]));
            }
        }
    }
}

#[test]
fn a_table_next_to_images_is_a_table() {
    let numbers = "id,a,b,c,d,e,f,g,h,label\n1,0,0,0,0,0,0,0,0,x\n2,1,1,1,1,1,1,1,1,y\n";
    let folder =
        folder(&["images/1.png", "images/2.png"], &[("wide.csv", numbers), ("t.csv", "x,y\n0.5,a\n1.5,b\n")]);
    assert!(!ImageList.recognizes(&folder.path().join("wide.csv")));
    assert!(!ImageList.recognizes(&folder.path().join("t.csv")) && !ImageList.recognizes(folder.path()));
}

#[test]
fn class_folders_take_precedence_over_a_list() {
    let folder =
        folder(&["cat/1.png", "dog/2.png"], &[("list.csv", "file,label\ncat/1.png,x\ndog/2.png,y\n")]);
    assert!(!ImageList.recognizes(folder.path()) && ImageList.recognizes(&folder.path().join("list.csv")));
    assert_eq!(list_in(folder.path()).as_deref(), Some("list.csv"));
}

#[test]
fn missing_images_are_reported_with_their_lines() {
    let text = "id,label\n001,a\n009,b\n\n002,a\n010,b\n";
    let message = problem(&folder(&TWO, &[("train.csv", text)]), "train.csv");
    assert!(message.contains("2 of 4 listed images not found: `009` (line 3), `010` (line 6)"), "{message}");
    assert!(message.contains("--images"), "{message}");
    let message = problem(&folder(&[], &[("train.csv", "file,label\na.jpg,x\nb.jpg,y\n")]), "train.csv");
    assert!(
        message.contains("2 of 2 listed images not found") && message.contains("there are no images in"),
        "{message}"
    );
}

#[test]
fn the_image_folder_can_be_set() {
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
fn an_image_in_two_folders_is_ambiguous_unless_one_has_the_name_of_the_list() {
    let images = ["train/001.png", "train/002.png", "test/001.png"];
    let text = "id,label\n001,a\n002,b\n";
    let folder = folder(&images, &[("labels.csv", text), ("train.csv", text)]);
    assert!(problem(&folder, "labels.csv").contains("and in"));
    assert_eq!(names(&read(&folder, "train.csv", &DataOptions::default()).unwrap()), TWO);
}

#[test]
fn the_label_column_is_the_only_other_one_or_has_a_known_name_or_must_be_selected() {
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
    let message = with(unnamed, "last", None).unwrap_err().to_string();
    assert!(
        message.contains("cannot infer the label column") && message.contains("`kind`, `fold`"),
        "{message}"
    );
    assert_eq!(with(unnamed, "kind", None).unwrap().classes, ["cat", "dog"]);
    let message = with(unnamed, "id", None).unwrap_err().to_string();
    assert!(message.contains("contains the image file names"), "{message}");
    let message = with("id,cat,dog\n001,1,0\n002,0.0,1\n", "last", None).unwrap_err().to_string();
    assert!(message.contains("are one-hot encoded classes"), "{message}");
}

#[test]
fn missing_labels_and_repeats_are_reported() {
    let of = |text: &str| problem(&folder(&TWO, &[("train.csv", text)]), "train.csv");
    assert!(of("id,label\n001,\n002,b\n").contains("1 of 2 rows have no label in column `label` (line 2)"));
    assert!(
        of("id,label\n001,a\n001,b\n002,a\n").contains("with the label `a` in line 2 and with `b` in line 3")
    );
    let folder = folder(&TWO, &[("train.csv", "id,label\n001,a\n002,b\n001,a\n")]);
    assert_eq!(read(&folder, "train.csv", &DataOptions::default()).unwrap().labels, [0, 1]);
}

fn targets(dataset: &Dataset) -> Vec<String> {
    (0..dataset.rows()).map(|row| dataset.target_text(row)).collect()
}

#[test]
fn combined_labels_are_several_labels() {
    let images = ["a.png", "b.png", "c.png"];
    let of = |text: &str, options: &DataOptions| {
        read(&folder(&images, &[("l.csv", text)]), "l.csv", options)
            .map(|data| (data.classes.clone(), targets(&data)))
    };
    let (found, multilabel) = (DataOptions::default(), Some(TaskKind::Multilabel));
    let expected = (vec!["x".to_string(), "y".into()], ["x", "y", "x|y"].map(String::from).to_vec());
    assert_eq!(of("f,l\na.png,x\nb.png,y\nc.png,x|y\n", &found).unwrap(), expected);
    let options = DataOptions { task: multilabel, ..DataOptions::default() };
    // An image in several rows has the labels of all.
    assert_eq!(of("f,l\na.png,x\nb.png,y\nc.png,x\nc.png,y\nc.png,x\n", &options).unwrap(), expected);
    let (_, rows) = of("f,l\na.png,x\nb.png,\nc.png,x y\n", &options).unwrap();
    assert_eq!(rows, ["x", "", "x y"]);
    let classes = DataOptions { task: Some(TaskKind::Classification), ..DataOptions::default() };
    assert_eq!(of("f,l\na.png,x\nb.png,y\nc.png,x|y\n", &classes).unwrap().0, ["x", "x|y", "y"]);
}

#[test]
fn label_columns_of_a_list_are_labels() {
    let images = ["a.png", "b.png"];
    let of = |text: &str| {
        let options = DataOptions { labels: Some("cat,dog".into()), ..DataOptions::default() };
        read(&folder(&images, &[("l.csv", text)]), "l.csv", &options)
    };
    let data = of("image,dog,cat\na.png,1,0\nb.png,1,1\n").unwrap();
    assert_eq!(
        (data.classes.clone(), targets(&data)),
        (vec!["cat".into(), "dog".into()], vec!["dog".into(), "cat|dog".into()])
    );
    let problem = of("image,dog,cat\na.png,1,0\nb.png,1,maybe\n").unwrap_err().to_string();
    assert!(problem.contains("l.csv, line 3, column `cat`: `maybe` is neither 0 nor 1"), "{problem}");
    let problem = of("image,dog,bird\na.png,1,0\nb.png,1,1\n").unwrap_err().to_string();
    assert!(problem.contains("no column `cat`"), "{problem}");
}

#[test]
fn repeated_images_have_the_labels_of_all_rows_whatever_characters_names_have() {
    let images = ["a.png", "b.png"];
    let columns = DataOptions { labels: Some("x;y,z".into()), ..DataOptions::default() };
    let list = folder(&images, &[("l.csv", "image,x;y,z\na.png,1,0\nb.png,1,0\na.png,0,1\n")]);
    assert_eq!(targets(&read(&list, "l.csv", &columns).unwrap()), ["x;y|z", "x;y"]);
    // Repeats of a name with a space do not make the space a separator.
    let options = DataOptions { task: Some(TaskKind::Multilabel), ..DataOptions::default() };
    let text = "f,l\na.png,New York\nb.png,New York\na.png,New York\na.png,Bonn\nb.png,New York\n";
    let list = folder(&images, &[("l.csv", text)]);
    assert_eq!(targets(&read(&list, "l.csv", &options).unwrap()), ["Bonn|New York", "New York"]);
}

#[test]
fn json_lines_are_lists_with_errors_that_name_the_line() {
    let of = |text: &str| {
        let folder = folder(&["a.png", "b.png"], &[("metadata.jsonl", text)]);
        assert!(ImageList.recognizes(&folder.path().join("metadata.jsonl")));
        read(
            &folder,
            "metadata.jsonl",
            &DataOptions { task: Some(TaskKind::Multilabel), ..DataOptions::default() },
        )
    };
    let data = of("{\"file_name\": \"a.png\", \"labels\": [\"x\", \"y\"]}\n\n{\"labels\": [], \"file_name\": \"b.png\"}\n").unwrap();
    assert_eq!(
        (data.classes.clone(), targets(&data)),
        (vec!["x".into(), "y".into()], vec!["x|y".into(), "".into()])
    );
    let first = "{\"file_name\": \"a.png\", \"labels\": [\"x\"]}\n";
    for (line, problem) in [
        ("{\"file_name\": \"b.png\", \"labels\": {}}", "the value of `labels` is an object"),
        ("{\"file_name\": \"b.png\", \"labels\": [\"x|y\"]}", "the value of `labels` contains `x|y`"),
        ("{\"file_name\": \"b.png\", \"label\": []}", "the key `label` is not in the first line"),
        ("[1, 2]", "the line is not a JSON object"),
    ] {
        // Enough lines before it that the list is recognized.
        let text = format!("{}{line}\n", first.repeat(64));
        let found = of(&text).unwrap_err().to_string();
        assert!(found.contains("metadata.jsonl, line 65: ") && found.contains(problem), "{found}");
    }
}

#[test]
fn lists_of_subsets_are_combined() {
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
    assert!(ImageList.recognizes(folder.path()));
    let data = read(&folder, "", &DataOptions::default()).unwrap();
    assert_eq!(names(&data), images[..4]);
    use Subset::{Train, Validation};
    assert_eq!(data.portions.unwrap(), [Train, Train, Validation, Validation]);
}

#[test]
fn the_hash_depends_on_the_labels() {
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
            let _ = (ImageList.recognizes(&path), read(&folder, name, &DataOptions::default()), images(&path, None));
        }
    }
}
