//! `cresset explain`

use crate::support::targets::{predicted, prices_run, tags_run};
use crate::support::{self, run, stderr, succeed, text};
use tch::Tensor;

#[test]
fn an_image_is_explained_by_an_overlay_and_an_array() {
    let folder = tempfile::tempdir().unwrap();
    let (images, out) = (folder.path().join("images"), folder.path().join("run"));
    support::color_images(&images, 12);
    succeed([
        "train",
        "--data",
        text(&images),
        "--model",
        "cnn",
        "--model-options",
        "width=4",
        "--out",
        text(&out),
    ]);
    let (model, explained) = (out.join("model.pt"), folder.path().join("explained"));
    let image = images.join("red/1.png");
    for method in ["integrated-gradients", "smooth-grad", "grad-cam", "occlusion"] {
        let said = succeed([
            "explain",
            text(&model),
            text(&image),
            "--method",
            method,
            "--class",
            "red",
            "--out",
            text(&explained),
        ]);
        let line: Vec<_> = said.lines().nth(1).unwrap().split(',').collect();
        assert_eq!((line[0], line[1]), (text(&image), "red"), "{said}");
        let overlay = image::open(explained.join(format!("1.{method}.png"))).unwrap();
        assert_eq!((overlay.width(), overlay.height()), (2 * 240 + 6, 240), "{method}");
        let numbers = Tensor::read_npy(explained.join(format!("1.{method}.npy"))).unwrap();
        assert_eq!(numbers.size()[1..], [40, 40]);
        let sum: f64 = line[3].parse().unwrap();
        assert!(
            (numbers.sum(tch::Kind::Double).double_value(&[]) - sum).abs() < 1e-3 * sum.abs().max(1.),
            "{said}"
        );
    }
}

#[test]
fn each_row_of_a_file_has_an_explanation_file_up_to_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let (out, explained) = (folder.path().join("run"), folder.path().join("explained"));
    succeed(["train", "--epochs", "2", "--out", text(&out)]);
    let model = out.join("model.pt");
    let arguments = ["explain", text(&model), "data/digits.csv", "--limit", "3", "--out", text(&explained)];
    let output = run(arguments);
    assert!(
        output.status.success() && stderr(&output).contains("only the first 3 inputs"),
        "{}",
        stderr(&output)
    );
    let mut names: Vec<_> = explained
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected =
        (1..=3).flat_map(|row| ["npy", "png"].map(|end| format!("digits-{row}.integrated-gradients.{end}")));
    assert_eq!(names, expected.collect::<Vec<_>>());
    for (arguments, says) in [
        (["--class", "11"], "--class: the model has no class `11`"),
        (["--method-options", "step=3"], "unknown option `step`; did you mean `steps`?"),
    ] {
        let refused = run([&["explain", text(&model), "data/digits.csv"], &arguments[..]].concat());
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
    }
}

#[test]
fn labels_and_numbers_are_explained_by_their_logit_or_value() {
    let folder = tempfile::tempdir().unwrap();
    let rows = folder.path().join("rows.csv");
    let explained = folder.path().join("explained");
    let explain = |model: &std::path::Path, options: &[&str]| -> Vec<Vec<String>> {
        let base = ["explain", text(model), text(&rows), "--out", text(&explained)];
        let said = succeed(base.iter().chain(options));
        said.lines().map(|line| line.split(',').map(String::from).collect()).collect()
    };

    let tags = tags_run(folder.path()).join("model.pt");
    std::fs::write(&rows, "a,b,c\n0.9,-0.9,-0.5\n").unwrap();
    let lines = explain(&tags, &[]);
    assert_eq!(lines[0], ["input", "label", "probability", "sum", "file"]);
    let expected = &predicted(&tags, &rows)[0]["predictions"][0];
    assert_eq!(lines[1][1], expected["class"].as_str().unwrap());
    assert!((lines[1][2].parse::<f64>().unwrap() - expected["probability"].as_f64().unwrap()).abs() < 1e-5);
    // A label that is not predicted has little probability, and not what is left of the others.
    let lines = explain(&tags, &["--class", "wide"]);
    assert!(lines[1][1] == "wide" && lines[1][2].parse::<f64>().unwrap() < 0.5, "{lines:?}");
    let refused = run(["explain", text(&tags), text(&rows), "--class", "wid", "--out", text(&explained)]);
    assert!(stderr(&refused).contains("no label `wid`; did you mean `wide`?"), "{}", stderr(&refused));

    let prices = prices_run(folder.path()).join("model.pt");
    std::fs::write(&rows, "x,y,color\n0.5,0.1,red\n0,0,red\n").unwrap();
    let lines = explain(&prices, &[]);
    assert_eq!(lines[0], ["input", "target", "value", "sum", "file"]);
    let values: Vec<f64> =
        predicted(&prices, &rows).iter().map(|line| line["value"].as_f64().unwrap()).collect();
    assert_eq!(lines[1][1], "price");
    assert!((lines[1][2].parse::<f64>().unwrap() - values[0]).abs() < 1e-3);
    // Integrated gradients add up to differences of the value: both rows have the same baseline.
    let sums: Vec<f64> = lines[1..].iter().map(|line| line[3].parse().unwrap()).collect();
    let (found, expected) = (sums[0] - sums[1], values[0] - values[1]);
    assert!((found - expected).abs() < 0.03 * expected.abs(), "{found}, not {expected}");
}

