//! An LSTM layer in training, with fewer operations than libtorch's.

use tch::Tensor;

use super::Kernel;
use crate::Result;
use crate::ffi::{self, bridge::LstmDirection, lend, own};

/// The parameters of one direction of a layer, float32 on the CPU. The gates are input, forget, cell and output, in
/// PyTorch's order.
#[derive(Debug)]
pub struct Direction<'a> {
    /// (4 · hidden, inputs).
    pub from_input: &'a Tensor,
    /// (4 · hidden, hidden).
    pub from_state: &'a Tensor,
    /// (4 · hidden).
    pub input_bias: &'a Tensor,
    /// (4 · hidden).
    pub state_bias: &'a Tensor,
}

impl Direction<'_> {
    fn lent(&self) -> LstmDirection<'_> {
        LstmDirection {
            from_input: lend(self.from_input),
            from_state: lend(self.from_state),
            input_bias: lend(self.input_bias),
            state_bias: lend(self.state_bias),
        }
    }
}

/// The outputs, (length, N, 2 · hidden), for sequences, (length, N, inputs); supports one backward pass. `None` where
/// libtorch is faster: on other devices, with other dtypes, and for hidden sizes that are large or not a multiple of 16.
pub fn layer(inputs: &Tensor, forwards: &Direction, backwards: &Direction) -> Result<Option<Tensor>> {
    if !Kernel::Lstm.is_enabled() {
        return Ok(None);
    }
    let outputs = ffi::lstm_layer(lend(inputs), &forwards.lent(), &backwards.lent())?;
    let outputs = (!outputs.is_null()).then(|| own(outputs));
    Ok(outputs.inspect(|_| Kernel::Lstm.count_run()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_beside::error;
    use tch::{Device, Kind};

    fn weights(inputs: i64, hidden: i64, kind: Kind) -> Vec<Tensor> {
        let direction =
            [vec![4 * hidden, inputs], vec![4 * hidden, hidden], vec![4 * hidden], vec![4 * hidden]];
        let sizes = direction.iter().chain(&direction);
        sizes
            .map(|sizes| (Tensor::randn(sizes, (kind, Device::Cpu)) * 0.2).detach().set_requires_grad(true))
            .collect()
    }

    fn by_libtorch(x: &Tensor, weights: &[Tensor]) -> Tensor {
        let hidden = weights[1].size()[1];
        let state = Tensor::zeros([2, x.size()[1], hidden], (x.kind(), Device::Cpu));
        x.lstm(&[&state, &state], &weights.iter().collect::<Vec<_>>(), true, 1, 0., true, true, false).0
    }

    fn by_formulas(x: &Tensor, weights: &[Tensor]) -> Option<Tensor> {
        let [forwards, backwards] = [&weights[..4], &weights[4..]].map(|of| Direction {
            from_input: &of[0],
            from_state: &of[1],
            input_bias: &of[2],
            state_bias: &of[3],
        });
        layer(x, &forwards, &backwards).unwrap()
    }

    /// The outputs and the gradients of inputs and weights.
    fn all(x: &Tensor, weights: &[Tensor], outputs: Tensor) -> Vec<Tensor> {
        let loss = (&outputs * outputs.detach().sin()).mean(outputs.kind());
        let inputs: Vec<_> = std::iter::once(x).chain(weights).collect();
        let gradients = Tensor::run_backward(&[loss], &inputs, false, false);
        std::iter::once(outputs).chain(gradients).collect()
    }

    #[test]
    fn outputs_and_gradients_are_as_exact_as_those_of_libtorch() {
        tch::manual_seed(1);
        for (length, rows, inputs, hidden) in
            [(28, 64, 28, 128), (5, 3, 7, 16), (1, 1, 1, 32), (2, 33, 256, 48)]
        {
            let weights = weights(inputs, hidden, Kind::Float);
            let x = Tensor::randn([length, rows, inputs], (Kind::Float, Device::Cpu)).set_requires_grad(true);
            let wide = |tensor: &Tensor| tensor.detach().to_kind(Kind::Double).set_requires_grad(true);
            let (wide_x, wide_weights) = (wide(&x), weights.iter().map(wide).collect::<Vec<_>>());
            let right = all(&wide_x, &wide_weights, by_libtorch(&wide_x, &wide_weights));
            let libtorch = error(&all(&x, &weights, by_libtorch(&x, &weights)), &right);
            let own = error(&all(&x, &weights, by_formulas(&x, &weights).unwrap()), &right);
            assert!(own < 2. * libtorch + 1e-6, "{length} × {rows}: {own:e} vs. {libtorch:e}");
        }
    }

    #[test]
    fn large_and_infinite_gates_are_shut_or_open() {
        let weights = weights(16, 16, Kind::Float);
        for scale in [1e3, 1e30, f64::INFINITY] {
            let x = Tensor::from_slice(&[scale, -scale])
                .to_kind(Kind::Float)
                .repeat([4, 1, 8])
                .set_requires_grad(true);
            let (own, right) = (by_formulas(&x, &weights).unwrap(), by_libtorch(&x, &weights));
            assert!(own.allclose(&right, 1e-5, 1e-6, true), "{scale}");
        }
    }

    #[test]
    fn what_libtorch_does_better_is_left_to_it() {
        let x = |inputs| Tensor::randn([3, 2, inputs], (Kind::Float, Device::Cpu));
        assert!(by_formulas(&x(4), &weights(4, 24, Kind::Float)).is_none(), "not a multiple of 16");
        assert!(by_formulas(&x(4), &weights(4, 512, Kind::Float)).is_none(), "a large hidden size");
        assert!(by_formulas(&x(5), &weights(4, 16, Kind::Float)).is_none(), "the input sizes differ");
        let wide = Tensor::randn([3, 2, 4], (Kind::Double, Device::Cpu));
        assert!(by_formulas(&wide, &weights(4, 16, Kind::Double)).is_none(), "float64");
    }
}
