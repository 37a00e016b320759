//! Files of samples: what is read, and what is said about a file that is none.

use proptest::prelude::*;

use super::*;

fn read(text: &[u8]) -> Result<Vec<Sample>, SamplesError> {
    Samples::open(text, "cpu.csv")?.collect()
}

/// `time in ms=value`, a word a row.
#[track_caller]
fn check(text: &str, expected: &str) {
    let samples = read(text.as_bytes()).unwrap();
    let shown = samples.iter().map(|sample| {
        let value = sample.value.map_or("none".to_owned(), |value| value.to_string());
        format!("{}={value}", sample.at.as_millis())
    });
    assert_eq!(shown.collect::<Vec<_>>().join(" "), expected);
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    assert_eq!(read(text.as_bytes()).unwrap_err().to_string(), expected);
}

#[track_caller]
fn step_of(times: &[i64], expected_ms: Option<u128>) {
    let rows = times.iter().map(|time| format!("{time},1\n")).collect::<String>();
    let samples = Samples::open(format!("timestamp,value\n{rows}").as_bytes(), "cpu.csv").unwrap().step();
    assert_eq!(samples.map(|step| step.as_millis()), expected_ms);
}

#[test]
fn rows_come_in_the_order_of_the_file_and_as_they_stand_there() {
    check("timestamp,value\n20,2\n10,1\n10,3\n", "20000=2 10000=1 10000=3");
    let samples = read(b"timestamp,value\n 20 , 2.50\n").unwrap();
    assert_eq!((samples[0].timestamp_text.as_str(), samples[0].value_text.as_str()), (" 20 ", " 2.50"));
    assert_eq!(samples[0].line, 2);
}

#[test]
fn the_columns_may_stand_anywhere_and_others_are_ignored() {
    check("\u{feff}label, value ,timestamp\r\nx,1.5,10\r\n", "10000=1.5");
}

#[test]
fn a_time_is_unix_seconds_or_utc_or_rfc_3339() {
    check(
        "timestamp,value\n1.25,1\n1970-01-01 00:00:02,1\n1970-01-01T00:00:03.5,1\n1970-01-01T01:00:04+01:00,1\n",
        "1250=1 2000=1 3500=1 4000=1",
    );
}

#[test]
fn what_is_no_value_is_none() {
    check("timestamp,value\n1,\n2,NaN\n3,-Inf\n4,1e3\n", "1000=none 2000=none 3000=none 4000=1000");
}

#[test]
fn the_step_is_the_median_of_the_positive_differences() {
    step_of(&[0, 60, 120, 180, 3600, 3660], Some(60_000));
    step_of(&[0, 60, 60, 60, 60, 60, 0, 60], Some(60_000));
    step_of(&[5, 5, 4], None);
    step_of(&[5], None);
}

#[test]
fn what_is_no_series_is_refused_with_its_line_and_a_way_out() {
    let header =
        "the first line has to be a header with the columns timestamp and value, with a comma between";
    refused("", "cpu.csv: line 1: holds no samples: give a header timestamp,value and a row for each sample");
    refused(
        "timestamp,value\n",
        "cpu.csv: line 1: holds no samples: give a header timestamp,value and a row for each sample",
    );
    refused(
        "time,value\n1,2\n",
        &format!("cpu.csv: line 1: column \"timestamp\" is missing in \"time,value\": {header}"),
    );
    refused(
        "timestamp;value\n1;2\n",
        &format!("cpu.csv: line 1: column \"timestamp\" is missing in \"timestamp;value\": {header}"),
    );
    refused(
        "timestamp,value,value\n1,2,3\n",
        "cpu.csv: line 1: column \"value\" stands twice, in place 2 and 3: rename or remove one",
    );
    refused(
        "timestamp,value\n1,2\n\n3,fast\n",
        "cpu.csv: line 4: column \"value\": \"fast\" is no number: give one with a point, or leave the cell empty where there \
         is none",
    );
    for (time, line) in [("yesterday", 2), ("2026-01-31", 2), ("", 2), ("2026-13-01 00:00:00", 2)] {
        refused(
            &format!("timestamp,value\n{time},2\n"),
            &format!(
                "cpu.csv: line {line}: column \"timestamp\": {time:?} is no time: give Unix seconds or YYYY-MM-DD HH:MM:SS in \
                 UTC, such as 2026-01-31 08:00:00"
            ),
        );
    }
    refused(
        "timestamp,value\n1700000000000,2\n",
        "cpu.csv: line 2: column \"timestamp\": \"1700000000000\" is beyond the year 9999: give Unix time in seconds, not in \
         milliseconds",
    );
    refused(
        "timestamp,value\n1\n",
        "cpu.csv: line 2: 1 cells under a header of 2: leave a cell empty where there is no value, but keep its comma",
    );
    refused(
        "timestamp,value\n1,1,1\n",
        "cpu.csv: line 2: 3 cells under a header of 2: remove the cells that have no column",
    );
    let bytes = read(b"timestamp,value\n1,\xff\xfe\n").unwrap_err().to_string();
    assert_eq!(bytes, "cpu.csv: line 2: cannot be read: is not UTF-8: save the file as UTF-8");
    let bytes = read(b"\xff\xfe,value\n1,2\n").unwrap_err().to_string();
    assert_eq!(bytes, "cpu.csv: line 1: cannot be read: is not UTF-8: save the file as UTF-8");
}

#[test]
fn what_stands_before_a_bad_row_is_given_out_and_nothing_after_it() {
    let text: &[u8] = b"timestamp,value\n1,1\n2,x\n3,3\n";
    let rows: Vec<_> = Samples::open(text, "cpu.csv").unwrap().map(|row| row.is_ok()).collect();
    assert_eq!(rows, [true, false]);
}

#[test]
fn a_row_without_end_is_not_read_to_its_end() {
    let endless = std::io::Read::chain(&b"timestamp,value\n1,\""[..], std::io::repeat(b'1'));
    let error = Samples::open(endless, "cpu.csv").unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("a row of more than 1048576 bytes"), "{error}");
}

#[test]
fn rows_beyond_those_that_tell_the_step_follow_them() {
    let rows: String = (0..25_000).map(|n| format!("{n},{n}\n")).collect();
    let samples = read(format!("timestamp,value\n{rows}").as_bytes()).unwrap();
    assert!(samples.iter().map(|sample| sample.at.as_millis()).eq((0..25_000).map(|n| n * 1000)));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), head in any::<bool>()) {
        let head: &[u8] = if head { b"timestamp,value\n" } else { b"" };
        let _ = read(&[head, &bytes].concat());
    }

    #[test]
    fn a_file_that_looks_like_one_gives_a_row_a_line_or_names_the_line(
        rows in proptest::collection::vec(("[-0-9.e:T ]{0,20}|[0-9]{1,12}", "[-0-9.eEinfNa]{0,8}|[0-9]{1,6}"), 1..20)
    ) {
        let text: String = rows.iter().map(|(time, value)| format!("{time},{value}\n")).collect();
        match read(format!("timestamp,value\n{text}").as_bytes()) {
            Ok(samples) => prop_assert_eq!(samples.len(), rows.len()),
            Err(error) => prop_assert!(error.to_string().starts_with("cpu.csv: line "), "{}", error),
        }
    }
}
