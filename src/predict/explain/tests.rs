//! Explanations of small models trained in the tests.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::table::{Background, TableColumns};
use super::text::TextAttribution;
use super::*;
use crate::data::{self, DataOptions};
use crate::distributed::World;
use crate::model::preprocessing::TensorDataset;
use crate::options::Config;
use crate::predict::Classifier;
use crate::run::{self, Outcome};
use crate::train::Silent;

fn trained(folder: &Path, config: Config) -> Classifier {
    let out = folder.join(&config.model);
    let run = run::start(&config, Some(&out), &World::alone()).unwrap();
    assert!(matches!(run::finish(run, &mut Silent, &|| false).unwrap(), Outcome::Trained(_)));
    Classifier::load_on(&out.join("model.pt"), Device::Cpu).unwrap()
}

fn model(folder: &Path, name: &str, options: &str, epochs: u32) -> Classifier {
    let (model, model_options) = (name.to_string(), options.to_string());
    trained(folder, Config { model, model_options, epochs, ..Config::default() })
}

fn digits(count: i64) -> Tensor {
    let dataset = data::load("digits", &DataOptions::default()).unwrap();
    TensorDataset::of(&dataset, &(0..count).collect::<Vec<_>>(), Device::Cpu).inputs
}

fn attribution(classifier: &Classifier, method: &str, options: &str, raw: &Tensor, class: usize) -> Tensor {
    Explainer::new(method, options).unwrap().attribute(&Subject::new(classifier, class), raw).unwrap()
}

#[test]
fn integrated_gradients_sum_up_to_the_difference_of_the_logits() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in
        [("mlp", ""), ("cnn", "width=8"), ("lstm", "width=16,depth=1"), ("vit", "width=32,depth=2")]
    {
        let classifier = model(folder.path(), name, options, 3);
        let raw = digits(5);
        let black = classifier.logits(&raw.narrow(0, 0, 1).zeros_like()).unwrap();
        for row in 0..5 {
            let one = raw.narrow(0, row, 1);
            let logits = classifier.logits(&one).unwrap();
            let class = logits.argmax(-1, false).int64_value(&[0]);
            let difference = logits.double_value(&[0, class]) - black.double_value(&[0, class]);
            let sum = attribution(&classifier, "integrated-gradients", "", &one, class as usize);
            let sum = sum.sum(Kind::Double).double_value(&[]);
            assert!((sum - difference).abs() <= 0.01 * difference.abs(), "{name}: {sum}, not {difference}");
        }
    }
}

/// The ranks of the values of a map.
fn ranks(map: &Tensor) -> Tensor {
    map.flatten(0, -1).argsort(-1, false).argsort(-1, false).to_kind(Kind::Double)
}

/// Spearman's rank correlation.
fn correlation(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let (a, b) = (&a - a.mean(Kind::Double), &b - b.mean(Kind::Double));
    ((&a * &b).sum(Kind::Double) / (a.norm() * b.norm())).double_value(&[])
}

/// A map that does not change with random weights reflects the input, not the model (Adebayo et al., "Sanity Checks for
/// Saliency Maps", 2018).
#[test]
fn no_map_survives_random_weights() {
    let folder = tempfile::tempdir().unwrap();
    let classifier = model(folder.path(), "cnn", "width=16", 6);
    let elsewhere = tempfile::tempdir().unwrap();
    // The same architecture, practically untrained.
    let random = Config {
        model: "cnn".into(),
        model_options: "width=16".into(),
        epochs: 1,
        lr: 1e-9,
        seed: 99,
        ..Config::default()
    };
    let random = trained(elsewhere.path(), random);
    let raw = digits(8);
    for kind in EXPLAINERS.iter().filter(|kind| !kind.is_for_tables) {
        let mean = (0..8).map(|row| {
            let one = raw.narrow(0, row, 1);
            let class = classifier.logits(&one).unwrap().argmax(-1, false).int64_value(&[0]) as usize;
            let [a, b] = [&classifier, &random].map(|of| attribution(of, kind.name, "", &one, class));
            correlation(&a, &b)
        });
        let mean = mean.sum::<f64>() / 8.;
        assert!(mean.abs() < 0.6, "{}: the maps correlate by {mean}", kind.name);
        let one = raw.narrow(0, 0, 1);
        let again = attribution(&classifier, kind.name, "", &one, 0);
        assert_eq!(again, attribution(&classifier, kind.name, "", &one, 0), "{} repeats", kind.name);
    }
}

#[test]
fn every_method_recovers_the_weights_of_a_linear_model() {
    let folder = tempfile::tempdir().unwrap();
    let classifier = model(folder.path(), "mlp", "depth=0", 3);
    let raw = digits(1);
    let weight = classifier.module().unwrap().parameters().unwrap().remove(0).1.get(3).view([1, 8, 8]) / 16.;
    let close = |found: &Tensor, expected: &Tensor| found.allclose(expected, 1e-3, 1e-4, false);
    assert!(close(&attribution(&classifier, "smooth-grad", "", &raw, 3), &weight));
    let product = &weight * raw.view([1, 8, 8]);
    assert!(close(&attribution(&classifier, "integrated-gradients", "", &raw, 3), &product));
    assert!(close(&attribution(&classifier, "occlusion", "window=1", &raw, 3), &product));
}

