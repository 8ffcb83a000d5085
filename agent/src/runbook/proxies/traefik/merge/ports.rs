//! chatalot's own port on loopback alone, into an override and out of it again.

use super::Edit;

const PORTS: &[&str] = &["services", "chatalot", "ports"];
/// Compose would add a list to the base's own; so marked, it takes its place.
const INSTEAD: &str = "!override";
/// The address that it is published at.
const ITEM: &str = "127.0.0.1:8080:8080";

/// The override with chatalot's port on loopback alone; why not, where somebody has published it otherwise.
pub fn publish_locally(text: &str) -> Result<String, String> {
    if text.contains('\t') {
        return Err("it is indented with tabs".to_owned());
    }
    let mut edit = Edit(text.lines().map(str::to_owned).collect());
    if edit.is_local() {
        return Ok(text.to_owned());
    }
    if edit.find(PORTS).is_some() {
        return Err("it publishes ports of the service chatalot already".to_owned());
    }
    let block = edit.path(&PORTS[..2])?;
    let indent = " ".repeat(edit.child_indent(block));
    let ours = [
        format!("{indent}ports: {INSTEAD}"),
        format!("{indent}  - \"{ITEM}\""),
    ];
    edit.0.splice(block.end..block.end, ours);
    Ok(edit.0.join("\n") + "\n")
}

/// The override without it; nothing where it was all ours.
pub fn without_local_port(text: &str) -> String {
    let mut edit = Edit(text.lines().map(str::to_owned).collect());
    let Some(block) = edit.find(PORTS).filter(|_| edit.is_local()) else {
        return text.to_owned();
    };
    edit.0.drain(block.line..block.end);
    for depth in [2, 1] {
        edit.drop_empty(&PORTS[..depth]);
    }
    if edit.0.iter().all(|line| line.trim().is_empty()) {
        return String::new();
    }
    edit.0.join("\n") + "\n"
}

impl Edit {
    fn is_local(&self) -> bool {
        self.find(PORTS).is_some_and(|block| {
            let items = self.items(block);
            let ours = matches!(items.as_slice(), [at] if super::item(&self.0[*at]) == ITEM);
            ours && self.lines().inline(block) == INSTEAD
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "services:\n  chatalot:\n    ports: !override\n      - \"127.0.0.1:8080:8080\"\n";

    #[test]
    fn a_missing_override_becomes_ours_stays_it_and_goes_again() {
        assert_eq!(publish_locally("").unwrap(), OURS);
        assert_eq!(publish_locally(OURS).unwrap(), OURS);
        assert_eq!(without_local_port(OURS), "");
    }

    #[test]
    fn what_else_is_in_it_stays_and_is_all_that_is_left_in_the_end() {
        let theirs = "# mine\nservices:\n    postgres:\n        shm_size: 1g\n    chatalot:\n        labels:\n            - a=b # c\n\nvolumes:\n    x: {}\n";
        let merged = publish_locally(theirs).unwrap();
        let ours = "            - a=b # c\n        ports: !override\n          - \"127.0.0.1:8080:8080\"\n";
        assert!(merged.contains(ours), "{merged}");
        assert_eq!(without_local_port(&merged), theirs);
        assert_eq!(without_local_port(theirs), theirs);
    }

    #[test]
    fn ports_of_the_operators_own_are_left_alone() {
        for theirs in [
            "services:\n  chatalot:\n    ports:\n      - \"9000:8080\"\n",
            "services:\n  chatalot:\n    ports: !override\n      - \"127.0.0.1:8080:8080\"\n      - \"9000:8080\"\n",
            "services: {chatalot: {image: x}}\n",
        ] {
            assert!(publish_locally(theirs).is_err(), "{theirs}");
            assert_eq!(without_local_port(theirs), theirs);
        }
    }
}
