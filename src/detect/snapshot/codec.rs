//! How state becomes bytes and bytes become state: values one after the other, each as postcard writes it. Floats keep
//! every bit. What is read is as large as the bytes that it is read from, whatever lengths they claim.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are no state of detection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotFlaw {
    /// They are not what was written: cut off, or no values of the kinds that belong here.
    #[error("it cannot be read: {0}")]
    Bytes(String),
    /// They are values that no detector ever has.
    #[error("it holds what cannot be: {0}")]
    Unsound(&'static str),
    /// They were written by an agent that writes them in another way.
    #[error("it has format {found}, and this agent reads {known} only")]
    Version {
        /// The format of the bytes.
        found: u32,
        /// The one that is read.
        known: u32,
    },
    /// There is less than there should be.
    #[error("it ends too early")]
    Unfinished,
}

/// Says that something is as it has to be.
pub(in crate::detect) fn sound(is_sound: bool, what: &'static str) -> Result<(), SnapshotFlaw> {
    if is_sound { Ok(()) } else { Err(SnapshotFlaw::Unsound(what)) }
}

/// Takes values.
#[derive(Debug, Default)]
pub(in crate::detect) struct Writer {
    bytes: Vec<u8>,
    is_broken: bool,
}

impl Writer {
    pub(in crate::detect) fn put<T: Serialize + ?Sized>(&mut self, value: &T) {
        // Into memory nothing fails, and no kind of value here is one that postcard lacks.
        self.is_broken |= postcard::to_io(value, &mut self.bytes).is_err();
    }

    /// Puts several, as a list of so many.
    pub(in crate::detect) fn put_all<T: Serialize>(&mut self, values: impl ExactSizeIterator<Item = T>) {
        self.put(&values.len());
        values.for_each(|value| self.put(&value));
    }

    pub(in crate::detect) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes; none where a value could not be written, which no reader takes.
    pub(in crate::detect) fn into_bytes(self) -> Vec<u8> {
        debug_assert!(!self.is_broken, "every value can be written");
        if self.is_broken { Vec::new() } else { self.bytes }
    }
}

/// Gives them back in the same order.
#[derive(Debug)]
pub(in crate::detect) struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(in crate::detect) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    pub(in crate::detect) fn take<T: DeserializeOwned>(&mut self) -> Result<T, SnapshotFlaw> {
        let (value, left) =
            postcard::take_from_bytes(self.left).map_err(|error| SnapshotFlaw::Bytes(error.to_string()))?;
        self.left = left;
        Ok(value)
    }

    /// Takes a list into the place of another one of the same length.
    pub(in crate::detect) fn fill<T: DeserializeOwned>(
        &mut self,
        into: &mut [T],
    ) -> Result<(), SnapshotFlaw> {
        sound(self.take::<usize>()? == into.len(), "a list of another length")?;
        for place in into {
            *place = self.take()?;
        }
        Ok(())
    }

    /// Nothing may be left.
    pub(in crate::detect) fn end(&self) -> Result<(), SnapshotFlaw> {
        sound(self.left.is_empty(), "more than belongs here")
    }
}

/// Arrays that are longer than serde knows by itself.
pub(in crate::detect) mod long_array {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(in crate::detect) fn serialize<S: Serializer, const N: usize>(
        array: &[f64; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        array.as_slice().serialize(serializer)
    }

    pub(in crate::detect) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[f64; N], D::Error> {
        let values = Vec::<f64>::deserialize(deserializer)?;
        values.try_into().map_err(|_| D::Error::custom("an array of another length"))
    }
}
