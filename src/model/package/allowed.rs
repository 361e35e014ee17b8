//! The allowlist of operators: that of TorchScript files, and those that torch.export adds for sizes and checks of sizes.

use std::collections::BTreeSet;

use crate::error::quoted;
use crate::model::loading::ALLOWED;

/// Operators on sizes and checks of sizes, which TorchScript does not have.
const SIZES: [&str; 9] = [
    "aten::_assert_async",
    "aten::_assert_scalar",
    "aten::_assert_tensor_metadata",
    "aten::sym_constrain_range",
    "aten::sym_constrain_range_for_size",
    "aten::sym_numel",
    "aten::sym_size",
    "aten::sym_storage_offset",
    "aten::sym_stride",
];

/// Python's operators on sizes.
const PYTHON: [&str; 15] = [
    "add", "and_", "eq", "floordiv", "ge", "gt", "le", "lt", "mod", "mul", "ne", "neg", "pow", "sub",
    "truediv",
];

/// The targets that are not in the allowlist, without duplicates.
pub fn refused(targets: &[String]) -> Vec<String> {
    let known: BTreeSet<&str> = ALLOWED.lines().collect();
    let is_allowed = |target: &str| match target.strip_prefix("torch.ops.") {
        Some(operator) => {
            let mut parts = operator.split('.');
            let (namespace, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let kind = format!("{namespace}::{name}");
            known.contains(kind.as_str()) || SIZES.contains(&kind.as_str())
        }
        None => target.strip_prefix("_operator.").is_some_and(|name| PYTHON.contains(&name)),
    };
    let found: BTreeSet<&String> = targets.iter().filter(|target| !is_allowed(target)).collect();
    found.into_iter().cloned().collect()
}

/// Refuses operators that are not in the allowlist.
///
/// # Errors
/// The operators.
pub fn check(targets: &[String]) -> Result<(), String> {
    let refused = refused(targets);
    if refused.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = refused.iter().take(8).map(|name| quoted(name)).collect();
    Err(format!(
        "the package calls {}, which no classifier needs. None of its operators was run. `cresset inspect` lists them; use \
         --trust if you trust the author of the file",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(targets: &[&str]) -> Vec<String> {
        refused(&targets.iter().map(|target| target.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn operators_of_models_are_allowed_and_others_are_named() {
        let models = [
            "torch.ops.aten.linear.default",
            "torch.ops.aten.conv2d.default",
            "torch.ops.aten.sym_size.int",
            "torch.ops.aten.add_.Tensor",
            "_operator.mul",
        ];
        assert!(of(&models).is_empty(), "{:?}", of(&models));
        for other in [
            "torch.ops.aten.from_file.default",
            "torch.ops.aten.save.default",
            "torch.ops.c10d.send.default",
            "torch.ops.higher_order.call_torchbind",
            "torch.ops.mylib.custom.default",
            "_operator.call",
            "os.system",
            "",
        ] {
            assert_eq!(of(&[other]), [other]);
        }
        let problem = check(&["torch.ops.aten.from_file.default".to_string()]).unwrap_err();
        assert!(
            problem.contains("`torch.ops.aten.from_file.default`") && problem.contains("--trust"),
            "{problem}"
        );
    }

    #[test]
    fn every_listed_operator_exists() {
        let known = cresset_bridge::model_file::operation_names().unwrap();
        for name in SIZES {
            assert!(known.iter().any(|known| known == name), "{name}");
        }
    }
}
