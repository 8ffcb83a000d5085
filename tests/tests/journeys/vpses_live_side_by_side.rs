//! What parallel journeys rely on: own addresses, own boots, names that follow at once.

use std::{thread, time::Duration};

use chatalot_tests::{Result, Sandbox, Vps};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn two_vpses_started_at_once_are_two_machines_that_reach_each_other() -> Result<()> {
    let sandbox = Sandbox::up()?;
    let (one, two) = thread::scope(|scope| {
        let one = scope.spawn(|| Vps::fresh(&sandbox, "side-one"));
        let two = Vps::fresh(&sandbox, "side-two");
        (one.join().unwrap(), two)
    });
    let (one, two) = (one?, two?);
    assert_ne!(one.address(), two.address());
    assert_ne!(one.boot_id()?, two.boot_id()?);
    let greeting = format!("curl -s -m 2 http://{}:1; test $? = 7", two.address());
    one.must(&greeting)?;
    one.must(&format!("ip route get {} | grep 'dev eth0'", Sandbox::GATEWAY))?;
    Ok(())
}

#[test]
fn names_follow_the_test_at_once_and_can_be_taken_back() -> Result<()> {
    let sandbox = Sandbox::up()?;
    let vps = Vps::fresh(&sandbox, "names")?;
    let name = "names.example.com";
    assert!(!vps.sh("getent hosts names.example.com")?.is_ok());
    sandbox.dns(name, Some(vps.address()), None)?;
    vps.wait_for(
        &format!("getent ahostsv4 {name} | grep '^{} '", vps.address()),
        SOON,
    )?;
    sandbox.dns(name, None, "2001:db8::1".parse().ok())?;
    vps.wait_for(&format!("getent hosts {name} | grep '^2001:db8::1 '"), SOON)?;
    sandbox.dns(name, None, None)?;
    vps.wait_for(&format!("! getent hosts {name}"), SOON)
}

#[test]
fn a_power_cut_is_a_new_boot_of_the_same_disk() -> Result<()> {
    let sandbox = Sandbox::up()?;
    let vps = Vps::fresh(&sandbox, "power")?;
    vps.write("/etc/kept", b"bytes\0\xff", 0o600)?;
    vps.must("echo gone >/run/gone")?;
    let before = vps.boot_id()?;
    vps.power_cycle()?;
    assert_ne!(vps.boot_id()?, before);
    assert_eq!(vps.read("/etc/kept")?, b"bytes\0\xff");
    assert_eq!(vps.must("stat -c %a /etc/kept")?, "600\n");
    assert!(!vps.sh("test -e /run/gone")?.is_ok());
    Ok(())
}
