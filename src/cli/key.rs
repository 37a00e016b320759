//! `portent key new`: makes an API key. The key itself is shown once and kept nowhere; its hash is what the agent knows.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;

use super::args::NewKeyArgs;
use crate::id::Digest;

/// Bytes of randomness in a key: 256 bits, so that its plain SHA-256 can't be guessed.
const KEY_BYTES: usize = 32;
/// Begins each key, so that scanners for leaked secrets know one.
const PREFIX: &str = "portent_";

/// Prints a new key, and the entry for the keys file.
pub(super) fn new_key(args: &NewKeyArgs) -> anyhow::Result<ExitCode> {
    let mut random = [0; KEY_BYTES];
    getrandom::fill(&mut random).context("the operating system gives no randomness")?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let key = format!("{PREFIX}{digits}");
    let scopes: BTreeSet<_> = args.scopes.iter().copied().collect();
    let scopes: Vec<String> = scopes.iter().map(|scope| format!("{:?}", scope.as_str())).collect();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "# The key, which is shown only now; give it to {name} alone:\n#   {key}\n# Its entry for the file that api.keys_file \
         names (chmod 600):\n\n[[key]]\nname = {name:?}\nsha256 = \"{sha256}\"\nscopes = [{scopes}]",
        name = args.name,
        sha256 = Digest::of_bytes(key.as_bytes()),
        scopes = scopes.join(", "),
    )?;
    Ok(ExitCode::SUCCESS)
}
