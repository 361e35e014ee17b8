//! The page that shows a run: what is in it, and what it looks like in a browser (`make test-browser`).

use std::path::{Path, PathBuf};

use crate::support::browser::Browser;
use crate::support::{root, run, stderr, succeed, text};
use cresset::report::Report;
use cresset::run::RunFolder;
use tch::Device;

/// What a page may weigh, in bytes.
const MOST: usize = 2_000_000;

/// The page of a run that is trained with these options.
fn page(folder: &Path, name: &str, options: &[&str]) -> (PathBuf, String) {
    let out = folder.join(name);
    let fixed = ["train", "--device", "cpu", "--threads", "1", "--out", text(&out)];
    succeed(fixed.iter().chain(options));
    let printed = succeed(["report", text(&out)]);
    let path = out.join("report.html");
    assert_eq!(printed, format!("written to {}\n", path.display()));
    let html = std::fs::read_to_string(&path).unwrap();
    assert!(html.len() < MOST, "{} bytes", html.len());
    (path, html)
}

/// Photographs of colour: a class is a colour, with noise.
fn photos(folder: &Path, classes: &[&str], each: usize) {
    for (number, class) in classes.iter().enumerate() {
        let of_class = folder.join(class);
        std::fs::create_dir_all(&of_class).unwrap();
        for index in 0..each {
            let noise = |x: u32, y: u32| ((x * 7 + y * 13 + index as u32 * 31) % 97) as u8;
            let pixel = |x: u32, y: u32| {
                let mut pixel = [noise(x, y); 3];
                pixel[number % 3] = pixel[number % 3].saturating_add(60 + 40 * (index % 4) as u8);
                image::Rgb(pixel)
            };
            image::RgbImage::from_fn(96, 80, pixel).save(of_class.join(format!("{index}.png"))).unwrap();
        }
    }
}

#[test]
fn the_report_of_the_digits_has_every_section_and_no_external_resources() {
    let folder = tempfile::tempdir().unwrap();
    let (path, html) = page(folder.path(), "run", &["--epochs", "3", "--augment", "digits"]);
    for title in [
        "Summary",
        "Curves",
        "Confusion matrix",
        "Classes",
        "Calibration",
        "Most confident errors",
        "Augmentation",
        "Data",
        "Timings",
        "Options",
        "Usage",
    ] {
        assert!(html.contains(&format!("<h2>{title}</h2>")), "{title} is missing");
    }
    // As many curves' points as epochs, and a mistake with its image and what was seen in it.
    assert!(html.contains("data-points=\"1,") && html.matches("class=\"pair\"").count() > 3);
    assert!(html.contains("augment = &quot;digits&quot;"), "the options that differ are missing");
    let fetched = ["http:", "https:", "src=\"/", "url(", "@import", "<link"];
    for address in fetched {
        assert!(!html.contains(address), "the page fetches something: {address}");
    }
    // The figures are those of the model itself.
    let figures = succeed(["eval", text(path.parent().unwrap())]);
    let accuracy = figures.lines().find(|line| line.starts_with("accuracy")).expect("a line of the accuracy");
    let accuracy = accuracy.split_whitespace().nth(1).unwrap().to_string();
    assert!(html.contains(&format!("<dd>{accuracy} %<small>95 %")), "{accuracy}");
}

#[test]
fn the_report_of_a_table_shows_the_columns_behind_each_error() {
    let folder = tempfile::tempdir().unwrap();
    let (_, html) = page(folder.path(), "run", &["--data", "iris", "--epochs", "3"]);
    assert!(
        html.contains("columns with the largest attribution to the predicted class")
            && !html.contains("class=\"pair\"")
    );
    let named = html.contains("<br>petal length")
        || html.contains("<br>sepal width")
        || html.contains("<br>petal width");
    assert!(named, "no column is named");
    for part in
        ["Permutation importance", "Mean absolute Shapley value", "Partial dependence", "drop of accuracy"]
    {
        assert!(html.contains(part), "no {part}");
    }
    assert!(html.contains("of the validation set"));
}

#[test]
fn names_from_the_data_stay_text() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.csv");
    let rows =
        (0..60).map(|row| format!("{},{},\"<script>alert({})</script>\"\n", row % 7, row % 5, row % 2));
    std::fs::write(&data, format!("a,\"<img src=x>\",label\n{}", rows.collect::<String>())).unwrap();
    let (_, html) = page(folder.path(), "run", &["--data", text(&data), "--epochs", "2"]);
    assert!(
        html.contains("&lt;script&gt;alert(1)") && !html.contains("<script>alert"),
        "a name became a program"
    );
    assert!(!html.contains("<img src=x>"));
}

