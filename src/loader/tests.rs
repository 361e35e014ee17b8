use super::*;
use crate::data::options::Missing;
use crate::data::{DataOptions, Dataset, read};
use crate::model::preprocessing::{Preprocessing, PreprocessingKind, TensorDataset};
use image::{Rgb, RgbImage};
use std::sync::Arc;

/// A folder of 12 images in two classes, each of one color.
fn images() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        std::fs::create_dir(folder.path().join(class)).unwrap();
    }
    for number in 0..12u8 {
        let class = if number < 6 { "a" } else { "b" };
        let path = folder.path().join(format!("{class}/{number:02}.png"));
        let image = |x: u32, y: u32| Rgb([number * 20, (x * 5) as u8, (y * 5) as u8]);
        RgbImage::from_fn(40, 30, image).save(path).unwrap();
    }
    folder
}

fn dataset(folder: &tempfile::TempDir) -> Dataset {
    let options = DataOptions { image_size: "16".parse().unwrap(), ..DataOptions::default() };
    read(folder.path().to_str().unwrap(), &options).unwrap()
}

fn identity(dataset: &Dataset) -> Preprocessing {
    let part = crate::model::preprocessing::TrainTensors(crate::model::preprocessing::TensorDataset {
        inputs: Tensor::zeros([1, dataset.shape.features()], (tch::Kind::Float, Device::Cpu)),
        labels: Tensor::from_slice(&[0i64]),
    });
    Preprocessing::fit(dataset, &part, Missing::Error)
}

fn stream_of(dataset: &Dataset, threads: usize, augmentation: &str, most_bad: f64) -> StreamLoader {
    let gallery = EncodedExamples::of(dataset, threads, most_bad).unwrap();
    let rows: Vec<i64> = (0..dataset.rows() as i64).collect();
    let augmentation = Arc::new(augmentation.parse().unwrap());
    StreamLoader::new(&gallery, &rows, Sampling::Shuffled, &augmentation, &identity(dataset), Device::Cpu)
}

fn batches(feed: &dyn TrainLoader, first: usize) -> Vec<(Tensor, Vec<i64>)> {
    let pass = Pass { start: 5 * first, ..Pass::new(2, 5, 9) };
    let batch = |batch: Result<Batch>| {
        let Batch { inputs, labels, .. } = batch.unwrap();
        (inputs, Vec::try_from(labels).unwrap())
    };
    feed.epoch(pass).map(batch).collect()
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = images();
    let data = dataset(&folder);
    for augmentation in ["none", "random-resized-crop,flip", "photos,mixup", "elastic,noise,cutmix"] {
        let one = batches(&stream_of(&data, 1, augmentation, 0.), 0);
        let four = batches(&stream_of(&data, 4, augmentation, 0.), 0);
        assert_eq!(one, four, "{augmentation}");
        assert_eq!(one.iter().map(|(inputs, _)| inputs.size()[0]).collect::<Vec<_>>(), [5, 5, 2]);
        // An epoch resumed in the middle yields the remaining batches unchanged.
        assert_eq!(batches(&stream_of(&data, 2, augmentation, 0.), 1), one[1..], "{augmentation}");
    }
}

#[test]
fn streamed_and_decoded_images_are_the_same() {
    let folder = images();
    let streamed = batches(&stream_of(&dataset(&folder), 2, "none", 0.), 0);
    let data = decode_all(dataset(&folder), 2, 0.).unwrap();
    let rows: Vec<i64> = (0..data.rows() as i64).collect();
    let memory = MemoryExamples::raw(TensorDataset::of(&data, &rows, Device::Cpu), &identity(&data));
    let memory = batches(&MemoryLoader::new(memory, Sampling::Shuffled, None), 0);
    assert_eq!(streamed, memory);
}

#[test]
fn images_in_memory_are_augmented_anew_each_epoch_and_the_same_for_the_same_seed() {
    let folder = images();
    let data = decode_all(dataset(&folder), 2, 0.).unwrap();
    let rows: Vec<i64> = (0..data.rows() as i64).collect();
    let feed = |augmentation: &str| {
        let part =
            MemoryExamples::raw_per_batch(TensorDataset::of(&data, &rows, Device::Cpu), &identity(&data));
        let augmenter = Augmenter {
            augmentation: augmentation.parse().unwrap(),
            shape: data.shape.clone(),
            range: data.range.unwrap(),
        };
        MemoryLoader::new(part, Sampling::Shuffled, Some(augmenter))
    };
    for augmentation in ["affine", "flip,crop", "photos,mixup"] {
        let first = batches(&feed(augmentation), 0);
        assert_eq!(first, batches(&feed(augmentation), 0));
        assert_eq!(first[2..], batches(&feed(augmentation), 2));
        let other = feed(augmentation).epoch(Pass::new(3, 5, 9)).next();
        assert_ne!(first[0].0, other.unwrap().unwrap().inputs);
    }
}

