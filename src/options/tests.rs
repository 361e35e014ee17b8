use super::*;
use crate::data::column_choice::ColumnChoice;
use crate::train::ChannelsLast;
use cresset_options::headings::HEADINGS;
use proptest::prelude::*;

fn read(text: &str) -> Result<Config> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    std::fs::write(&path, text).unwrap();
    Config::read(&path)
}

#[test]
fn every_option_is_among_the_entries() {
    let mut config = Config::default();
    config.reading.labels = Some("a,b".into());
    config.reading.task = Some(crate::data::TaskKind::Multilabel);
    config.reading.user = Some(ColumnChoice::Number(1));
    config.reading.item = Some(ColumnChoice::Number(2));
    config.reading.rating = Some(ColumnChoice::Number(3));
    config.reading.min_rating = Some(4.);
    config.reading.user_table = Some("users.csv".into());
    config.reading.item_table = Some("items.csv".into());
    config.reading.ignore = Some("id".into());
    config.reading.text = Some("body".into());
    config.reading.tokenizer = Some("tokenizer.json".into());
    config.reading.max_length = Some(64);
    config.reading.vocab_size = Some(500);
    config.reading.char_ngrams = 4;
    config.reading.keep = Some("key".into());
    config.reading.schema = Some("schema.toml".into());
    config.reading.group = Some(ColumnChoice::Number(2));
    config.reading.exclude = Some("list.tsv".into());
    config.reading.max_memory = Some(4.);
    config.reading.images = Some("images".into());
    config.reading.layout = Some(crate::data::options::ArrayLayout::Nhwc);
    config.reading.interpolation = Some(crate::data::image::Interpolation::Bicubic);
    config.reading.center_crop = Some(0.9);
    config.coverage = Some(0.95);
    config.ood = Some(0.05);
    config.split = Some("time:date".parse().unwrap());
    config.train_list = Some("train.txt".into());
    config.validation_list = Some("validation.txt".into());
    config.test_list = Some("test.txt".into());
    (config.folds, config.fold) = (Some(5), Some(1));
    config.feedback = Some("feedback".into());
    (config.feedback_weight, config.feedback_rows) = (Some(2), Some(9));
    config.accept_contradictions = Some(true);
    config.init = Some("start.pth".into());
    config.pretrained = Some("timm/resnet18.a1_in1k".into());
    config.normalization = Some("imagenet".parse().unwrap());
    config.lora = Some(8);
    config.teacher = Some("runs/teacher".into());
    config.unlabelled = Some("more.csv".into());
    config.init_key = Some("teacher".into());
    config.training.clip = Some(1.);
    (config.training.patience, config.training.max_minutes) = (Some(3), Some(5.));
    let entries: Vec<_> = config.entries().into_iter().map(|(name, _)| name).collect();
    assert_eq!(entries, names().collect::<Vec<_>>());
}

#[test]
fn a_run_of_an_older_version_masks_no_categories() {
    assert_eq!(read("lr = 0.1\n").unwrap().mask_categories, 0.02);
    assert_eq!(read("lr = 0.1\n[record]\ncresset = \"0.1.0\"\n").unwrap().mask_categories, 0.);
    assert_eq!(read("mask_categories = 0.1\n[record]\na = 1\n").unwrap().mask_categories, 0.1);
    assert!(read("mask_categories = 1\n").unwrap_err().to_string().contains("from 0 to below 1"));
}

#[test]
fn a_run_of_an_older_version_has_numbers_and_categories_only() {
    use crate::data::options::ColumnTypes;
    assert_eq!(read("lr = 0.1\n").unwrap().reading.column_types, ColumnTypes::All);
    assert_eq!(read("[record]\ncresset = \"0.1.0\"\n").unwrap().reading.column_types, ColumnTypes::Basic);
}

