//! Placeholder.
use super::Step;

/// The chapter.
pub(super) const STEPS: &[&dyn Step] = &[];

/// The handover.
pub async fn handover(
    _cx: &super::super::Cx<'_>,
) -> Result<chatalot_protocol::handover::Handover, super::super::StepError> {
    Err(super::super::StepError::Probe("handover.report"))
}
