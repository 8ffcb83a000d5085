//! Another authority at once, for a controller whose root may be in other hands: it does not run meanwhile, and nothing
//! that was signed or handed out before is worth anything after.

use super::view::RootView;
use crate::authority::Authority;
use crate::centre::{self, CentreError};
use crate::clock::now_ms;
use crate::store::{self, DATABASE, Store, StoreError, audit, rotation as kept};
use chatalot_protocol::audit::Entry;
use std::path::Path;

/// Replaces the authority in a state folder, and ends every certificate and token. Hosts stay what they are, and have
/// to join again; the new root.
pub async fn replace(state: &Path) -> Result<RootView, CentreError> {
    let database = state.join(DATABASE);
    if !database.exists() {
        return Err(CentreError::NoState(state.to_owned()));
    }
    let _lock = centre::lock(state)?;
    let store = Store::open(&database)?;
    let known = store.read(|c| Ok::<_, StoreError>((store::cluster(c)?, kept::read(c)?)));
    let (cluster, before) = known.await?;
    let cluster = cluster.ok_or_else(|| CentreError::NoState(state.to_owned()))?;
    let (now, after) = (now_ms(), before.replaced(now_ms()));
    // What a step that was held up has prepared, the thief has seen, too.
    Authority::keep_only(&state.join("ca"), &before);
    let authority = Authority::open(&state.join("ca"), after, cluster.id, None, true)?;
    let standing = authority.now();
    let (root, bundle) = (standing.root.view(), standing.bundle.clone());
    let replaced = store.write(move |c| {
        kept::end_all(c, now)?;
        kept::keep(c, &after, &bundle)?;
        audit::append(c, &entry(now, after.root)).map(drop)
    });
    replaced.await?;
    authority.sweep();
    Ok(root)
}

fn entry(at_ms: i64, root: u32) -> Entry {
    Entry {
        at_ms,
        action: "ca.replace".to_owned(),
        by: "root".to_owned(),
        verdict: "done".to_owned(),
        detail: format!("root {root}; every certificate and token of before is ended"),
        ..Entry::default()
    }
}
