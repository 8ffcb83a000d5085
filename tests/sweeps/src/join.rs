//! A host that joins a second controller: its identity, what it was granted, and the policy that it begins with.

use crate::{Anything, End};
use chatalot_agent::link::identity;
use chatalot_agent::setup::begin_policy;
use chatalot_protocol::enrol::JoinReply;
use chatalot_protocol::names::HostId;
use rcgen::{CertificateParams, KeyPair};
use std::fs;
use std::path::Path;
use uuid::Uuid;

/// The controllers, in order.
const CONTROLLERS: [&str; 2] = ["one:8443", "two:8443"];

fn reply(folder: &Path, controller: &str) -> Anything<()> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::default().self_signed(&key)?.pem();
    let reply = JoinReply {
        host: HostId::fresh(),
        name: "chat-1".parse()?,
        cluster: Uuid::new_v4(),
        authorities: certificate.clone(),
        certificate,
        trusts: 1,
        bundle: None,
        domains: Vec::new(),
        git_remotes: Vec::new(),
        renew_after_secs: Some(1000),
    };
    let answer = (key.serialize_pem(), reply);
    Ok(fs::write(folder.join(controller), serde_json::to_vec(&answer)?)?)
}

fn joined(folder: &Path, controller: &str) -> Anything<()> {
    let (key, reply): (String, JoinReply) = serde_json::from_slice(&fs::read(folder.join(controller))?)?;
    Ok(identity::store(&folder.join("state"), controller, &key, &reply)?)
}

/// A host that has joined the first controller, and has no policy yet.
pub(crate) fn prepare(folder: &Path) -> Anything<End> {
    fs::create_dir_all(folder.join("state"))?;
    for controller in CONTROLLERS {
        reply(folder, controller)?;
    }
    joined(folder, CONTROLLERS[0])?;
    Ok(End::Well)
}

/// It joins the second one. Cut off or refused a write anywhere, it has one whole identity, and ends well when it is
/// begun again.
pub(crate) fn live(folder: &Path) -> Anything<End> {
    let (state, policy) = (folder.join("state"), folder.join("policy.toml"));
    let found = identity::load(&state)?.ok_or("no identity")?;
    if !CONTROLLERS.contains(&found.membership.controller.as_str()) {
        return Err("an identity of nobody's".into());
    }
    let work = joined(folder, CONTROLLERS[1]).and_then(|()| Ok(begin_policy(&policy, &state, &mut |_| {})?));
    let found = identity::load(&state)?.ok_or("no identity")?;
    if work.is_err() {
        return Ok(End::BeginAnew);
    }
    if found.membership.controller != CONTROLLERS[1] {
        return Err("what was stored is not what counts".into());
    }
    let text = fs::read_to_string(&policy)?;
    chatalot_agent::policy::Policy::parse(&text).map_err(|advice| advice.saw)?;
    let generations = fs::read_dir(state.join("id"))?.count();
    if generations != 2 {
        return Err(format!("{generations} entries where a folder and a link should be").into());
    }
    Ok(End::Well)
}
