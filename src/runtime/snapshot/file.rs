//! The file: a mark, frames with their lengths, and a checksum over all of it.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Error, ErrorKind, Read, Result, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// What each such file begins with.
const MARK: &[u8; 8] = b"portents";
/// No frame is longer: they are made of about a megabyte, or of one series.
const FRAME_BYTES_MAX: u32 = 64 << 20;
const CHECKSUM_BYTES: usize = 32;

/// A file that is being written. Until it is finished it has another name, and where it is not, that is taken away.
#[derive(Debug)]
pub(super) struct Writing {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    sum: Sha256,
    bytes: u64,
    is_finished: bool,
}

impl Writing {
    /// Begins a file that only its owner may read.
    pub(super) fn begin(path: &Path) -> Result<Self> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        // What a crash has left, whoever may read it.
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = BufWriter::with_capacity(1 << 18, options.open(&partial)?);
        let path = path.to_owned();
        let mut writing = Self { path, partial, file, sum: Sha256::new(), bytes: 0, is_finished: false };
        writing.write(MARK)?;
        Ok(writing)
    }

    pub(super) fn frame(&mut self, frame: &[u8]) -> Result<()> {
        let too_long = || Error::new(ErrorKind::InvalidData, "a part is too long");
        let len = u32::try_from(frame.len()).ok().filter(|len| (1..=FRAME_BYTES_MAX).contains(len));
        self.write(&len.ok_or_else(too_long)?.to_le_bytes())?;
        self.write(frame)
    }

    /// Makes it the file that is read from now on, and gives how long it is. It is on disk when this returns.
    pub(super) fn finish(mut self) -> Result<u64> {
        self.write(&0_u32.to_le_bytes())?;
        let sum = self.sum.clone().finalize();
        self.file.write_all(&sum)?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        std::fs::rename(&self.partial, &self.path)?;
        self.is_finished = true;
        if let Some(folder) = self.path.parent().filter(|_| cfg!(unix)) {
            File::open(folder)?.sync_all()?;
        }
        Ok(self.bytes + CHECKSUM_BYTES as u64)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.sum.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    file: BufReader<File>,
    sum: Sha256,
}

impl Reading {
    /// Opens it; `None` where there is none.
    pub(super) fn begin(path: &Path) -> Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut reading = Self { file: BufReader::with_capacity(1 << 18, file), sum: Sha256::new() };
        let mut mark = [0; MARK.len()];
        reading.read(&mut mark)?;
        if &mark != MARK {
            return Err(Error::new(ErrorKind::InvalidData, "it is no snapshot"));
        }
        Ok(Some(reading))
    }

    /// The next frame; `None` after the last one, where the checksum is right.
    pub(super) fn frame(&mut self) -> Result<Option<Vec<u8>>> {
        let mut len = [0; 4];
        self.read(&mut len)?;
        let len = u32::from_le_bytes(len);
        if len == 0 {
            return self.end().map(|()| None);
        }
        if len > FRAME_BYTES_MAX {
            return Err(Error::new(ErrorKind::InvalidData, "a part is too long"));
        }
        // As much is held as there is, whatever length it claims.
        let mut frame = Vec::new();
        Read::by_ref(&mut self.file).take(u64::from(len)).read_to_end(&mut frame)?;
        if frame.len() < len as usize {
            return Err(Error::new(ErrorKind::UnexpectedEof, "it is cut off"));
        }
        self.sum.update(&frame);
        Ok(Some(frame))
    }

    fn end(&mut self) -> Result<()> {
        let mut rest = Vec::new();
        Read::by_ref(&mut self.file).take(CHECKSUM_BYTES as u64 + 1).read_to_end(&mut rest)?;
        if rest[..] == self.sum.clone().finalize()[..] {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::InvalidData, "its checksum is wrong"))
        }
    }

    fn read(&mut self, into: &mut [u8]) -> Result<()> {
        self.file.read_exact(into).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Error::new(ErrorKind::UnexpectedEof, "it is cut off"),
            _ => error,
        })?;
        self.sum.update(&*into);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path, frames: &[Vec<u8>]) -> PathBuf {
        let path = folder.join("state");
        let mut writing = Writing::begin(&path).unwrap();
        frames.iter().for_each(|frame| writing.frame(frame).unwrap());
        assert_eq!(writing.finish().unwrap(), std::fs::metadata(&path).unwrap().len());
        path
    }

    fn read(path: &Path) -> Result<Vec<Vec<u8>>> {
        let mut reading = Reading::begin(path)?.unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = reading.frame()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn what_is_written_is_read_and_only_its_owner_may() {
        let folder = tempfile::tempdir().unwrap();
        let frames = [vec![1, 2, 3], vec![7; 3 << 20], vec![0]];
        let path = written(folder.path(), &frames);
        assert_eq!(read(&path).unwrap(), frames);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(Reading::begin(&folder.path().join("none")).unwrap().is_none());
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), &[vec![1, 2, 3], vec![9; 40]]);
        let whole = std::fs::read(&path).unwrap();
        for nth in 0..whole.len() {
            std::fs::write(&path, &whole[..nth]).unwrap();
            assert!(read(&path).is_err(), "cut to {nth}");
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[nth] ^= 1 << bit;
                std::fs::write(&path, &changed).unwrap();
                assert!(read(&path).is_err(), "byte {nth}, bit {bit}");
            }
        }
        std::fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
        assert!(read(&path).is_err(), "more than was written");
    }

    #[test]
    fn what_is_not_finished_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), &[vec![1]]);
        let mut writing = Writing::begin(&path).unwrap();
        writing.frame(&[2]).unwrap();
        drop(writing);
        assert_eq!(read(&path).unwrap(), [vec![1]]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left of the other");
    }
}
