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
        fix: "read the last line of `docker logs --tail 50 chatalot-server`",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "HEALTH_SLOW",
        cause: "chatalot answers too late",
        fix: "read the last line of `docker logs --tail 50 chatalot-server`",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "HEALTH_STATUS",
        cause: "chatalot answers with another status than 200",
        fix: "read the last line of `docker logs --tail 50 chatalot-server`",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "HEALTH_NOT_CHATALOT",
        cause: "something else answers on chatalot's port",
        fix: "see what else answers there: `curl -i http://127.0.0.1:8080/api/health`",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "HEALTH_DB_DOWN",
        cause: "chatalot does not reach its database",
        ours: true,
        fix: "look at `docker logs --tail 50 chatalot-db`, and start it",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "HEALTH_DEGRADED",
        cause: "chatalot says that it is not well",
        fix: "read the last line of `docker logs --tail 50 chatalot-server`",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "WEBSOCKET_REFUSED",
        cause: "chatalot itself refuses WebSockets",
        fix: "read the last line of `docker logs --tail 50 chatalot-server`",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "PROXY_NO_ANSWER",
        cause: "the proxy does not answer",
        fix: "look at the proxy's journal",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "PROXY_NOT_SERVING",
        cause: "the proxy does not serve the site",
        fix: "look at the proxy's journal",
        ..TOLD_SYMPTOM
    },
    Row {
        code: "INSTALLER_FAILED",
        cause: "the installer failed in a way that is not known",
        fix: "read the last lines of the step's output, mend what they name, then deploy again",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "INSTALLER_NO_SUMMARY",
        cause: "an installer that ended without its summary",
        fix: "read the last lines of the step's output, mend what they name, then deploy again",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "INSTALLER_MISMATCH",
        cause: "an installer that installed something else",
        fix: "read the last lines of the step's output, mend what they name, then deploy again",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "CHECKOUT_FAILED",
        cause: "git failed in a way that is not known",
        fix: "read the last lines of the step's output, mend what they name, then deploy again",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "PACKAGES_FAILED",
        cause: "the package manager failed in a way that is not known",
        fix: "read the last lines of the step's output, mend what they name, then deploy again",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "STEP_DID_NOT_FINISH",
        cause: "a step that was ended from outside",
        ours: true,
        fix: "deploy again; the host's journal tells what ended it",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "STEP_HAD_NO_EFFECT",
        cause: "a step without its effect",
        fix: "read the last lines of the step's output, mend what they name, then deploy again",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "STEP_KEEPS_FAILING",
        cause: "a step that never succeeds",
        fix: "read the last lines of the step's output, mend what they name, then deploy again",
        ..ENDED_SYMPTOM
    },
    Row {
        code: "HOST_DID_NOT_ANSWER",
        cause: "a host that could not be asked",
        shown_by: "a check, now or in the last deployment",
        fix: "look at `journalctl -u chatalot-agent`",
        ..TOLD_SYMPTOM
    },
];
