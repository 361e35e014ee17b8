//! Schemas of operators: the names and types of their arguments.

use crate::Result;
use crate::ffi;

/// The schema of an operator.
///
/// ```
/// use cresset_bridge::schema::Schema;
///
/// let add = Schema::of("aten::add", "Tensor")?.unwrap();
/// let names: Vec<&str> = add.arguments.iter().map(|argument| argument.name.as_str()).collect();
/// assert_eq!(names, ["self", "other", "alpha"]);
/// assert!(add.arguments[2].is_keyword_only && add.arguments[2].type_name == "Scalar");
/// assert_eq!(add.returns, ["Tensor"]);
/// assert!(!add.is_mutable && Schema::of("aten::add_", "Tensor")?.unwrap().is_mutable);
/// assert!(Schema::of("aten::no_such_operator", "")?.is_none());
/// # Ok::<(), cresset_bridge::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// Whether the operator changes an argument.
    pub is_mutable: bool,
    /// The arguments, in order.
    pub arguments: Vec<SchemaArgument>,
    /// The types of the returned values, such as `Tensor` or `Tensor[]`.
    pub returns: Vec<String>,
}

/// An argument of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaArgument {
    /// The name.
    pub name: String,
    /// The type, such as `Tensor?`, `SymInt[]`, `ScalarType?` or `Scalar`.
    pub type_name: String,
    /// Whether it can be passed by name only.
    pub is_keyword_only: bool,
}

impl Schema {
    /// The schema of an operator by its name, such as `aten::add`, and overload. `None` if the dispatcher of libtorch has no such
    /// operator. Some operators of TorchScript are not in the dispatcher.
    ///
    /// # Errors
    /// A failure inside libtorch.
    pub fn of(name: &str, overload: &str) -> Result<Option<Self>> {
        let ffi::OperatorSchema { is_known, is_mutable, arguments, returns } =
            ffi::operator_schema(name, overload)?;
        let argument = |of: ffi::SchemaArgument| SchemaArgument {
            name: of.name,
            type_name: of.type_name,
            is_keyword_only: of.is_keyword_only,
        };
        let arguments = arguments.into_iter().map(argument).collect();
        Ok(is_known.then_some(Schema { is_mutable, arguments, returns }))
    }
}
