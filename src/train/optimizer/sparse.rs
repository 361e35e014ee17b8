//! Row-wise Adagrad for parameters with sparse gradients, such as vectors of tokens.

use cresset_bridge::kernels::embedding_bag;
use tch::{Device, Kind, Tensor};

use super::Parameter;
use crate::distributed::World;
use crate::error::Result;

/// The learning rate of rows, relative to that of other parameters: Adagrad divides it by the root of the number of updates.
const RATE: f64 = 10.;

/// Avoids a division by 0.
const EPS: f64 = 1e-10;

/// A table whose rows are updated only if a batch uses them (Naumov et al., "Deep Learning Recommendation Model", 2019): the step of a
/// row is divided by the root of the sum of its mean squared gradients (Duchi et al., "Adaptive Subgradient Methods", 2011). It takes
/// one number per row of memory, and the time of a step does not depend on the number of rows.
pub struct SparseTable {
    parameter: Tensor,
    rate: f64,
    /// Sum of the mean squared gradients of each row, float32 (rows).
    sums: Tensor,
}

/// The name of the state of a table.
pub const STATE: &str = "row_sum";

impl SparseTable {
    pub fn new(parameter: &Parameter) -> Self {
        let tensor = &parameter.tensor;
        SparseTable {
            parameter: tensor.shallow_clone(),
            rate: parameter.rate,
            sums: Tensor::zeros([tensor.size()[0]], (Kind::Float, tensor.device())),
        }
    }

    /// The sums of squares.
    pub fn state(&self) -> &Tensor {
        &self.sums
    }

    /// Updates the rows of a gradient.
    fn step(&mut self, SparseGradient { rows, values }: &SparseGradient, lr: f64) -> Result<()> {
        tch::no_grad(|| {
            let (table, rate) = (self.parameter.detach(), lr * RATE * self.rate);
            if embedding_bag::adagrad_rows(&table, &self.sums, rows, values, rate, EPS)? {
                return Ok(());
            }
            let squares = values.square().mean_dim(1, false, Kind::Float);
            let sums = self.sums.f_index_select(0, rows)? + squares;
            let step = values / (sums.sqrt() + EPS).unsqueeze(1) * -rate;
            let _ = self.sums.f_index_copy_(0, rows, &sums)?;
            let _ = table.shallow_clone().f_index_add_(0, rows, &step.to_kind(self.parameter.kind()))?;
            Ok(())
        })
    }
}

/// The gradient of a table in some of its rows.
struct SparseGradient {
    /// The rows, int64 (n), each once.
    rows: Tensor,
    /// Their gradients, float32 (n, width).
    values: Tensor,
}

impl SparseGradient {
    /// The gradient of a parameter, without rows if it has none.
    fn of(parameter: &Tensor) -> Result<Self> {
        let gradient = parameter.grad();
        if !gradient.defined() {
            let rows = Tensor::zeros([0], (Kind::Int64, parameter.device()));
            let values = Tensor::zeros([0, parameter.size()[1]], (Kind::Float, parameter.device()));
            return Ok(SparseGradient { rows, values });
        }
        let is_sparse = gradient.is_sparse();
        SparseGradient::coalesced(if is_sparse { gradient } else { gradient.f_to_sparse_sparse_dim(1)? })
    }

    /// The rows of a sparse tensor, and the sums of their values.
    fn coalesced(sparse: Tensor) -> Result<Self> {
        let sparse = if has_ascending_rows(&sparse)? { sparse } else { sparse.f_coalesce()? };
        let rows = sparse.f_internal_indices()?.f_select(0, 0)?;
        Ok(SparseGradient { rows, values: sparse.f_internal_values()?.to_kind(Kind::Float) })
    }

    /// The mean over all processes.
    fn averaged(self, size: &[i64], world: &World) -> Result<Self> {
        if world.is_alone() {
            return Ok(self);
        }
        let count = self.rows.size()[0];
        let most = world.all_reduce_max(&[count as f64])?[0] as i64;
        // Zeros in row 0 do not change the sum.
        let rows = world.all_gather(&self.rows.constant_pad_nd([0, most - count]))?.flatten(0, 1);
        let values = world.all_gather(&self.values.constant_pad_nd([0, 0, 0, most - count]))?.flatten(0, 1);
        let options = (Kind::Float, values.device());
        let sum =
            Tensor::f_sparse_coo_tensor_indices_size(&rows.unsqueeze(0), &values, size, options, false)?;
        let sum = SparseGradient::coalesced(sum)?;
        Ok(SparseGradient { values: sum.values / f64::from(world.size()), ..sum })
    }
}

