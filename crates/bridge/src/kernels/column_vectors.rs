//! The first layer of models of tables, and its gradients.

use tch::Tensor;

use super::Kernel;
use crate::Result;
use crate::ffi::{self, lend, own};

/// What is written for a row of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnPlan {
    /// For each run of values that are copied: its first feature, its place in the output, and its length.
    pub copies: Vec<i64>,
    /// For each column of categories, the columns of the dense table first: its feature, the place of its vector in the output, the row of
    /// its unknown category, and the number of categories, whose rows follow.
    pub columns: Vec<i64>,
    /// The number of columns of the dense table.
    pub dense: i64,
}

/// The outputs, float32 (N, outputs), for `rows`, float32 (N, features): copied values, and the vectors of categories, rows of `dense` and
/// `sparse`, float32 (rows, width). The gradient of `sparse` is sparse; its rows differ and ascend. `None` where libtorch's operations must
/// be used: if the kernel is off, on other devices, for other dtypes, and where a batch uses few rows of a large sparse table.
///
/// # Errors
/// libtorch is out of memory.
pub fn column_vectors(
    rows: &Tensor,
    plan: &ColumnPlan,
    dense: Option<&Tensor>,
    sparse: Option<&Tensor>,
) -> Result<Option<Tensor>> {
    if !Kernel::ColumnVectors.is_enabled() {
        return Ok(None);
    }
    let none = Tensor::new();
    let [dense, sparse] = [dense, sparse].map(|table| lend(table.unwrap_or(&none)));
    let outputs = ffi::column_vectors(lend(rows), &plan.copies, &plan.columns, plan.dense, dense, sparse)?;
    let outputs = (!outputs.is_null()).then(|| own(outputs));
    Ok(outputs.inspect(|_| Kernel::ColumnVectors.count_run()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

    /// Two numbers around three columns of 3, 200 and 5 categories, the last two of the sparse table.
    fn plan() -> ColumnPlan {
        let columns = vec![1, 2, 0, 3, 2, 4, 0, 200, 3, 6, 201, 5];
        ColumnPlan { copies: vec![0, 0, 1, 4, 1, 1], columns, dense: 1 }
    }

    fn rows() -> Tensor {
        let codes = [[0f32, 7., -1.], [2., 199., 4.], [3., 7., 0.], [-1., 200., 5.], [2., 7., 0.]];
        let of = |row: usize| [row as f32, codes[row][0], codes[row][1], codes[row][2], -(row as f32)];
        Tensor::from_slice2(&[0, 1, 2, 3, 4].map(of))
    }

    /// What the plan means, by libtorch's operations.
    fn expected(rows: &Tensor, dense: &Tensor, sparse: &Tensor) -> Tensor {
        let code = |feature: i64, first: i64, count: i64| {
            let codes = rows.select(1, feature).to_kind(Kind::Int64);
            let is_known = codes.ge(0).logical_and(&codes.lt(count)).to_kind(Kind::Int64);
            (codes + 1) * is_known + first
        };
        let parts = [
            rows.narrow(1, 0, 1),
            rows.narrow(1, 4, 1),
            Tensor::embedding(dense, &code(1, 0, 3), -1, false, false),
            Tensor::embedding(sparse, &code(2, 0, 200), -1, false, true),
            Tensor::embedding(sparse, &code(3, 201, 5), -1, false, true),
        ];
        Tensor::cat(&parts, 1)
    }

    #[test]
    fn vectors_and_gradients_are_those_of_libtorch() {
        tch::manual_seed(6);
        let (dense, sparse) = (Tensor::randn([4, 2], FLOAT), Tensor::randn([207, 2], FLOAT));
        let direction = Tensor::randn([5, 8], FLOAT);
        let of = |outputs: &dyn Fn(&Tensor, &Tensor) -> Tensor| {
            let [dense, sparse] = [&dense, &sparse].map(|table| table.copy().set_requires_grad(true));
            let found = outputs(&dense, &sparse);
            (&found * &direction).sum(Kind::Float).backward();
            (found.detach(), dense.grad(), sparse.grad())
        };
        let ours = of(&|dense, sparse| {
            column_vectors(&rows(), &plan(), Some(dense), Some(sparse)).unwrap().expect("the kernel runs")
        });
        let theirs = of(&|dense, sparse| expected(&rows(), dense, sparse));
        assert_eq!(ours.0, theirs.0);
        assert!(ours.1.allclose(&theirs.1, 1e-6, 1e-6, false));
        let theirs = theirs.2.coalesce();
        assert_eq!(ours.2.internal_indices(), theirs.indices());
        assert!(ours.2.internal_values().allclose(&theirs.values(), 1e-6, 1e-6, false));
    }

    #[test]
    fn what_it_cannot_do_is_left_to_libtorch() {
        let (dense, sparse) = (Tensor::zeros([4, 2], FLOAT), Tensor::zeros([207, 2], FLOAT));
        let is_done = |rows: &Tensor, dense: &Tensor, sparse: &Tensor| {
            column_vectors(rows, &plan(), Some(dense), Some(sparse)).unwrap().is_some()
        };
        assert!(is_done(&rows(), &dense, &sparse));
        assert!(!is_done(&rows().to_kind(Kind::Double), &dense, &sparse));
        assert!(!is_done(&rows(), &dense.to_kind(Kind::Double), &sparse));
        // A table without the rows of the plan, and a row without its features.
        assert!(!is_done(&rows(), &dense, &sparse.narrow(0, 0, 100)));
        assert!(!is_done(&rows().narrow(1, 0, 3).contiguous(), &dense, &sparse));
        // A batch that uses few rows of a large table.
        let large = Tensor::zeros([100_000, 2], FLOAT).set_requires_grad(true);
        assert!(!is_done(&rows(), &dense, &large));
        assert!(tch::no_grad(|| is_done(&rows(), &dense, &large)));
    }
}
