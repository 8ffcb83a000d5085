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

fn without_ours(config: &Value, wanted: &Wanted) -> Value {
    let mut config = config.clone();
    let service = &mut config["services"]["chatalot"];
    if let Some(labels) = service["labels"].as_object_mut() {
        labels.retain(|key, _| !key.starts_with(LIMIT) && !wanted.labels.iter().any(|(ours, _)| ours == key));
    }
    if service["labels"].as_object().is_none_or(Map::is_empty)
        && let Some(service) = service.as_object_mut()
    {
        service.remove("labels");
    }
    for holder in [&["services", "chatalot"][..], &[]] {
        let mut at = &mut config;
        for key in holder {
            at = &mut at[*key];
        }
        if let Some(networks) = at["networks"].as_object_mut() {
            networks.remove(NETWORK);
        }
        if at["networks"].is_null()
            && let Some(at) = at.as_object_mut()
        {
            at.remove("networks");
        }
    }
    config
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
}
