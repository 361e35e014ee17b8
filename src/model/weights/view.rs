//! Tensors in PyTorch files: views of a storage with an offset, a size and strides.

use tch::{Kind, Tensor};

use super::pickle::{Id, Object, Pickle, Value};

/// A storage: contiguous bytes that one or several tensors share.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Storage {
    /// Key in the file.
    pub key: String,
    /// Size in bytes.
    pub bytes: usize,
}

/// A tensor as a view of a storage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StorageView {
    /// The storage.
    pub storage: Storage,
    /// The dtype.
    pub kind: Kind,
    extent: Extent,
}

/// Offset, size and strides of a tensor in its storage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Extent {
    /// Offset of the first value.
    offset: i64,
    size: Vec<i64>,
    stride: Vec<i64>,
}

/// Maximum number of dimensions of libtorch's kernels.
const MOST_DIMENSIONS: usize = 64;

/// Maximum length of a storage key. Those of PyTorch are numbers.
const LONGEST_KEY: usize = 64;

impl StorageView {
    /// The tensor that a call creates. None if the call creates something else.
    ///
    /// # Errors
    /// A tensor that is not dense, has an unsupported dtype, or exceeds its storage.
    pub(crate) fn of_call(pickle: &Pickle, call: &Object) -> Result<Option<StorageView>, String> {
        let mut call = (call.callable, call.arguments);
        // Parameters and tensor subclasses wrap the call. Real files nest one or two calls.
        for _ in 0..4 {
            let (Some(callable), Some(arguments)) = (pickle.global(call.0), pickle.members(call.1)) else {
                return Ok(None);
            };
            match (callable, arguments) {
                (
                    "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state",
                    [tensor, ..],
                ) => {
                    let Value::Object(inner) = pickle.get(*tensor) else { return Ok(None) };
                    call = (inner.callable, inner.arguments);
                }
                ("torch._tensor._rebuild_from_type_v2", [function, _, arguments, ..]) => {
                    call = (*function, *arguments);
                }
                ("torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2", arguments) => {
                    return StorageView::of_arguments(pickle, arguments, None).map(Some);
                }
                ("torch._utils._rebuild_tensor_v3", [_, _, _, _, _, _, dtype, ..]) => {
                    return StorageView::of_arguments(pickle, arguments, pickle.global(*dtype)).map(Some);
                }
                (other, _) => match other.strip_prefix("torch._utils._rebuild_") {
                    Some(kind) => {
                        return Err(format!("it is not a dense tensor, but a {kind}"));
                    }
                    None => return Ok(None),
                },
            }
        }
        Ok(None)
    }

    fn of_arguments(pickle: &Pickle, arguments: &[Id], dtype: Option<&str>) -> Result<StorageView, String> {
        let (stored, extent) = Extent::of_arguments(pickle, arguments)?;
        let kind = match dtype {
            Some(dtype) => kind_of_dtype(dtype),
            None => stored.kind,
        };
        let kind =
            kind.ok_or_else(|| format!("its dtype is not supported ({})", dtype.unwrap_or(&stored.class)))?;
        let held = (stored.storage.bytes / kind.elt_size_in_bytes()) as i64;
        extent.check(held)?;
        extent.check_repeats(held)?;
        Ok(StorageView { storage: stored.storage, kind, extent })
    }

    /// The tensor as a view of `storage`, the whole storage as a one-dimensional tensor.
    ///
    /// # Errors
    /// An error of libtorch.
    pub fn on(&self, storage: &Tensor) -> Result<Tensor, tch::TchError> {
        let Extent { offset, size, stride } = &self.extent;
        storage.f_as_strided(size, stride, *offset)
    }
}

impl Extent {
    /// Parses the arguments of a call that creates a tensor. Returns the storage too.
    ///
    /// # Errors
    /// Invalid arguments.
    pub(crate) fn of_arguments(pickle: &Pickle, arguments: &[Id]) -> Result<(StorageRef, Self), String> {
        let faulty = || "its metadata is damaged".to_string();
        let [storage, offset, size, stride, ..] = arguments else { return Err(faulty()) };
        let ints = |id: &Id| -> Option<Vec<i64>> {
            pickle.members(*id)?.iter().map(|member| pickle.int(*member)).collect()
        };
        let (Some(size), Some(stride)) = (ints(size), ints(stride)) else { return Err(faulty()) };
        let Value::Persistent(storage) = pickle.get(*storage) else {
            return Err("its values are inside the pickle, where torch.save does not store them".to_string());
        };
        let stored = StorageRef::of(pickle, *storage)?;
        let offset =
            pickle.int(*offset).and_then(|offset| offset.checked_add(stored.offset)).ok_or_else(faulty)?;
        Ok((stored, Extent { offset, size, stride }))
    }

