//! The unit that the controller runs under.

use std::process::Command;

const UNIT: &str = include_str!("../../../packaging/chatalotctl.service");

#[test]
fn the_unit_is_well_formed_and_confined() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chatalotctl.service");
    // The program need not be installed where this is tested.
    let program = env!("CARGO_BIN_EXE_chatalotctl");
    assert!(UNIT.contains("ExecStart=/usr/local/bin/chatalotctl serve"));
    std::fs::write(&path, UNIT.replace("/usr/local/bin/chatalotctl", program)).unwrap();
    for words in [&["verify"][..], &["security", "--offline=true", "--threshold=25"]] {
        let done = Command::new("systemd-analyze")
            .args(words)
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{words:?}: {said}");
        // Unknown words are only warned of.
        assert!(!said.contains("chatalotctl.service:"), "{said}");
    }
}
