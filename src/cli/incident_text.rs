//! Incidents as text for a terminal of 100 columns. What comes from outside can't move the cursor, colour the screen or
//! turn the direction of writing.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::diagnose::short;
use crate::time::format_duration;

/// Columns of a line where nothing says how many there are.
pub(super) const WIDTH: usize = 100;
/// Columns of a service's name in the list, at most.
const SERVICE_WIDTH: usize = 40;
/// Columns that are left for the cause at least, before services are cut.
const CAUSE_WIDTH: usize = 22;
/// Between two columns.
const GAP: &str = "  ";
/// Fields of an event that are ids of something, which no person reads.
const IDS: [&str; 4] = ["id", "incident", "fingerprint", "series"];

/// The text with each character that a terminal would obey, or that is not seen, written as its number.
pub(super) fn plain(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut plain, char| {
        match char {
            '\n' | '\t' => plain.push(' '),
            char if is_hidden(char) => plain.extend(char.escape_unicode()),
            char => plain.push(char),
        }
        plain
    })
}

/// A value as indented JSON in which nothing stands that a terminal would obey.
pub(super) fn escaped_json(value: &Value) -> anyhow::Result<String> {
    let text = serde_json::to_string_pretty(value)?;
    // Beyond its own line ends such characters stand only inside texts, where their number means the same.
    let escaped = text.chars().fold(String::with_capacity(text.len()), |mut escaped, char| {
        if char != '\n' && is_hidden(char) {
            let mut units = [0; 2];
            for unit in char.encode_utf16(&mut units) {
                // Writing to a `String` cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(char);
        }
        escaped
    });
    Ok(escaped + "\n")
}

/// Control characters, those that turn the direction of writing, and those without a width.
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Incidents, one a line of at most `width` columns. The service has the columns that its names need, the cause the rest.
pub(super) fn table(rows: &[Value], width: usize) -> String {
    if rows.is_empty() {
        return "no incidents\n".to_owned();
    }
    let head =
        ["ID", "SEV", "STATUS", "OPENED (UTC)", "SERVICE", "LIKELY CAUSE OR SIGNALS"].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(cells)).collect();
    let mut columns = [0; 6];
    for line in &lines {
        for (column, cell) in columns.iter_mut().zip(line) {
            *column = cell.chars().count().max(*column);
        }
    }
    let [id, severity, status, opened, service, _] = &mut columns;
    let before = *id + *severity + *status + *opened + 5 * GAP.len();
    *service = (*service).min(width.saturating_sub(before + CAUSE_WIDTH).clamp(8, SERVICE_WIDTH));
    let mut text = String::new();
    for line in lines {
        let cells =
            line.iter().zip(columns).map(|(cell, columns)| format!("{:<columns$}", cut(cell, columns)));
        text.push_str(&cut(cells.collect::<Vec<_>>().join(GAP).trim_end(), width));
        text.push('\n');
    }
    text
}

fn cells(incident: &Value) -> [String; 6] {
    let opened = time(&incident["opened_at"]).replace('T', " ");
    [
        word(&incident["id"]),
        word(&incident["severity"]),
        word(&incident["status"]),
        opened.chars().take(16).collect(),
        word(&incident["service"]),
        incident["top_hypothesis"]["title"].as_str().map_or_else(|| words(&incident["signals"]), plain),
    ]
}

/// An incident in full.
pub(super) fn shown(value: &Value) -> String {
    let incident = &value["incident"];
    let mut text = format!(
        "{} {} on {}: {}\n",
        word(&incident["severity"]),
        word(&incident["status"]),
        word(&incident["service"]),
        word(&incident["id"]),
    );
    put(
        &mut text,
        "  ",
        &format!("began {}, opened {}", time(&incident["onset_at"]), time(&incident["opened_at"])),
    );
    if let Some(because) = incident["resolved_because"].as_str() {
        let resolved = format!(
            "resolved {} ({}) after {}",
            time(&incident["resolved_at"]),
            plain(because).replace('_', " "),
            span(&incident["lasted_s"])
        );
        put(&mut text, "  ", &resolved);
    }
    let points = |name: &str| number(&incident["assessment"][name]);
    let assessed = format!(
        "severity from {} points: magnitude {}, breadth {}, criticality {}",
        points("points"),
        points("magnitude_points"),
        points("breadth_points"),
        points("criticality_points"),
    );
    put(&mut text, "  ", &assessed);
    text.push_str("\nSERIES\n");
    list(&incident["members"]).iter().for_each(|member| put_member(&mut text, member));
    text.push_str("\nLIKELY CAUSES\n");
    put_diagnosis(&mut text, &value["diagnosis"]);
    text.push_str("\nTIMELINE\n");
    list(&value["events"]).iter().for_each(|event| put_event(&mut text, event));
    if value["has_more_events"].as_bool() == Some(true) {
        text.push_str("  further events are left out; the API has them all\n");
    }
    text
}

