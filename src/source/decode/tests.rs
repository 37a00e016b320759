//! The decoder against real shapes, hostile bytes, and a general JSON reader.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::series::SignalName;
use crate::time::Timestamp;

fn interner() -> Interner {
    Interner::new(SignalName::new("errors"), "service".parse().unwrap(), 1000)
}

fn read(body: &str) -> Result<Answer, DecodeError> {
    decode(body.as_bytes(), &mut interner(), 1000)
}

/// `service{other labels} time=value ...`, a row a line.
fn show(answer: &Answer) -> String {
    let rows = answer.batch.rows().map(|row| {
        let samples = row.times_ms.iter().zip(row.values).map(|(at, value)| format!(" {at}={value}"));
        format!("{}{}{}", row.key.service, row.key.labels, samples.collect::<String>())
    });
    rows.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(body: &str, rows: &[&str], not_values: usize, without_service: usize) {
    let answer = read(body).unwrap();
    assert_eq!(show(&answer), rows.join("\n"), "{body}");
    assert_eq!((answer.not_values, answer.without_service), (not_values, without_service), "{body}");
    assert_eq!(answer.bytes, body.len());
}

/// An answer around these series.
fn matrix(series: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#)
}

/// A series of service `a` with these samples.
fn series(samples: &str) -> String {
    matrix(&format!(r#"{{"metric":{{"service":"a"}},"values":[{samples}]}}"#))
}

#[track_caller]
fn refused(body: &str, expected: &str) {
    let error = read(body).unwrap_err();
    assert!(error.to_string().contains(expected), "{body}: {error}");
}

#[test]
fn an_answer_as_prometheus_writes_it_is_read() {
    let body = matrix(
        r#"{"metric":{"__name__":"up","pod":"p","service":"a"},"values":[[1700000000,"1"],[1700000015.5,"0.25"]]},{"metric":{"service":"b"},"values":[[1700000000,"-1.5e-3"]]}"#,
    );
    let rows = [
        r#"a{pod="p", service="a"} 1700000000000=1 1700000015500=0.25"#,
        r#"b{service="b"} 1700000000000=-0.0015"#,
    ];
    check(&body, &rows, 0, 0);
    check(&matrix(""), &[], 0, 0);
    check(&matrix("").replace("[]", "null"), &[], 0, 0);
}

#[test]
fn the_order_of_keys_white_space_and_unknown_keys_do_not_matter() {
    let body = r#" { "warnings" : [ "w" ] , "data" : { "extra" : [ { "a" : [ null , true , false , -1.5e+3 ] } ] ,
        "result" : [ { "values" : [ [ 1 , "2" ] ,
	[ 3 , "4" ] ] , "more" : { } , "metric" : { "service" : "a" } } ] , "resultType" : "matrix" } , "status" : "success" } "#;
    check(body, &[r#"a{service="a"} 1000=2 3000=4"#], 0, 0);
    assert_eq!(read(body).unwrap().warnings, ["w"]);
}

#[test]
fn escapes_in_labels_are_resolved() {
    let body = matrix(
        r#"{"metric":{"service":"a","p\u0061th":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é"},"values":[[1,"\u0032"]]}"#,
    );
    let answer = read(&body).unwrap();
    let row = answer.batch.rows().next().unwrap();
    assert_eq!(row.key.labels.get("path"), Some("\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}\u{e9}"));
    assert_eq!(row.values, [2.0]);
}

#[test]
fn what_is_no_value_is_left_out_and_counted() {
    check(
        &series(r#"[1,"NaN"],[2,"+Inf"],[3,"-Inf"],[4,"1e400"],[5,"7"]"#),
        &[r#"a{service="a"} 5000=7"#],
        4,
        0,
    );
    check(&series(r#"[2,"1"],[2,"2"],[1,"3"]"#), &[r#"a{service="a"} 2000=1"#], 2, 0);
    let histograms = matrix(r#"{"metric":{"service":"a"},"histograms":[[1,{"count":"2"}],[2,{}]]}"#);
    check(&histograms, &[r#"a{service="a"}"#], 2, 0);
}

#[test]
fn times_are_read_in_every_spelling_of_a_number() {
    let samples =
        r#"[-1.5,"1"],[0,"2"],[1.2345e0,"3"],[2.0004,"4"],[3.25,"5"],[1.7e9,"6"],[1700000001.001,"7"]"#;
    check(
        &series(samples),
        &[r#"a{service="a"} -1500=1 0=2 1235=3 2000=4 3250=5 1700000000000=6 1700000001001=7"#],
        0,
        0,
    );
}

#[test]
fn a_series_without_the_service_label_is_left_out_and_counted() {
    let body = matrix(
        r#"{"metric":{"pod":"p"},"values":[[1,"1"]]},{"values":[[1,"1"]],"metric":{}},{"metric":{"service":"a"},"values":[]}"#,
    );
    check(&body, &[r#"a{service="a"}"#], 0, 2);
}

#[test]
fn the_same_labels_twice_are_refused_by_name() {
    let twice = r#"{"metric":{"service":"a"},"values":[[1,"1"]]}"#;
    refused(&matrix(&format!("{twice},{twice}")), r#"two series with the same labels {service="a"}"#);
    let named =
        |name: &str| format!(r#"{{"metric":{{"__name__":"{name}","service":"a"}},"values":[[1,"1"]]}}"#);
    refused(&matrix(&format!("{},{}", named("x"), named("y"))), "same labels");
    // The same series in the next answer is no second one.
    let mut interner = interner();
    for _ in 0..2 {
        assert!(decode(matrix(twice).as_bytes(), &mut interner, 10).is_ok());
    }
}

#[test]
fn too_many_series_are_refused_with_their_number() {
    let many: Vec<String> =
        (0..7).map(|n| format!(r#"{{"metric":{{"service":"s{n}"}},"values":[[1,"1"]]}}"#)).collect();
    let body = matrix(&many.join(","));
    let error = decode(body.as_bytes(), &mut interner(), 5).unwrap_err();
    assert_eq!(error, DecodeError::SeriesLimit { found: 7, limit: 5 });
    assert!(decode(body.as_bytes(), &mut interner(), 7).is_ok());
}

#[test]
fn a_refusal_gives_the_reason_of_the_backend() {
    refused(
        r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected \"}\""}"#,
        "bad_data: parse error: unexpected \"}\"",
    );
    refused(r#"{"error":"gone","status":"error","data":null}"#, "error: gone");
}

#[test]
fn another_type_of_result_is_named() {
    let vector =
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}"#;
    refused(vector, "type \"vector\" where a range query gives a matrix");
    let late = r#"{"status":"success","data":{"result":[1,"1"],"resultType":"scalar"}}"#;
    refused(late, "type \"scalar\"");
}

#[test]
fn what_is_malformed_is_told_with_its_byte() {
    refused("", "ends too early at byte 0");
    refused("[]", "object is expected at byte 0");
    refused("<html>", "byte 0");
    refused(r#"{"status":"success"}"#, "no \"data\"");
    refused(r#"{"data":{"resultType":"matrix","result":[]}}"#, "no \"status\"");
    refused(r#"{"status":"ok"}"#, "neither success nor error at byte 11");
    refused(&matrix("{}"), "a series has no \"metric\"");
    refused(&matrix("1"), "a series is no object");
    refused(&matrix(r#"{"metric":{"a":1}}"#), "a string is expected at byte 75");
    refused(&matrix(r#"{"metric":[]}"#), "labels are no object");
    refused(&series(r#"[1,2]"#), "a string is expected");
    refused(&series(r#"["1","2"]"#), "a time is no number");
    refused(&series(r#"[1e400,"2"]"#), "a time is no number");
    refused(&series(r#"[1,"2",3]"#), "more than a time and a value");
    refused(&series(r#"[1,"x"]"#), "value is no number");
    refused(&series(r#"[1,""]"#), "value is no number");
    refused(&series(r#"[1,"2"],"#), "followed by no element");
    refused(&series(r#"[1,"2"][1,"2"]"#), "neither a comma nor its end");
    refused(&(matrix("") + "x"), "follows the end");
    refused(&matrix(r#"{"metric":{"service":"\ud800"}}"#), "escape that JSON does not know");
    refused(&matrix(r#"{"metric":{"service":"\u+123"}}"#), "escape that JSON does not know");
    refused(&matrix("{\"metric\":{\"service\":\"\n\"}}"), "bare control character");
    refused(r#"{"status":"success","data":{"resultType":"matrix","result":{}}}"#, "result is no array");
}

#[test]
fn bytes_that_are_no_utf_8_are_refused() {
    let mut body = matrix(r#"{"metric":{"service":"X"},"values":[]}"#).into_bytes();
    let place = body.iter().position(|byte| *byte == b'X').unwrap();
    body[place] = 0xff;
    let error = decode(&body, &mut interner(), 10).unwrap_err();
    assert_eq!(error, DecodeError::Malformed(Flaw { at: place, because: "the text is not UTF-8" }));
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    for (open, depth) in [("[", 1_000_000), (r#"{"a":"#, 300_000)] {
        refused(&format!(r#"{{"status":"success","x":{}"#, open.repeat(depth)), "nested too deep");
    }
    let fine = format!(r#"{{"x":{}{},"status":"error"}}"#, "[".repeat(60), "]".repeat(60));
    refused(&fine, "no reason given");
}

#[test]
fn warnings_are_kept_within_bounds() {
    let many: Vec<String> = (0..20).map(|n| format!("\"w{n}{}\"", "x".repeat(1000))).collect();
    let extra = format!(r#"{{"warnings":[{}],"infos":[7,"i"],"#, many.join(","));
    let answer = read(&matrix("").replacen('{', &extra, 1)).unwrap();
    assert_eq!(answer.warnings.len(), 17);
    assert_eq!(answer.warnings[16], "and 5 more");
    assert!(answer.warnings.iter().all(|text| text.chars().count() <= 512));
    assert!(read(&matrix("").replacen('{', r#"{"warnings":null,"#, 1)).unwrap().warnings.is_empty());
}

#[test]
fn the_same_spelling_gives_the_same_key_and_memory_stays_bounded() {
    let mut interner = Interner::new(SignalName::new("s"), "service".parse().unwrap(), 10);
    let body = |from: usize| {
        let series: Vec<String> =
            (from..from + 8).map(|n| format!(r#"{{"metric":{{"service":"s{n}"}},"values":[]}}"#)).collect();
        matrix(&series.join(","))
    };
    let first = decode(body(0).as_bytes(), &mut interner, 10).unwrap();
    let again = decode(body(0).as_bytes(), &mut interner, 10).unwrap();
    let pairs = first.batch.rows().zip(again.batch.rows());
    assert!(pairs.into_iter().all(|(one, other)| std::sync::Arc::ptr_eq(one.key, other.key)));
    for n in 1..100 {
        decode(body(n * 8).as_bytes(), &mut interner, 10).unwrap();
        assert!(interner.len() <= 10, "{}", interner.len());
    }
}

/// A series' labels, and its times in ms with the bits of its values.
type Row = (Vec<(String, String)>, Vec<(i64, u64)>);

/// The same answer by way of a general reader: labels without the name, times in ms, values bit by bit.
fn by_serde(body: &str) -> Vec<Row> {
    let body: Value = serde_json::from_str(body).unwrap();
    let result = body["data"]["result"].as_array().unwrap();
    let rows = result.iter().map(|series| {
        let mut labels: Vec<(String, String)> = series["metric"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .filter(|(name, value)| name != "__name__" && !value.is_empty())
            .collect();
        labels.sort();
        let samples = series["values"].as_array().unwrap().iter().filter_map(|sample| {
            let at = Timestamp::from_seconds(sample[0].as_f64().unwrap()).unwrap();
            let value: f64 = sample[1].as_str().unwrap().parse().unwrap();
            value.is_finite().then(|| (at.as_millis(), value.to_bits()))
        });
        (labels, samples.collect())
    });
    rows.collect()
}

fn by_columns(answer: &Answer) -> Vec<Row> {
    let rows = answer.batch.rows().map(|row| {
        let labels = row.key.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let samples = row.times_ms.iter().zip(row.values).map(|(at, value)| (*at, value.to_bits()));
        (labels.collect(), samples.collect())
    });
    rows.collect()
}

/// Values as backends spell them: shortest, with an exponent, and the words.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f64>().prop_map(|value| match value {
            v if v.is_nan() => "NaN".to_owned(),
            v if v.is_infinite() => if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
            // Beyond this magnitude a batch takes nothing.
            v if v.abs() > 1e150 => "1e150".to_owned(),
            v => format!("{v:e}"),
        }),
        (-1e6_f64..1e6).prop_map(|value| value.to_string()),
        any::<i32>().prop_map(|value| value.to_string()),
    ]
}

/// A body of a few series, spelt as JSON writers may spell it.
fn body() -> impl Strategy<Value = String> {
    let label = ("[a-z_]{1,6}", "\\PC{0,8}|[\"\\\\\n\t\u{1}\u{1f600}]{1,4}");
    let samples = proptest::collection::vec((1_i64..100_000, value()), 0..12);
    let one =
        (proptest::collection::btree_map(label.0, label.1, 0..4), samples, any::<bool>(), any::<bool>());
    (proptest::collection::vec(one, 0..6), any::<bool>()).prop_map(|(series, pretty)| {
        let mut result = Vec::new();
        for (place, (labels, samples, late, named)) in series.into_iter().enumerate() {
            let mut metric: serde_json::Map<String, Value> =
                labels.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
            metric.insert("service".to_owned(), format!("s{place}").into());
            if named {
                metric.insert("__name__".to_owned(), "up".into());
            }
            let mut at = 1_700_000_000_000_i64;
            let values = samples.into_iter().map(|(gap, value)| {
                at += gap;
                serde_json::json!([at as f64 / 1000.0, value])
            });
            let values = Value::Array(values.collect()).to_string();
            let metric = Value::Object(metric).to_string();
            result.push(if late {
                format!(r#"{{"values":{values},"metric":{metric}}}"#)
            } else {
                format!(r#"{{"metric":{metric},"values":{values}}}"#)
            });
        }
        let body = matrix(&result.join(","));
        if pretty {
            let value: Value = serde_json::from_str(&body).unwrap();
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            body
        }
    })
}

proptest! {
    #[test]
    fn a_time_is_read_to_the_millisecond(
        seconds in prop_oneof![0_i64..10_000_000_000, 0_i64..1_000_000_000_000_000], ms in 0_i64..1000,
    ) {
        for (text, ms) in [
            (format!("{seconds}"), 0),
            (format!("{seconds}.{ms:03}"), ms),
            (format!("{seconds}.{:02}", ms / 10), ms / 10 * 10),
            (format!("{seconds}.{}", ms / 100), ms / 100 * 100),
        ] {
            let answer = read(&series(&format!("[{text},\"7\"]"))).unwrap();
            let row = answer.batch.rows().next().unwrap();
            // Seconds above 1e12 go through floating point, which holds them to 1/8 s.
            let slack = if seconds < 1_000_000_000_000 { 0 } else { 125 };
            prop_assert!((row.times_ms[0] - (seconds * 1000 + ms)).abs() <= slack, "{}", text);
        }
    }

    #[test]
    fn columns_hold_bit_by_bit_what_a_general_reader_reads(body in body()) {
        let answer = read(&body).unwrap();
        prop_assert_eq!(by_columns(&answer), by_serde(&body));
    }

    /// Whatever came before, in whatever order: an answer is read as by one who has seen nothing yet.
    #[test]
    fn what_was_read_before_changes_no_answer(
        answers in proptest::collection::vec(proptest::collection::vec(0_usize..12, 0..12), 1..8),
    ) {
        let mut experienced = Interner::new(SignalName::new("errors"), "service".parse().unwrap(), 6);
        for answer in answers {
            // Two of three have the label; some are spelt in two ways.
            let one = |nth: usize| match nth {
                0..4 => format!(r#"{{"metric":{{"pod":"{nth}","service":"a"}},"values":[[{nth},"1"]]}}"#),
                4..8 => format!(r#"{{"metric":{{"service":"a","pod":"{}"}},"values":[[{nth},"2"]]}}"#, nth - 4),
                _ => format!(r#"{{"metric":{{"pod":"{nth}"}},"values":[[{nth},"3"]]}}"#),
            };
            let body = matrix(&answer.into_iter().map(one).collect::<Vec<_>>().join(","));
            let fresh = read(&body);
            prop_assert_eq!(decode(body.as_bytes(), &mut experienced, 1000), fresh, "{}", body);
            prop_assert!(experienced.len() <= 12);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes, &mut interner(), 3);
    }

    #[test]
    fn no_json_like_bytes_panic(text in "[{}\\[\\]\":,\\\\ua1.e+\\- ]{0,200}") {
        let _ = read(&text);
        let _ = read(&matrix(&text));
        let _ = read(&series(&text));
    }

    #[test]
    fn a_body_cut_anywhere_is_an_error(body in body(), cut in any::<prop::sample::Index>()) {
        let bytes = body.as_bytes();
        let cut = cut.index(bytes.len());
        let error = decode(&bytes[..cut], &mut interner(), 1000).unwrap_err();
        match error {
            DecodeError::Malformed(flaw) => prop_assert!(flaw.at <= cut),
            other => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn a_body_with_a_byte_changed_never_panics(
        body in body(), place in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = body.into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(answer) = decode(&bytes, &mut interner(), 1000) {
            prop_assert!(answer.batch.rows().all(|row| row.values.iter().all(|value| value.is_finite())));
        }
    }
}