#[test]
fn a_table_is_explained_column_by_column_and_grad_cam_rejects_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { data: "iris".into(), epochs: 30, ..Config::default() };
    let classifier = trained(folder.path(), config);
    let raw = Tensor::from_slice(&[5.1f32, 3.5, 1.4, 0.2]).view([1, 4]);
    for method in ["integrated-gradients", "smooth-grad", "occlusion"] {
        assert_eq!(attribution(&classifier, method, "", &raw, 0).size(), [4]);
    }
    let subject = Subject::new(&classifier, 0);
    let refused = Explainer::new("grad-cam", "").unwrap().attribute(&subject, &raw).unwrap_err().to_string();
    assert!(refused.contains("needs a model with convolutions"), "{refused}");
}

#[test]
fn grad_cam_maps_have_the_size_of_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let classifier = model(folder.path(), "resnet9", "width=8", 3);
    let raw = digits(4);
    for row in 0..4 {
        let map = attribution(&classifier, "grad-cam", "", &raw.narrow(0, row, 1), row as usize);
        assert_eq!(map.size(), [1, 8, 8]);
        assert!(map.min().double_value(&[]) >= 0. && map.max().double_value(&[]) > 0.);
    }
}

/// A table with columns of five kinds, and interactions between them: the class depends on the product of two numbers, and on the
/// color and the date for rows without the flag.
fn write_mixed_table(path: &Path) {
    let mut rows = "x,y,color,flag,day,class\n".to_string();
    for row in 0..300 {
        let [x, y] = [37, 71].map(|step| f64::from((row * step) % 101) / 50. - 1.);
        let (color, flag, day) = (row % 3, row % 7 < 3, 1 + (row * 11) % 28);
        let score = 2. * x * y + if flag { 0. } else { f64::from(color) - 1. + f64::from(day) / 28. - 0.5 };
        rows += &format!(
            "{x},{y},{},{flag},2024-03-{day:02},{}\n",
            ["red", "green", "blue"][color as usize],
            if score > 0. { "up" } else { "down" }
        );
    }
    std::fs::write(path, rows).unwrap();
}

/// The Shapley values of the columns of a row by their definition: the weighted mean over all subsets of the other columns.
fn exact_shapley(subject: &Subject, columns: &TableColumns, input: &Tensor, background: &Tensor) -> Vec<f64> {
    let count = columns.0.len();
    let value = |subset: usize| {
        let mixed = background.copy();
        for (place, column) in columns.0.iter().enumerate().filter(|(place, _)| subset >> place & 1 == 1) {
            let _ = place;
            let own = input.narrow(1, column.start, column.length);
            mixed.narrow(1, column.start, column.length).copy_(&own.expand([mixed.size()[0], -1], false));
        }
        subject.scores(&mixed).unwrap().mean(Kind::Double).double_value(&[])
    };
    let values: Vec<f64> = (0..1 << count).map(value).collect();
    let factorial = |n: usize| (1..=n).product::<usize>() as f64;
    let of_column = |place: usize| {
        let without = (0..1usize << count).filter(|subset| subset >> place & 1 == 0);
        let term = |subset: usize| {
            let size = subset.count_ones() as usize;
            let weight = factorial(size) * factorial(count - size - 1) / factorial(count);
            weight * (values[subset | 1 << place] - values[subset])
        };
        without.map(term).sum()
    };
    (0..count).map(of_column).collect()
}

#[test]
fn the_values_of_columns_are_the_exact_shapley_values() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("mixed.csv");
    write_mixed_table(&table);
    let config = Config { data: table.display().to_string(), epochs: 40, ..Config::default() };
    let classifier = trained(folder.path(), config.clone());
    let columns = TableColumns::of(classifier.metadata()).unwrap();
    assert_eq!(columns.names(), ["x", "y", "color", "flag", "day"]);
    assert_eq!(columns.0.iter().map(|column| column.length).sum::<i64>(), 11);
    let dataset = data::load(&config.data, &DataOptions::default()).unwrap();
    let rows = TensorDataset::of(&dataset, &(0..300).collect::<Vec<_>>(), Device::Cpu).inputs;
    let background = Background::of_rows(&rows, 64);
    let subject = Subject::new(&classifier, 1).with_background(&background);
    let scale = subject.scores(&rows).unwrap().std(false).double_value(&[]);
    for (method, options, tolerance) in
        [("shapley", "", 0.1), ("shapley", "pairs=16", 0.03), ("expected-gradients", "", 0.25)]
    {
        let mut largest: f64 = 0.;
        for row in [0, 100, 299] {
            let input = rows.narrow(0, row, 1);
            let found = Explainer::new(method, options).unwrap().attribute(&subject, &input).unwrap();
            let found = columns.sums(&found).unwrap();
            let exact = exact_shapley(&subject, &columns, &input, &background.rows);
            let differences = found.iter().zip(&exact).map(|(found, exact)| (found - exact).abs());
            largest = differences.fold(largest, f64::max);
            let difference = subject.scores(&input).unwrap().double_value(&[0]) - subject.base().unwrap();
            let error = (found.iter().sum::<f64>() - difference).abs();
            assert!(error < 0.01 * scale, "{method}: the sum is off by {error} of {difference}");
        }
        assert!(largest < tolerance * scale, "{method} {options}: off by {largest}, scale {scale}");
    }
}

