//! Is this host fit, and does the domain lead to it? Nothing here has an effect that stays, but that the
//! host's own firewall is opened before the controller looks.

mod clock;
mod dns;
mod engine;
mod firewall;
mod leftovers;
mod oidc;
mod outside;
mod ports;
mod resources;
mod system;
pub(super) mod turn;

use super::Step;
pub(super) use dns::Dns;

/// The chapter.
pub(super) const STEPS: &[&dyn Step] = &[
    &system::System,
    &resources::Resources,
    &clock::Clock,
    &engine::Engine,
    &system::Tools,
    &Dns,
    &ports::Ports,
    &turn::TurnAddress,
    &oidc::Issuer,
    &leftovers::Leftovers,
    &firewall::Firewall,
    &outside::Outside,
];
