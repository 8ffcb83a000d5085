//! The source, the installer and the images, as the last deployment ended with them.

use super::{ENDED, Row, TOLD};

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "REPOSITORY_UNREACHABLE",
        cause: "chatalot's repository does not answer",
        fix: "see that the host reaches the repository (name resolution, firewall, proxy)",
        ..ENDED
    },
    Row {
        code: "REPOSITORY_REFUSED",
        cause: "chatalot's repository wants a login, or is not there",
        fix: "deploy with a repository that can be read without a login",
        ..ENDED
    },
    Row {
        code: "REF_UNKNOWN",
        cause: "no branch, tag or commit of that name",
        fix: "see which there are (`git ls-remote`), deploy with one of them",
        ..ENDED
    },
    Row {
        code: "CHECKOUT_DIRTY",
        cause: "local changes in the way of the commit that was asked for",
        fix: "keep or undo the local changes, then deploy again",
        ..ENDED
    },
    Row {
        code: "FOLDER_TAKEN",
        cause: "something else in chatalot's folder",
        fix: "move it away, or deploy with another folder",
        ..ENDED
    },
    Row {
        code: "REMOTE_DIFFERS",
        cause: "a checkout of another repository in chatalot's folder",
        fix: "deploy with that repository, or change the checkout's",
        ..ENDED
    },
    Row {
        code: "INSTALLER_MISSING_FLAGS",
        cause: "the installer wants more flags",
        shown_by: "it ends with exit code 2 and `missing more flags`, which names them",
        fix: "deploy with the inputs behind the flags that it names, or with another reference",
        ..ENDED
    },
    Row {
        code: "INSTALLER_TOO_OLD",
        cause: "an installer that does not know the runbook's flags",
        fix: "deploy with a newer reference (0.24 or newer)",
        ..ENDED
    },
    Row {
        code: "INSTALLER_HUNG",
        cause: "an installer that waits for something",
        fix: "see what its last lines wait for, mend it, then deploy again",
        ..ENDED
    },
    Row {
        code: "INSTALLER_KEPT_ENV",
        cause: "an `.env` that keeps what was to be changed",
        fix: "change the values in `.env`, or let it be written anew after a copy",
        ..ENDED
    },
    Row {
        code: "REGISTRY_DENIED",
        cause: "a registry that wants other credentials",
        shown_by: "401 or 403 while images are pulled",
        fix: "deploy again with registry_user and registry_token of an account that may read the images",
        ..ENDED
    },
    Row {
        code: "REGISTRY_UNREACHABLE",
        cause: "a registry that does not say whether it accepts the site's credentials",
        fix: "see that the host reaches the registry (name resolution, firewall, proxy, certificate), then deploy again",
        ..ENDED
    },
    Row {
        code: "REGISTRY_RATE_LIMITED",
        cause: "too many pulls",
        shown_by: "429 while images are pulled",
        ours: true,
        fix: "wait for the limit to pass, or deploy with registry credentials",
        ..ENDED
    },
    Row {
        code: "IMAGE_UNKNOWN",
        cause: "an image that the registry does not have",
        shown_by: "`manifest unknown` while images are pulled",
        fix: "deploy with a reference whose images were published",
        ..ENDED
    },
    Row {
        code: "IMAGE_DAMAGED",
        cause: "an image that does not arrive whole",
        shown_by: "its digest",
        ours: true,
        fix: "deploy again; if it repeats, something between the host and the registry damages them",
        ..ENDED
    },
    Row {
        code: "IMAGES_UNREACHABLE",
        cause: "a registry that does not answer",
        ours: true,
        fix: "see that the host reaches the registry (name resolution, firewall, proxy)",
        ..ENDED
    },
    Row {
        code: "CONTAINER_NAME_TAKEN",
        cause: "somebody else's container with one of chatalot's names",
        fix: "see whose it is (`docker ps -a`), remove it yourself if it is not needed",
        ..TOLD
    },
    Row {
        code: "PORT_TAKEN",
        cause: "somebody else on one of chatalot's ports",
        shown_by: "the owner of the port",
        fix: "stop the owner if it is not needed, then deploy again",
        ..TOLD
    },
    Row {
        code: "SECRET_MISSING",
        cause: "a deployment without a secret that belongs to its site",
        fix: "deploy again with it",
        ..ENDED
    },
    Row {
        code: "SECRETS_LOST",
        cause: "a deployment whose secrets were gone when the agent, started anew, was to go on with it",
        fix: "deploy again, with its secrets",
        ..ENDED
    },
    Row {
        code: "CONTAINERS_STAY",
        cause: "containers that were switched off or are to be taken away, and do not go",
        fix: "run the command that the finding names by hand and mend what it tells of, then do again what was begun",
        ..ENDED
    },
    Row {
        code: "LOGIN_UNKNOWN",
        cause: "no login of the name that is to use Docker",
        fix: "make it, or deploy without",
        ..TOLD
    },
    Row {
        code: "DOCKER_GROUP_FAILED",
        cause: "a login that cannot be put into the docker group",
        fix: "run the command by hand and mend what it names",
        ..ENDED
    },
];