#[test]
fn a_damaged_image_is_skipped_and_too_many_are_an_error() {
    let folder = images();
    std::fs::write(folder.path().join("a/03.png"), b"\x89PNG\r\n\x1a\n and no more").unwrap();
    let data = dataset(&folder);
    let feed = stream_of(&data, 2, "none", 0.1);
    let sizes: i64 = batches(&feed, 0).iter().map(|(inputs, _)| inputs.size()[0]).sum();
    assert_eq!(sizes, 11);
    let validation = StreamEvaluationLoader::new(&feed_gallery(&data), &[2, 3, 4], None, Device::Cpu);
    assert_eq!(validation.in_order().map(|batch| batch.unwrap().labels.size()[0]).sum::<i64>(), 2);
    assert_eq!((0..3).map(|place| validation.is_unreadable(place)).collect::<Vec<_>>(), [false, true, false]);

    let kept = decode_all(dataset(&folder), 2, 0.1).unwrap();
    assert_eq!((kept.rows(), kept.names.name(3)), (11, "a/04.png".to_string()));
    let said = decode_all(dataset(&folder), 2, 0.05).unwrap_err().to_string();
    assert!(said.contains("1 of 12 images cannot be read") && said.contains("a/03.png: the image"), "{said}");
    let strict = stream_of(&data, 2, "none", 0.05);
    let pass = Pass::new(1, 5, 9);
    assert!(strict.epoch(pass).any(|batch| batch.is_err()));
}

fn feed_gallery(data: &Dataset) -> Arc<EncodedExamples> {
    EncodedExamples::of(data, 2, 0.1).unwrap()
}

/// Bytes preprocessed by libtorch, as on a GPU, equal the table lookup that decoding threads do for the CPU.
#[test]
fn bytes_that_the_device_preprocesses_give_the_same_bits() {
    let folder = images();
    let data = dataset(&folder);
    let gallery = EncodedExamples::of(&data, 1, 0.).unwrap();
    let own = Preprocessing {
        kind: PreprocessingKind::StandardizeChannels,
        offset: vec![10., 20., 30.5],
        scale: vec![3., 7., 11.],
        ..identity(&data)
    };
    let pool = collate::BufferPool::default();
    let mut decoder = gallery.decoder();
    let pixels: Vec<u8> = (0..16 * 16 * 3).map(|value| (value * 7 % 256) as u8).collect();
    let floats =
        collate::Converter::new(&gallery, Some(&own), Device::Cpu, &pool).apply(pixels.clone(), &mut decoder);
    assert!(matches!(floats, collate::DecodedImage::Floats(_)));
    let mut gathered = collate::Collator::new(&gallery, 2, pool);
    let looked_up = collate::inputs(gathered.collate(vec![floats]), Some(&own));
    let computed = collate::inputs(gathered.collate(vec![collate::DecodedImage::Bytes(pixels)]), Some(&own));
    assert_eq!(looked_up, computed);
    assert_eq!(computed.size(), [1, 3, 16, 16]);
}

/// The batches of every rank in an epoch: labels, weight and whether the batch is the last.
fn shared(
    feed: &dyn TrainLoader,
    processes: u32,
    batch_size: u32,
    start: usize,
) -> Vec<Vec<(Vec<i64>, f64, bool)>> {
    let of = |rank| {
        let pass = Pass { start, rank, processes, ..Pass::new(1, batch_size, 4) };
        let batch = |batch: Result<Batch>| {
            let Batch { labels, weight, is_last, .. } = batch.unwrap();
            (Vec::try_from(labels).unwrap(), weight, is_last)
        };
        feed.epoch(pass).map(batch).collect::<Vec<_>>()
    };
    (0..processes).map(of).collect()
}

