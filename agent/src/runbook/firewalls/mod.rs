//! The host's own firewall, where one is at work: what of the site's ports it keeps shut, and how they are opened.
//! The provider's firewall is out of reach from here.

mod firewalld;
mod ufw;

use super::proxies::Proxy;
use super::{ActCx, StepError, made, proxies};
use crate::host::{Command, HostError, Look, Transport};
use async_trait::async_trait;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::Site;
use std::fmt;

/// Ports that the world must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// TCP or UDP.
    pub transport: Transport,
    /// The first port.
    pub first: u16,
    /// The last one; the same for a single port.
    pub last: u16,
}

impl Opening {
    const fn one(transport: Transport, port: u16) -> Self {
        Self {
            transport,
            first: port,
            last: port,
        }
    }

    const fn protocol(self) -> &'static str {
        match self.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
    }

    /// `80/tcp`, or a range with this sign between.
    fn written(self, between: char) -> String {
        if self.first == self.last {
            format!("{}/{}", self.first, self.protocol())
        } else {
            format!("{}{between}{}/{}", self.first, self.last, self.protocol())
        }
    }

    /// Whether browsers come through it.
    fn is_web(self) -> bool {
        WEB.contains(&self)
    }

    /// Whether ports such as `80`, `80:90` or `80-90` contain all of it.
    fn is_within(self, ports: &str) -> bool {
        let (first, last) = ports.split_once([':', '-']).unwrap_or((ports, ports));
        let number = |text: &str| text.parse::<u16>().ok();
        number(first).is_some_and(|first| first <= self.first)
            && number(last).is_some_and(|last| last >= self.last)
    }
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written('-'))
    }
}

/// What a proxy of ours answers on.
const WEB: [Opening; 2] = [
    Opening::one(Transport::Tcp, 80),
    Opening::one(Transport::Tcp, 443),
];

/// The relay's range is what chatalot's TURN server hands out.
const TURN: [Opening; 5] = [
    Opening::one(Transport::Udp, 3478),
    Opening::one(Transport::Tcp, 3478),
    Opening::one(Transport::Udp, 5349),
    Opening::one(Transport::Tcp, 5349),
    Opening {
        transport: Transport::Udp,
        first: 49152,
        last: 49200,
    },
];

/// What a site needs open.
pub fn openings(site: &Site) -> Vec<Opening> {
    let mut needed = Vec::new();
    if proxies::chosen(site).is_some() {
        needed.extend(WEB);
    }
    if site.turn.is_some() {
        needed.extend(TURN);
    }
    needed
}

/// A list of openings for people.
pub fn listed(openings: &[Opening]) -> String {
    openings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// How a firewall stands to an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It lets it through.
    Open,
    /// Nothing lets it through.
    Shut,
    /// It lets it through until the next boot.
    UntilBoot,
    /// It lets it through after the next boot, and not now.
    AfterBoot,
    /// A rule of the operator's shuts it, which an opening behind that rule would not change.
    Denied,
}

/// What is done to an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is let through.
    Open,
    /// It is let through no more by what we have opened; what others have opened stays.
    Shut,
}

/// A firewall of the host.
#[async_trait]
pub trait Firewall: Sync {
    /// What people call it.
    fn name(&self) -> &'static str;
    /// Whether it is at work.
    async fn is_active(&self, host: &dyn Look) -> Result<bool, HostError>;
    /// Whether its rules can be changed, also while it is not at work.
    async fn takes_changes(&self, host: &dyn Look) -> Result<bool, HostError> {
        self.is_active(host).await
    }
    /// How it stands to each of these.
    async fn gates(&self, host: &dyn Look, openings: &[Opening]) -> Result<Vec<Gate>, HostError>;
    /// The commands that open it, now and after a boot, or that take this away again; where it is not at work, those for
    /// when it will be.
    async fn commands(
        &self,
        host: &dyn Look,
        opening: Opening,
        turn: Turn,
    ) -> Result<Vec<Command>, HostError>;
    /// What to type to take away a rule that shuts it.
    fn undeny(&self, opening: Opening) -> String;
}

/// The rows.
pub const FIREWALLS: &[&dyn Firewall] = &[&ufw::Ufw, &firewalld::Firewalld];

