//! Calls of modules whose embeddings of tokens are scaled.

use tch::Tensor;

use crate::ffi::{self, lend};
use crate::script::{Module, Values};
use crate::{Error, Result};

impl Module {
    /// Calls `method` with token ids (N, …), and multiplies the vectors of its first embedding, (N, entries, width), by `factors`,
    /// which broadcasts over them. The entries are tokens, or of a bag of embeddings all entries of the bag. Returns the scaled vectors
    /// and the result of the method, which has gradients by them if `factors` has.
    ///
    /// # Errors
    /// The method has no embedding, or a bag of embeddings that are not summed.
    pub fn call_with_scaled_embedding(
        &self,
        method: &str,
        input: &Tensor,
        factors: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let mut results = Values::new();
        ffi::call_with_scaled_embedding(
            self.inner(),
            method,
            lend(input),
            lend(factors),
            results.inner_mut(),
        )?;
        let mut tensors = results.into_tensors()?.into_iter().map(|(_, tensor)| tensor);
        match (tensors.next(), tensors.next()) {
            (Some(vectors), Some(result)) => Ok((vectors, result)),
            _ => Err(Error("the method returns no tensor".to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    const SOURCE: &str = r#"
class Words(Module):
  __parameters__ = ["weight", ]
  __buffers__ = []
  weight : Tensor
  training : bool
  def forward(self: __torch__.Words, x: Tensor) -> Tensor:
    vectors = torch.embedding(self.weight, x.to(4))
    return torch.sum(torch.mul(vectors, vectors), [1])
  def bag(self: __torch__.Words, x: Tensor) -> Tensor:
    ids = x.to(4)
    offsets = torch.mul(torch.arange(torch.size(ids, 0), dtype=4), torch.size(ids, 1))
    sums, _0, _1, _2 = torch.embedding_bag(self.weight, torch.flatten(ids, 0, -1), offsets, False, 0, False, None, False, 0)
    return torch.mul(sums, 2)
  def without(self: __torch__.Words, x: Tensor) -> Tensor:
    return torch.mul(x, 2)
"#;

    fn words() -> Module {
        let mut values = Values::new();
        let weight = Tensor::from_slice2(&[[5f32, 5.], [1., 2.], [3., 4.]]).set_requires_grad(true);
        values.put_tensor("weight", &weight).unwrap();
        let mut module = Module::from_source(SOURCE, "__torch__.Words", &values).unwrap();
        module.set_training(false).unwrap();
        module
    }

    #[test]
    fn the_vectors_of_each_text_are_scaled_and_have_gradients() {
        let ids = Tensor::from_slice2(&[[1f32, 2.], [1., 2.]]);
        let factors = Tensor::from_slice(&[1f32, 0.5]).view([2, 1, 1]).set_requires_grad(true);
        let (vectors, squares) = words().call_with_scaled_embedding("forward", &ids, &factors).unwrap();
        assert_eq!(squares, Tensor::from_slice2(&[[10f32, 20.], [2.5, 5.]]));
        let gradient = Tensor::run_backward(&[squares.sum(Kind::Float)], &[&vectors], false, false);
        assert_eq!(gradient[0], vectors * 2.);
    }

    #[test]
    fn a_bag_has_the_vectors_of_its_entries_without_padding() {
        let ids = Tensor::from_slice2(&[[1f32, 2., 0.], [2., 0., 0.]]);
        let factors = Tensor::from_slice(&[1f32, 0.5]).view([2, 1, 1]).set_requires_grad(true);
        let module = words();
        let (vectors, sums) = module.call_with_scaled_embedding("bag", &ids, &factors).unwrap();
        assert_eq!((vectors.size(), vectors.double_value(&[0, 2, 0])), (vec![2, 3, 2], 0.));
        assert_eq!(sums, Tensor::from_slice2(&[[8f32, 12.], [3., 4.]]));
        let whole = module.call("bag", &ids).unwrap().remove(0);
        assert_eq!(sums.get(0), whole.get(0));
    }

    #[test]
    fn a_method_without_an_embedding_is_refused() {
        let one = Tensor::from(1f32);
        let refused = words().call_with_scaled_embedding("without", &one, &one).unwrap_err();
        assert!(refused.0.contains("no embedding"), "{refused}");
    }
}
