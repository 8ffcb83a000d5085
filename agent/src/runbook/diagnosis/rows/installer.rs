//! The source, the installer and the images, as the last deployment ended with them.

use super::{ENDED, Row, TOLD};

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "REPOSITORY_UNREACHABLE",
        cause: "chatalot's repository does not answer",
        ..ENDED
    },
    Row {
        code: "REPOSITORY_REFUSED",
        cause: "chatalot's repository wants a login, or is not there",
        ..ENDED
    },
    Row {
        code: "REF_UNKNOWN",
        cause: "no branch, tag or commit of that name",
        ..ENDED
    },
    Row {
        code: "CHECKOUT_DIRTY",
        cause: "local changes in the way of the commit that was asked for",
        ..ENDED
    },
    Row {
        code: "FOLDER_TAKEN",
        cause: "something else in chatalot's folder",
        ..ENDED
    },
    Row {
        code: "REMOTE_DIFFERS",
        cause: "a checkout of another repository in chatalot's folder",
        ..ENDED
    },
    Row {
        code: "INSTALLER_MISSING_FLAGS",
        cause: "the installer wants more flags",
        shown_by: "it ends with exit code 2 and `missing more flags`, which names them",
        ..ENDED
    },
    Row {
        code: "INSTALLER_TOO_OLD",
        cause: "an installer that does not know the runbook's flags",
        ..ENDED
    },
    Row {
        code: "INSTALLER_HUNG",
        cause: "an installer that waits for something",
        ..ENDED
    },
    Row {
        code: "INSTALLER_KEPT_ENV",
        cause: "an `.env` that keeps what was to be changed",
        ..ENDED
    },
    Row {
        code: "REGISTRY_DENIED",
        cause: "a registry that wants other credentials",
        shown_by: "401 or 403 while images are pulled",
        ..ENDED
    },
    Row {
        code: "REGISTRY_RATE_LIMITED",
        cause: "too many pulls",
        shown_by: "429 while images are pulled",
        ours: true,
        ..ENDED
    },
    Row {
        code: "IMAGE_UNKNOWN",
        cause: "an image that the registry does not have",
        shown_by: "`manifest unknown` while images are pulled",
        ..ENDED
    },
    Row {
        code: "IMAGE_DAMAGED",
        cause: "an image that does not arrive whole",
        shown_by: "its digest",
        ours: true,
        ..ENDED
    },
    Row {
        code: "IMAGES_UNREACHABLE",
        cause: "a registry that does not answer",
        ours: true,
        ..ENDED
    },
    Row {
        code: "CONTAINER_NAME_TAKEN",
        cause: "somebody else's container with one of chatalot's names",
        ..TOLD
    },
    Row {
        code: "PORT_TAKEN",
        cause: "somebody else on one of chatalot's ports",
        shown_by: "the owner of the port",
        ..TOLD
    },
];