fn put_member(text: &mut String, member: &Value) {
    let state = match member["ended"]["because"].as_str() {
        None => "still in trouble".to_owned(),
        Some(because) => format!("{} {}", plain(because).replace('_', " "), time(&member["ended"]["at"])),
    };
    put(text, "  ", &format!("{}: {state}", word(&member["series"]["name"])));
    let deviation = &member["deviation"];
    if deviation.is_null() {
        let lost =
            format!("lost: last sample {}, told {}", time(&member["onset_at"]), time(&member["detected_at"]));
        put(text, "      ", &lost);
        return;
    }
    let side = if deviation["side"] == "down" { "below" } else { "above" };
    let ratio = deviation["ratio"].as_f64().map(|ratio| format!(", {} times the expected", short(ratio)));
    let value = format!(
        "{side} its band: {} where {} was expected, {} to {}{}",
        number(&deviation["peak_value"]),
        number(&deviation["expected"]),
        number(&deviation["lower"]),
        number(&deviation["upper"]),
        ratio.unwrap_or_default(),
    );
    put(text, "      ", &value);
    let when = format!(
        "{} to {}, worst score {}, confidence {}",
        time(&member["onset_at"]),
        time(&member["until_at"]),
        number(&deviation["peak_score"]),
        number(&deviation["confidence"]),
    );
    put(text, "      ", &when);
}

fn put_diagnosis(text: &mut String, diagnosis: &Value) {
    if diagnosis.is_null() {
        return text.push_str("  there is no diagnosis yet\n");
    }
    let author = &diagnosis["author"];
    let by = match author["model"].as_str() {
        Some(model) => format!("by the model {}", plain(model)),
        None => format!("by built-in heuristics ({})", word(&author["because"]["code"]).replace('_', " ")),
    };
    put(
        text,
        "  ",
        &format!("revision {} of {}, {by}", number(&diagnosis["revision"]), time(&diagnosis["at"])),
    );
    let hypotheses = list(&diagnosis["hypotheses"]);
    if hypotheses.is_empty() {
        text.push_str("  no hypothesis is supported by what was seen\n");
    }
    for (place, hypothesis) in (1..).zip(hypotheses) {
        let score = hypothesis["score"].as_f64().map(|bits| format!(", {} bits", short(bits)));
        let title = format!(
            "{place}. {} ({}{})",
            word(&hypothesis["title"]),
            word(&hypothesis["cause"]).replace('_', " "),
            score.unwrap_or_default()
        );
        put(text, "  ", &title);
        put(text, "     ", &word(&hypothesis["text"]));
        for id in list(&hypothesis["evidence"]) {
            let cited = list(&diagnosis["cited"]).iter().find(|cited| cited["id"] == *id);
            let says = cited.map(|cited| word(&cited["says"])).unwrap_or_default();
            put(text, "       ", &format!("[{}] {says}", word(id)));
        }
    }
}

