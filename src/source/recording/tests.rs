//! Recordings: what is read, and what is said about a file that is none.

use std::time::Duration;

use proptest::prelude::*;

use super::read::{Bounds, read_within};
use super::*;

fn read(text: &str) -> Result<Recording, RecordingError> {
    Recording::read(text.as_bytes(), "day.csv")
}

/// `time: signal service=value ...; signal ...`, a line a time.
fn show(recording: &Recording) -> String {
    let slots = recording.slots().map(|slot| {
        let batches = slot.batches.iter().map(|batch| {
            let rows = batch.rows().map(|row| {
                assert_eq!(row.times_ms, [slot.at.as_millis()]);
                format!(" {}={}", row.key.service, row.values[0])
            });
            format!(" {}{}", batch.signal(), rows.collect::<String>())
        });
        format!("{}:{}", slot.at.as_millis(), batches.collect::<Vec<_>>().join(";"))
    });
    slots.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(text: &str, slots: &[&str]) {
    assert_eq!(show(&read(text).unwrap()), slots.join("\n"));
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = read(text).unwrap_err().to_string();
    assert!(error.starts_with("recording day.csv: ") && error.contains(expected), "{error}");
}

#[test]
fn rows_in_any_order_come_out_in_time_order() {
    check(
        "time,service,cpu,errors\n20,b,0.4,4\n10,b,0.2,2\n20,a,0.3,3\n10,a,0.1,1\n",
        &["10000: cpu a=0.1 b=0.2; errors a=1 b=2", "20000: cpu a=0.3 b=0.4; errors a=3 b=4"],
    );
}

#[test]
fn columns_may_stand_in_any_order_and_spaces_do_not_matter() {
    check("\u{feff}cpu , service, time\r\n 1 , a , 10 \r\n", &["10000: cpu a=1"]);
}

#[test]
fn times_are_unix_seconds_or_rfc_3339() {
    check("time,service,cpu\n1.5,a,1\n1970-01-01T00:00:02Z,a,2\n", &["1500: cpu a=1", "2000: cpu a=2"]);
}

#[test]
fn an_empty_cell_is_no_sample_and_nan_is_no_value() {
    let text = "time,service,cpu,errors\n1,a,,1\n1,b,NaN,\n1,c,inf,-Inf\n";
    check(text, &["1000: cpu; errors a=1"]);
    assert_eq!(read(text).unwrap().not_values(), 3);
}

#[test]
fn a_key_has_the_service_as_its_only_label() {
    let recording = read("time,service,cpu\n1,a,1\n2,a,1\n").unwrap();
    let keys: Vec<_> =
        recording.slots().map(|slot| slot.batches[0].rows().next().unwrap().key.clone()).collect();
    assert_eq!(keys[0].labels.to_string(), "{service=\"a\"}");
    assert!(std::sync::Arc::ptr_eq(&keys[0], &keys[1]));
}

#[test]
fn the_step_is_the_median_distance_of_distinct_times_and_at_least_a_second() {
    let step = |times: &[&str]| {
        let rows: String = times.iter().map(|time| format!("{time},a,1\n{time},b,1\n")).collect();
        read(&format!("time,service,cpu\n{rows}")).unwrap().step()
    };
    assert_eq!(step(&["0", "15", "30", "3000", "3015"]), Duration::from_secs(15));
    assert_eq!(step(&["0", "15", "75"]), Duration::from_secs(15));
    assert_eq!(step(&["0", "0.1", "0.2"]), Duration::from_secs(1));
    assert_eq!(step(&["7"]), Duration::from_secs(1));
}

#[test]
fn signals_services_and_times_are_listed() {
    let recording = read("time,errors,service,cpu\n2,1,b,1\n1,1,b,1\n1,1,a,1\n").unwrap();
    let names = |names: Vec<&str>| names.join(" ");
    assert_eq!(names(recording.signals().iter().map(|s| s.as_str()).collect()), "errors cpu");
    assert_eq!(names(recording.services().iter().map(|s| s.as_str()).collect()), "a b");
    assert_eq!(recording.times().iter().map(|at| at.as_millis()).collect::<Vec<_>>(), [1000, 2000]);
    assert_eq!(recording.slots().len(), 2);
}

#[test]
fn a_row_repeated_exactly_counts_once_and_one_that_differs_is_refused() {
    check("time,service,cpu,x\n1,a,1,\n1,a,1.0,\n", &["1000: cpu a=1; x"]);
    refused(
        "time,service,cpu\n1,a,1\n2,a,1\n1,a,2\n",
        "line 4: service \"a\" at 1970-01-01T00:00:01Z stands in line 2 too",
    );
    refused("time,service,cpu\n1,a,1\n1,a,1\n1,a,\n", "line 4");
}

#[test]
fn each_mistake_is_told_with_its_place_and_a_way_out() {
    refused("", "holds no samples");
    refused("time,service,cpu\n", "holds no samples");
    refused(
        "service,cpu\na,1\n",
        "column \"time\" is missing in \"service,cpu\": give time,service,<signal>",
    );
    refused("time,cpu\n1,1\n", "column \"service\" is missing");
    refused("time,service\n1,a\n", "no column is a signal's");
    refused("time,service,cpu,cpu\n1,a,1,1\n", "column \"cpu\" stands twice, in place 3 and 4");
    refused("time,service,,cpu\n1,a,1,1\n", "column 3 has no name");
    refused("time,service,cpu\n1,a,1\n2,a\n", "line 3: 2 cells under a header of 3");
    refused("time,service,cpu\n1,a,1,2\n", "line 2: 4 cells under a header of 3");
    refused("time,service,cpu\n1,a,1\n2,a,high\n", "line 3: column \"cpu\": \"high\" is no number");
    refused("time,service,cpu\nnoon,a,1\n", "line 2: column \"time\": \"noon\" is no time");
    refused("time,service,cpu\n1,,1\n", "line 2: column \"service\": is empty");
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let error = Recording::read(&b"time,service,cpu\n1,a,\xff\n"[..], "day.csv").unwrap_err().to_string();
    assert!(error.contains("line 2: column \"#3\": is not UTF-8"), "{error}");
}

#[test]
fn a_file_above_a_bound_is_refused() {
    let text = "time,service,cpu,x\n1,a,1,1\n2,a,1,1\n3,a,1,1\n";
    let within = |change: fn(&mut Bounds)| {
        let mut bounds = Bounds::default();
        change(&mut bounds);
        read_within(text.as_bytes(), "day.csv", &bounds).map_err(|error| error.to_string())
    };
    assert!(within(|b| b.rows = 3).is_ok());
    assert!(within(|b| b.rows = 2).unwrap_err().contains("more than 2 rows: cut it"));
    assert!(within(|b| b.values = 4).unwrap_err().contains("more than 4 values"));
    assert!(within(|b| b.signals = 1).unwrap_err().contains("more than 1 signals"));
    assert!(within(|b| b.bytes = 43).is_ok());
    assert!(within(|b| b.bytes = 42).unwrap_err().contains("more than 42 bytes"));
}

proptest! {
    #[test]
    fn the_order_of_rows_does_not_matter(
        rows in proptest::collection::btree_map((0_i64..20, 0_u8..5), any::<Option<i16>>(), 1..40)
            .prop_flat_map(|rows| {
                let sorted: Vec<_> = rows.into_iter().collect();
                (Just(sorted.clone()), Just(sorted).prop_shuffle())
            }),
    ) {
        let text = |rows: &[((i64, u8), Option<i16>)]| {
            let rows = rows.iter().map(|((at, service), value)| {
                let value = value.map(|value| value.to_string()).unwrap_or_default();
                format!("{at},s{service},{value}\n")
            });
            format!("time,service,cpu\n{}", rows.collect::<String>())
        };
        let (sorted, shuffled) = (read(&text(&rows.0)).unwrap(), read(&text(&rows.1)).unwrap());
        prop_assert_eq!(show(&sorted), show(&shuffled));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "[0-9a,\"\n\r.\\-]{0,120}") {
        let _ = Recording::read(bytes.as_slice(), "x");
        let _ = read(&format!("time,service,cpu\n{text}"));
    }
}
