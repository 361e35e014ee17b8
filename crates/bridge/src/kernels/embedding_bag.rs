//! Sums of rows of a table of vectors, and the optimizer of such a table.

use tch::Tensor;

use super::Kernel;
use crate::Result;
use crate::ffi::{self, lend, own};

/// The sums of the rows of `weight`, float32 (rows, width), that each line of `rows`, int64 (N, L), lists: (N, width). Row 0 is
/// padding. The gradient is sparse; its rows differ and ascend. `None` where libtorch's `embedding_bag` must be used: if the kernel is off, on other
/// devices, for other dtypes, and where a dense gradient is asked for (`has_sparse_gradient` is false, and gradients are recorded).
///
/// # Errors
/// libtorch is out of memory.
pub fn bag_sums(weight: &Tensor, rows: &Tensor, has_sparse_gradient: bool) -> Result<Option<Tensor>> {
    if !Kernel::EmbeddingBag.is_enabled() {
        return Ok(None);
    }
    let sums = ffi::bag_sums(lend(weight), lend(rows), 0, has_sparse_gradient)?;
    let sums = (!sums.is_null()).then(|| own(sums));
    Ok(sums.inspect(|_| Kernel::EmbeddingBag.count_run()))
}

/// The rows of `weight`, float32 (rows, width), at the places in `rows`, int64 (N, L): (N, L, width). The gradient is sparse; its rows
/// differ and ascend. `None` where libtorch's `embedding` must be used: if the kernel is off, on other devices and for other dtypes.
///
/// # Errors
/// libtorch is out of memory.
pub fn row_vectors(weight: &Tensor, rows: &Tensor) -> Result<Option<Tensor>> {
    if !Kernel::EmbeddingBag.is_enabled() {
        return Ok(None);
    }
    let vectors = ffi::bag_sums(lend(weight), lend(&rows.reshape([-1, 1])), NO_PADDING, true)?;
    let size = [rows.size(), vec![-1]].concat();
    let vectors = (!vectors.is_null()).then(|| own(vectors).view(&size[..]));
    Ok(vectors.inspect(|_| Kernel::EmbeddingBag.count_run()))
}

/// No row.
const NO_PADDING: i64 = -1;