/// What is to be done about the firewalls of a host.
#[derive(Default)]
pub struct Shut {
    /// What is to be opened, in which one, and whether it is open at times.
    pub shut: Vec<(&'static dyn Firewall, Opening, Gate)>,
    /// What the operator has shut.
    pub denied: Vec<(&'static dyn Firewall, Opening)>,
    /// Those that are at work.
    pub at_work: Vec<&'static str>,
}

/// Looks at every firewall that is at work.
pub async fn look(host: &dyn Look, openings: &[Opening]) -> Result<Shut, HostError> {
    let mut found = Shut::default();
    for firewall in FIREWALLS.iter().copied() {
        if !firewall.is_active(host).await? {
            continue;
        }
        found.at_work.push(firewall.name());
        if openings.is_empty() {
            continue;
        }
        let gates = firewall.gates(host, openings).await?;
        for (opening, gate) in openings.iter().zip(gates) {
            match gate {
                Gate::Open => {}
                Gate::Shut | Gate::UntilBoot | Gate::AfterBoot => found.shut.push((firewall, *opening, gate)),
                Gate::Denied => found.denied.push((firewall, *opening)),
            }
        }
    }
    Ok(found)
}

/// What a firewall at work keeps shut, and what to type to open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// What people call the firewall.
    pub firewall: &'static str,
    /// What is shut.
    pub opening: Opening,
    /// The commands, one line.
    pub fix: String,
}

/// What nothing lets through now of what a site needs; Docker publishes past a firewall what is in a container. Left out is
/// what a rule of the operator's denies, which is told as that.
pub async fn closed(host: &dyn Look, site: &Site) -> Result<Vec<Closed>, HostError> {
    let in_container = proxies::chosen(site).is_some_and(Proxy::goes_with_container);
    let mut needed = openings(site);
    needed.retain(|opening| !(in_container && opening.is_web()));
    let found = look(host, &needed).await?;
    let mut closed = Vec::new();
    for (firewall, opening, _) in found.shut.iter().filter(|(_, _, gate)| *gate != Gate::UntilBoot) {
        let commands = firewall.commands(host, *opening, Turn::Open).await?;
        let typed: Vec<String> = commands.iter().map(typed).collect();
        closed.push(Closed {
            firewall: firewall.name(),
            opening: *opening,
            fix: typed.join(" && "),
        });
    }
    Ok(closed)
}

fn typed(command: &Command) -> String {
    format!("{} {}", command.program, command.args.join(" "))
}

/// How an opening of ours is written down.
fn line(firewall: &dyn Firewall, opening: Opening) -> String {
    format!("{} {opening}", firewall.name())
}

/// Opens what is shut. What somebody had opened for a time is not ours afterwards either.
pub async fn open(cx: &ActCx<'_>, found: &Shut) -> Result<(), StepError> {
    for (firewall, opening, gate) in &found.shut {
        if *gate == Gate::Shut {
            made::note(cx, [line(*firewall, *opening)]).await?;
        }
        turn(cx, *firewall, *opening, Turn::Open, "deploy again").await?;
    }
    Ok(())
}

/// All that deployments may have opened.
pub fn ever_opened() -> Vec<Opening> {
    WEB.iter().chain(&TURN).copied().collect()
}

/// What we have opened in those that take changes, without the web's ports if those are to stay.
pub async fn opened(
    host: &dyn Look,
    web_stays: bool,
) -> Result<Vec<(&'static dyn Firewall, Opening)>, HostError> {
    let made = made::made(host).await?;
    let mut found = Vec::new();
    for firewall in FIREWALLS.iter().copied() {
        let web = WEB.iter().filter(|_| !web_stays);
        let ours = web
            .chain(&TURN)
            .filter(|opening| made.contains(&line(firewall, **opening)));
        let ours: Vec<_> = ours.map(|opening| (firewall, *opening)).collect();
        if !ours.is_empty() && firewall.takes_changes(host).await? {
            found.extend(ours);
        }
    }
    Ok(found)
}

/// Takes away what we have opened; `then` is what is to be done once a refusal is mended.
pub async fn shut(
    cx: &ActCx<'_>,
    opened: &[(&'static dyn Firewall, Opening)],
    then: &str,
) -> Result<(), StepError> {
    for (firewall, opening) in opened {
        turn(cx, *firewall, *opening, Turn::Shut, then).await?;
        made::forget(cx, &line(*firewall, *opening)).await?;
    }
    Ok(())
}

async fn turn(
    cx: &ActCx<'_>,
    firewall: &dyn Firewall,
    opening: Opening,
    turn: Turn,
    then: &str,
) -> Result<(), StepError> {
    let wanted = match turn {
        Turn::Open => "open",
        Turn::Shut => "let through by us no more",
    };
    for command in firewall.commands(cx.look.host, opening, turn).await? {
        let typed = typed(&command);
        let output = cx.host.run(command).await?;
        if !output.ok() {
            return Err(StepError::last(
                Advice::new(
                    "FIREWALL_REFUSED",
                    format!("`{typed}` ended with exit code {}", output.code),
                    format!("{opening} {wanted} in {}", firewall.name()),
                    format!("run `{typed}` by hand and mend what it names, then {then}"),
                )
                .with_evidence(output.last_lines(6)),
            ));
        }
    }
    Ok(())
}