#[test]
fn rows_from_histograms_have_valid_values_and_the_distribution_of_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("mixed.csv");
    write_mixed_table(&table);
    let config = Config { data: table.display().to_string(), epochs: 1, ..Config::default() };
    let classifier = trained(folder.path(), config);
    let columns = TableColumns::of(classifier.metadata()).unwrap();
    let rows = Background::of_histograms(classifier.metadata()).unwrap().rows;
    let column = |place: usize| rows.narrow(1, columns.0[place].start, columns.0[place].length);
    let mean = |place: usize| column(place).select(1, 0).mean(Kind::Double).double_value(&[]);
    assert!(mean(0).abs() < 0.1, "{}", mean(0));
    // One category in each row, and each in a third of the rows.
    let colors = column(2);
    assert_eq!(colors.sum_dim_intlist(1, false, Kind::Float), Tensor::ones([64], (Kind::Float, Device::Cpu)));
    let counts = Vec::<f32>::try_from(colors.sum_dim_intlist(0, false, Kind::Float)).unwrap();
    assert!(counts.iter().all(|count| (19. ..=24.).contains(count)), "{counts:?}");
    assert!((mean(3) - 3. / 7.).abs() < 0.05, "{}", mean(3));
    // The parts of a date belong together.
    let dates = column(4);
    let days = Vec::<f32>::try_from(dates.select(1, 0).contiguous()).unwrap();
    let expected = crate::data::dates::features(f64::from(days[5]), false);
    assert!(Tensor::from_slice(&expected).allclose(&dates.get(5), 1e-4, 1e-4, false), "{days:?}");
    assert!(days.iter().all(|day| (19_783. ..=19_810.).contains(day)), "{days:?}");
}

#[test]
fn only_rows_of_tables_have_values_of_columns() {
    let folder = tempfile::tempdir().unwrap();
    let classifier = model(folder.path(), "mlp", "", 1);
    let subject = Subject::new(&classifier, 0);
    for method in ["shapley", "expected-gradients"] {
        let refused =
            Explainer::new(method, "").unwrap().attribute(&subject, &digits(1)).unwrap_err().to_string();
        assert!(refused.contains("use `--method occlusion`"), "{refused}");
    }
}

/// Mails whose words tell the classes apart, and one that is the same in both.
fn write_mails(path: &Path) {
    let words = |row: usize| match row % 2 {
        0 => ["lunch", "meeting", "agenda"][row / 2 % 3],
        _ => ["prize", "winner", "free"][row / 2 % 3],
    };
    let line = |row: usize| {
        let kind = ["ham", "spam"][row % 2];
        format!("we have the {} today {},{kind}\n", words(row), words(row + 2))
    };
    std::fs::write(path, "body,kind\n".to_string() + &(0..120).map(line).collect::<String>()).unwrap();
}

#[test]
fn the_values_of_words_sum_to_the_difference_from_vectors_of_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("mails.csv");
    write_mails(&table);
    for (name, options) in
        [("bow", ""), ("textcnn", "width=8,filters=4"), ("transformer", "width=16,depth=1,heads=2")]
    {
        let mut config = Config {
            data: table.display().to_string(),
            model: name.into(),
            model_options: options.into(),
            epochs: 6,
            lr: 0.01,
            ..Config::default()
        };
        config.reading.text = Some("body".into());
        let classifier = trained(folder.path(), config);
        let subject = Subject::new(&classifier, 1);
        let text = "The prize: café – prize & LUNCH?";
        let found = TextAttribution::of(&subject, text).unwrap();
        assert_eq!(found.method, "integrated-gradients");
        let words: Vec<&str> = found.words.iter().map(|word| word.word.as_str()).collect();
        assert_eq!(words, ["The", "prize", "café", "prize", "LUNCH"]);
        assert!(found.words.iter().all(|word| text[word.start..word.end] == word.word));
        let sum: f64 = found.words.iter().map(|word| word.value).sum::<f64>() + found.other;
        let difference = found.score - found.base.unwrap();
        assert!(
            (sum - difference).abs() <= 0.01 * difference.abs().max(1.),
            "{name}: {sum}, not {difference}"
        );
        let value = |at: usize| found.words[at].value;
        assert!(value(1) > 0. && value(4) < 0. && value(1) > value(2).abs(), "{name}: {found:?}");
        let occlusion = Explainer::new("occlusion", "").unwrap();
        let other = TextAttribution::by(&occlusion, &subject, text).unwrap();
        assert!(other.base.is_none() && other.words[4].value < 0., "{name}: {other:?}");
    }
}
