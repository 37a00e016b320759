//! Holds a reply to its schema in the OpenAPI document: every required key is there, every key is documented, and every
//! value has the type and is among the words that it promises.

use std::collections::BTreeMap;

use serde_json::Value;

/// What of a value does not fit a schema; `at` is the place in the reply.
pub(super) fn misfit(document: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        return misfit(document, target.unwrap_or_else(|| panic!("{reference} leads nowhere")), value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let misfits: Option<Vec<String>> =
            choices.iter().map(|choice| misfit(document, choice, value, at)).collect();
        return misfits.map(|misfits| misfits.join(", or "));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Some(format!("{at}: {value} is none of {words:?}"));
    }
    if !has_type(schema, value) {
        return Some(format!("{at}: {value} is no {}", schema["type"]));
    }
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(place, item)| misfit(document, &schema["items"], item, &format!("{at}[{place}]"))),
        Value::Object(fields) => {
            let mut known = BTreeMap::new();
            let mut required = Vec::new();
            gather(document, schema, &mut known, &mut required);
            let missing = required.iter().find(|name| !fields.contains_key(name.as_str()));
            if let Some(missing) = missing {
                return Some(format!("{at}: {missing} is missing"));
            }
            fields.iter().find_map(|(name, field)| {
                match known.get(name.as_str()).or(known.get("*")) {
                    Some(schema) => misfit(document, schema, field, &format!("{at}.{name}")),
                    // An object without any promise, such as the OpenAPI document itself.
                    None if known.is_empty() => None,
                    None => Some(format!("{at}.{name} is not documented")),
                }
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn gather<'a>(
    document: &'a Value,
    schema: &'a Value,
    known: &mut BTreeMap<&'a str, &'a Value>,
    required: &mut Vec<String>,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        gather(document, target.unwrap_or_else(|| panic!("{reference} leads nowhere")), known, required);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        gather(document, part, known, required);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        known.insert(name, property);
    }
    if let Some(rest) = schema.get("additionalProperties").filter(|rest| rest.is_object()) {
        known.insert("*", rest);
    }
    let names = schema["required"].as_array().into_iter().flatten();
    required.extend(names.filter_map(Value::as_str).map(str::to_owned));
}

fn has_type(schema: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the document has a type {other:?}"),
    };
    match &schema["type"] {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}