fn put_event(text: &mut String, event: &Value) {
    let fields = event["body"].as_object().into_iter().flatten();
    let told = fields.filter(|(name, _)| !IDS.contains(&name.as_str())).filter_map(|(name, value)| {
        let value = match value {
            Value::String(word) => plain(word),
            Value::Number(_) if name.ends_with("_ms") => return None,
            Value::Number(_) => number(value),
            Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some(format!("{}={value}", plain(name)))
    });
    let told: Vec<String> = told.collect();
    let line = format!("  {}  {:<28} {}", time(&event["at"]), word(&event["type"]), told.join(" "));
    text.push_str(&cut(line.trim_end(), WIDTH));
    text.push('\n');
}

/// Puts a text over as many lines as it needs, broken between words where that is possible.
fn put(text: &mut String, indent: &str, words: &str) {
    let room = WIDTH - indent.len();
    let mut line = String::new();
    for word in words.split(' ') {
        let (used, needed) = (line.chars().count(), word.chars().count());
        if used > 0 && used + 1 + needed > room {
            text.push_str(&format!("{indent}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        while line.chars().count() > room {
            let rest: String = line.chars().skip(room).collect();
            line = line.chars().take(room).collect();
            text.push_str(&format!("{indent}{line}\n"));
            line = rest;
        }
    }
    text.push_str(&format!("{indent}{line}\n"));
}

fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| "-".to_owned(), plain)
}

fn words(value: &Value) -> String {
    list(value).iter().map(word).collect::<Vec<_>>().join(", ")
}

/// A time to the second.
fn time(value: &Value) -> String {
    let text = word(value);
    match text.split_once('.') {
        Some((seconds, rest)) if rest.ends_with('Z') => format!("{seconds}Z"),
        Some(_) | None => text,
    }
}

/// A small count as it is, another number shortened as in a diagnosis.
fn number(value: &Value) -> String {
    match value.as_i64() {
        Some(count @ -9_999..=9_999) => count.to_string(),
        Some(_) | None => value.as_f64().map_or_else(|| "-".to_owned(), short),
    }
}

fn span(seconds: &Value) -> String {
    let span = seconds.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds.round()).ok());
    span.map_or_else(|| "-".to_owned(), format_duration)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_its_number() {
        assert_eq!(plain("a\u{1b}[31mred\r\u{7}"), "a\\u{1b}[31mred\\u{d}\\u{7}");
        assert_eq!(plain("\u{9b}2J \u{202e}evil\u{200b}"), "\\u{9b}2J \\u{202e}evil\\u{200b}");
        assert_eq!(plain("Zürich 東京\n"), "Zürich 東京 ");
        let json = escaped_json(&json!({ "s": "\u{1b}\u{9b}\u{202e}\u{e0001}é" })).unwrap();
        assert_eq!(json, "{\n  \"s\": \"\\u001b\\u009b\\u202e\\udb40\\udc01é\"\n}\n");
    }

    #[test]
    fn numbers_are_as_in_a_diagnosis_and_counts_as_they_are() {
        let numbers = json!([1, 9999, 15_360, 536_870_912.0, 18.04, 0.000_012, -3.25, null]);
        let texts: Vec<_> = list(&numbers).iter().map(number).collect();
        assert_eq!(texts, ["1", "9999", "15.4k", "537M", "18.0", "1.20e-5", "-3.25", "-"]);
        assert_eq!([json!(200.4), json!(-1.0), json!(null)].map(|span_s| span(&span_s)), ["3m20s", "-", "-"]);
    }

    #[test]
    fn the_cause_has_the_columns_that_are_left() {
        let row = |service: &str| {
            json!({ "id": "0123456789abcdef0123", "severity": "P1", "status": "diagnosed",
                "opened_at": "2026-01-31T08:00:00.000Z", "service": service,
                "top_hypothesis": { "title": "x".repeat(300) } })
        };
        for (service, shown) in [("a", 7), ("a-name-of-twenty-four-ch", 24), (&*"s".repeat(90), 40)] {
            for width in [100, 160, 240] {
                let text = table(&[row(service)], width);
                let line = text.lines().nth(1).unwrap();
                let cause = line.chars().filter(|char| matches!(char, 'x' | '…')).count();
                let columns = shown.min(width - 58 - 22);
                assert_eq!(line.chars().count(), width, "{text}");
                let cut_service = usize::from(service.len() > columns);
                assert_eq!(cause - cut_service, width - 58 - columns, "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_screen_or_moves_it(name in "(\\PC|[\\x00-\\x9f]){0,300}", value in any::<f64>()) {
            let incident = json!({
                "incident": { "id": name, "severity": "P1", "status": "open", "service": "s", "members": [
                    { "series": { "name": name }, "ended": null, "deviation": { "side": "up", "peak_value": value } },
                ] },
                "diagnosis": { "author": { "model": name }, "hypotheses": [{ "title": name, "text": name, "evidence": ["a1"] }],
                    "cited": [{ "id": "a1", "says": name }] },
                "events": [{ "type": name, "at": name, "body": { "x": name, "y": value } }],
            });
            for text in [shown(&incident), table(&[incident["incident"].clone()], WIDTH)] {
                for line in text.lines().skip(1) {
                    prop_assert!(line.chars().count() <= WIDTH, "{line}");
                }
                prop_assert!(!text.chars().any(|char| char != '\n' && is_hidden(char)));
            }
            let json = escaped_json(&incident).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), incident);
        }
    }
}
