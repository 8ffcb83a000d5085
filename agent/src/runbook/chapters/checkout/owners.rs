//! Whose the checkout's folder is: what is in it is run as root.

use crate::host::{HostError, Look, Owner};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::site::Site;
use std::path::Path;

/// What to do about a folder, one above it or its git configuration that others than root may write.
pub async fn others(host: &dyn Look, site: &Site) -> Result<Option<Advice>, HostError> {
    let folder = Path::new(site.folder.as_str());
    let inside = [folder.join(".git/config"), folder.join(".git")];
    let above = folder.ancestors().map(Path::to_owned);
    for path in inside.into_iter().chain(above) {
        if let Some(owner) = host.owner(&path).await?
            && owner.lets_others_write()
        {
            return Ok(Some(not_roots(site, &path, owner)));
        }
    }
    Ok(None)
}

fn not_roots(site: &Site, path: &Path, owner: Owner) -> Advice {
    let folder = &site.folder;
    let fix = if path.starts_with(folder.as_str()) {
        format!(
            "look through it for what is not yours, then run `chown -R root:root {folder} && chmod -R go-w {folder}` \
             (and, if chatalot was installed there, `chown -R 999 {folder}/secrets`); then deploy again"
        )
    } else {
        let path = path.display();
        format!(
            "run `chown root:root {path} && chmod go-w {path}`, or deploy with another folder; then deploy again"
        )
    };
    Advice::new(
        "FOLDER_NOT_ROOTS",
        format!(
            "{} of user {} with mode {:o}",
            path.display(),
            owner.uid,
            owner.mode
        ),
        "a folder that only root can write, as are those above it: what is in it is run as root",
        fix,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeHost;
    use crate::runbook::distro::DISTROS;
    use chatalot_protocol::inputs::Inputs;

    #[tokio::test]
    async fn a_checkout_that_others_may_write_is_refused_with_the_command_that_mends_it() {
        let inputs = Inputs {
            domain: Some("chat.example.com".into()),
            admin_username: Some("alice".into()),
            ..Inputs::default()
        };
        let site = inputs.complete().unwrap().0;
        let host = FakeHost::fresh(&DISTROS[0]);
        assert_eq!(others(&host, &site).await.unwrap(), None);
        host.world(|world| world.put("/srv/chatalot/.git/config", ""));
        assert_eq!(others(&host, &site).await.unwrap(), None);
        for (path, uid, mode, fix) in [
            ("/srv", 0, 0o775, "`chown root:root /srv && chmod go-w /srv`"),
            (
                "/srv/chatalot",
                1000,
                0o755,
                "`chown -R root:root /srv/chatalot && chmod -R go-w",
            ),
            (
                "/srv/chatalot/.git",
                0,
                0o777,
                "`chown -R root:root /srv/chatalot && chmod -R go-w",
            ),
            (
                "/srv/chatalot/.git/config",
                1000,
                0o644,
                "`chown -R root:root /srv/chatalot &&",
            ),
        ] {
            host.world(|world| world.owners.insert(path.into(), Owner { uid, mode }));
            let advice = others(&host, &site).await.unwrap().unwrap();
            assert_eq!(advice.code, "FOLDER_NOT_ROOTS");
            assert!(advice.fix.contains(fix), "{advice}");
            host.world(|world| world.owners.clear());
        }
    }
}
