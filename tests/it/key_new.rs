//! `portent key new`: what may be written down, and what may not.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use portent::api::check_keys_file;

#[test]
fn what_goes_to_standard_output_is_a_keys_file_and_the_key_itself_is_elsewhere() {
    let made = Command::new(env!("CARGO_BIN_EXE_portent"))
        .args(["key", "new", "--name", "grafana", "--scopes", "read,operate"])
        .output()
        .unwrap();
    assert!(made.status.success());
    let (entry, told) = (String::from_utf8(made.stdout).unwrap(), String::from_utf8(made.stderr).unwrap());
    let (_, rest) = told.split_once("portent_").expect("the key is shown");
    let digits = rest.split_whitespace().next().unwrap();
    assert!(digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{told}");
    assert!(!entry.contains("portent_") && !entry.contains(digits), "{entry}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        check_keys_file(&file).map_err(|error| error.to_string())
    };
    check(&entry).unwrap();
    // Both streams in one file, as `>> keys.toml 2>&1` would have them.
    let error = check(&format!("# portent_{digits}\n{entry}")).unwrap_err();
    assert!(error.contains("line 1 holds a whole key") && !error.contains(digits), "{error}");
}
