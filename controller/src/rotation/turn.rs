//! One step, taken whole or not at all.

use super::Step;
use super::view::{CaView, Straggler};
use crate::authority::Standing;
use crate::ca::CaError;
use crate::centre::Centre;
use crate::clock::now_ms;
use crate::fleet::Command;
use crate::store::{StoreError, hosts, rotation as kept};
use std::sync::Arc;
use tokio::task::JoinError;

/// Why a step is not taken.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// It does not follow here.
    #[error("`{step}` does not follow on `{phase}`")]
    Order {
        /// What was asked for.
        step: Step,
        /// How far the rotation has got.
        phase: super::Phase,
    },
    /// Hosts would be left behind.
    #[error("{} hosts would be left behind", .0.len())]
    HeldUp(Vec<Straggler>),
    /// A root, a certificate or their files.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whoever was to do it died.
    #[error("the step was broken off")]
    Broken(#[from] JoinError),
}

impl Centre {
    /// Takes a step. Once begun it goes on to its end, whether whoever asked for it still listens or not.
    pub async fn turn(self: &Arc<Self>, step: Step) -> Result<Arc<Standing>, TurnError> {
        let centre = Arc::clone(self);
        tokio::spawn(async move { centre.turn_to(step).await }).await?
    }

    async fn turn_to(self: Arc<Self>, step: Step) -> Result<Arc<Standing>, TurnError> {
        let _one = self.turning.lock().await;
        let before = self.authority.now();
        let rotation = before.rotation;
        let after = rotation.after(step, now_ms()).ok_or(TurnError::Order {
            step,
            phase: rotation.phase,
        })?;
        let (centre, cluster) = (Arc::clone(&self), self.cluster.id);
        let made = self
            .hands
            .aside(move || centre.authority.prepare(&before, after, cluster));
        let standing = Arc::new(made.await??);
        let bundle = standing.bundle.clone();
        let stored = self.store.write(move |c| {
            let held_up = kept::hold_ups(c, &rotation, step)?;
            if !held_up.is_empty() {
                return Err(TurnError::HeldUp(held_up));
            }
            kept::keep(c, &after, &bundle)?;
            Ok(())
        });
        let stored = stored.await;
        if let Err(TurnError::HeldUp(stragglers)) = stored {
            return Err(TurnError::HeldUp(self.seen(stragglers)));
        }
        stored?;
        self.authority.take(Arc::clone(&standing));
        let centre = Arc::clone(&self);
        self.hands.aside(move || centre.authority.sweep()).await?;
        log::warn!(step:% = step, phase:% = after.phase, root = after.root, version = after.version; "the authority has changed");
        self.fleet.tell_all(|| Command::Trust);
        Ok(standing)
    }

    /// How the authority stands, and who holds up what comes next.
    pub async fn ca(&self) -> Result<CaView, StoreError> {
        let standing = self.authority.now();
        let (rotation, now) = (standing.rotation, now_ms());
        let found = self.store.read(move |c| {
            Ok::<_, StoreError>((
                hosts::active(c)?,
                kept::behind(c, &rotation)?,
                kept::old_tokens(c, &rotation, now)?,
            ))
        });
        let (hosts, stragglers, old_tokens) = found.await?;
        Ok(CaView {
            phase: rotation.phase,
            since_ms: rotation.since_ms,
            version: rotation.version,
            root: standing.root.view(),
            next: standing.next.as_ref().map(crate::authority::Root::view),
            forward: rotation.phase.forward(),
            backward: rotation.phase.backward(),
            hosts,
            stragglers: self.seen(stragglers),
            old_tokens,
        })
    }

    fn seen(&self, mut stragglers: Vec<Straggler>) -> Vec<Straggler> {
        for straggler in &mut stragglers {
            straggler.connected = self.fleet.is_connected(straggler.id);
        }
        stragglers
    }
}
