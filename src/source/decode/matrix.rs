//! The shape of an answer to `query_range`, and what can be wrong with it.

use super::interner::Interner;
use super::scanner::{Scanner, Walk};
use super::text::{Flaw, Text};
use crate::series::Batch;

/// Warnings of one answer that are kept, and characters of each.
const WARNINGS_MAX: usize = 16;
const WARNING_CHARS_MAX: usize = 512;

/// What VictoriaMetrics says where storage nodes did not answer.
const VICTORIA_IS_PARTIAL: &str = "\"isPartial\": true: some storage nodes did not answer";

/// A backend's error text is cut after this many characters.
const ERROR_CHARS_MAX: usize = 512;

/// Room is made for a sample in so many bytes of an answer: less than a short one takes, with its share of the labels.
const BYTES_PER_SAMPLE: usize = 32;

/// How Prometheus begins a series, and how its values follow the labels.
const METRIC_FIRST: &[u8] = b"{\"metric\":";
const VALUES_NEXT: &[u8] = b",\"values\":";

/// What one range query gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The samples. A series whose samples were all left out has a row without samples.
    pub batch: Batch,
    /// What the backend warns of or informs about: at most 16 texts of 512 characters, and one that counts the rest.
    pub warnings: Vec<String>,
    /// The length of the body.
    pub bytes: usize,
    /// Samples left out because they are no values: `NaN`, infinities, staleness, native histograms, and times that
    /// do not ascend.
    pub not_values: usize,
    /// Series left out because they lack the service label.
    pub without_service: usize,
    /// Why this is only a part of what there is, in the backend's own words; `None` where it is all.
    pub partial: Option<String>,
    /// The time on the backend's clock when it answered, by the `Date` header, to the second; `None` where it sent none
    /// or the answer was decoded without its headers.
    pub served_at: Option<crate::time::Timestamp>,
}

/// Why a body is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, cut off, or not of the API's shape.
    #[error("malformed JSON: {0}")]
    Malformed(Flaw),
    /// The backend says `"status":"error"`.
    #[error("{error_type}: {text}")]
    Refused {
        /// The API's `errorType`, such as `bad_data`.
        error_type: String,
        /// The API's `error`.
        text: String,
    },
    /// Another kind of result than a matrix.
    #[error("a result of type {found:?} where a range query gives a matrix")]
    ResultType {
        /// The API's `resultType`.
        found: String,
    },
    /// Two series that differ in nothing but the metric's name.
    #[error("two series with the same labels {labels}: aggregate, or select one metric")]
    Duplicate {
        /// The labels, as PromQL writes them.
        labels: String,
    },
    /// More series than the settings allow.
    #[error("{found} series, above the limit of {limit}: narrow it or raise source.series_limit")]
    SeriesLimit {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl From<Flaw> for DecodeError {
    fn from(flaw: Flaw) -> Self {
        Self::Malformed(flaw)
    }
}

/// Decodes the body of an answer to `query_range`. One pass in the order in which Prometheus writes.
///
/// # Errors
/// Tells a backend's own refusal, another shape, too many series and a broken text apart. Never panics, whatever the
/// bytes are.
pub fn decode(body: &[u8], interner: &mut Interner, series_limit: usize) -> Result<Answer, DecodeError> {
    let text = std::str::from_utf8(body).map_err(|error| match error.error_len() {
        Some(_) => Flaw { at: error.valid_up_to(), because: "the text is not UTF-8" },
        None => Flaw { at: body.len(), because: "the text ends too early" },
    })?;
    interner.begin_answer();
    let samples = body.len() / BYTES_PER_SAMPLE;
    let batch = Batch::with_capacity(interner.signal().clone(), interner.series_before(), samples);
    let mut reader = Reader {
        interner,
        series_limit,
        series: 0,
        answer: Answer {
            batch,
            warnings: Vec::new(),
            bytes: body.len(),
            not_values: 0,
            without_service: 0,
            partial: None,
            served_at: None,
        },
        warnings_seen: 0,
    };
    let outcome = reader.document(Scanner::new(text));
    let Reader { interner, mut answer, warnings_seen, .. } = reader;
    interner.end_answer();
    outcome?;
    let more = warnings_seen.saturating_sub(WARNINGS_MAX);
    if more > 0 {
        answer.warnings.push(format!("and {more} more"));
    }
    Ok(answer)
}

struct Reader<'i> {
    interner: &'i mut Interner,
    series_limit: usize,
    series: usize,
    answer: Answer,
    warnings_seen: usize,
}