#[test]
fn ranks_split_every_batch_exactly() {
    // The labels are the row indexes, which shows which rank takes which example.
    for rows in [1, 2, 7, 24, 25, 30] {
        let labels: Vec<i64> = (0..rows).collect();
        let part = || crate::model::preprocessing::TensorDataset {
            inputs: Tensor::from_slice(&labels).to_kind(tch::Kind::Float).view([-1, 1]),
            labels: Tensor::from_slice(&labels),
        };
        let feed = MemoryLoader::new(MemoryExamples::ready(part()), Sampling::Shuffled, None);
        for (processes, start) in [(2, 0), (3, 0), (3, 5), (4, 0)] {
            let alone = shared(&feed, 1, 4 * processes, start).remove(0);
            let together = shared(&feed, processes, 4, start);
            assert!(together.iter().all(|batches| batches.len() == alone.len()));
            for (step, (all, _, is_last)) in alone.iter().enumerate() {
                let shares: Vec<_> = together.iter().map(|batches| &batches[step]).collect();
                let counted = shares.iter().filter(|(_, weight, _)| *weight > 0.);
                let rows: Vec<i64> = counted.clone().flat_map(|(rows, ..)| rows.clone()).collect();
                assert_eq!(&rows, all, "{rows:?} by {processes}");
                // The weighted mean of the shares' means is the mean of the batch.
                for (rows, weight, _) in counted {
                    assert!(
                        (weight * all.len() as f64 / f64::from(processes) - rows.len() as f64).abs() < 1e-9
                    );
                }
                assert!(shares.iter().all(|(_, _, last)| last == is_last));
            }
        }
    }
}

#[test]
fn no_rank_gets_a_batch_of_one() {
    let sizes = |rows: usize, batch_size, processes, rank| -> Vec<usize> {
        let pass = Pass { rank, processes, ..Pass::new(1, batch_size, 4) };
        pass.slices(rows).map(|slice| slice.length).collect()
    };
    assert_eq!(sizes(33, 32, 1, 0), [33]);
    assert_eq!(sizes(65, 32, 1, 0), [32, 33]);
    assert_eq!(sizes(34, 3, 1, 0), [[3].repeat(10), vec![4]].concat());
    assert_eq!(sizes(34, 32, 1, 0), [32, 2]);
    assert_eq!(sizes(1438, 32, 1, 0)[44], 30);
    // A requested batch size of 1 is kept.
    assert_eq!(sizes(3, 1, 1, 0), [1, 1, 1]);
    assert_eq!((sizes(11, 4, 2, 0), sizes(11, 4, 2, 1)), (vec![5], vec![6]));
    for (processes, batch_size, rows) in
        (1..=5).flat_map(|p| (2..=5u32).flat_map(move |b| (0..60usize).map(move |rows| (p, b, rows))))
    {
        let place = format!("{rows} by {processes} times {batch_size}");
        let pass = |rank| Pass { rank, processes, ..Pass::new(1, batch_size, 4) };
        let slices: Vec<Vec<BatchSlice>> =
            (0..processes).map(|rank| pass(rank).slices(rows).collect()).collect();
        assert!(slices.iter().all(|of_rank| of_rank.len() == slices[0].len()), "{place}");
        let counted = slices.iter().flatten().filter(|slice| slice.weight > 0.);
        assert_eq!(counted.map(|slice| slice.length).sum::<usize>(), rows, "{place}");
        if rows >= 2 * processes as usize {
            assert!(pass(0).smallest_local_batch(rows) >= 2, "{place}");
        }
        // An epoch can resume after any batch, and has none left after the last one.
        for (index, slice) in slices[0].iter().enumerate() {
            let rest: Vec<_> = Pass { start: slice.end, ..pass(0) }.slices(rows).collect();
            assert_eq!(rest, slices[0][index + 1..], "{place}");
            assert_eq!(slice.is_last, rest.is_empty(), "{place}");
        }
    }
}

#[test]
fn the_only_readable_image_of_a_batch_is_duplicated() {
    let folder = images();
    for number in 0..11 {
        let class = if number < 6 { "a" } else { "b" };
        std::fs::write(
            folder.path().join(format!("{class}/{number:02}.png")),
            b"\x89PNG\r\n\x1a\n and no more",
        )
        .unwrap();
    }
    let feed = stream_of(&dataset(&folder), 2, "none", 1.);
    let of_size = |batch_size| -> Vec<Vec<i64>> {
        let batches = feed.epoch(Pass::new(1, batch_size, 9));
        batches.map(|batch| Vec::try_from(batch.unwrap().labels).unwrap()).collect()
    };
    assert_eq!(of_size(5), [[1, 1]]);
    assert_eq!(of_size(1), [[1]]);
}

#[test]
fn augmentation_does_not_depend_on_the_number_of_processes() {
    let folder = images();
    let data = dataset(&folder);
    let feed = stream_of(&data, 2, "random-resized-crop,flip", 0.);
    let inputs = |processes, rank, batch_size| -> Vec<Tensor> {
        let pass = Pass { rank, processes, ..Pass::new(1, batch_size, 4) };
        feed.epoch(pass).map(|batch| batch.unwrap().inputs).collect()
    };
    let (alone, first, second) = (inputs(1, 0, 6), inputs(2, 0, 3), inputs(2, 1, 3));
    let together: Vec<_> = first.iter().zip(&second).map(|(a, b)| Tensor::cat(&[a, b], 0)).collect();
    assert_eq!(alone, together);
}
