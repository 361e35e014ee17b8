use super::*;
use crate::data::random::{Purpose, stream};
use crate::loader::Batch;
use proptest::prelude::*;
use tch::Device;

fn images(kind: Kind, channels: i64, side: i64) -> Tensor {
    let count = 4 * channels * side * (side + 2);
    let values = Tensor::arange(count, (Kind::Float, Device::Cpu)).fmod(251.) / 250.;
    let values = values.view([4, channels, side, side + 2]);
    if kind == Kind::Uint8 { (values * 250.).round().to_kind(kind) } else { values }
}

fn generators(seed: u64) -> Vec<ChaCha8Rng> {
    (0..4).map(|number| stream(seed, Purpose::Augment, number)).collect()
}

fn singles() -> impl Iterator<Item = &'static str> {
    let is_single = |kind: &&AugmentKind| !kind.name.starts_with("mix") && !kind.name.starts_with("cut");
    AUGMENTATIONS.iter().filter(is_single).map(|kind| kind.name)
}

fn augmentation(spec: &str) -> Augmentation {
    spec.parse().unwrap()
}

#[test]
fn every_augmentation_keeps_shape_and_range_and_changes_something() {
    for name in singles().chain(["digits", "photos", "deit3"]) {
        for (kind, channels) in [(Kind::Float, 1), (Kind::Float, 3), (Kind::Uint8, 3)] {
            let before = images(kind, channels, 12);
            let after = (0..20)
                .map(|seed| augmentation(name).apply(&before, 1., &mut generators(seed)))
                .collect::<Vec<_>>();
            for after in &after {
                assert_eq!((after.size(), after.kind()), (before.size(), kind), "{name}");
                let most = if kind == Kind::Uint8 { 255. } else { 1. + 1e-5 };
                let (least, greatest) = (after.min().double_value(&[]), after.max().double_value(&[]));
                assert!(least >= -1e-5 && greatest <= most, "{name}: {least} to {greatest}");
            }
            assert!(after.iter().any(|after| !after.allclose(&before, 1e-3, 1e-3, false)), "{name}");
        }
    }
}

/// An image depends only on its own generator, so batches and threads make no difference.
#[test]
fn an_image_is_augmented_alone_as_in_a_batch() {
    for name in singles() {
        let before = images(Kind::Float, 3, 9);
        let together = augmentation(name).apply(&before, 1., &mut generators(5));
        for index in 0..4 {
            let mut own = generators(5).split_off(index as usize);
            own.truncate(1);
            let alone = augmentation(name).apply(&before.narrow(0, index, 1), 1., &mut own);
            assert!(alone.allclose(&together.narrow(0, index, 1), 1e-5, 1e-6, false), "{name}");
        }
    }
}

#[test]
fn white_may_be_any_value() {
    let before = images(Kind::Float, 1, 8);
    let unit = augmentation("digits").apply(&before, 1., &mut generators(1));
    let sixteen = augmentation("digits").apply(&(&before * 16.), 16., &mut generators(1));
    assert!(sixteen.allclose(&(unit * 16.), 1e-5, 1e-5, false));
}

#[test]
fn strength_zero_is_the_identity() {
    let before = images(Kind::Float, 3, 10);
    for spec in
        ["flip=0", "crop=0", "affine=0:0:0:0", "elastic=0", "color-jitter=0:0", "noise=0", "erasing=0"]
    {
        let after = augmentation(spec).apply(&before, 1., &mut generators(1));
        assert!(after.allclose(&before, 1e-3, 2e-3, false), "{spec}");
    }
}

#[test]
fn a_horizontal_flip_and_a_half_turn_rotation_are_exact() {
    let before = images(Kind::Float, 1, 6);
    let flipped = augmentation("flip=1").apply(&before, 1., &mut generators(1));
    assert_eq!(flipped, before.flip([3]));
    let turned = affine::warp(&before, &[affine::Map::new(180., 0., 1., [0., 0.]); 4]);
    assert!(turned.allclose(&before.flip([2, 3]), 1e-4, 1e-4, false));
    let enlarged = affine::warp(&before, &[affine::Map::new(0., 0., 2., [0., 0.]); 4]);
    let middle = |image: &Tensor| image.mean(Kind::Float).double_value(&[]);
    assert!((middle(&enlarged) - middle(&before)).abs() < 0.1);
}

#[test]
fn regions_have_torchvisions_areas_and_aspect_ratios() {
    let crop = augmentation("random-resized-crop");
    let mut areas = Vec::new();
    for number in 0..2000 {
        let region = crop.region((500, 375), &mut stream(1, Purpose::Augment, number)).unwrap();
        let Region { left, top, width, height } = region;
        assert!(left >= 0. && top >= 0. && left + width <= 500. && top + height <= 375.);
        assert!((0.73..1.36).contains(&(width / height)));
        areas.push(width * height / (500. * 375.));
    }
    // Regions that do not fit, mostly large ones, are drawn again, so the mean is below 0.54.
    let mean = areas.iter().sum::<f64>() / 2000.;
    assert!((0.44..0.54).contains(&mean), "{mean}");
}

