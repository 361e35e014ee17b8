//! Folders and shards of images from files to a trained, measured, exported model.

use std::path::Path;

use crate::support::{self, assert_same_bits, cresset, run, stderr, succeed, text};
use cresset::data::{self, DataOptions, Inputs};
use cresset::predict::Classifier;
use image::imageops::FilterType;
use image::{GrayImage, Luma};
use tch::{CModule, Device, Tensor};

/// The first digits as PNG files of 8 × 8 pixels, `folder/LABEL/NUMBER.png`.
fn digits(folder: &Path, count: usize) {
    let dataset = data::load("digits", &DataOptions::default()).unwrap();
    let Inputs::Floats(values) = &dataset.inputs else { panic!("a table holds floats") };
    for row in 0..count {
        let class = folder.join(dataset.labels[row].to_string());
        std::fs::create_dir_all(&class).unwrap();
        let pixel = |x: u32, y: u32| {
            let value = values[64 * row + (8 * y + x) as usize];
            Luma([(value * 255. / 16.).round() as u8])
        };
        GrayImage::from_fn(8, 8, pixel).save(class.join(format!("{row:04}.png"))).unwrap();
    }
}

fn accuracy(run: &Path) -> f64 {
    let classifier = Classifier::load_on(&run.join("model.pt"), Device::Cpu).unwrap();
    classifier.metadata().metrics.validation["accuracy"].as_f64().unwrap()
}

#[test]
fn a_folder_of_images_is_trained_evaluated_and_classified() {
    let folder = tempfile::tempdir().unwrap();
    let (images, out) = (folder.path().join("images"), folder.path().join("run"));
    digits(&images, 1797);
    let said = succeed(["train", "--recipe", "none", "--data", text(&images), "--out", text(&out)]);
    assert!(said.contains("1,797 rows of 1×8×8, values 0–255, 10 classes"), "{said}");
    assert!(accuracy(&out) > 0.93);
    let split = std::fs::read_to_string(out.join("split.csv")).unwrap();
    assert!(split.contains("\n0/0000.png,") && split.lines().count() == 1798, "{split}");

    let model = out.join("model.pt");
    let said = succeed(["eval", text(&out)]);
    assert!(
        said.contains("rows                       360") || said.contains("rows                       359"),
        "{said}"
    );
    let said = succeed(["eval", text(&model), text(&images)]);
    assert!(said.contains("rows                       1,797"), "{said}");
    let image = images.join("7/0007.png");
    let said = succeed(["predict", text(&model), text(&image)]);
    assert!(said.lines().nth(1).is_some_and(|line| line.contains(",7,")), "{said}");
}

/// Regions of images are wanted in full size, so these are streamed.
#[test]
fn streamed_images_are_bit_identical_for_any_number_of_threads_and_after_a_resume() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    digits(&images, 300);
    let train = |out: &Path, epochs: &str| {
        let augment = "random-resized-crop=0.7,affine,mixup";
        let options = ["--augment", augment, "--epochs", epochs, "--threads", "1", "--batch-size", "16"];
        succeed(
            ["train", "--recipe", "none", "--data", text(&images), "--out", text(out)].iter().chain(&options),
        );
    };
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    train(&a, "3");
    train(&b, "1");
    succeed(["train", "--resume", text(&b), "--epochs", "3"]);
    assert_same_bits(&a, &b);
    let said = succeed(["eval", text(&a)]);
    assert!(said.contains("rows                       60"), "{said}");
}

#[test]
fn unreadable_images_are_named_and_too_many_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (images, out) = (folder.path().join("images"), folder.path().join("run"));
    digits(&images, 200);
    std::fs::write(images.join("3/0003.png"), b"").unwrap();
    for augment in ["none", "random-resized-crop"] {
        let base = ["train", "--data", text(&images), "--epochs", "1", "--augment", augment];
        let output = run(base.iter().chain(&["--out", text(&out)]));
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stderr(&output).contains("3/0003.png: this is not an image in a supported format; skipped"));
        std::fs::remove_dir_all(&out).unwrap();
        let output = run(base.iter().chain(&["--max-bad-share", "0", "--out", text(&out)]));
        assert_eq!(output.status.code(), Some(2));
        assert!(
            stderr(&output).contains("1 of 200 images cannot be read, more than --max-bad-share 0"),
            "{}",
            stderr(&output)
        );
        let _ = std::fs::remove_dir_all(&out);
    }
}

