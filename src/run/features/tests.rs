use std::cell::Cell;
use std::path::Path;

use super::*;
use crate::data::DataOptions;

/// Computes features with `compute`, which is stopped after every second batch and started again. Returns the features and the number
/// of starts.
fn in_parts(
    network: &Network,
    path: &Path,
    compute: impl Fn(&mut Collected, &dyn Fn() -> bool) -> Result<Option<Features>>,
) -> (Features, usize) {
    for start in 1.. {
        let partial = Partial::open(path, 1 << 30);
        assert!(partial.is_some());
        let asked = Cell::new(0);
        let stop = || asked.replace(asked.get() + 1) == 2;
        let found = compute(&mut Collected::new(network, partial), &stop).unwrap();
        if let Some(found) = found {
            return (found, start);
        }
    }
    unreachable!()
}

fn assert_same(whole: &Features, parts: &Features) {
    assert_eq!((&whole.values, &whole.labels, &whole.rows), (&parts.values, &parts.labels, &parts.rows));
    assert_eq!(whole.origin.resumed, 0);
}

/// Folders `a` and `b` with images, two of which cannot be read.
fn photos(folder: &Path) {
    for (class, name) in ["a", "b"].into_iter().enumerate() {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        for number in 0..165u32 {
            let pixel =
                |x: u32, y: u32| image::Rgb([(x * y + number) as u8, 90 * class as u8, (x * number) as u8]);
            image::RgbImage::from_fn(12, 12, pixel)
                .save(folder.join(format!("{name}/{number:03}.png")))
                .unwrap();
        }
    }
    for bad in ["a/003.png", "b/001.png"] {
        std::fs::write(folder.join(bad), "not an image").unwrap();
    }
}

#[test]
fn an_interrupted_computation_continues_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("photos");
    photos(&data);
    let reading =
        DataOptions { image_size: "12".parse().unwrap(), max_bad_share: 0.01, ..DataOptions::default() };
    let config = Config {
        data: data.to_str().unwrap().to_string(),
        model: "cnn".into(),
        model_options: "width=4".into(),
        recipe: "none".into(),
        // Images are decoded during training.
        augment: "random-resized-crop=0.5,flip".into(),
        threads: "2".parse().unwrap(),
        reading,
        ..Config::default()
    };
    let prepared = Prepared::new(&config).unwrap();
    let network = &prepared.network;
    let subject = Subject::new(&prepared, network);
    let path = folder.path().join("plain.partial");
    let whole = plain(subject, &config, &mut Collected::new(network, None), &|| false).unwrap().unwrap();
    assert_eq!(whole.values.size()[0], 328);
    let (parts, starts) =
        in_parts(network, &path, |collected, stop| plain(subject, &config, collected, stop));
    assert_same(&whole, &parts);
    // Six batches; the last start computes the last two.
    assert_eq!((starts, parts.origin.resumed), (3, 64 * 4 - 2));

    // A start after the last batch.
    let partial = Partial::open(&path, 1 << 30);
    let again =
        plain(subject, &config, &mut Collected::new(network, partial), &|| panic!("no batch is left"));
    assert_same(&whole, &again.unwrap().unwrap());

    let path = folder.path().join("views.partial");
    let views =
        |collected: &mut Collected, stop: &dyn Fn() -> bool| augmented(&prepared, (2, 5), collected, stop);
    let whole = views(&mut Collected::new(network, None), &|| false).unwrap().unwrap();
    let (parts, starts) = in_parts(network, &path, views);
    assert_same(&whole, &parts);
    assert!(starts > 3, "{starts}");
}

#[test]
fn too_many_unreadable_images_are_refused_after_an_interruption_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("photos");
    photos(&data);
    let with_share = |max_bad_share: f64| Config {
        data: data.to_str().unwrap().to_string(),
        model: "cnn".into(),
        model_options: "width=4".into(),
        recipe: "none".into(),
        augment: "random-resized-crop=0.5".into(),
        reading: DataOptions { image_size: "12".parse().unwrap(), max_bad_share, ..DataOptions::default() },
        ..Config::default()
    };
    let prepared = Prepared::new(&with_share(0.01)).unwrap();
    let network = &prepared.network;
    let subject = Subject::new(&prepared, network);
    let path = folder.path().join("a.partial");
    let asked = Cell::new(0);
    let mut collected = Collected::new(network, Partial::open(&path, 1 << 30));
    // The first of the two images is in the first batch.
    let stop = || asked.replace(asked.get() + 1) == 1;
    assert!(plain(subject, &with_share(0.01), &mut collected, &stop).unwrap().is_none());
    drop(collected);
    let mut collected = Collected::new(network, Partial::open(&path, 1 << 30));
    let error = plain(subject, &with_share(0.004), &mut collected, &|| false).unwrap_err().to_string();
    assert!(error.contains("2 of 330 images cannot be read"), "{error}");
}

#[test]
fn examples_in_memory_continue_too() {
    let config = Config {
        data: "digits".into(),
        model: "mlp".into(),
        model_options: "width=8".into(),
        recipe: "none".into(),
        ..Config::default()
    };
    let prepared = Prepared::new(&config).unwrap();
    let subject = Subject::new(&prepared, &prepared.network);
    let folder = tempfile::tempdir().unwrap();
    let whole = plain(subject, &config, &mut Collected::new(subject.network, None), &|| false);
    let whole = whole.unwrap().unwrap();
    let path = folder.path().join("a.partial");
    let (parts, starts) =
        in_parts(subject.network, &path, |collected, stop| plain(subject, &config, collected, stop));
    assert_same(&whole, &parts);
    assert_eq!((whole.values.size()[0], starts), (1797, 15));
}
