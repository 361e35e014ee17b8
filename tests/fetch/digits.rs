//! `scripts/fetch-data` alone; what it shares with `scripts/fetch-libtorch` is tested in `../fetch.rs`.

use crate::checkout::Checkout;
use crate::wheels::{expect_tiny_digits, make_wheels};
use std::fs;

#[test]
fn the_digits_are_fetched_once_for_all_checkouts() {
    let checkout = Checkout::new();
    expect_tiny_digits(&checkout);
    let digits = checkout.path("checkout/data/digits.csv");
    let said = checkout.run("fetch-data").succeeded().stderr;
    assert!(said.contains("fetched") && said.lines().count() == 1, "{said}");
    assert_eq!(fs::read_to_string(&digits).unwrap(), "0,16,7\n");
    assert_eq!(checkout.list("checkout/data"), ["digits.csv"]);

    checkout.remove_tool("python3");
    fs::remove_file(&digits).unwrap();
    let said = checkout.run("fetch-data").succeeded().stderr;
    assert!(said.contains("copied") && said.lines().count() == 1, "{said}");
    assert_eq!(fs::read_to_string(&digits).unwrap(), "0,16,7\n");

    fs::remove_dir_all(checkout.path("cache")).unwrap();
    let said = checkout.run("fetch-data").succeeded().stderr;
    assert!(said.contains("in place already") && said.lines().count() == 1, "{said}");
}

#[test]
fn other_digits_are_neither_accepted_nor_overwritten() {
    let checkout = Checkout::new();
    let digits = checkout.path("checkout/data/digits.csv");
    fs::write(&digits, "mine\n").unwrap();
    let sentence = format!("{} is not the file that this project expects", digits.display());
    let failed = checkout.run("fetch-data").failed(1, &sentence);
    assert!(failed.stderr.contains("Move it elsewhere and run this again."), "{failed:?}");
    assert_eq!(fs::read_to_string(&digits).unwrap(), "mine\n");
    assert_eq!(checkout.python_calls(), 0);
}

#[test]
fn spoiled_digits_in_the_cache_are_fetched_again() {
    let checkout = Checkout::new();
    expect_tiny_digits(&checkout);
    fs::create_dir_all(checkout.path("cache/cresset/data")).unwrap();
    fs::write(checkout.path("cache/cresset/data/digits.csv"), "0,1").unwrap();
    checkout.run("fetch-data").succeeded();
    assert_eq!(fs::read_to_string(checkout.path("checkout/data/digits.csv")).unwrap(), "0,16,7\n");
}

#[test]
fn a_wheel_without_the_expected_digits_leaves_nothing() {
    let checkout = Checkout::new();
    let _sha256 = make_wheels(&checkout);
    checkout
        .run("fetch-data")
        .failed(1, "the digits in the scikit-learn wheel do not have the expected SHA-256");
    checkout.assert_nothing_half_made();
    fs::write(checkout.path("digits.whl"), "no wheel").unwrap();
    checkout
        .run("fetch-data")
        .failed(1, "the scikit-learn wheel holds no sklearn/datasets/data/digits.csv.gz");
    checkout.assert_nothing_half_made();
}
