//! `cresset data`, as a user runs it.

use std::path::Path;

use crate::support::{run, stderr, succeed, text};
use image::{GenericImageView, Rgb, RgbImage};

/// 20 images in two classes; one is there twice and one is broken.
fn images(folder: &Path) {
    for number in 0..20u32 {
        let class = folder.join(["cat", "dog"][number as usize % 2]);
        std::fs::create_dir_all(&class).unwrap();
        let pixel = |x: u32, y: u32| {
            let wave = ((x * (number + 3) / 4 + y * (17 - number % 13)) as f32 / 9.).sin();
            Rgb([(wave * 100. + 120.) as u8, (x * 5) as u8, (number * 12) as u8])
        };
        RgbImage::from_fn(40, 40, pixel).save(class.join(format!("{number:02}.png"))).unwrap();
    }
    std::fs::copy(folder.join("cat/00.png"), folder.join("cat/copy.png")).unwrap();
    std::fs::write(folder.join("dog/broken.png"), b"broken").unwrap();
}

#[test]
fn an_audit_is_text_json_and_a_page_and_strict_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (data, page) = (folder.path().join("pets"), folder.path().join("audit.html"));
    images(&data);
    let said = succeed(["data", "audit", text(&data), "--html", text(&page)]);
    assert!(said.contains("FAULT    unreadable: 1 of 22 images cannot be read"), "{said}");
    assert!(said.contains("cat/copy.png (cat): same as cat/00.png"), "{said}");
    assert!(std::fs::read_to_string(&page).unwrap().contains("data:image/png;base64,"));
    let json: serde_json::Value =
        serde_json::from_str(&succeed(["data", "audit", text(&data), "--json"])).unwrap();
    assert_eq!((&json["rows"], &json["findings"][0]["check"]), (&22.into(), &"unreadable".into()));
    assert_eq!(json["findings"][0]["examples"][0]["name"], "dog/broken.png");

    let output = run(["data", "audit", text(&data), "--strict"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let output = run(["data", "audit", "wine", "--strict"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_cleaned_data_set_trains_and_nothing_of_it_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (data, list) = (folder.path().join("pets"), folder.path().join("exclude.tsv"));
    let out = folder.path().join("run");
    images(&data);
    let before: Vec<_> =
        ["cat/copy.png", "dog/broken.png"].map(|name| std::fs::read(data.join(name)).unwrap()).into();
    let said = succeed(["data", "clean", text(&data), "--output", text(&list)]);
    assert!(said.contains("2 of 22 examples should be excluded"), "{said}");
    succeed([
        "train",
        "--data",
        text(&data),
        "--exclude",
        text(&list),
        "--epochs",
        "1",
        "--max-bad-share",
        "0",
        "--out",
        text(&out),
    ]);
    let split = std::fs::read_to_string(out.join("split.csv")).unwrap();
    assert!(split.lines().count() == 21 && !split.contains("copy") && !split.contains("broken"), "{split}");
    let after: Vec<_> =
        ["cat/copy.png", "dog/broken.png"].map(|name| std::fs::read(data.join(name)).unwrap()).into();
    assert_eq!(before, after);

    let output = run(["data", "clean", text(&data), "--output", text(&list)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("exclude.tsv exists"), "{}", stderr(&output));
}

#[test]
fn a_preview_is_a_sheet_of_every_augmentation_and_the_same_for_the_same_seed() {
    let folder = tempfile::tempdir().unwrap();
    let sheet = |name: &str, options: &[&str]| {
        let path = folder.path().join(name);
        let said = succeed(["data", "preview", "digits", "--output", text(&path)].iter().chain(options));
        (image::open(&path).unwrap(), said)
    };
    let (all, said) = sheet("all.png", &[]);
    assert!(said.contains("  4  affine ") && said.contains("digits "), "{said}");
    assert_eq!(all.dimensions(), (9 * 68 + 4, 18 * 68 + 4));
    let (one, _) = sheet("one.png", &["--augment", "affine,noise", "--rows", "3"]);
    assert_eq!(one.dimensions(), (9 * 68 + 4, 3 * 68 + 4));
    assert_eq!(one, sheet("same.png", &["--augment", "affine,noise", "--rows", "3"]).0);
    assert_ne!(one, sheet("other.png", &["--augment", "affine,noise", "--rows", "3", "--seed", "1"]).0);
    let output = run(["data", "preview", "iris"]);
    assert!(
        output.status.code() == Some(2) && stderr(&output).contains("are not images"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_synthetic_set_is_a_folder_to_train_on() {
    let folder = tempfile::tempdir().unwrap();
    let (made, again) = (folder.path().join("made"), folder.path().join("again"));
    let make = |to: &Path| succeed(["data", "synth", "digits", "--per-class", "20", "--output", text(to)]);
    assert!(make(&made).contains("1,797 real and 200 synthetic images"));
    make(&again);
    for name in ["3/synthetic-00007.png", "3/real-00001.png"] {
        assert_eq!(std::fs::read(made.join(name)).unwrap(), std::fs::read(again.join(name)).unwrap());
    }
    let said = succeed(["data", "audit", text(&made), "--json"]);
    assert!(said.contains("\"rows\": 1997"), "{said}");
    let out = folder.path().join("run");
    succeed(["train", "--data", text(&made), "--epochs", "2", "--out", text(&out)]);
    let output = run(["data", "synth", "digits", "--output", text(&made)]);
    assert!(
        output.status.code() == Some(2) && stderr(&output).contains("is not empty"),
        "{}",
        stderr(&output)
    );
}

/// A list of 24 images with labels, and of the same images with a number.
fn lists(folder: &Path) -> [std::path::PathBuf; 2] {
    let [mut labels, mut values] = ["file,labels\n", "file,price\n"].map(String::from);
    for number in 0..24u32 {
        let pixel = |x: u32, y: u32| {
            let wave = ((x * (number + 3) / 4 + y * (17 - number % 13)) as f32 / 9.).sin();
            Rgb([(wave * 100. + 120.) as u8, (x * 5) as u8, (number * 10) as u8])
        };
        RgbImage::from_fn(40, 40, pixel).save(folder.join(format!("{number}.png"))).unwrap();
        labels += &format!("{number}.png,{}\n", ["", "striped", "blue", "striped|blue"][number as usize % 4]);
        values += &format!("{number}.png,{}\n", f64::from(number) / 4.);
    }
    let paths = ["labels.csv", "values.csv"].map(|name| folder.join(name));
    std::fs::write(&paths[0], labels).unwrap();
    std::fs::write(&paths[1], values).unwrap();
    paths
}

#[test]
fn labels_and_numbers_of_images_are_audited_cleaned_and_previewed() {
    let folder = tempfile::tempdir().unwrap();
    let [labels, values] = lists(folder.path());
    for (data, task, says, page_says) in [
        (
            &labels,
            "multilabel",
            "24 examples, 2 labels, 1.00 per example, 6 examples without labels",
            "labels together",
        ),
        (
            &values,
            "regression",
            "24 examples, value from 0 to 5.75, mean 2.875, standard deviation",
            "from 0 to 5.75",
        ),
    ] {
        let page = folder.path().join("audit.html");
        let arguments = ["data", "audit", text(data), "--task", task];
        let said = succeed(arguments.iter().chain(&["--html", text(&page)]));
        assert!(said.contains(says) && !said.contains("classes"), "{said}");
        let html = std::fs::read_to_string(&page).unwrap();
        assert!(html.contains(page_says) && !html.contains("class</th>"), "{html}");
        let json: serde_json::Value =
            serde_json::from_str(&succeed(arguments.iter().chain(&["--json"]))).unwrap();
        match task {
            "multilabel" => {
                assert_eq!(json["classes"], serde_json::json!([["blue", 12], ["striped", 12]]));
                assert_eq!(
                    json["label_pairs"],
                    serde_json::json!([{"a": "blue", "b": "striped", "rows": 6}])
                );
            }
            _ => {
                assert_eq!((&json["quantity"]["max"], &json["quantity"]["rows"]), (&5.75.into(), &24.into()))
            }
        }
        let list = folder.path().join(format!("{task}.tsv"));
        let said = succeed(["data", "clean", text(data), "--task", task, "--output", text(&list)]);
        assert!(said.contains(&format!(" --task {task} --exclude ")), "{said}");
        let sheet = folder.path().join(format!("{task}.png"));
        let options = ["--augment", "flip", "--output", text(&sheet)];
        succeed(["data", "preview", text(data), "--task", task].iter().chain(&options));
        assert!(image::open(&sheet).unwrap().width() > 9 * 40);
    }
}
