//! The table of inputs: what is wrong with them, and their JSON Schema.

use crate::output::{Page, Style};
use crate::text::{labelled, safe};
use chatalot_protocol::inputs::{INPUTS, Input, Problem};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Everything that is missing or wrong, with the flag that gives it.
pub fn problems(problems: &[Problem], page: Page) -> String {
    let mut text = String::from("Inputs are missing or wrong:\n");
    for problem in problems {
        let flag = page.paint(Style::Strong, &flag(&problem.input));
        let word = if problem.missing { "missing" } else { "wrong" };
        let _ = writeln!(text, "{} {flag} ({word})", page.paint(Style::Bad, "✗"));
        text.push_str(&labelled("", 4, &safe(&problem.why), page.width));
        if problem.missing {
            text.push_str(&labelled("", 4, &safe(&problem.question), page.width));
        }
    }
    text
}

fn flag(input: &str) -> String {
    let dashed = safe(input).replace('_', "-");
    match INPUTS.iter().find(|row| row.name == input) {
        Some(row) if row.secret => format!("--{dashed}-file"),
        Some(row) if row.default == Some("true") => format!("--no-{dashed}"),
        _ => format!("--{dashed}"),
    }
}

/// The inputs of a site as a JSON Schema, for programs that collect them.
pub fn schema() -> Value {
    let properties: Map<String, Value> = INPUTS
        .iter()
        .zip(1..)
        .map(|(row, place)| (row.name.to_owned(), property(row, place)))
        .collect();
    let required: Vec<&str> = INPUTS
        .iter()
        .filter(|row| row.required)
        .map(|row| row.name)
        .collect();
    let together: Map<String, Value> = INPUTS
        .iter()
        .filter(|row| !row.with.is_empty() && !is_bool(row))
        .map(|row| (row.name.to_owned(), json!(row.with)))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "chatalot site",
        "description": "The inputs of a site: a site file has the same keys.",
        "type": "object",
        "properties": properties,
        "required": required,
        "dependentRequired": together,
        "additionalProperties": false,
    })
}

fn property(row: &Input, place: usize) -> Value {
    let mut property = Map::new();
    let kind = if is_bool(row) { "boolean" } else { "string" };
    property.insert("type".to_owned(), json!(kind));
    property.insert("description".to_owned(), json!(row.question));
    if let Some(default) = row.default {
        let default = if is_bool(row) {
            json!(default == "true")
        } else {
            json!(default)
        };
        property.insert("default".to_owned(), default);
    }
    if row.name == "registration" {
        property.insert("enum".to_owned(), json!(["invite_only", "open", "closed"]));
    }
    if row.secret {
        property.insert("writeOnly".to_owned(), json!(true));
        property.insert("minLength".to_owned(), json!(4));
    }
    property.insert("x-question".to_owned(), json!(row.question));
    property.insert("x-secret".to_owned(), json!(row.secret));
    property.insert("x-with".to_owned(), json!(row.with));
    // JSON has no order of its own.
    property.insert("x-order".to_owned(), json!(place));
    property.insert("x-flag".to_owned(), json!(flag(row.name)));
    Value::Object(property)
}

fn is_bool(row: &Input) -> bool {
    matches!(row.default, Some("true" | "false"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::inputs::Inputs;
    use serde::Deserialize;

    #[test]
    fn what_is_missing_is_told_with_its_flag_and_question() {
        let inputs = Inputs {
            turn_external_ip: Some("10.0.0.1".into()),
            registry_user: Some("u".into()),
            domain: Some("chat.example.com".into()),
            ..Inputs::default()
        };
        let text = problems(&inputs.complete().unwrap_err(), Page::PLAIN);
        assert_eq!(
            text,
            "Inputs are missing or wrong:\n\
             ✗ --registry-token-file (missing)\n\
             \x20   `registry_user` was given, and needs it\n\
             \x20   The private registry's token?\n\
             ✗ --admin-username (missing)\n\
             \x20   it is required\n\
             \x20   Which username becomes the administrator?\n\
             ✗ --turn-external-ip (wrong)\n\
             \x20   `10.0.0.1` is not a public IPv4 address (not private, shared 100.64/10, link-local or special)\n"
        );
    }

    #[test]
    fn the_schema_describes_what_a_site_file_takes() {
        let schema = schema();
        assert_eq!(schema["required"], json!(["domain", "admin_username"]));
        let mut example = Map::new();
        for (name, property) in schema["properties"].as_object().unwrap() {
            let bool = property["type"] == "boolean";
            example.insert(name.clone(), if bool { json!(true) } else { json!("text") });
            assert!(property["x-question"].is_string(), "{name}");
        }
        assert!(Inputs::deserialize(Value::Object(example)).is_ok());
        assert_eq!(schema["properties"]["registry_token"]["x-secret"], true);
        assert_eq!(
            schema["dependentRequired"]["registry_user"],
            json!(["registry_token"])
        );
    }
}
