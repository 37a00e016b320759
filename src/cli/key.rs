//! `portent key new`: makes an API key. The key itself is shown once, on standard error, and kept nowhere; its hash is what
//! the agent knows, and what goes to standard output, so that it can be put into the keys file.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;

use super::args::NewKeyArgs;
use crate::api::{KEY_BYTES, KEY_PREFIX};
use crate::id::Digest;

/// Prints a new key to standard error, and its entry for the keys file to standard output.
pub(super) fn new_key(args: &NewKeyArgs) -> anyhow::Result<ExitCode> {
    let mut random = [0; KEY_BYTES];
    getrandom::fill(&mut random).context("the operating system gives no randomness")?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let key = format!("{KEY_PREFIX}{digits}");
    let scopes: BTreeSet<_> = args.scopes.iter().copied().collect();
    let scopes: Vec<String> = scopes.iter().map(|scope| format!("{:?}", scope.as_str())).collect();
    let name = &args.name;
    // Not into one stream: `>> keys.toml` would put the key itself into the file that must not hold it.
    writeln!(
        std::io::stderr(),
        "The key, which is shown only now; give it to {name} alone:\n\n  {key}\n\nIts entry, on standard output, goes into \
         the file that api.keys_file names (chmod 600).",
    )?;
    writeln!(
        std::io::stdout(),
        "\n[[key]]\nname = {name:?}\nsha256 = \"{sha256}\"\nscopes = [{scopes}]",
        sha256 = Digest::of_bytes(key.as_bytes()),
        scopes = scopes.join(", "),
    )?;
    Ok(ExitCode::SUCCESS)
}
