//! Options as a program declares and uses them.

use std::path::PathBuf;

use cresset_options::{Choice, OptionSet, Spec, Text, choices, flag, nested, option, options, parse};
use toml::Value;

choices! {
    /// Where to compute.
    #[derive(Default)]
    pub enum Place {
        /// Wherever it is fastest,
        /// by a guess.
        #[default]
        Auto = "auto",
        /// On this machine
        Here = "here" | "local" | "true",
    }
}

options! {
    /// Inner options.
    pub struct Inner {
        /// How many
        pub count: u32 = option("N").default("2").parser(parse::within(1..=9)),
        /// Which ones
        pub shares: Vec<f64> = option("SHARE").parser(parse::between_0_and_1),
    }
}

options! {
    /// Outer options.
    pub struct Outer {
        /// The seed of
        /// all random numbers.
        pub seed: u64 = option("N").default("0").heading("Random").essential(),
        /// The place
        pub place: Place = option("WHEN").default("auto").alone("here").entry(|place| match place {
            Place::Auto => "auto".into(),
            Place::Here => true.into(),
        }),
        /// The inner options.
        pub inner: Inner = nested(),
        /// A file
        pub input_file: Option<PathBuf> = option("FILE").not_empty().aliases(&["input", "in_file"]),
        /// A name
        pub name: String = option("NAME").default("a").choices([Choice::new("a", "first"), Choice::new("bcd", "")]),
        /// Whether
        pub fast: bool = flag().default("false"),
    }
}

fn spec(name: &str) -> &'static Spec {
    Outer::spec(name).unwrap()
}

#[test]
fn a_new_struct_has_the_defaults_and_writes_those_that_have_a_value() {
    let expected: [(&str, Value); 6] = [
        ("seed", 0.into()),
        ("place", "auto".into()),
        ("count", 2.into()),
        ("shares", Value::Array(Vec::new())),
        ("name", "a".into()),
        ("fast", false.into()),
    ];
    assert_eq!(Outer::default().entries(), expected);
}

#[test]
fn values_are_set_by_name_and_alias_and_written_in_their_types() {
    let mut options = Outer::default();
    let given = [
        ("seed", "18446744073709551615"),
        ("place", "local"),
        ("count", "9"),
        ("shares", "0.25,0.5"),
        ("in_file", "x"),
        ("name", "bcd"),
        ("fast", "true"),
    ];
    given.into_iter().for_each(|(name, text)| options.set(name, text).unwrap());
    let expected = Outer {
        seed: u64::MAX,
        place: Place::Here,
        inner: Inner { count: 9, shares: vec![0.25, 0.5] },
        input_file: Some("x".into()),
        name: "bcd".into(),
        fast: true,
    };
    assert_eq!(options, expected);
    assert_eq!(options.get("seed"), Some("18446744073709551615".into()));
    assert_eq!(options.get("place"), Some(true.into()));
    assert_eq!(options.get("input"), Some("x".into()));
    assert_eq!((Outer::default().get("input_file"), Outer::default().get("x")), (None, None));
}

#[test]
fn errors_name_the_option_and_the_valid_values() {
    for (name, text, says) in [
        ("sed", "1", "unknown option `sed`; did you mean `seed`? The options are seed, place, count, "),
        (
            "seed",
            "-1",
            "invalid value `-1` for `seed`: expected a whole number from 0 to 18446744073709551615",
        ),
        ("seed", "", "invalid value `` for `seed`: it cannot be empty"),
        ("count", "10", "invalid value `10` for `count`: expected a whole number from 1 to 9"),
        ("shares", "0.5,1", "expected a number between 0 and 1"),
        ("input_file", "", "it cannot be empty"),
        ("name", "bc", "invalid value `bc` for `name`: expected one of a, bcd; did you mean `bcd`?"),
        (
            "place",
            "her\u{1b}",
            "invalid value `her\\u{1b}` for `place`: expected one of auto, here; did you mean `here`?",
        ),
        ("fast", "yes", "it is `true` or `false`"),
    ] {
        let mut options = Outer::default();
        let problem = options.set(name, text).unwrap_err();
        assert!(problem.contains(says), "{problem}");
        assert_eq!(options, Outer::default());
    }
}

#[test]
fn specifications_have_what_a_command_line_needs() {
    let seed = spec("seed");
    assert_eq!(seed.help, "The seed of all random numbers");
    assert_eq!((seed.default, seed.heading), (Some("0"), Some("Random")));
    assert!(seed.is_number && seed.is_essential && !spec("name").is_number && !spec("name").is_essential);
    assert_eq!((spec("input").flag.as_str(), spec("input").value_name), ("input-file", "FILE"));
    assert_eq!(spec("input_file").flag_aliases, ["input", "in-file"]);
    assert_eq!((spec("fast").alone, spec("seed").alone), (Some("true"), None));
    assert!(spec("shares").is_list && !spec("count").is_list);
    let names: Vec<_> = Outer::specs().map(|spec| spec.name).collect();
    assert_eq!(names, ["seed", "place", "count", "shares", "input_file", "name", "fast"]);
}

#[test]
fn choices_are_shown_as_they_are_read() {
    assert_eq!((Place::Here.to_string(), Place::default().name()), ("here".to_string(), "auto"));
    assert_eq!(("local".parse(), "auto".parse()), (Ok(Place::Here), Ok(Place::Auto)));
    assert!("Auto".parse::<Place>().unwrap_err().contains("expected one of auto, here"));
    let choices = Place::choices();
    assert_eq!(
        (choices[0].help.as_str(), choices[1].aliases),
        ("Wherever it is fastest, by a guess", &["local", "true"][..])
    );
    assert_eq!(spec("place").choices, choices);
}