#[test]
fn a_row_of_a_table_is_explained_by_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, explained) = (folder.path().join("rows.csv"), folder.path().join("explained"));
    let json = folder.path().join("rows.json");
    let prices = prices_run(folder.path());
    std::fs::write(&rows, "x,y,color\n0.5,0.1,red\n0,0,red\n").unwrap();
    for (model, background) in
        [(prices.clone(), "training rows"), (prices.join("model.pt"), "histograms of the training data")]
    {
        let options =
            ["explain", text(&model), text(&rows), "--out", text(&explained), "--json", text(&json)];
        let output = run(options);
        assert!(output.status.success(), "{}", stderr(&output));
        // x has the largest effect on the price.
        assert!(stderr(&output).contains("mean absolute value: x "), "{}", stderr(&output));
        let written = std::fs::read_to_string(explained.join("columns.csv")).unwrap();
        let lines: Vec<Vec<&str>> = written.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(lines[0], ["input", "target", "value", "base", "x", "y", "color"]);
        for line in &lines[1..] {
            let [value, base, x, y, color] = [2, 3, 4, 5, 6].map(|at| line[at].parse::<f64>().unwrap());
            assert!((x + y + color - (value - base)).abs() < 1e-3, "{line:?}");
        }
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        assert_eq!((&json["method"], &json["background"]), (&"shapley".into(), &background.into()));
        let x = json["rows"][0]["values"]["x"].as_f64().unwrap();
        assert!((x - lines[1][4].parse::<f64>().unwrap()).abs() < 1e-5);
    }
    let options =
        ["explain", text(&prices), text(&rows), "--method", "expected-gradients", "--out", text(&explained)];
    let said = succeed(options);
    let columns = std::fs::read_to_string(explained.join("columns.csv")).unwrap();
    let fields: Vec<f64> =
        columns.lines().nth(1).unwrap().split(',').skip(2).map(|field| field.parse().unwrap()).collect();
    let sum: f64 = said.lines().nth(1).unwrap().split(',').nth(3).unwrap().parse().unwrap();
    assert!((sum - (fields[0] - fields[1])).abs() < 0.01 * fields[0].abs(), "{columns}");
}

#[test]
fn a_run_on_a_table_is_explained_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("columns.json");
    let prices = prices_run(folder.path());
    let said = succeed(["explain", text(&prices), "--json", text(&json)]);
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["column", "importance", "deviation", "mean_absolute_shapley"]);
    assert_eq!((lines.len(), lines[1][0]), (4, "x"), "{said}");
    assert!(lines[1][1].parse::<f64>().unwrap() > 0.5, "{said}");
    assert_eq!(said, succeed(["explain", text(&prices)]), "it repeats");

    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!((&json["part"], &json["score"]["name"]), (&"validation".into(), &"R²".into()));
    let of = |name: &str| {
        let all = json["partial_dependence"].as_array().unwrap();
        all.iter().find(|one| one["column"] == name).unwrap().clone()
    };
    let mean = |dependence: &serde_json::Value, at: usize| dependence["mean"][at][0].as_f64().unwrap();
    // The price rises with x; red costs more.
    let x = of("x");
    let last = x["values"].as_array().unwrap().len() - 1;
    assert!(last == 19 && mean(&x, last) > mean(&x, 0), "{x}");
    assert!(x["low"][0][0].as_f64().unwrap() <= mean(&x, 0), "{x}");
    assert!(of("color")["values"].as_array().unwrap().contains(&"red".into()));

    let model = prices.join("model.pt");
    let refused = run(["explain", text(&model)]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("missing argument FILE"), "{}", stderr(&refused));
}
