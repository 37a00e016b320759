//! Reads small files that others must not see or write: the API's keys, the listener's TLS key.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What every account of the machine may do with a file, and what a group may not: write.
const OPEN_BITS: u32 = 0o027;

/// Reads a regular file of at most `bytes_max` bytes that only its owner can write and only owner and group can read.
///
/// # Errors
/// A sentence that begins after the file's name and ends with a way out.
pub(super) fn read_private(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    read(path, bytes_max, OPEN_BITS)
}

/// Reads a regular file of at most `bytes_max` bytes that anybody may see, such as a certificate.
///
/// # Errors
/// As [`read_private`].
pub(super) fn read_public(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    read(path, bytes_max, 0)
}

fn read(path: &Path, bytes_max: u64, refused_bits: u32) -> Result<Vec<u8>, String> {
    let refused = |error: std::io::Error| {
        format!("cannot be read ({}): give a file that the agent may read", error.kind())
    };
    // Looked at before it is opened: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(refused)?.is_file() {
        return Err("is no regular file: give the path of a file".to_owned());
    }
    let file = File::open(path).map_err(refused)?;
    // What was opened is what is judged, whatever has been put in its place meanwhile.
    let mode = file.metadata().map_err(refused)?.mode();
    if mode & refused_bits != 0 {
        let mode = mode & 0o777;
        return Err(format!(
            "is open to other accounts (mode {mode:03o}): run `chmod 600 {}`, or 640 where the agent reads it by its group",
            path.display()
        ));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("is larger than {bytes_max} bytes: it is another file by mistake"));
    }
    Ok(bytes)
}
