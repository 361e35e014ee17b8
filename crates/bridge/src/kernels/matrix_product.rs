//! Tests of the products that oneDNN computes (`matrix_product.cc`); libtorch's dispatcher calls them.

use tch::{Device, Kind, Tensor};

use super::Kernel;

const SIZES: [[i64; 3]; 4] = [[1024, 48, 64], [2048, 7, 257], [160, 128, 128], [33, 1031, 77]];

fn random(rows: i64, columns: i64) -> Tensor {
    Tensor::randn([rows, columns], (Kind::Double, Device::Cpu))
}

/// The same values, stored column by column.
fn by_columns(matrix: &Tensor) -> Tensor {
    matrix.tr().contiguous().tr()
}

/// The largest difference relative to the largest value.
fn error(found: &Tensor, exact: &Tensor) -> f64 {
    ((found.to_kind(Kind::Double) - exact).abs().max() / exact.abs().max()).double_value(&[])
}

fn runs_of(work: impl FnOnce()) -> u64 {
    let runs = Kernel::MatrixProduct.runs();
    work();
    Kernel::MatrixProduct.runs() - runs
}

#[test]
fn products_are_as_exact_as_libtorchs_in_each_layout() {
    tch::manual_seed(1);
    for [rows, depth, columns] in SIZES {
        let (left, right, bias) = (random(rows, depth), random(depth, columns), random(1, columns).view(-1));
        let [left, right, bias] = [left, right, bias].map(|tensor| tensor.to_kind(Kind::Float));
        let (exact, with_bias) = {
            let [left, right, bias] = [&left, &right, &bias].map(|tensor| tensor.to_kind(Kind::Double));
            (left.mm(&right), bias.addmm(&left, &right))
        };
        for left in [left.shallow_clone(), by_columns(&left)] {
            for right in [right.shallow_clone(), by_columns(&right)] {
                let runs = runs_of(|| {
                    assert!(error(&left.mm(&right), &exact) < 1e-5);
                    assert!(error(&bias.addmm(&left, &right), &with_bias) < 1e-5);
                });
                let expected = 2 * u64::from(Kernel::MatrixProduct.is_supported());
                let is_large = rows * depth * columns >= 2 << 20;
                assert_eq!(runs, if is_large { expected } else { 0 }, "{rows}×{depth}×{columns}");
            }
        }
    }
}

/// Parts of wider matrices, a bias of one number, sums of two products, and other dtypes.
#[test]
fn what_is_not_plain_is_libtorchs() {
    tch::manual_seed(2);
    let options = (Kind::Float, Device::Cpu);
    let (left, right) = (Tensor::randn([256, 128], options), Tensor::randn([128, 128], options));
    let exact = left.to_kind(Kind::Double).mm(&right.to_kind(Kind::Double));
    let wide = Tensor::randn([256, 300], options);
    wide.narrow(1, 20, 128).copy_(&left);
    assert!(error(&wide.narrow(1, 20, 128).mm(&right), &exact) < 1e-5);
    let spread = Tensor::randn([256, 128, 2], options);
    spread.select(2, 0).copy_(&left);
    let one = Tensor::full([1], 3., options);
    let whole = Tensor::randn([256, 128], options);
    let runs = runs_of(|| {
        assert!(error(&spread.select(2, 0).mm(&right), &exact) < 1e-5);
        assert!(error(&one.addmm(&left, &right), &(&exact + 3)) < 1e-5);
        assert!(error(&whole.addmm(&left, &right), &(&exact + &whole)) < 1e-5);
        assert_eq!(left.to_kind(Kind::BFloat16).mm(&right.to_kind(Kind::BFloat16)).kind(), Kind::BFloat16);
        assert_eq!(Tensor::zeros([0, 128], options).mm(&right).size(), [0, 128]);
        assert!(left.f_mm(&left).is_err(), "the sizes do not fit");
    });
    assert_eq!(runs, 0);
}

#[test]
fn gradients_use_it_and_the_switch_turns_it_off() {
    tch::manual_seed(3);
    let exact = [random(512, 96), random(64, 96), random(1, 64).view(-1)];
    let gradients = |kind: Kind| {
        let leaf = |tensor: &Tensor| tensor.to_kind(kind).detach().set_requires_grad(true);
        let [x, weight, bias] = exact.each_ref().map(leaf);
        x.linear(&weight, Some(&bias)).square().sum(kind).backward();
        [x, weight, bias].map(|tensor| tensor.grad())
    };
    let expected = gradients(Kind::Double);
    let compare = || {
        for (found, expected) in gradients(Kind::Float).iter().zip(&expected) {
            assert!(error(found, expected) < 1e-5);
        }
    };
    // The layer, and the gradients of its inputs and its weights.
    assert_eq!(runs_of(compare), 3 * u64::from(Kernel::MatrixProduct.is_supported()));
    Kernel::MatrixProduct.set_enabled(false);
    let runs = runs_of(compare);
    Kernel::MatrixProduct.set_enabled(true);
    assert_eq!(runs, 0);
}

#[test]
fn infinities_and_nan_stay() {
    let options = (Kind::Float, Device::Cpu);
    let left = Tensor::ones([256, 128], options);
    let _ = left.get(0).fill_(f64::INFINITY);
    let _ = left.get(1).fill_(f64::NAN);
    let product = left.mm(&Tensor::ones([128, 128], options));
    assert!(product.get(0).isinf().all().int64_value(&[]) == 1);
    assert!(product.get(1).isnan().all().int64_value(&[]) == 1);
    assert!(product.get(2).eq(128.).all().int64_value(&[]) == 1);
}
