//! Placeholder.
use super::Step;

/// The chapter.
pub(super) const STEPS: &[&dyn Step] = &[];
