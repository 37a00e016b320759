//! The command `portent`: parses, runs, and exits with a code that scripts can use.

use std::process::ExitCode;

fn main() -> ExitCode {
    portent::cli::main()
}