/// The members of the outermost object that are texts.
#[derive(Default)]
struct Envelope<'a> {
    status: Option<Text<'a>>,
    error_type: Option<Text<'a>>,
    error: Option<Text<'a>>,
    has_data: bool,
}

impl Reader<'_> {
    fn document<'a>(&mut self, mut scanner: Scanner<'a>) -> Result<(), DecodeError> {
        let mut envelope = Envelope::default();
        let mut walk = Walk::default();
        scanner.take(b'{', "an object is expected")?;
        while let Some(name) = scanner.next_member(&mut walk)? {
            match name.resolve()?.as_ref() {
                "status" => envelope.status = Some(scanner.string()?),
                "errorType" => envelope.error_type = text_or_skip(&mut scanner)?,
                "error" => envelope.error = text_or_skip(&mut scanner)?,
                "warnings" | "infos" => self.warnings(&mut scanner)?,
                "isPartial" => {
                    let start = scanner.at();
                    scanner.skip()?;
                    if scanner.since(start).trim() == "true" {
                        self.answer.partial = Some(VICTORIA_IS_PARTIAL.to_owned());
                    }
                }
                "data" if scanner.peek() == Some(b'{') => {
                    if envelope.has_data {
                        return Err(scanner.flaw("\"data\" stands twice").into());
                    }
                    envelope.has_data = true;
                    self.data(&mut scanner)?;
                }
                _ => scanner.skip()?,
            }
        }
        scanner.finish()?;
        envelope.verdict(&scanner)?;
        if self.series > self.series_limit {
            return Err(DecodeError::SeriesLimit { found: self.series, limit: self.series_limit });
        }
        Ok(())
    }

    fn warnings(&mut self, scanner: &mut Scanner<'_>) -> Result<(), DecodeError> {
        if scanner.peek() != Some(b'[') {
            return Ok(scanner.skip()?);
        }
        scanner.take(b'[', "an array is expected")?;
        let mut walk = Walk::default();
        while scanner.next_element(&mut walk)? {
            let Some(text) = text_or_skip(scanner)? else {
                continue;
            };
            if self.warnings_seen < WARNINGS_MAX {
                self.answer.warnings.push(clip(&text.resolve()?, WARNING_CHARS_MAX));
            }
            self.warnings_seen += 1;
        }
        Ok(())
    }

    /// Reads `data`. A result that stands before its type is read after it, so that a wrong type is named as such.
    fn data(&mut self, scanner: &mut Scanner<'_>) -> Result<(), DecodeError> {
        scanner.take(b'{', "an object is expected")?;
        let mut walk = Walk::default();
        let (mut typed, mut early, mut read) = (false, None, false);
        while let Some(name) = scanner.next_member(&mut walk)? {
            match name.resolve()?.as_ref() {
                "resultType" => {
                    let found = scanner.string()?.resolve()?;
                    if found != "matrix" {
                        return Err(DecodeError::ResultType { found: clip(&found, 80) });
                    }
                    typed = true;
                }
                "result" if read || early.is_some() => {
                    return Err(scanner.flaw("\"result\" stands twice").into());
                }
                "result" if typed => {
                    self.result(scanner)?;
                    read = true;
                }
                "result" => {
                    early = Some(scanner.at());
                    scanner.skip()?;
                }
                _ => scanner.skip()?,
            }
        }
        match early {
            _ if !typed => Err(scanner.flaw("\"data\" has no \"resultType\"").into()),
            Some(at) => self.result(&mut scanner.standing_at(at)),
            None if !read => Err(scanner.flaw("\"data\" has no \"result\"").into()),
            None => Ok(()),
        }
    }

    fn result(&mut self, scanner: &mut Scanner<'_>) -> Result<(), DecodeError> {
        if scanner.peek() == Some(b'n') {
            // Some backends write an empty result as null.
            return Ok(scanner.skip()?);
        }
        scanner.take(b'[', "a result is no array")?;
        let mut walk = Walk::default();
        while scanner.next_element(&mut walk)? {
            self.series += 1;
            if self.series > self.series_limit {
                // Only counted from here on, so that the refusal can say how many there are.
                scanner.skip()?;
            } else {
                self.one_series(scanner)?;
            }
        }
        Ok(())
    }

    /// Reads one series. Values that stand before the labels are read after them.
    fn one_series(&mut self, scanner: &mut Scanner<'_>) -> Result<(), DecodeError> {
        let mut walk = Walk::default();
        let (mut row, mut early, mut values_seen) = (Row::Unknown, None, false);
        if scanner.pass(METRIC_FIRST) {
            // As Prometheus writes it: whatever follows is still walked as any object is.
            walk = Walk::begun();
            row = self.begin_row(scanner)?;
            if row == Row::Open && scanner.pass(VALUES_NEXT) {
                values_seen = true;
                self.values(scanner)?;
            }
        } else {
            scanner.take(b'{', "a series is no object")?;
        }
        while let Some(name) = scanner.next_member(&mut walk)? {
            match name.resolve()?.as_ref() {
                "metric" if row != Row::Unknown => {
                    return Err(scanner.flaw("\"metric\" stands twice").into());
                }
                "metric" => row = self.begin_row(scanner)?,
                "values" if values_seen => return Err(scanner.flaw("\"values\" stands twice").into()),
                "values" => {
                    values_seen = true;
                    match row {
                        Row::Open => self.values(scanner)?,
                        Row::LeftOut => scanner.skip()?,
                        Row::Unknown => {
                            early = Some(scanner.at());
                            scanner.skip()?;
                        }
                    }
                }
                "histograms" => self.answer.not_values += count(scanner)?,
                _ => scanner.skip()?,
            }
        }
        match (row, early) {
            (Row::Unknown, _) => Err(scanner.flaw("a series has no \"metric\"").into()),
            (Row::Open, Some(at)) => self.values(&mut scanner.standing_at(at)),
            (Row::Open | Row::LeftOut, _) => Ok(()),
        }
    }

    fn begin_row(&mut self, scanner: &mut Scanner<'_>) -> Result<Row, DecodeError> {
        scanner.peek();
        let key = match self.interner.expected() {
            Some(text) if scanner.pass(text.as_bytes()) => self.interner.take_expected()?,
            Some(_) | None => {
                let start = scanner.at();
                scanner.skip()?;
                self.interner.key(scanner.since(start), start)?
            }
        };
        let Some(key) = key else {
            self.answer.without_service += 1;
            return Ok(Row::LeftOut);
        };
        self.answer.batch.begin_row(key);
        Ok(Row::Open)
    }

    fn values(&mut self, scanner: &mut Scanner<'_>) -> Result<(), DecodeError> {
        let Answer { batch, not_values, .. } = &mut self.answer;
        Ok(scanner.samples(|at, value| *not_values += usize::from(!batch.push(at, value)))?)
    }
}

