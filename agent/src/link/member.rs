//! As whom a session is held, and what the controller may ask of that: to trust others, and to renew.

use super::identity::Identity;
use super::renewal::Keeper;
use chatalot_protocol::message::ToController;
use chatalot_protocol::trust::SignedBundle;
use std::sync::Arc;
use tokio::sync::mpsc;
use uuid::Uuid;

/// As whom.
#[derive(Clone, Default)]
pub struct Member {
    /// What joining has named the stream of events.
    pub joining: Uuid,
    /// The version of the bundle that is trusted.
    pub trusts: u64,
    /// Who changes the identity.
    pub keeper: Option<Arc<Keeper>>,
}

impl Member {
    /// For an identity.
    pub(super) fn of(identity: &Identity, keeper: &Arc<Keeper>) -> Self {
        Self {
            joining: identity.membership.stream,
            trusts: identity.membership.trusts,
            keeper: Some(keeper.clone()),
        }
    }

    /// Takes over whom to trust in a task of its own, for a renewal may be under way, and says so when it is stored.
    pub(super) fn take(&self, bundle: SignedBundle, say: mpsc::Sender<ToController>) {
        let Some(keeper) = self.keeper.clone() else { return };
        tokio::spawn(async move {
            match keeper.trust(&bundle).await {
                // The session may be over; the next one says it with its hello.
                Ok(version) => drop(say.send(ToController::Trusts { version }).await),
                Err(error) => {
                    log::error!(error = crate::chain(&error); "whom to trust stays as it was");
                }
            }
        });
    }

    /// Renews soon.
    pub(super) fn hurry(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.hurry();
        }
    }
}

impl From<Uuid> for Member {
    fn from(joining: Uuid) -> Self {
        Self {
            joining,
            ..Self::default()
        }
    }
}
