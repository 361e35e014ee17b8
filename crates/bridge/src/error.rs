//! Readable one-line messages from libtorch's errors.

/// A libtorch error as one line, without the C++ backtrace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// The result of a call into libtorch.
pub type Result<T> = std::result::Result<T, Error>;

impl From<cxx::Exception> for Error {
    fn from(exception: cxx::Exception) -> Self {
        Error(first_line(exception.what()))
    }
}

/// The line of a libtorch message that describes the error.
///
/// libtorch appends C++ frames to its messages ("Exception raised from …"), and the TorchScript interpreter prepends a
/// trace ("The following operation failed …", lines of code with "<--- HERE", then "RuntimeError: …" or the class of the
/// exception that the model raises).
///
/// ```
/// let message = "index out of range\nException raised from f at x.cpp:1\nframe #0: g";
/// assert_eq!(cresset_bridge::first_line(message), "index out of range");
/// ```
pub fn first_line(message: &str) -> String {
    let own = message.split("\nException raised from").next().unwrap_or_default();
    let own = own.split("\nC++ CapturedTraceback:").next().unwrap_or_default();
    let raised = if own.starts_with(INTERPRETER) { raised(own) } else { None };
    let mut lines = raised.unwrap_or(own).lines().map(str::trim).filter(|line| !line.is_empty());
    let Some(line) = lines.next() else { return "unknown error (no message)".to_string() };
    // A trailing colon introduces the next line; without a trace, that line is code.
    match (line.ends_with(':'), raised.and(lines.next())) {
        (true, Some(next)) => format!("{line} {next}"),
        _ => line.trim_end_matches(':').to_string(),
    }
}

/// The first words of an interpreter trace.
const INTERPRETER: &str = "The following operation failed in the TorchScript interpreter";

/// The exception that was raised, which the interpreter prints after the code, prefixed by its Python class.
fn raised(account: &str) -> Option<&str> {
    let (_, mut rest) = account.rsplit_once("<--- HERE\n")?;
    loop {
        let is_name = |name: &str| name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
        // Code is indented.
        if let Some((class, message)) = rest.split_once(": ")
            && is_name(class)
        {
            return Some(message.strip_prefix("AssertionError: ").unwrap_or(message));
        }
        rest = rest.split_once('\n')?.1;
    }
}

#[cfg(test)]
mod tests {
    use super::first_line;

    #[test]
    fn the_interpreters_trace_gives_way_to_its_last_line() {
        let message = "The following operation failed in the TorchScript interpreter.\n\
             Traceback of TorchScript (most recent call last):\n    h = x\n        ~ <--- HERE\nRuntimeError: bad width\n";
        assert_eq!(first_line(message), "bad width");
    }

    #[test]
    fn what_a_model_raises_is_told_in_its_own_words() {
        let trace = "The following operation failed in the TorchScript interpreter.\nTraceback of TorchScript, serialized code \
                     (most recent call last):\n  File \"code/__torch__.py\", line 5, in forward\n    h = x\n        ~ <--- HERE\n\n\
                     Traceback of TorchScript, original code (most recent call last):\n    raise\n    ~~~~~ <--- HERE\n    \
                     _1 = (self).logits((self).prepared(x, ), )\n    return torch.to(_1, 6)\n";
        for (raised, told) in [
            ("RuntimeError: AssertionError: an image is required\n", "an image is required"),
            ("builtins.ValueError: note: RuntimeError: is a word\n", "note: RuntimeError: is a word"),
            (
                "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)",
                "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)",
            ),
            ("RuntimeError: these differ:\n  3 and 4\n", "these differ: 3 and 4"),
        ] {
            assert_eq!(first_line(&format!("{trace}{raised}")), told);
        }
    }

    #[test]
    fn an_empty_message_still_says_something() {
        assert_eq!(first_line("\n\n"), "unknown error (no message)");
    }
}
