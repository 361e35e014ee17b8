//! A method that returns the input of a module's last layer (its features).

use crate::Result;
use crate::ffi;
use crate::script::Module;

impl Module {
    /// Adds the method `to`, which returns the input of the last layer of `from` (a method of one tensor) as (N, width).
    /// The last layer is the linear layer or convolution with weights on which the whole result depends, whatever
    /// operations follow it. Returns `false` and adds no method if there is no such layer.
    pub fn cut_before_head(&mut self, from: &str, to: &str) -> Result<bool> {
        Ok(ffi::cut_before_head(self.inner_mut(), from, to)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Values;
    use tch::{Device, Kind, Tensor};

    /// A module with the weights `w` (3, 4) and `v` (4, 4) and the given forward method.
    fn module(forward: &str) -> Module {
        let head = "class M(Module):\n  __parameters__ = [\"w\", \"v\", ]\n  __buffers__ = []\n  w : Tensor\n  v : Tensor\n  \
                    training : bool\n";
        let source = format!("{head}  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n{forward}");
        let mut values = Values::new();
        values.put_tensor("w", &Tensor::randn([3, 4], (Kind::Float, Device::Cpu))).unwrap();
        values.put_tensor("v", &Tensor::randn([4, 4], (Kind::Float, Device::Cpu))).unwrap();
        Module::from_source(&source, "__torch__.M", &values).unwrap()
    }

    #[test]
    fn features_are_the_input_of_the_last_layer_whatever_follows_it() {
        let x = Tensor::randn([5, 2, 2], (Kind::Float, Device::Cpu));
        let hidden = "    h = torch.relu(torch.linear(torch.flatten(x, 1), self.v))\n";
        for last in [
            "    return torch.linear(h, self.w)\n",
            "    return torch.add(torch.matmul(h, torch.t(self.w)), 1)\n",
            "    return torch.log_softmax(torch.linear(h, self.w), 1)\n",
            "    return (torch.linear(h, self.w), h)[0]\n",
        ] {
            let mut module = module(&format!("{hidden}{last}"));
            assert!(module.cut_before_head("forward", "features").unwrap(), "{last}");
            let weight = |name: &str| {
                module.parameters().unwrap().into_iter().find(|(known, _)| known == name).unwrap().1
            };
            let expected = x.flatten(1, -1).linear(&weight("v"), None::<&Tensor>).relu();
            assert_eq!(module.call("features", &x).unwrap()[0], expected, "{last}");
        }
    }

    #[test]
    fn a_module_around_another_has_the_features_of_that() {
        const AROUND: &str = r#"
class Around(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  inside : __torch__.M
  def logits(self: __torch__.other.Around, x: Tensor) -> Tensor:
    return (self.inside).forward(x)
"#;
        let forward = "    return self.more(torch.relu(x))\n  def more(self: __torch__.M, x: Tensor) -> Tensor:\n    \
                       return self.most(x)\n  def most(self: __torch__.M, x: Tensor) -> Tensor:\n    \
                       return torch.linear(x, self.w)\n";
        let inside = module(forward).copy().unwrap();
        let mut around = inside.wrapped(AROUND, "__torch__.other.Around", &Values::new(), "inside").unwrap();
        assert!(around.cut_before_head("logits", "features").unwrap());
        let x = Tensor::randn([5, 4], (Kind::Float, Device::Cpu));
        assert_eq!(around.call("features", &x).unwrap()[0], x.relu());
    }

    #[test]
    fn a_result_that_has_no_one_last_layer_has_no_features() {
        for forward in [
            "    return torch.relu(torch.flatten(x, 1))\n",
            "    y = torch.flatten(x, 1)\n    return torch.add(y, torch.linear(y, self.v))\n",
            "    y = torch.flatten(x, 1)\n    if torch.gt(torch.size(y, 0), 3):\n      z = torch.linear(y, self.w)\n    else:\n      \
             z = torch.slice(y, 1, 0, 3)\n    return z\n",
        ] {
            let mut module = module(forward);
            assert!(!module.cut_before_head("forward", "features").unwrap(), "{forward}");
            assert_eq!(module.methods().unwrap(), ["forward"]);
        }
    }
}
