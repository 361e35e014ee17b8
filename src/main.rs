//! The `cresset` program: the library's stages, from the command line.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
