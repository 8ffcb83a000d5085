//! The VPS that everything is measured on: deployed once, warm.

use chatalot_tests::{Failed, Journey, Result, Sandbox, phase};
use serde_json::Value;
use std::time::Duration;

pub(crate) struct World {
    pub(crate) journey: Journey,
    /// The site, as the plan has it.
    pub(crate) site: Value,
    /// The installer's command line, as the plan has it.
    pub(crate) installer: String,
}

impl World {
    pub(crate) fn deployed() -> Result<Self> {
        let sandbox = phase("sandbox", Sandbox::up)?;
        let journey = phase("controller, fresh vps, pasted line", || {
            Journey::joined(&sandbox, "bench")
        })?;
        phase("deploy", || journey.deploy(&[]))?.ok()?;
        let flags = journey.site();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let plan = [&["--output", "json", "plan", &journey.name], &flags[..]].concat();
        let plan = journey.controller.ctl(&plan)?.ok()?.stdout;
        let read = values(&plan).find_map(|value| {
            let site = find(&value, &|part| part.get("site").is_some())?["site"].clone();
            let text = value.to_string();
            let (_, rest) = text.split_once("run `./scripts/install.sh")?;
            let (args, _) = rest.split_once('`')?;
            Some((site, format!("./scripts/install.sh{args}")))
        });
        let (site, installer) = read.ok_or_else(|| Failed::Late(format!("a plan in `{plan}`"), 0))?;
        Ok(Self {
            journey,
            site,
            installer,
        })
    }

    /// Takes away what the installer has made, images apart: the next run installs anew.
    pub(crate) fn uninstall(&self) -> Result<()> {
        self.journey.vps.must(
            "cd /srv/chatalot && docker compose --profile '*' down -v --remove-orphans -t 1 >/dev/null 2>&1 && git clean -fdxq",
        )?;
        Ok(())
    }

    /// The agent's process on the VPS.
    pub(crate) fn agent(&self) -> Result<String> {
        let pid = self
            .journey
            .vps
            .must("systemctl show -p MainPID --value chatalot-agent")?;
        Ok(pid.trim().to_owned())
    }

    /// Starts the agent anew and waits until the controller has its session.
    pub(crate) fn restart_agent(&self) -> Result<()> {
        self.journey.vps.must("systemctl restart chatalot-agent")?;
        let greeted =
            "journalctl -b _PID=$(systemctl show -p MainPID --value chatalot-agent) | grep -q welcomed";
        self.journey.vps.wait_for(greeted, Duration::from_secs(30))
    }
}

/// The JSON values of a text, one a line.
pub(crate) fn values(text: &str) -> impl Iterator<Item = Value> + '_ {
    text.lines().filter_map(|line| serde_json::from_str(line).ok())
}

/// The first object, at any depth, that is wanted.
pub(crate) fn find<'a>(value: &'a Value, wanted: &impl Fn(&Value) -> bool) -> Option<&'a Value> {
    if value.is_object() && wanted(value) {
        return Some(value);
    }
    match value {
        Value::Object(parts) => parts.values().find_map(|part| find(part, wanted)),
        Value::Array(parts) => parts.iter().find_map(|part| find(part, wanted)),
        _ => None,
    }
}