/// Whether the rows of a sparse tensor ascend, so that it is coalesced, although autograd does not keep the mark of such gradients.
/// `false` on other devices, which would have to wait for the answer.
fn has_ascending_rows(sparse: &Tensor) -> Result<bool> {
    if sparse.device() != Device::Cpu {
        return Ok(false);
    }
    let rows = sparse.f_internal_indices()?.f_select(0, 0)?;
    let following = rows.size()[0] - 1;
    if following < 1 {
        return Ok(true);
    }
    let ascend = rows.f_narrow(0, 1, following)?.f_gt_tensor(&rows.f_narrow(0, 0, following)?)?;
    Ok(bool::try_from(ascend.f_all()?)?)
}

/// The gradients of all tables for an update.
pub struct SparseGradients(Vec<SparseGradient>);

impl SparseGradients {
    /// The gradients of these tables, averaged over all processes.
    pub fn of(tables: &[SparseTable], world: &World) -> Result<Self> {
        let of = |table: &SparseTable| {
            tch::no_grad(|| SparseGradient::of(&table.parameter)?.averaged(&table.parameter.size(), world))
        };
        Ok(SparseGradients(tables.iter().map(of).collect::<Result<_>>()?))
    }

    /// The Euclidean norm of these gradients and of others with the norm `other`, a scalar.
    pub fn norm(&self, other: Tensor) -> Tensor {
        if self.0.is_empty() {
            return other;
        }
        let squares = self.0.iter().map(|gradient| gradient.values.square().sum(Kind::Float));
        squares.fold(other.square(), |sum, square| sum + square).sqrt()
    }

    /// Multiplies the gradients by a scalar tensor.
    pub fn scale(&mut self, factor: &Tensor) {
        self.0.iter_mut().for_each(|gradient| gradient.values = &gradient.values * factor);
    }

    /// Updates the tables.
    pub fn apply(&self, tables: &mut [SparseTable], lr: f64) -> Result<()> {
        tables.iter_mut().zip(&self.0).try_for_each(|(table, gradient)| table.step(gradient, lr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(values: &[[f32; 2]]) -> (Tensor, SparseTable) {
        let tensor = Tensor::from_slice2(values).set_requires_grad(true);
        let parameter = Parameter {
            name: "w".to_string(),
            tensor: tensor.shallow_clone(),
            rate: 0.5,
            is_head: false,
            is_sparse: true,
        };
        (tensor, SparseTable::new(&parameter))
    }

    fn gradients(tensor: &Tensor, rows: &[i64]) {
        let used = Tensor::embedding(tensor, &Tensor::from_slice(rows), -1, false, true);
        // The gradient of a row is (1, 3) for each use.
        (used * Tensor::from_slice(&[1f32, 3.])).sum(Kind::Float).backward();
    }

    #[test]
    fn a_step_changes_the_used_rows_by_adagrad() {
        let (tensor, mut table) = table(&[[0., 0.], [1., 1.], [2., 2.]]);
        gradients(&tensor, &[1, 1]);
        let gradients = SparseGradients::of(std::slice::from_ref(&table), &World::alone()).unwrap();
        assert_eq!(gradients.norm(Tensor::from(3f32)).double_value(&[]), 7.);
        gradients.apply(std::slice::from_mut(&mut table), 0.1).unwrap();
        // Twice the gradient: (2, 6), with a mean square of 20; the rate is 10 · 0.5 · 0.1.
        let root = 20f64.sqrt();
        let row = Vec::<f64>::try_from(tensor.detach().get(1).to_kind(Kind::Double)).unwrap();
        assert!((row[0] - (1. - 1. / root)).abs() < 1e-6 && (row[1] - (1. - 3. / root)).abs() < 1e-6);
        assert_eq!(tensor.detach().get(2), Tensor::from_slice(&[2f32, 2.]));
        assert_eq!(*table.state(), Tensor::from_slice(&[0f32, 20., 0.]));
    }

    #[test]
    fn dense_gradients_and_no_gradients_are_taken_too() {
        let (tensor, mut table) = table(&[[0., 0.], [1., 1.]]);
        let none = SparseGradients::of(std::slice::from_ref(&table), &World::alone()).unwrap();
        none.apply(std::slice::from_mut(&mut table), 0.1).unwrap();
        assert_eq!(tensor.detach().get(1), Tensor::from_slice(&[1f32, 1.]));
        tensor.get(1).sum(Kind::Float).backward();
        let mut dense = SparseGradients::of(std::slice::from_ref(&table), &World::alone()).unwrap();
        dense.scale(&Tensor::from(2f32));
        dense.apply(std::slice::from_mut(&mut table), 0.1).unwrap();
        assert_eq!(*table.state(), Tensor::from_slice(&[0f32, 4.]));
        assert!(tensor.device() == Device::Cpu && tensor.detach().get(0) == Tensor::from_slice(&[0f32, 0.]));
    }
}
