//! How it shows where nobody knows why.

use super::{ENDED, Row, TOLD};

const TOLD_SYMPTOM: Row = Row {
    symptom: true,
    ..TOLD
};
const ENDED_SYMPTOM: Row = Row {
    symptom: true,
    ..ENDED
};

pub(super) const ROWS: &[Row] = &[
    Row {
        code: "HEALTH_NO_ANSWER",
        cause: "chatalot does not answer",
        shown_by: "nobody on 127.0.0.1:8080",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "HEALTH_SLOW",
        cause: "chatalot answers too late",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "HEALTH_STATUS",
        cause: "chatalot answers with another status than 200",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "HEALTH_NOT_CHATALOT",
        cause: "something else answers on chatalot's port",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "HEALTH_DB_DOWN",
        cause: "chatalot does not reach its database",
        ours: true,
        ..TOLD_SYMPTOM
    },
    Row {
        code: "HEALTH_DEGRADED",
        cause: "chatalot says that it is not well",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "WEBSOCKET_REFUSED",
        cause: "chatalot itself refuses WebSockets",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "PROXY_NO_ANSWER",
        cause: "the proxy does not answer",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "PROXY_NOT_SERVING",
        cause: "the proxy does not serve the site",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "INSTALLER_FAILED",
        cause: "the installer failed in a way that is not known",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "INSTALLER_NO_SUMMARY",
        cause: "an installer that ended without its summary",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "INSTALLER_MISMATCH",
        cause: "an installer that installed something else",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "CHECKOUT_FAILED",
        cause: "git failed in a way that is not known",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "PACKAGES_FAILED",
        cause: "the package manager failed in a way that is not known",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "STEP_DID_NOT_FINISH",
        cause: "a step that was ended from outside",
        ours: true,
        ..ENDED_SYMPTOM
    },
    Row {
        code: "STEP_HAD_NO_EFFECT",
        cause: "a step without its effect",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "STEP_KEEPS_FAILING",
        cause: "a step that never succeeds",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "HOST_DID_NOT_ANSWER",
        cause: "a host that could not be asked",
        ..ENDED_SYMPTOM
    },
];
