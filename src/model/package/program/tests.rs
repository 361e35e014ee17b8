//! Graphs that run and graphs that do not.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn meta(sizes: &[i64], strides: &[i64]) -> Value {
    let numbers = |of: &[i64]| of.iter().map(|number| json!({"as_int": number})).collect::<Vec<_>>();
    json!({
        "dtype": 7, "sizes": numbers(sizes), "strides": numbers(strides), "storage_offset": {"as_int": 0},
        "device": {"type": "cpu", "index": null}, "layout": 7, "requires_grad": false
    })
}

/// A program that multiplies its input by `other`.
fn program(input: Value, other: Value) -> Value {
    json!({
        "torch_version": "2.11.0",
        "schema_version": {"major": 8, "minor": 17},
        "range_constraints": {"s0": {"min_val": 0, "max_val": 64}},
        "graph_module": {
            "graph": {
                "inputs": [{"as_tensor": {"name": "w"}}, {"as_tensor": {"name": "x"}}],
                "nodes": [{
                    "target": "torch.ops.aten.mul.Tensor", "name": "mul",
                    "inputs": [
                        {"name": "self", "arg": {"as_tensor": {"name": "x"}}, "kind": 1},
                        {"name": "other", "arg": other, "kind": 1}
                    ]
                }],
                "tensor_values": {"x": input, "w": meta(&[2], &[1])}
            },
            "signature": {
                "input_specs": [
                    {"parameter": {"arg": {"name": "w"}, "parameter_name": "weight"}},
                    {"user_input": {"arg": {"as_tensor": {"name": "x"}}}}
                ],
                "output_specs": [{"user_output": {"arg": {"as_tensor": {"name": "mul"}}}}]
            }
        }
    })
}

#[test]
fn the_batch_size_is_fixed_or_has_the_range_of_its_symbol() {
    let found = Program::read(&program(meta(&[4, 2], &[2, 1]), json!({"as_int": 2}))).unwrap();
    assert_eq!(found.targets, ["torch.ops.aten.mul.Tensor"]);
    assert!(found.returns_tensor && found.parameters.contains("weight"));
    let input = found.input.unwrap();
    assert_eq!((input.name.as_str(), input.least, input.most), ("x", 4, Some(4)));

    let mut free = meta(&[4, 2], &[2, 1]);
    free["sizes"][0] = json!({"as_expr": {"expr_str": "Symbol('s0', positive=True)", "hint": {"as_int": 3}}});
    let input = Program::read(&program(free.clone(), json!({"as_int": 2}))).unwrap().input.unwrap();
    assert_eq!((input.least, input.most), (1, Some(64)));
    free["sizes"][0]["as_expr"]["expr_str"] = json!("Symbol('s9')");
    let input = Program::read(&program(free, json!({"as_int": 2}))).unwrap().input.unwrap();
    assert_eq!((input.least, input.most), (1, None));
}

#[test]
fn a_slice_times_a_number_is_refused_and_other_products_are_not() {
    let check = |input: Value, other: Value| Program::read(&program(input, other)).unwrap().check_products();
    let slice = meta(&[4, 2], &[6, 1]);
    let problem = check(slice.clone(), json!({"as_float": 0.5})).unwrap_err();
    assert!(problem.contains("in `mul`"), "{problem}");
    assert_eq!(check(slice, json!({"as_tensor": {"name": "w"}})), Ok(()));
    assert_eq!(check(meta(&[4, 2], &[2, 1]), json!({"as_float": 0.5})), Ok(()));
    // The stride of a dimension of size 1 is irrelevant.
    assert_eq!(check(meta(&[1, 2], &[9, 1]), json!({"as_float": 0.5})), Ok(()));
}

#[test]
fn inputs_that_cannot_be_given_are_named() {
    let problem = |change: fn(&mut Value)| {
        let mut program = program(meta(&[4, 2], &[2, 1]), json!({"as_int": 2}));
        change(&mut program["graph_module"]);
        Program::read(&program).unwrap().input.unwrap_err()
    };
    let none = problem(|module| {
        module["graph"]["inputs"].as_array_mut().unwrap().pop();
        module["signature"]["input_specs"].as_array_mut().unwrap().pop();
    });
    assert!(none.contains("it has 0 inputs"), "{none}");
    let number = problem(|module| {
        module["graph"]["inputs"][1] = json!({"as_int": 3});
        module["signature"]["input_specs"][1] = json!({"user_input": {"arg": {"as_int": 3}}});
    });
    assert!(number.contains("an input that is not a tensor"), "{number}");
    let object = problem(|module| {
        module["graph"]["inputs"][1] = json!({"as_custom_obj": {"name": "o"}});
        module["signature"]["input_specs"][1] = json!({"custom_obj": {}});
    });
    assert!(object.contains("a Python object"), "{object}");
}

#[test]
fn a_signature_of_other_inputs_is_refused() {
    for change in [
        (|module: &mut Value| module["signature"]["input_specs"][0]["parameter"]["arg"]["name"] = json!("x"))
            as fn(&mut Value),
        |module| {
            let specs = module["signature"]["input_specs"].as_array_mut().unwrap();
            specs.insert(0, specs[0].clone());
        },
        |module| module["graph"]["inputs"][0] = json!({"as_tensor": {"name": "x"}}),
    ] {
        let mut program = program(meta(&[4, 2], &[2, 1]), json!({"as_int": 2}));
        change(&mut program["graph_module"]);
        let problem = Program::read(&program).unwrap_err();
        assert!(problem.contains("its signature does not describe its inputs"), "{problem}");
    }
}

/// A JSON pointer to a member of a member, and so on, as far as there are members.
fn pointer(value: &Value, path: &[usize]) -> String {
    let Some((step, rest)) = path.split_first() else { return String::new() };
    let member = match value {
        Value::Object(entries) => {
            entries.iter().nth(step % entries.len().max(1)).map(|(name, value)| (name.clone(), value))
        }
        Value::Array(members) => {
            let index = step % members.len().max(1);
            members.get(index).map(|value| (index.to_string(), value))
        }
        _ => None,
    };
    member.map_or_else(String::new, |(name, value)| format!("/{name}{}", pointer(value, rest)))
}

proptest! {
    #[test]
    fn no_missing_member_makes_the_reader_panic(path in prop::collection::vec(0usize..6, 1..8), with in 0usize..4) {
        let mut changed = program(meta(&[4, 2], &[2, 1]), json!({"as_int": 2}));
        let place = pointer(&changed, &path);
        *changed.pointer_mut(&place).unwrap() = [json!(null), json!(-1), json!([]), json!("text")][with].clone();
        let _ = Program::read(&changed).map(|program| program.check_products());
    }
}
