use super::*;
use crate::data::InputShape;

fn images(examples: usize, channels: i64, side: i64) -> Facts {
    let shape = InputShape(vec![channels, side, side]);
    Facts {
        examples,
        validation: examples / 4,
        counts: vec![examples / 10; 10],
        cores: 2,
        ..Facts::of_shape(shape)
    }
}

fn table(examples: usize) -> Facts {
    Facts {
        examples,
        validation: examples / 4,
        counts: vec![examples / 3; 3],
        cores: 2,
        ..Facts::of_shape(InputShape(vec![4]))
    }
}

fn texts() -> Facts {
    Facts { is_text: true, ..table(2_000) }
}

fn photos(backbone: Backbone) -> Facts {
    Facts { backbone, ..images(800, 3, 224) }
}

const MIRRORED: Mirror = Mirror { kept: 9, classes: 10, swaps: false };

/// A name, facts, their kind, and values that the recipe chooses or (empty) leaves alone.
type Case = (&'static str, Facts, &'static str, &'static [(&'static str, &'static str)]);

#[test]
fn the_choices_follow_from_the_facts() {
    let given = |model: &str, facts: Facts| Facts { model: Some(model.to_string()), ..facts };
    let missing = Backbone::Unavailable("offline");
    let lite = Backbone::Available("timm/tf_efficientnet_lite0.in1k");
    let cases: Vec<Case> = vec![
        (
            "few digits",
            images(1_438, 1, 8),
            "small images",
            &[
                ("model", "cnn"),
                ("epochs", "60"),
                ("batch_size", "32"),
                ("augment", "affine=10:0.1:0.1:5"),
                ("monitor", "accuracy"),
                ("class_weights", ""),
                ("pretrained", ""),
            ],
        ),
        (
            "many clothes",
            Facts { mirror: Some(MIRRORED), ..images(60_000, 1, 28) },
            "small images",
            &[("model", "cnn"), ("batch_size", "128"), ("augment", "flip,crop=2"), ("precision", "")],
        ),
        (
            "many clothes and fast bfloat16",
            Facts { mirror: Some(MIRRORED), has_fast_bf16: true, ..images(48_000, 1, 28) },
            "small images",
            &[
                ("model", "resnet9"),
                ("model_options", "width=32"),
                ("epochs", "26"),
                ("batch_size", "256"),
                ("augment", "flip,crop=2,erasing"),
                ("precision", "bf16"),
            ],
        ),
        (
            "characters",
            Facts { mirror: Some(Mirror { kept: 4, ..MIRRORED }), ..images(2_000, 1, 28) },
            "small images",
            &[("augment", "affine=10:0.1:0.1:5")],
        ),
        (
            "color",
            Facts { mirror: Some(Mirror { kept: 4, ..MIRRORED }), ..images(2_000, 3, 32) },
            "small images",
            &[("augment", "flip,crop=2")],
        ),
        (
            "arrows to the left and to the right",
            Facts { mirror: Some(Mirror { swaps: true, ..MIRRORED }), ..images(2_000, 3, 32) },
            "small images",
            &[("augment", "affine=10:0.1:0.1:5")],
        ),
        (
            "images without a range of values",
            Facts { can_augment: false, ..images(2_000, 3, 32) },
            "small images",
            &[("augment", ""), ("model", "cnn")],
        ),
        (
            "a given model",
            given("resnet9", images(1_438, 1, 8)),
            "small images",
            &[("model", ""), ("model_options", "width=32"), ("lr", "0.003"), ("epochs", "40")],
        ),
        (
            "a given transformer",
            given("vit", images(1_438, 1, 8)),
            "small images",
            &[("lr", "0.002"), ("epochs", "100"), ("model_options", "width=64,depth=4,dropout=0")],
        ),
        (
            "weights of a file",
            Facts { start: Start::Weights, ..images(1_438, 1, 8) },
            "small images",
            &[("model", ""), ("lr", "2e-4"), ("epochs", "12"), ("head_epochs", "")],
        ),
        ("texts", Facts { rare_words: 0.3, ..texts() }, "texts", &[("model", "bow"), ("char_ngrams", "")]),
        ("names", Facts { rare_words: 0.9, ..texts() }, "texts", &[("model", "bow"), ("char_ngrams", "4")]),
        (
            "texts with a pretrained encoder",
            Facts { start: Start::Pretrained, head: Head::Open, ..texts() },
            "texts",
            &[("head_only", "true"), ("finetune", ""), ("lr", ""), ("model", "")],
        ),
        (
            "texts to fine-tune an encoder on",
            Facts { start: Start::Pretrained, head: Head::First, ..texts() },
            "texts",
            &[
                ("head_only", "true"),
                ("lr", "3e-5"),
                ("epochs", "5"),
                ("batch_size", "16"),
                ("warmup_epochs", "0.5"),
            ],
        ),
        (
            "texts to train adapters of an encoder on",
            Facts { start: Start::Pretrained, has_adapters: true, ..texts() },
            "texts",
            &[("head_only", ""), ("lr", "5e-4")],
        ),
        (
            "texts to train all layers of an encoder on",
            Facts { start: Start::Pretrained, has_fast_bf16: true, ..texts() },
            "texts",
            &[("head_only", ""), ("optimizer", "adamw"), ("clip", "1"), ("precision", "bf16")],
        ),
        (
            "photographs",
            photos(lite),
            "photographs",
            &[
                ("pretrained", "timm/tf_efficientnet_lite0.in1k"),
                ("model", ""),
                ("image_size", ""),
                ("head_epochs", "3"),
                ("epochs", "12"),
                ("layer_decay", "0.8"),
            ],
        ),
        (
            "photographs without pretrained weights",
            photos(missing),
            "photographs",
            &[("pretrained", ""), ("model", "resnet9"), ("image_size", "64"), ("head_epochs", "")],
        ),
        (
            "photographs with a given model",
            given("resnet18", photos(lite)),
            "photographs",
            &[("pretrained", ""), ("model_options", ""), ("lr", "0.003")],
        ),
        (
            "photographs with a custom model",
            Facts { start: Start::Custom, ..photos(missing) },
            "photographs",
            &[("model", ""), ("lr", "5e-4"), ("head_epochs", ""), ("layer_decay", "")],
        ),
        (
            "flowers",
            table(120),
            "table",
            &[("model", "tabm"), ("normalization", "quantiles"), ("batch_size", "8"), ("monitor", "loss")],
        ),
        (
            "a large table",
            Facts { counts: vec![80_000, 20_000], ..table(100_000) },
            "table",
            &[("batch_size", "512"), ("monitor", "macro-f1"), ("class_weights", "")],
        ),
        (
            "a rare class",
            Facts { counts: vec![9_800, 200], ..table(10_000) },
            "table",
            &[("monitor", "macro-f1"), ("class_weights", "balanced")],
        ),
    ];
    for (name, facts, kind, values) in cases {
        assert_eq!(Kind::of(&facts).name, kind, "{name}");
        let recipe = Recipe::auto(&facts);
        for (option, value) in values {
            assert_eq!(recipe.value(option).unwrap_or_default(), *value, "{name}: {option}");
        }
        assert!(recipe.lines().len() < 10, "{name}: {:#?}", recipe.lines());
        let mut options: Vec<_> = recipe.settings().map(|(option, _)| option).collect();
        options.sort();
        assert!(options.windows(2).all(|pair| pair[0] != pair[1]), "{name}: an option is set twice");
    }
}

#[test]
fn epochs_decrease_with_the_number_of_images_and_stay_within_the_budget() {
    let epochs = |facts: &Facts| Recipe::auto(facts).value("epochs").unwrap().parse::<u32>().unwrap();
    let counts = [1_000, 3_000, 10_000, 30_000, 60_000].map(|count| epochs(&images(count, 1, 28)));
    assert!(counts.is_sorted_by(|a, b| a >= b), "{counts:?}");
    assert_eq!((counts[0], counts[4]), (60, 25));
    // On one core, half as many fit, but never fewer than 5.
    let slow = Facts { cores: 1, ..images(60_000, 1, 28) };
    assert!((10..15).contains(&epochs(&slow)));
    assert_eq!(epochs(&images(1_000_000, 1, 28)), 5);
    assert_eq!(epochs(&Facts { is_on_gpu: true, ..images(1_000_000, 1, 28) }), 25);
}

#[test]
fn few_images_have_small_batches() {
    let batch_size =
        |examples| Recipe::auto(&images(examples, 1, 28)).value("batch_size").map(str::to_string);
    let found = [20, 100, 200, 320].map(|examples| batch_size(examples).unwrap());
    assert_eq!(found, ["8", "8", "16", "32"]);
}

#[test]
fn an_epoch_of_a_table_has_at_least_fifteen_steps() {
    for rows in [120, 142, 455, 2_000, 8_000, 60_000, 500_000, 5_000_000] {
        let facts = table(rows);
        let batch_size = Recipe::auto(&facts).value("batch_size").unwrap().parse().unwrap();
        assert!(facts.steps(batch_size) >= 15, "{rows}");
    }
}

#[test]
fn a_bag_is_chosen_for_few_rows_where_nothing_excludes_it() {
    let bag = |facts: Facts| Recipe::auto(&facts).value("bag").unwrap_or_default().to_string();
    let possible = |rows| Facts { can_bag: true, ..table(rows) };
    assert_eq!([400, 401].map(|rows| bag(possible(rows))), ["5", ""]);
    assert_eq!(bag(table(400)), "");
    let with = |model: &str| Facts { model: Some(model.to_string()), ..possible(120) };
    assert_eq!(["tabm", "mlp", "ft-transformer"].map(|model| bag(with(model))), ["5", "5", ""]);
    assert_eq!(bag(Facts { start: Start::Weights, ..possible(120) }), "");

    // All rows, the fifth for validation, too, are in its epochs.
    let recipe = Recipe::auto(&possible(200));
    assert_eq!(recipe.value("batch_size"), Some("16"));
    assert_eq!(Recipe::auto(&table(200)).value("batch_size"), Some("8"));
    assert!(recipe.title.starts_with("auto: table (250 rows"), "{}", recipe.title);
    let line = recipe.lines().into_iter().find(|line| line.starts_with("bag 5: ")).unwrap();
    assert!(line.contains("--bag 0"), "{line}");
}

#[test]
fn given_options_win_and_take_the_options_that_belong_to_them_along() {
    let recipe = Recipe::auto(&table(120));
    let after = |given: &[(&str, &str)]| {
        let given: std::collections::BTreeMap<_, _> =
            given.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        recipe.clone().without(&|name| given.get(name).cloned())
    };
    // The learning rate and the decay are those of another optimizer.
    let found = after(&[("optimizer", "sgd")]);
    assert_eq!([found.value("optimizer"), found.value("lr"), found.value("weight_decay")], [None; 3]);
    assert_eq!(found.value("patience"), recipe.value("patience"));
    // The same optimizer as the recipe's keeps them.
    let found = after(&[("optimizer", "adamw")]);
    assert_eq!((found.value("optimizer"), found.value("lr")), (None, recipe.value("lr")));
    let found = after(&[("lr", "0.1")]);
    assert_eq!((found.value("lr"), found.value("optimizer")), (None, Some("adamw")));
    let found = after(&[("loss", "focal"), ("model", "tabm"), ("model_options", "")]);
    assert_eq!([found.value("loss_options"), found.value("model"), found.value("model_options")], [None; 3]);
    // Whoever wants a single model gets one.
    let small = Recipe::auto(&Facts { can_bag: true, ..table(120) });
    let is_given = |name: &str| (name == "bag").then(|| "0".to_string());
    assert_eq!((small.value("bag"), small.clone().without(&is_given).value("bag")), (Some("5"), None));
    // A line of which nothing is left disappears.
    assert_eq!(after(&[("monitor", "loss")]).choices.len(), recipe.choices.len() - 1);
    let all: Vec<_> = recipe.settings().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert!(after(&all).choices.is_empty());
}

#[test]
fn the_built_in_recipes_are_the_run_files() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let mut files: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    let mut names: Vec<_> = BUILT_IN.iter().map(|recipe| recipe.name).collect();
    names.sort_unstable();
    assert_eq!(names, files);
}

