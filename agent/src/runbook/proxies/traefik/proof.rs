//! What compose makes of an override: that our part is in it, and that nothing else has changed.

use super::merge::{LIMIT, NETWORK, Wanted};
use serde_json::{Map, Value};

/// Whether compose sees what is wanted, and all else as before; what is wrong otherwise.
pub fn same_but(before: &Value, after: &Value, wanted: &Wanted) -> Result<(), String> {
    has(after, wanted)?;
    let (before, after) = (without_ours(before, wanted), without_ours(after, wanted));
    if before == after {
        Ok(())
    } else {
        Err("something besides our labels and network would change".to_owned())
    }
}

/// Whether compose sees what is wanted.
pub fn has(config: &Value, wanted: &Wanted) -> Result<(), String> {
    let service = &config["services"]["chatalot"];
    for (key, value) in &wanted.labels {
        if service["labels"][key]
            .as_str()
            .map(|seen| seen.replace("$$", "$"))
            != Some(value.clone())
        {
            return Err(format!("compose does not see the label {key}"));
        }
    }
    if let Some((name, others)) = &wanted.network {
        let networks = &service["networks"];
        for network in others.iter().map(String::as_str).chain([NETWORK]) {
            if networks.get(network).is_none() {
                return Err(format!("compose does not see the network {network}"));
            }
        }
        if config["networks"][NETWORK]["name"] != name.as_str() {
            return Err(format!("compose does not see the network {name}"));
        }
    }
    Ok(())
}

/// The networks that the service is in without us.
pub fn networks(config: &Value) -> Vec<String> {
    let networks = config["services"]["chatalot"]["networks"].as_object();
    let names = networks
        .into_iter()
        .flat_map(Map::keys)
        .filter(|name| *name != NETWORK);
    let names: Vec<String> = names.cloned().collect();
    if names.is_empty() {
        vec!["default".to_owned()]
    } else {
        names
    }
}

/// The rest of what compose sees; whatever it is, for the program that said it is not ours.
fn without_ours(config: &Value, wanted: &Wanted) -> Value {
    let mut config = config.clone();
    let service = config.pointer_mut("/services/chatalot");
    if let Some(service) = service.and_then(Value::as_object_mut) {
        let labels = service.get_mut("labels").and_then(Value::as_object_mut);
        if let Some(labels) = labels {
            labels.retain(|key, _| {
                !key.starts_with(LIMIT) && !wanted.labels.iter().any(|(ours, _)| ours == key)
            });
        }
        let labels = service.get("labels").and_then(Value::as_object);
        if labels.is_none_or(Map::is_empty) {
            service.remove("labels");
        }
        leave(service);
    }
    if let Some(all) = config.as_object_mut() {
        leave(all);
    }
    config
}

/// Takes our network out of what has networks.
fn leave(holder: &mut Map<String, Value>) {
    if let Some(networks) = holder.get_mut("networks").and_then(Value::as_object_mut) {
        networks.remove(NETWORK);
    }
    if holder.get("networks").is_some_and(Value::is_null) {
        holder.remove("networks");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wanted() -> Wanted {
        Wanted {
            labels: vec![("a".into(), "b".into())],
            network: Some(("edge".into(), vec!["default".into()])),
        }
    }

    fn config(label: &str, image: &str) -> Value {
        json!({
            "services": {"chatalot": {
                "image": image,
                "labels": {"a": label, "mine": "1"},
                "networks": {"default": null, NETWORK: null},
            }},
            "networks": {"default": {"name": "x"}, NETWORK: {"name": "edge", "external": true}},
        })
    }

    #[test]
    fn only_our_part_may_differ() {
        let before = json!({
            "services": {"chatalot": {"image": "i", "labels": {"mine": "1"}, "networks": {"default": null}}},
            "networks": {"default": {"name": "x"}},
        });
        assert_eq!(same_but(&before, &config("b", "i"), &wanted()), Ok(()));
        assert_eq!(
            same_but(&config("old", "i"), &config("b", "i"), &wanted()),
            Ok(())
        );
        assert!(
            same_but(&before, &config("c", "i"), &wanted())
                .unwrap_err()
                .contains("label a")
        );
        assert!(
            same_but(&before, &config("b", "j"), &wanted())
                .unwrap_err()
                .contains("besides")
        );
    }
    #[test]
    fn f28_what_compose_says_of_no_service_is_refused_and_breaks_nothing() {
        for odd in [
            json!([]),
            json!({"services": []}),
            json!({"services": {"chatalot": "x"}}),
            json!({"networks": 1}),
        ] {
            assert!(same_but(&config("b", "i"), &odd, &wanted()).is_err(), "{odd}");
            assert!(same_but(&odd, &config("b", "i"), &wanted()).is_err(), "{odd}");
        }
    }
}