#[test]
fn a_report_with_photos_and_many_classes_stays_below_two_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    photos(&folder.path().join("photos"), &["red", "green", "blue"], 24);
    let data = folder.path().join("photos");
    let options = [
        "--data",
        text(&data),
        "--model",
        "cnn",
        "--model-options",
        "width=8",
        "--epochs",
        "1",
        "--lr",
        "0.00001",
    ];
    let more = ["--image-size", "96", "--validation", "0.5", "--augment", "photos"];
    let (_, html) = page(folder.path(), "photographs", &[&options[..], &more[..]].concat());
    assert!(html.matches("data:image/jpeg").count() > 20, "no photographs");

    let table = folder.path().join("many.csv");
    let rows = (0..6000).map(|row| format!("{},{},class number {}\n", row % 89, row % 97, row % 1000));
    std::fs::write(&table, rows.collect::<String>()).unwrap();
    let (_, html) = page(folder.path(), "many", &["--data", text(&table), "--epochs", "1"]);
    assert!(html.contains("alt=\"The confusion matrix\"") && html.contains("class number 999"));
}

#[test]
fn a_run_without_a_model_has_no_report() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = page(folder.path(), "run", &["--epochs", "1"]);
    let out = path.parent().unwrap();
    std::fs::remove_file(out.join("model.pt")).unwrap();
    std::fs::remove_file(&path).unwrap();
    let output = run(["report", text(out)]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("model.pt") && !path.exists(), "{}", stderr(&output));
}

#[test]
fn the_library_writes_the_report_too() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = page(folder.path(), "run", &["--epochs", "1"]);
    let report = Report::of(&RunFolder::open(path.parent().unwrap()).unwrap(), Device::Cpu).unwrap();
    assert!(report.to_html().starts_with("<!doctype html>"));
}

#[test]
#[ignore = "needs ChromeDriver: make test-browser"]
fn the_report_renders_on_phones_and_desktops_in_light_and_dark_mode() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = root().join("recipes/mlp.toml");
    let (digits, _) =
        page(folder.path(), "digits", &["--config", text(&recipe), "--data", "digits", "--epochs", "8"]);
    let (iris, _) = page(folder.path(), "iris", &["--data", "iris", "--epochs", "5"]);
    let images = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("report");
    std::fs::create_dir_all(&images).unwrap();
    for (name, path) in [("digits", &digits), ("iris", &iris)] {
        for (width, height, is_phone, scheme) in [
            (390, 844, true, "light"),
            (390, 844, true, "dark"),
            (1280, 900, false, "light"),
            (1280, 900, false, "dark"),
        ] {
            let mut browser = Browser::start();
            browser.look(width, height, is_phone, scheme);
            browser.open(&format!("file://{}", text(path)));
            let widths = browser.value("[document.documentElement.scrollWidth, innerWidth]");
            assert!(widths[0].as_f64() <= widths[1].as_f64(), "{name} is wider than the window: {widths}");
            let back = browser.value("getComputedStyle(document.body).backgroundColor");
            assert_eq!(back == "rgb(255, 255, 255)", scheme == "light", "{back}");
            let broken =
                "[...document.images].filter(image => !image.complete || image.naturalWidth == 0).length";
            assert_eq!(browser.value(broken), 0);

            // The arrow keys and the pointer go from epoch to epoch.
            browser.type_into(".plot svg", "\u{e012}");
            let shown = browser.text(".plot output");
            assert!(shown.starts_with("epoch ") && shown.contains("validation 0."), "{shown}");
            browser.photograph(&images.join(format!("{name}-{width}-{scheme}.png")));
            browser.value("document.querySelector('#most-confident-errors').scrollIntoView()");
            browser.photograph(&images.join(format!("{name}-{width}-{scheme}-mistakes.png")));
            if name == "iris" {
                browser.value("document.querySelector('#columns').scrollIntoView()");
                browser.photograph(&images.join(format!("{name}-{width}-{scheme}-columns.png")));
            }
            assert_eq!(browser.complaints(), [""; 0]);
        }
    }
}
