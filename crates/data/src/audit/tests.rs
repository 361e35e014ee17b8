use super::*;
use crate::random::{Purpose, stream};
use image::{Rgb, RgbImage};
use rand::RngExt;
use std::path::Path;

/// An image of soft blobs, different for each seed.
fn blobs(seed: u64) -> RgbImage {
    let mut generator = stream(seed, Purpose::Augment, 0);
    let blobs: Vec<[f32; 4]> =
        (0..6).map(|_| std::array::from_fn(|_| generator.random_range(0f32..1.))).collect();
    RgbImage::from_fn(64, 48, |x, y| {
        let value = |[left, top, size, light]: &[f32; 4]| {
            let (dx, dy) = (x as f32 / 64. - left, y as f32 / 48. - top);
            light * (-(dx * dx + dy * dy) / (0.02 + 0.05 * size)).exp()
        };
        let light = (blobs.iter().map(value).sum::<f32>() * 120.).min(255.) as u8;
        Rgb([light, light / 2, 255 - light])
    })
}

fn save(folder: &Path, name: &str, image: &RgbImage) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

fn of(folder: &Path) -> (Audit, Dataset) {
    audit(folder.to_str().unwrap(), &DataOptions::default(), 2).unwrap()
}

fn finding<'a>(audit: &'a Audit, check: &str) -> &'a Finding {
    let checks: Vec<_> = audit.findings.iter().map(|finding| finding.check).collect();
    audit
        .findings
        .iter()
        .find(|finding| finding.check == check)
        .unwrap_or_else(|| panic!("{check}: {checks:?}"))
}

fn names(finding: &Finding) -> Vec<&str> {
    finding.examples.iter().map(|example| example.name.as_str()).collect()
}

#[test]
fn images_without_problems_give_no_findings() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..24 {
        save(folder.path(), &format!("{}/{number}.png", ["a", "b"][number as usize % 2]), &blobs(number));
    }
    let (audit, _) = of(folder.path());
    assert_eq!(audit.findings, []);
    assert!(audit.has_only_notes() && to_text(&audit).contains("no problems found"));
}

#[test]
fn every_problem_of_images_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for number in 0..30 {
        let (portion, class) = (["train", "test"][number as usize / 20], ["a", "b"][number as usize % 2]);
        save(path, &format!("{portion}/{class}/{number:02}.png"), &blobs(number));
    }
    let copy = |from: &str, to: &str| {
        std::fs::copy(path.join(from), path.join(to)).unwrap();
    };
    copy("train/a/00.png", "train/a/copy.png");
    copy("train/a/02.png", "train/b/other.png");
    copy("test/a/20.png", "train/a/leak.png");
    // Resized and compressed.
    let small = image::imageops::resize(&blobs(5), 50, 38, image::imageops::FilterType::Triangle);
    save(path, "train/b/again.jpg", &small);
    save(path, "train/b/blank.png", &RgbImage::from_pixel(64, 48, Rgb([9, 9, 9])));
    save(
        path,
        "train/b/strip.png",
        &image::imageops::resize(&blobs(90), 64, 3, image::imageops::FilterType::Triangle),
    );
    std::fs::write(path.join("train/b/broken.png"), b"broken").unwrap();

    let (audit, _) = of(path);
    assert_eq!(names(finding(&audit, "duplicates")), ["train/a/00.png", "train/a/copy.png"]);
    assert_eq!(names(finding(&audit, "same-input-two-labels")), ["train/a/02.png", "train/b/other.png"]);
    assert_eq!(names(finding(&audit, "duplicates-across-splits")), ["test/a/20.png", "train/a/leak.png"]);
    assert_eq!(names(finding(&audit, "near-duplicates")), ["train/b/05.png", "train/b/again.jpg"]);
    assert_eq!(names(finding(&audit, "blank")), ["train/b/blank.png"]);
    assert_eq!(names(finding(&audit, "odd-sizes")), ["train/b/strip.png"]);
    assert_eq!(names(finding(&audit, "unreadable")), ["train/b/broken.png"]);
    assert!(!audit.has_only_notes() && audit.findings[0].severity == Severity::Fault);

    let list = to_list(&audit);
    let left_out: Vec<_> = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').next().unwrap())
        .collect();
    let mut expected = [
        "train/a/02.png",
        "train/a/copy.png",
        "train/a/leak.png",
        "train/b/blank.png",
        "train/b/broken.png",
        "train/b/other.png",
    ];
    expected.sort_unstable();
    let mut sorted = left_out.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected, "{list}");
}

fn table(text: &str) -> Audit {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, text).unwrap();
    audit(path.to_str().unwrap(), &DataOptions::default(), 1).unwrap().0
}

#[test]
fn every_problem_of_tables_is_found() {
    let mut text = "x,same,code,gap,label\n".to_string();
    for row in 0..200 {
        let label = row * 7 % 5 < 2;
        let x = if row == 50 { 1e6 } else { f64::from(row * 37 % 101) + f64::from(row) / 1000. };
        let gap = if row % 9 == 0 { String::new() } else { (row * 13 % 29).to_string() };
        let code = if label { row / 3 % 2 } else { 5 + row / 3 % 3 };
        text += &format!("{x},1,{code},{gap},{}\n", if label { "yes" } else { "no" });
    }
    text += "1.5,1,0,3,yes\n1.5,1,0,3,no\n";
    let audit = table(&text);
    let assert_summary = |check: &str, text: &str| {
        let summary = &finding(&audit, check).summary;
        assert!(summary.contains(text), "{summary}");
    };
    assert_summary("constant-columns", "`same`");
    assert_summary("leaking-columns", "1 column(s) predict the label on their own: `code`");
    assert_summary("missing-values", "`gap (23)`");
    assert_eq!(names(finding(&audit, "outliers")), ["50"]);
    assert_eq!(names(finding(&audit, "same-input-two-labels")), ["200", "201"]);
}

