//! The closed lists of words in replies, each a schema of its own in the OpenAPI document. They come from the domain
//! where that has a list.

use std::borrow::Cow;

use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, schema};
use utoipa::{PartialSchema, ToSchema};

use crate::detect;
use crate::diagnose;
use crate::incident;
use crate::store::PhaseName;

/// Makes types that stand for lists of words; no value has them.
macro_rules! vocabularies {
    ($($(#[$about:meta])* $name:ident = $words:expr;)*) => {$(
        $(#[$about])*
        #[derive(Debug)]
        pub(super) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                words($words).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

vocabularies! {
    /// A gate between a sample and an anomaly.
    Gate = detect::Gate::ALL.map(detect::Gate::as_str);
    /// What a gate said of a sample.
    GateOutcome = detect::Outcome::ALL.map(detect::Outcome::as_str);
    /// What came of a sample.
    Ending = ["opened", "goes_on", "cleared", "adopted", "blocked"];
    /// How bad; P0 is the worst.
    Severity = incident::Severity::ALL.map(incident::Severity::as_str);
    /// Where an incident is in its life.
    Phase = PhaseName::ALL.map(PhaseName::as_str);
    /// What a signal measures.
    Kind = detect::Kind::ALL.map(detect::Kind::as_str);
    /// A kind of cause.
    Cause = diagnose::Cause::ALL.map(diagnose::Cause::as_str);
    /// A side of the band.
    Side = [detect::Side::Up, detect::Side::Down].map(detect::Side::as_str);
    /// What judges samples.
    Detector = detect::Detector::ALL.map(detect::Detector::as_str);
    /// How the verdicts of several detectors become one.
    Combine = detect::Combine::ALL.map(detect::Combine::as_str);
    /// Which deviations count.
    Sides = ["both", "up", "down"];
    /// What is wrong with a series.
    Trouble = ["deviation", "lost"];
    /// How a series stands.
    SeriesState = ["normal", "warming", "anomalous", "lost"];
    /// What an incident is about.
    Subject = incident::Subject::KINDS;
    /// What the source does not give of a signal.
    Silence = ["unanswered", "stopped"];
    /// Who makes diagnoses.
    AuthorKind = ["model", "heuristics"];
    /// What a list of incidents can be filtered by.
    StatusFilter = ["open", "detected", "analyzing", "diagnosed", "resolved"];
    /// Who notices incidents.
    Source = incident::Source::ALL.map(incident::Source::as_str);
}

fn words<const N: usize>(words: [&str; N]) -> schema::Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}
