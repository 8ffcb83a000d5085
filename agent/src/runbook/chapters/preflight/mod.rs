//! Is this host fit, and does the domain lead to it? Nothing here has an effect that stays.

mod clock;
mod dns;
mod engine;
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
    &outside::Outside,
];