#[test]
fn a_class_named_like_a_missing_value_and_an_index_column_are_reported() {
    let row =
        |row: u32| format!("{},{},{}\n", 3 * row, row * 37 % 101, ["NA", "yes", "no"][row as usize / 10]);
    let text = (0..30).map(row).collect::<String>();
    let audit = table(&format!("n,x,label\n{text}"));
    assert!(finding(&audit, "unknown-class").summary.contains("`NA` (10 examples)"));
    let index = finding(&audit, "index-column");
    assert!(
        index.severity == Severity::Fault
            && index.summary.contains("column 1 (n) numbers the rows and predicts")
    );
}

#[test]
fn an_increasing_column_is_reported_only_if_it_predicts_the_label() {
    let rows = |label: fn(u32) -> u32| {
        let row = |row: u32| format!("{},{},c{}\n", 5000 + 7 * row, row * 37 % 101, label(row));
        (0..30).map(row).collect::<String>()
    };
    let audit = table(&format!("time,x,label\n{}", rows(|row| row / 10)));
    assert!(
        finding(&audit, "index-column").summary.contains("column 1 (time) numbers the rows and predicts")
    );
    let audit = table(&format!("time,x,label\n{}", rows(|row| row % 3)));
    assert!(audit.findings.iter().all(|finding| finding.check != "index-column"));
}

#[test]
fn class_sizes_are_compared() {
    let row =
        |row: u32| format!("{},{}\n", row * 37 % 101, if row.is_multiple_of(40) { "rare" } else { "usual" });
    let audit = table(&(0..200).map(row).collect::<String>());
    assert!(finding(&audit, "imbalance").summary.contains("`usual` has 195 examples, `rare` has 5"));
    assert!(finding(&audit, "small-classes").summary.contains("`rare`"));
}

fn table_of(text: &str, task: TaskKind) -> Audit {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, text).unwrap();
    let options = DataOptions { task: Some(task), ..DataOptions::default() };
    audit(path.to_str().unwrap(), &options, 1).unwrap().0
}

#[test]
fn labels_are_counted_one_by_one_and_in_pairs() {
    let labels = |row: u32| match row {
        0..3 => "Hot|hot",
        row if row.is_multiple_of(4) => "",
        row if row.is_multiple_of(2) => "hot|wide",
        _ => "wide",
    };
    let row = |row: u32| format!("{},{}\n", row * 37 % 1009, labels(row));
    let text = format!("x,tags\n{}", (0..200).map(row).collect::<String>());
    let audit = table_of(&text, TaskKind::Multilabel);
    let counts: Vec<_> = audit.classes.iter().map(|(label, count)| (label.as_str(), *count)).collect();
    assert_eq!(counts, [("Hot", 3), ("hot", 52), ("wide", 148)]);
    assert_eq!(audit.label_set_sizes, [49, 99, 52]);
    let pair = |a: &str, b: &str, rows| LabelPair { a: a.to_string(), b: b.to_string(), rows };
    assert_eq!(audit.label_pairs, [pair("hot", "wide", 49), pair("Hot", "hot", 3)]);
    let text = to_text(&audit);
    assert!(
        text.contains("200 examples, 3 labels, 1.01 per example, 49 examples without labels\n"),
        "{text}"
    );
    assert!(text.contains("most frequent pairs: 49 hot and wide, 3 Hot and hot\n"), "{text}");
    assert!(finding(&audit, "imbalance").summary.contains("the label `wide` has 148 examples, `Hot` has 3"));
    assert!(
        finding(&audit, "small-labels").summary.contains("1 label(s) have fewer than 10 examples: `Hot`")
    );
    assert!(finding(&audit, "lookalike-labels").summary.contains("`Hot` (3) and `hot` (52)"));
}

#[test]
fn a_quantity_is_summarized_and_repeated_measurements_are_kept() {
    let row = |row: u32| format!("{},{}\n", row * 37 % 1009, f64::from(row) / 4.);
    let repeated = "5000,7\n5000,8\n6000,7\n6000,7.0\n";
    let text = format!("x,price\n{}{repeated}", (0..101).map(row).collect::<String>());
    let audit = table_of(&text, TaskKind::Regression);
    assert_eq!(audit.classes, []);
    let Quantity { name, values } = audit.quantity.clone().unwrap();
    assert_eq!((name.as_str(), values.rows, values.min, values.max), ("price", 105, 0., 25.));
    assert!((values.mean - (101. * 12.5 + 29.) / 105.).abs() < 1e-9, "{values:?}");
    let text = to_text(&audit);
    assert!(text.contains("105 examples, price from 0 to 25, mean 12.3"), "{text}");
    let measured = finding(&audit, "same-input-two-values");
    assert_eq!((measured.severity, names(measured)), (Severity::Note, vec!["101", "102"]));
    // `7` and `7.0` are the same value.
    assert_eq!(names(finding(&audit, "duplicates")), ["103", "104"]);
    let list = to_list(&audit);
    let left_out: Vec<_> = list.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(left_out.len() == 1 && left_out[0].starts_with("104\t"), "{list}");
}

#[test]
fn builtin_tables_have_no_faults() {
    for name in ["iris", "wine", "breast-cancer", "digits"] {
        let (audit, _) = audit(name, &DataOptions::default(), 1).unwrap();
        let faults: Vec<_> =
            audit.findings.iter().filter(|found| found.severity == Severity::Fault).collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
    }
}