#[test]
fn an_unknown_option_names_its_line_and_the_nearest_one() {
    let text = read("lr = 0.1\nepoch = 3\n").unwrap_err().to_string();
    assert!(text.contains("run.toml, line 2: unknown option `epoch`; did you mean `epochs`?"), "{text}");
}

#[test]
fn a_bad_value_names_its_line_and_the_valid_ones() {
    let text = read("\nmodel = \"mlpp\"\n").unwrap_err().to_string();
    assert!(
        text.contains(
            "line 2: invalid value `mlpp` for `model`: expected a model that `cresset models` lists"
        ),
        "{text}"
    );
    let text = read("lr = -1\n").unwrap_err().to_string();
    assert!(text.contains("line 1") && text.contains("a number above 0"), "{text}");
}

#[test]
fn broken_toml_names_its_line() {
    let text = read("lr = 0.1\nseed = = 3\n").unwrap_err().to_string();
    assert!(text.contains("run.toml, line 2, column 8: invalid TOML: "), "{text}");
}

#[test]
fn text_that_is_not_utf8_names_its_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    std::fs::write(&path, b"lr = 0.1\ndata = \"\xc3\xbc\xff\"\n").unwrap();
    let text = Config::read(&path).unwrap_err().to_string();
    assert!(text.contains("run.toml, line 2, column 10: the text is not UTF-8"), "{text}");
}

#[test]
fn channels_last_reads_and_writes_booleans_as_earlier_versions_did() {
    for (text, expected) in [
        ("channels_last = true", ChannelsLast::Yes),
        ("channels_last = false", ChannelsLast::No),
        ("channels_last = \"auto\"", ChannelsLast::Auto),
        ("", ChannelsLast::Auto),
    ] {
        let config = read(text).unwrap();
        assert_eq!(config.training.channels_last, expected, "{text}");
        assert!(config.to_toml().contains(text));
    }
}

#[test]
fn integers_mean_the_same_in_every_notation_of_toml() {
    for text in ["epochs = 16", "epochs = 0x10", "epochs = 0o20", "epochs = 0b1_0000", "epochs = +16"] {
        assert_eq!(read(text).unwrap().epochs, 16, "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        data in "[a-z/._ \"'\\\\-]{1,20}", epochs in 1u32.., batch_size in 1u32.., seed: u64,
        lr in 1e-9f64..1e3, validation in 0.01f64..0.99, threads in 1u16..=1024, gpu in 0usize..8,
    ) {
        let config = Config {
            data, epochs, batch_size, seed, lr, validation,
            threads: Threads::Count(threads), device: DeviceChoice::Cuda(gpu), ..Config::default()
        };
        prop_assert_eq!(read(&config.to_toml()).unwrap(), config);
    }
}

#[test]
fn every_option_is_in_a_group_and_has_a_help_and_a_valid_default() {
    for spec in Config::specs() {
        assert!(spec.heading.is_some_and(|heading| HEADINGS.contains(&heading)), "{}", spec.name);
        assert!(!spec.help.is_empty() && !spec.value_name.is_empty(), "{}", spec.name);
        if let Some(default) = spec.default.filter(|_| !spec.is_list) {
            let mut config = Config::default();
            config.set(spec.name, default).unwrap();
            assert_eq!(config, Config::default(), "{}", spec.name);
        }
    }
}

#[test]
fn options_of_earlier_versions_are_aliases() {
    let config = read("held_out = 0.3\nheld_out_list = \"list.txt\"\n").unwrap();
    assert_eq!((config.validation, config.validation_list.clone()), (0.3, Some("list.txt".into())));
    assert!(config.to_toml().contains("validation = 0.3\n") && !config.to_toml().contains("held_out"));
    let text = read("held_out = 1\n").unwrap_err().to_string();
    assert!(
        text.contains("line 1: invalid value `1` for `held_out`: expected a number between 0 and 1"),
        "{text}"
    );
    assert_eq!((canonical("held_out"), canonical("lr"), canonical("other")), ("validation", "lr", "other"));
}
