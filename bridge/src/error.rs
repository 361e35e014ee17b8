//! libtorch's errors, made fit to be read.

/// A failure inside libtorch, as one line without its C++ back trace.
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

/// The one line of a libtorch message that says what happened.
///
/// libtorch appends C++ frames to its messages ("Exception raised from …"), and the TorchScript interpreter puts its
/// own trace in front ("The following operation failed …", then "RuntimeError: …").
///
/// ```
/// let message = "index out of range\nException raised from f at x.cpp:1\nframe #0: g";
/// assert_eq!(cresset_bridge::first_line(message), "index out of range");
/// ```
pub fn first_line(message: &str) -> String {
    let own = message.split("\nException raised from").next().unwrap_or_default();
    let raised = own.lines().rev().find_map(|line| {
        ["RuntimeError: ", "torch.jit.Error: "].iter().find_map(|prefix| line.trim().strip_prefix(prefix))
    });
    let line = raised.or_else(|| own.lines().map(str::trim).find(|line| !line.is_empty()));
    // A colon at the end announces lines that are left out here.
    line.unwrap_or("an error without a message").trim_end_matches(':').to_string()
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
    fn an_empty_message_still_says_something() {
        assert_eq!(first_line("\n\n"), "an error without a message");
    }
}