#[test]
fn shards_train_without_being_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let (images, shards) = (folder.path().join("images"), folder.path().join("shards"));
    digits(&images, 600);
    std::fs::create_dir(&shards).unwrap();
    let mut files: Vec<_> = (0..10)
        .flat_map(|class| {
            let class: &Path = &images.join(class.to_string());
            class.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
        })
        .collect();
    files.sort_by_key(|path| path.file_name().unwrap().to_owned());
    for (number, files) in files.chunks(300).enumerate() {
        let mut tar =
            tar::Builder::new(std::fs::File::create(shards.join(format!("d-{number:03}.tar"))).unwrap());
        for file in files {
            let key = file.file_stem().unwrap().to_str().unwrap();
            tar.append_path_with_name(file, format!("{key}.png")).unwrap();
            let label = file.parent().unwrap().file_name().unwrap().to_str().unwrap();
            let mut header = tar::Header::new_gnu();
            header.set_size(label.len() as u64);
            header.set_cksum();
            tar.append_data(&mut header, format!("{key}.cls"), label.as_bytes()).unwrap();
        }
        tar.finish().unwrap();
    }
    let pattern = shards.join("d-{000..001}.tar");
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    succeed(["train", "--recipe", "none", "--data", text(&pattern), "--out", text(&a)]);
    assert!(accuracy(&a) > 0.85);
    succeed(["train", "--recipe", "none", "--data", text(&shards), "--augment", "digits", "--out", text(&b)]);
    assert!(accuracy(&b) > 0.5);
}

/// What a program gives the file that only decodes, uint8 (1, channels, height, width).
fn decoded(path: &Path) -> Tensor {
    let image = image::open(path).unwrap();
    let size = [i64::from(image.height()), i64::from(image.width()), -1];
    Tensor::from_slice(image.as_bytes()).view(size.as_slice()).permute([2, 0, 1]).unsqueeze(0)
}

/// Pixels differ by rounding to bytes, of a JPEG that is decoded at a part of its size by more.
#[test]
fn the_exported_model_resizes_images_like_predict() {
    let folder = tempfile::tempdir().unwrap();
    let [color, grey] = ["color", "grey"].map(|name| folder.path().join(name));
    support::color_images(&color, 12);
    for class in ["red", "green", "blue"] {
        std::fs::create_dir_all(grey.join(class)).unwrap();
        for entry in color.join(class).read_dir().unwrap() {
            let path = entry.unwrap().path();
            let to = grey.join(class).join(path.file_name().unwrap());
            image::open(&path).unwrap().into_luma8().save(to).unwrap();
        }
    }
    for images in [&color, &grey] {
        let model = images.file_name().unwrap().to_str().unwrap();
        let out = folder.path().join(format!("run-{model}"));
        let base = ["train", "--data", text(images), "--model", "cnn", "--epochs", "3"];
        succeed([&base[..], &["--image-size", "24x32", "--out", text(&out)]].concat());
        let file = out.join("model.pt");
        let classifier = Classifier::load_on(&file, Device::Cpu).unwrap();
        let module = CModule::load(&file).unwrap();
        let source = image::open(images.join("green/3.png")).unwrap();
        for (width, height, name, tolerance) in [
            (40, 40, "same.png", 0.01),
            (32, 24, "exact.png", 0.),
            (95, 31, "wide.png", 0.01),
            (11, 90, "high.png", 0.01),
            (300, 200, "large.png", 0.01),
            (95, 31, "wide.jpg", 0.01),
            (300, 200, "large.jpg", 0.05),
        ] {
            let path = folder.path().join(name);
            let resized = source.resize_exact(width, height, FilterType::CatmullRom);
            for image in [resized.clone(), resized.into_luma8().into()] {
                image.save(&path).unwrap();
                let expected = classifier.read_inputs(&path).unwrap();
                let expected = classifier.logits(&expected.iter().next().unwrap().1).unwrap();
                let logits = tch::no_grad(|| module.forward_ts(&[&decoded(&path)])).unwrap();
                let difference = ((logits - &expected).abs().max() / expected.abs().max()).double_value(&[]);
                println!("{model} {name}: {difference:.1e}");
                assert!(difference <= tolerance, "{model} {name}: {difference}");
            }
        }
    }
}

#[test]
fn augmenting_tables_and_unknown_augmentations_are_rejected() {
    for (options, problem) in [
        (["--data", "iris", "--augment", "flip"], "--augment flip requires images, but the examples"),
        (["--data", "digits", "--augment", "flop"], "did you mean `flip`?"),
    ] {
        let output = cresset().arg("train").args(options).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(problem), "{}", stderr(&output));
    }
}
