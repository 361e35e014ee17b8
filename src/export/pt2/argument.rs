//! The arguments of operators, converted from their values in a trace.

use cresset_bridge::graph;
use cresset_bridge::schema::SchemaArgument;

use super::graph::{Builder, OrReason};
use super::schema::{
    Argument, Device, Float, OptionalTensor, STRIDED, SymIntArgument, TensorArgument, dtype_of_number,
    memory_format,
};
use crate::export::recording::{self, Dim};

/// Converts an argument of a step. The error says why it cannot be converted.
pub fn convert(
    builder: &mut Builder,
    of: &SchemaArgument,
    value: &recording::Argument,
) -> OrReason<Argument> {
    match value {
        recording::Argument::Fixed(value) => fixed(builder, of, value),
        recording::Argument::BatchInt(dim) => Ok(Argument::AsSymInt(size(builder, *dim))),
        recording::Argument::BatchInts(dims) => {
            Ok(Argument::AsSymInts(dims.iter().map(|dim| size(builder, *dim)).collect()))
        }
        recording::Argument::BatchDependent => Err(format!("its `{}` depends on the batch size", of.name)),
    }
}

fn size(builder: &mut Builder, dim: Dim) -> SymIntArgument {
    match dim {
        Dim::Fixed(size) => SymIntArgument::AsInt(size),
        Dim::Batch(factor) => SymIntArgument::AsName(builder.batch(factor)),
    }
}

fn fixed(builder: &mut Builder, of: &SchemaArgument, value: &graph::Argument) -> OrReason<Argument> {
    let (type_name, is_optional) = match of.type_name.strip_suffix('?') {
        Some(type_name) => (type_name, true),
        None => (of.type_name.as_str(), false),
    };
    let unknown = || format!("its `{}` has the type {}, which a package cannot store", of.name, of.type_name);
    let float = |number: &i64| Float(*number as f64);
    Ok(match value {
        graph::Argument::None if is_optional => Argument::AsNone(true),
        graph::Argument::None => return Err(format!("its `{}` is None", of.name)),
        graph::Argument::Tensor(value) => Argument::AsTensor(tensor(builder, *value)?),
        graph::Argument::Tensors(values) => {
            let tensors = values.iter().map(|value| tensor(builder, *value));
            match type_name {
                "Tensor?[]" => Argument::AsOptionalTensors(
                    tensors.map(|tensor| tensor.map(OptionalTensor::AsTensor)).collect::<OrReason<_>>()?,
                ),
                _ => Argument::AsTensors(tensors.collect::<OrReason<_>>()?),
            }
        }
        graph::Argument::OptionalTensors(values) => {
            let tensors = values.iter().map(|value| match value {
                Some(value) => tensor(builder, *value).map(OptionalTensor::AsTensor),
                None => Ok(OptionalTensor::AsNone(true)),
            });
            Argument::AsOptionalTensors(tensors.collect::<OrReason<_>>()?)
        }
        graph::Argument::Bool(value) => Argument::AsBool(*value),
        graph::Argument::Int(number) => match type_name {
            "ScalarType" => Argument::AsScalarType(dtype_of_number(*number).ok_or_else(unknown)?),
            "MemoryFormat" => Argument::AsMemoryFormat(memory_format(*number).ok_or_else(unknown)?),
            // The number of strided tensors in libtorch.
            "Layout" if *number == 0 => Argument::AsLayout(STRIDED),
            "Layout" => return Err(unknown()),
            "float" => Argument::AsFloat(float(number)),
            _ => Argument::AsInt(*number),
        },
        graph::Argument::Ints(numbers) if type_name == "float[]" => {
            Argument::AsFloats(numbers.iter().map(float).collect())
        }
        graph::Argument::Ints(numbers) => Argument::AsInts(numbers.clone()),
        graph::Argument::Float(number) => Argument::AsFloat(Float(*number)),
        graph::Argument::Floats(numbers) => Argument::AsFloats(numbers.iter().map(|n| Float(*n)).collect()),
        graph::Argument::Text(text) => Argument::AsString(text.clone()),
        graph::Argument::Other if type_name == "Device" => Argument::AsDevice(Device::CPU),
        graph::Argument::Other => return Err(unknown()),
    })
}

fn tensor(builder: &mut Builder, value: usize) -> OrReason<TensorArgument> {
    Ok(TensorArgument { name: builder.name_of(value)? })
}