#[test]
fn strength_zero_of_drawn_operations_changes_only_histograms() {
    // A ramp whose histogram is flat and nearly full: equalization and autocontrast keep it. White would be solarized.
    let ramp = Tensor::arange(256, (Kind::Float, Device::Cpu)).view([1, 1, 16, 16]) / 256.;
    let before = ramp.repeat([4, 3, 1, 1]);
    for seed in 0..10 {
        let after = augmentation("rand-augment=1:0").apply(&before, 1., &mut generators(seed));
        let difference = (&after - &before).abs().max().double_value(&[]);
        assert!(difference < 0.02, "{seed}: {difference}");
    }
}

#[test]
fn three_augment_is_grayscale_solarization_or_blur() {
    let before = images(Kind::Float, 3, 12);
    let (mut grays, mut inverted, mut blurred) = (0, 0, 0);
    for seed in 0..30 {
        let after = augmentation("three-augment").apply(&before, 1., &mut generators(seed));
        for index in 0..4 {
            let (before, after) = (before.get(index), after.get(index));
            let inverse: Tensor = 1. - &before;
            let solarized = inverse.where_self(&before.ge(128. / 255.), &before);
            if after.allclose(&solarized, 1e-5, 1e-6, false) {
                inverted += 1;
            } else if after.get(0).allclose(&after.get(2), 1e-5, 1e-6, false) {
                grays += 1;
            } else {
                // Blur keeps the mean of a channel, up to the border, and lowers the contrast.
                let of = |image: &Tensor| {
                    (image.mean(Kind::Float).double_value(&[]), image.std(true).double_value(&[]))
                };
                let ((mean, spread), (blurred_mean, blurred_spread)) = (of(&before), of(&after));
                assert!((mean - blurred_mean).abs() < 0.05 && blurred_spread <= spread + 1e-6);
                blurred += 1;
            }
        }
    }
    assert!(
        [grays, inverted, blurred].iter().all(|count| (20..=60).contains(count)),
        "{grays} {inverted} {blurred}"
    );
}

#[test]
fn areas_and_aspect_ratios_of_crops_can_be_given() {
    let crop = augmentation("random-resized-crop=0.5:0.6:0.9:1.1");
    for number in 0..500 {
        let region = crop.region((400, 400), &mut stream(2, Purpose::Augment, number)).unwrap();
        let area = region.width * region.height / 160_000.;
        assert!(
            (0.49..0.61).contains(&area) && (0.89..1.11).contains(&(region.width / region.height)),
            "{region:?}"
        );
    }
}

#[test]
fn mixed_batches_have_both_labels_in_their_shares() {
    for (spec, seed) in [("mixup=1", 1), ("cutmix", 2)] {
        let inputs =
            Tensor::arange(4, (Kind::Float, Device::Cpu)).view([4, 1, 1, 1]).expand([4, 1, 10, 10], false);
        let labels = Tensor::arange(4, (Kind::Int64, Device::Cpu));
        let batch = Batch::new(inputs.contiguous(), labels);
        let mixed = augmentation(spec).mixing()[0].apply(batch, &mut stream(seed, Purpose::Augment, 0));
        let pair = mixed.mixed.unwrap();
        let expected: Tensor = mixed.labels * &pair.weight + pair.labels * (1. - &pair.weight);
        let means = mixed.inputs.mean_dim([1, 2, 3].as_slice(), false, Kind::Float);
        assert!(means.allclose(&expected.to_kind(Kind::Float), 1e-4, 1e-4, false), "{spec}");
        assert!(pair.weight.double_value(&[0]) < 1.);
    }
}

#[test]
fn errors_in_a_specification_are_named() {
    let problem = |spec: &str| spec.parse::<Augmentation>().unwrap_err();
    assert!(problem("flop").contains("did you mean `flip`?"));
    assert!(problem("flip=2").contains("probability of flip must be a number from 0 to 1"));
    assert!(problem("flip=0.1:3").contains("flip takes flip=0.5 (probability)"));
    assert!(problem("flip,,crop").contains("unknown augmentation ``"));
    assert!(augmentation("none").is_none() && !augmentation("none,flip").is_none());
}

proptest! {
    #[test]
    fn no_specification_makes_the_parser_panic(spec in "[a-z=:.,0-9-]{0,40}") {
        let _ = spec.parse::<Augmentation>();
    }
}
