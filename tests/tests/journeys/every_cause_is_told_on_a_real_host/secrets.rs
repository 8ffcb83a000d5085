//! A key that is gone, and of which nobody has a copy.

use super::case::Warm;
use chatalot_tests::{Result, says};

/// Told with the one command that makes it anew; what it does not name is as it was, the database's password too.
pub(crate) fn one_without_a_backup_is_made_anew_and_the_others_stay(warm: &Warm) -> Result<()> {
    let vps = &warm.vps;
    let gone = "cd /srv/chatalot && sha256sum secrets/* | grep -v jwt_ >/root/sums && grep ^DB_PASSWORD= .env >/root/password \
                && rm secrets/jwt_private.pem && docker restart -t 2 chatalot-server";
    vps.must(gone)?;
    warm.finds("SECRET_FILE_MISSING")?;
    let told = vps.sh("chatalot-agent diagnose")?;
    says(&told, &["jwt_private.pem", "deploy again with --overwrite-env"]);
    warm.deploy("--overwrite-env")?.ok()?;
    let kept = "cd /srv/chatalot && openssl pkey -in secrets/jwt_private.pem -pubout | cmp - secrets/jwt_public.pem && sha256sum --quiet -c /root/sums \
                && grep -qxFf /root/password .env";
    vps.must(kept)?;
    warm.well();
    Ok(())
}