/// What has become of a series while it is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Row {
    /// Its labels have not been seen.
    Unknown,
    /// Samples belong to the open row.
    Open,
    /// It names no service.
    LeftOut,
}

impl Envelope<'_> {
    fn verdict(&self, scanner: &Scanner<'_>) -> Result<(), DecodeError> {
        let text = |text: Option<Text<'_>>, otherwise: &str| match text {
            Some(text) => text.resolve().map(|text| clip(&text, ERROR_CHARS_MAX)),
            None => Ok(otherwise.to_owned()),
        };
        let Some(status) = self.status else {
            return Err(scanner.flaw("there is no \"status\"").into());
        };
        match status.resolve()?.as_ref() {
            "success" if self.has_data => Ok(()),
            "success" => Err(scanner.flaw("there is no \"data\"").into()),
            "error" => Err(DecodeError::Refused {
                error_type: text(self.error_type, "error")?,
                text: text(self.error, "no reason given")?,
            }),
            _ => Err(Flaw { at: status.at(), because: "\"status\" is neither success nor error" }.into()),
        }
    }
}

fn text_or_skip<'a>(scanner: &mut Scanner<'a>) -> Result<Option<Text<'a>>, Flaw> {
    if scanner.peek() == Some(b'"') {
        return scanner.string().map(Some);
    }
    scanner.skip()?;
    Ok(None)
}

/// Passes over an array and counts its elements.
fn count(scanner: &mut Scanner<'_>) -> Result<usize, Flaw> {
    scanner.take(b'[', "a series' histograms are no array")?;
    let (mut walk, mut elements) = (Walk::default(), 0);
    while scanner.next_element(&mut walk)? {
        scanner.skip()?;
        elements += 1;
    }
    Ok(elements)
}

/// At most so many characters, none of which moves a terminal's cursor.
fn clip(text: &str, chars: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars).collect()
}
