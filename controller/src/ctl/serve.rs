//! `chatalotctl serve`

use crate::config::Config;
use crate::serve::{Controller, ServeError};
use crate::{chain, logging};
use std::process::ExitCode;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Serves until SIGTERM or SIGINT.
pub(super) fn run(config: Config) -> ExitCode {
    logging::start();
    let ended = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| chain(&error))
        .and_then(|runtime| {
            let ended = runtime.block_on(serve(config)).map_err(|error| chain(&error));
            // Whatever still reads or writes a file may end by itself.
            runtime.shutdown_background();
            ended
        });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!(error:% = error; "the controller cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> Result<(), ServeError> {
    let controller = Controller::start(config).await?;
    controller.run(told_to_stop()).await;
    Ok(())
}

async fn told_to_stop() {
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    match (terminate, interrupt) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            log::error!(error:% = error; "signals are not heard; only SIGKILL ends this");
            std::future::pending::<()>().await;
        }
    }
}