#[test]
fn mirroring_keeps_symmetric_classes_and_swaps_mirror_images() {
    // Two classes of 2×2 pixels: bright left and bright right.
    let (left, right, both) = ([1f32, 0., 1., 0.], [0., 1., 0., 1.], [1., 1., 1., 1.]);
    let of = |images: &[[f32; 4]], labels: &[usize], classes| {
        Mirror::of(&images.concat(), labels, classes, (1, 2, 2))
    };
    assert_eq!(of(&[left, right], &[0, 1], 2), Some(Mirror { kept: 0, classes: 2, swaps: true }));
    assert_eq!(of(&[left, both], &[0, 1], 2), Some(Mirror { kept: 1, classes: 2, swaps: false }));
    // A class without images does not count.
    assert_eq!(of(&[both, left, right], &[0, 1, 1], 3), Some(Mirror { kept: 2, classes: 2, swaps: false }));
    assert_eq!(of(&[left], &[0], 2), None);
}

#[test]
fn a_pretrained_backbone_gets_a_fitted_head_and_fine_tuning_if_time_allows() {
    let backbone = Backbone::Available("timm/tf_efficientnet_lite0.in1k");
    let facts = |examples: usize, head| Facts { examples, head, cores: 2, ..photos(backbone) };
    let names = |facts: &Facts| -> Vec<String> {
        let recipe = Recipe::auto(facts);
        recipe.settings().map(|(name, _)| name.to_string()).collect()
    };
    let few = names(&facts(800, Head::Open));
    assert!(
        few.contains(&"head_only".to_string())
            && few.contains(&"finetune".to_string())
            && !few.contains(&"head_epochs".to_string()),
        "{few:?}"
    );
    let many = names(&facts(100_000, Head::Open));
    assert!(
        many.contains(&"head_only".to_string())
            && !many.contains(&"finetune".to_string())
            && !many.contains(&"epochs".to_string()),
        "{many:?}"
    );
    let excluded = names(&facts(800, Head::Excluded));
    assert!(
        excluded.contains(&"head_epochs".to_string()) && !excluded.contains(&"head_only".to_string()),
        "{excluded:?}"
    );
    let given = names(&facts(800, Head::Only));
    assert!(!given.contains(&"epochs".to_string()) && !given.contains(&"augment".to_string()), "{given:?}");
}
