//! The `cresset` program: the library's stages, from the command line.

mod cli;

fn main() {
    cli::main()
}