/// Row-wise Adagrad: adds the mean squares of `gradients`, float32 (n, width), to the entries of `sums`, float32 (rows), that `rows`,
/// int64 (n), lists, each once, and subtracts gradient · `rate` / (√sum + `epsilon`) from these rows of `weight`, float32 (rows,
/// width). Returns whether it did: libtorch's operations must be used if the kernel is off, on other devices and for other dtypes.
///
/// # Errors
/// The tensors are not those described.
pub fn adagrad_rows(
    weight: &Tensor,
    sums: &Tensor,
    rows: &Tensor,
    gradients: &Tensor,
    rate: f64,
    epsilon: f64,
) -> Result<bool> {
    if !Kernel::RowAdagrad.is_enabled() {
        return Ok(false);
    }
    let ran = ffi::adagrad_rows(lend(weight), lend(sums), lend(rows), lend(gradients), rate, epsilon)?;
    if ran {
        Kernel::RowAdagrad.count_run();
    }
    Ok(ran)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn libtorchs(weight: &Tensor, rows: &Tensor) -> Tensor {
        let offsets = Tensor::arange(rows.size()[0], (Kind::Int64, Device::Cpu)) * rows.size()[1];
        let rows = rows.flatten(0, -1);
        let none = None::<&Tensor>;
        Tensor::embedding_bag_padding_idx(weight, &rows, &offsets, false, 0, true, none, false, 0).0
    }

    #[test]
    fn sums_and_gradients_are_those_of_libtorch() {
        tch::manual_seed(4);
        for (width, lines, length) in [(2, 3, 5), (3, 1, 40), (16, 70, 33), (4, 2, 1), (8, 5, 0)] {
            let weight = Tensor::randn([20, width], FLOAT);
            let rows = Tensor::randint(20, [lines, length], (Kind::Int64, Device::Cpu));
            let direction = Tensor::randn([lines, width], FLOAT);
            let of = |sums: &dyn Fn(&Tensor) -> Tensor| {
                let weight = weight.copy().set_requires_grad(true);
                let found = sums(&weight);
                (&found * &direction).sum(Kind::Float).backward();
                (found.detach(), weight.grad())
            };
            let ours = of(&|weight| bag_sums(weight, &rows, true).unwrap().unwrap());
            let theirs = of(&|weight| libtorchs(weight, &rows));
            assert!(ours.0.allclose(&theirs.0, 1e-5, 1e-5, false), "{width} {lines} {length}");
            let rows = ours.1.internal_indices().flatten(0, -1);
            assert_eq!(rows, theirs.1.coalesce().indices().flatten(0, -1));
            let (ours, theirs) = (ours.1.to_dense(None, false), theirs.1.to_dense(None, false));
            assert!(ours.allclose(&theirs, 1e-5, 1e-5, false), "{width} {lines} {length}");
        }
    }

    #[test]
    fn vectors_and_their_gradients_are_those_of_libtorch() {
        tch::manual_seed(5);
        for (width, size) in [(1, [3, 2]), (8, [40, 5]), (10, [7, 1])] {
            let weight = Tensor::randn([20, width], FLOAT);
            let rows = Tensor::randint(20, size, (Kind::Int64, Device::Cpu));
            let direction = Tensor::randn([size[0], size[1], width], FLOAT);
            let of = |vectors: &dyn Fn(&Tensor) -> Tensor| {
                let weight = weight.copy().set_requires_grad(true);
                let found = vectors(&weight);
                (&found * &direction).sum(Kind::Float).backward();
                (found.detach(), weight.grad().coalesce())
            };
            let ours = of(&|weight| row_vectors(weight, &rows).unwrap().unwrap());
            let theirs = of(&|weight| Tensor::embedding(weight, &rows, -1, false, true));
            assert_eq!(ours.0, theirs.0);
            assert_eq!(ours.1.indices(), theirs.1.indices());
            assert!(ours.1.values().allclose(&theirs.1.values(), 1e-5, 1e-5, false), "{width}");
        }
    }

    #[test]
    fn gradients_of_a_smaller_table_follow_those_of_a_larger_one() {
        for count in [1000, 10] {
            let weight = Tensor::zeros([count, 2], FLOAT).set_requires_grad(true);
            let rows = Tensor::from_slice(&[count - 1, 3, 3, 0]).view([2, 2]);
            bag_sums(&weight, &rows, true).unwrap().unwrap().sum(Kind::Float).backward();
            let gradient = weight.grad();
            assert_eq!(gradient.internal_indices(), Tensor::from_slice(&[3, count - 1]).view([1, 2]));
            assert_eq!(gradient.internal_values(), Tensor::from_slice2(&[[2f32, 2.], [1., 1.]]));
        }
    }

    #[test]
    fn a_step_is_that_of_adagrad() {
        let weight = Tensor::from_slice2(&[[0f32, 0.], [1., 1.], [2., 2.]]);
        let sums = Tensor::from_slice(&[1f32, 5., 0.]);
        let rows = Tensor::from_slice(&[1i64]);
        let gradients = Tensor::from_slice2(&[[2f32, 4.]]);
        assert!(adagrad_rows(&weight, &sums, &rows, &gradients, 0.5, 0.).unwrap());
        // The mean square is 10.
        assert_eq!(sums, Tensor::from_slice(&[1f32, 15., 0.]));
        let step = 0.5 / 15f32.sqrt();
        let expected = Tensor::from_slice2(&[[0f32, 0.], [1. - 2. * step, 1. - 4. * step], [2., 2.]]);
        assert!(weight.allclose(&expected, 1e-6, 1e-6, false));
    }

    #[test]
    fn what_it_cannot_do_is_left_to_libtorch() {
        let weight = Tensor::zeros([4, 2], FLOAT).set_requires_grad(true);
        let rows = Tensor::from_slice(&[1i64, 3]).view([1, 2]);
        let is_done =
            |weight: &Tensor, rows: &Tensor, is_sparse| bag_sums(weight, rows, is_sparse).unwrap().is_some();
        assert!(is_done(&weight, &rows, true));
        assert!(!is_done(&weight, &rows, false));
        assert!(tch::no_grad(|| is_done(&weight, &rows, false)));
        assert!(!is_done(&weight.to_kind(Kind::Double), &rows, true));
        // A row that the table does not have, for which libtorch raises the error.
        assert!(!is_done(&weight, &(&rows + 1), true));
        assert!(!is_done(&weight, &(&rows - 2), true));
        let (sums, gradients) = (Tensor::zeros([4], FLOAT), Tensor::zeros([1, 2], FLOAT));
        let weight = weight.detach();
        let row = |row: i64| Tensor::from_slice(&[row]);
        assert!(adagrad_rows(&weight, &sums, &row(3), &gradients, 0.1, 0.).unwrap());
        assert!(!adagrad_rows(&weight, &sums, &row(4), &gradients, 0.1, 0.).unwrap());
        assert!(!adagrad_rows(&weight, &sums.to_kind(Kind::Double), &row(3), &gradients, 0.1, 0.).unwrap());
    }
}
