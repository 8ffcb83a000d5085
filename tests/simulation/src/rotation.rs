//! Another root takes the place of the first while everything else goes wrong: bundles travel down the real sessions into
//! the agents' real files, the steps are the controller's own. What TLS would say is read from both sides' roots, for it
//! is not simulated; a renewal is the controller's own, without the road to it.

use crate::centre::{Anything, Seat};
use crate::chance::{self, in_hundred};
use crate::model::World;
use crate::vps::Vps;
use chatalot_agent::link::identity;
use chatalot_protocol::enrol::JoinReply;
use chatalotctl::ca::Issued;
use chatalotctl::centre::Centre;
use chatalotctl::rotation::Phase;
use chatalotctl::store::StoreError;
use chatalotctl::store::generations::{self, Asked};
use chatalotctl::store::rotation as kept;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// How long a rotation may take to come to its end once the faults are over.
const END: Duration = Duration::from_mins(20);
/// How long the operator waits before he tries again.
const AGAIN: Duration = Duration::from_secs(5);

/// Gives a host what joining has brought it. Its certificate and key are never looked at: TLS is not simulated.
pub(crate) fn join(vps: &Vps, seat: &Seat) -> Anything<()> {
    let centre = seat.centre().ok_or("no controller")?;
    let standing = centre.authority.now();
    let reply = JoinReply {
        host: vps.peer.host,
        name: vps.name.parse()?,
        cluster: centre.cluster.id,
        certificate: standing.roots_pem(),
        authorities: standing.roots_pem(),
        trusts: standing.rotation.version,
        bundle: None,
        domains: Vec::new(),
        git_remotes: Vec::new(),
        renew_after_secs: None,
    };
    std::fs::create_dir_all(&vps.folder)?;
    let kind = "PRIVATE KEY";
    let key = format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n");
    Ok(identity::store(&vps.folder, "controller:8443", &key, &reply)?)
}

/// Why TLS would not let the two speak, if it would not.
pub(crate) fn parts(vps: &Vps, centre: Option<Arc<Centre>>) -> Option<String> {
    let standing = centre?.authority.now();
    let Ok(Some(identity)) = identity::load(&vps.folder) else {
        return Some("has no identity".to_owned());
    };
    let (_, root) = *vps.certificate.lock().unwrap_or_else(PoisonError::into_inner);
    // Both roots are shown with each other's word, so that either will do.
    let shown = standing.roots();
    let trusts = shown
        .iter()
        .any(|root| identity.authorities.contains(&root.certificate));
    match (trusts, standing.by_number(root).is_some()) {
        (true, true) => None,
        (false, _) => Some(format!(
            "does not trust its controller in {}",
            standing.rotation.phase
        )),
        (true, false) => Some(format!("is not trusted with a certificate of root {root}")),
    }
}

/// The operator takes a step, in whatever direction, or a host renews.
pub(crate) async fn happens(world: &World, vps: &Vps) -> Anything<()> {
    let Some(centre) = world.seat.centre() else {
        return Ok(());
    };
    if in_hundred(50) {
        renew(world, &centre, vps).await;
    } else {
        step(world, &centre, in_hundred(80)).await;
    }
    Ok(())
}

async fn step(world: &World, centre: &Arc<Centre>, goes_on: bool) {
    let phase = centre.authority.now().rotation.phase;
    let (forward, backward) = (phase.forward(), phase.backward());
    let wanted = if goes_on { forward.or(backward) } else { backward };
    let Some(step) = wanted else { return };
    match centre.turn(step).await {
        Ok(_) => world.trace.say(&format!("operator: {step}")),
        Err(error) => world.trace.say(&format!("operator: {step} is refused: {error}")),
    }
}

/// A host asks for another certificate; the answer may be lost.
async fn renew(world: &World, centre: &Arc<Centre>, vps: &Vps) {
    let (serial, _) = *vps.certificate.lock().unwrap_or_else(PoisonError::into_inner);
    let (host, now, new) = (vps.peer.host, chance::now_ms(), *Uuid::new_v4().as_bytes());
    let mut spki = [0; 32];
    spki[..16].copy_from_slice(&new);
    let signed = centre.store.write(move |c| {
        let root = kept::issuer(c)?;
        let issue = || {
            Ok(Issued {
                serial: new,
                pem: "simulated".to_owned(),
                not_after_ms: now + 86_400_000,
                root,
            })
        };
        let granted = generations::renew(c, &Asked { host, serial, spki }, now, issue);
        granted.map(|_| root).map_err(|_| StoreError::NotStored)
    });
    match signed.await {
        Ok(root) if in_hundred(80) => {
            *vps.certificate.lock().unwrap_or_else(PoisonError::into_inner) = (new, root);
            world
                .trace
                .say(&format!("{}: has a certificate of root {root}", vps.name));
            vps.road.reset();
        }
        Ok(_) => world.trace.say(&format!("{}: a renewal is lost", vps.name)),
        Err(error) => world.trace.say(&format!("{}: does not renew: {error}", vps.name)),
    }
}

/// Brings a rotation to its end, and tells what went wrong in it.
pub(crate) async fn ends(world: &World) -> Anything<Vec<String>> {
    let centre = world.seat.centre().ok_or("no controller")?;
    let until = Instant::now() + END;
    loop {
        let view = centre.ca().await?;
        if view.phase == Phase::Standby && is_settled(world, &centre) {
            break;
        }
        if Instant::now() >= until {
            return Ok(vec![format!("the rotation does not come to an end: {view:?}")]);
        }
        if let Some(ending) = centre.authority.now().rotation.ending() {
            for straggler in centre.store.read(move |c| kept::holders(c, ending)).await? {
                let vps = world.hosts.iter().find(|vps| vps.peer.host == straggler.id);
                if let Some(vps) = vps.filter(|_| in_hundred(60)) {
                    renew(world, &centre, vps).await;
                }
            }
        }
        if view.phase != Phase::Standby {
            step(world, &centre, true).await;
        }
        tokio::time::sleep(AGAIN).await;
    }
    let parted = world.hosts.iter().flat_map(|vps| {
        let parted = vps.parted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        parted
            .into_iter()
            .map(|why| format!("{}: {why}", vps.name))
            .collect::<Vec<_>>()
    });
    Ok(parted.collect())
}

/// Whether every host trusts the one root that counts, and no other.
fn is_settled(world: &World, centre: &Centre) -> bool {
    let standing = centre.authority.now();
    world.hosts.iter().all(|vps| {
        identity::load(&vps.folder)
            .ok()
            .flatten()
            .is_some_and(|identity| identity.authorities == [standing.root.certificate.clone()])
    })
}