    /// Checks that all values lie within a storage of `held` values.
    ///
    /// # Errors
    /// A message with the offset, size and strides.
    pub fn check(&self, held: i64) -> Result<(), String> {
        // Without the size and strides, which may have millions of entries.
        if self.size.len() != self.stride.len() || self.size.len() > MOST_DIMENSIONS {
            return Err("its size and stride have different or too many dimensions".to_string());
        }
        if self.offset < 0 || self.size.iter().chain(&self.stride).any(|number| *number < 0) {
            return Err(self.faulty("a value is negative"));
        }
        let dimensions = || self.size.iter().zip(&self.stride);
        let last = dimensions().try_fold(self.offset, |last, (size, stride)| {
            last.checked_add((size - 1).max(0).checked_mul(*stride)?)
        });
        let is_within = match (last, self.count()) {
            (None, _) | (_, None) => return Err(self.faulty("it is too large for its storage")),
            (Some(_), _) if self.size.contains(&0) => self.offset <= held,
            (Some(last), _) => last < held,
        };
        if is_within { Ok(()) } else { Err(self.faulty("it exceeds its storage")) }
    }

    /// Checks that there are no more values than in the storage. Otherwise a small file could define a huge tensor.
    fn check_repeats(&self, held: i64) -> Result<(), String> {
        if !self.size.contains(&0) && self.count().is_none_or(|count| count > held) {
            return Err(self.faulty("it repeats values of its storage; save a contiguous copy (.clone())"));
        }
        Ok(())
    }

    /// The number of values. Sizes of 0 count as 1, so that the other sizes of an empty tensor are bounded too.
    fn count(&self) -> Option<i64> {
        self.size.iter().try_fold(1i64, |count, size| count.checked_mul(*size.max(&1)))
    }

    fn faulty(&self, problem: &str) -> String {
        let Extent { offset, size, stride } = self;
        format!("{problem} (size {size:?}, stride {stride:?}, offset {offset})")
    }
}

/// A storage as described by a persistent id: `('storage', class, key, location, number of values)`, in old files followed by a
/// view with an offset.
pub(crate) struct StorageRef {
    /// The storage.
    pub storage: Storage,
    /// Bytes per value.
    pub width: usize,
    class: String,
    /// The dtype, if it is supported.
    kind: Option<Kind>,
    offset: i64,
}

impl StorageRef {
    /// Parses a persistent id.
    ///
    /// # Errors
    /// An invalid persistent id, and an unknown storage class.
    pub fn of(pickle: &Pickle, id: Id) -> Result<Self, String> {
        let fields = pickle.members(id).unwrap_or_default();
        let [word, class, key, _, count, rest @ ..] = fields else {
            return Err("the persistent id of its storage is unknown".to_string());
        };
        let (Some("storage"), Some(class), Some(key), Some(count)) =
            (pickle.text(*word), pickle.global(*class), pickle.text(*key), pickle.int(*count))
        else {
            return Err("the persistent id of its storage is damaged".to_string());
        };
        if key.len() > LONGEST_KEY {
            return Err("the key of its storage is too long".to_string());
        }
        let (kind, width) = class_of_storage(class)
            .ok_or_else(|| format!("its storage has the unknown class {}", crate::error::quoted(class)))?;
        let bytes = usize::try_from(count).ok().and_then(|count| count.checked_mul(width));
        let bytes = bytes.filter(|bytes| *bytes <= i64::MAX as usize);
        let bytes = bytes.ok_or_else(|| format!("its storage cannot have {count} values"))?;
        let view = rest.first().and_then(|view| pickle.members(*view));
        let offset = match view {
            Some([_, offset, _]) => {
                pickle.int(*offset).ok_or("the persistent id of its storage is damaged")?
            }
            _ => 0,
        };
        let storage = Storage { key: key.to_string(), bytes };
        Ok(StorageRef { storage, width, class: class.to_string(), kind, offset })
    }
}

/// The dtype of a storage class, if it is supported, and the bytes per value.
fn class_of_storage(class: &str) -> Option<(Option<Kind>, usize)> {
    let (module, name) = class.rsplit_once('.')?;
    let kind = match name.strip_suffix("Storage").filter(|_| module.starts_with("torch"))? {
        "Float" => Kind::Float,
        "Double" => Kind::Double,
        "Half" => Kind::Half,
        "BFloat16" => Kind::BFloat16,
        "Long" => Kind::Int64,
        "Int" => Kind::Int,
        "Short" => Kind::Int16,
        "Char" => Kind::Int8,
        "Byte" => Kind::Uint8,
        "Bool" => Kind::Bool,
        "Untyped" | "_Untyped" | "QInt8" | "QUInt8" | "QUInt4x2" | "QUInt2x4" => return Some((None, 1)),
        "Float8_e5m2" | "Float8_e4m3fn" | "Float8_e5m2fnuz" | "Float8_e4m3fnuz" => return Some((None, 1)),
        "UInt16" => return Some((None, 2)),
        "QInt32" | "ComplexHalf" | "UInt32" => return Some((None, 4)),
        "UInt64" => return Some((None, 8)),
        "ComplexFloat" => return Some((None, 8)),
        "ComplexDouble" => return Some((None, 16)),
        _ => return None,
    };
    Some((Some(kind), kind.elt_size_in_bytes()))
}

fn kind_of_dtype(dtype: &str) -> Option<Kind> {
    Some(match dtype.strip_prefix("torch.")? {
        "float32" => Kind::Float,
        "float64" => Kind::Double,
        "float16" => Kind::Half,
        "bfloat16" => Kind::BFloat16,
        "int64" => Kind::Int64,
        "int32" => Kind::Int,
        "int16" => Kind::Int16,
        "int8" => Kind::Int8,
        "uint8" => Kind::Uint8,
        "bool" => Kind::Bool,
        _ => return None,
    })
}
