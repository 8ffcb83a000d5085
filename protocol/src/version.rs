//! One integer a protocol step; both sides say the range they speak.

/// The oldest version that this build speaks.
pub const OLDEST: u32 = 1;
/// The newest; a build that is ahead speaks one more.
pub const NEWEST: u32 = if cfg!(chatalot_ahead) { 2 } else { 1 };

/// The newest version that both sides speak, if there is one.
pub fn common(ours: (u32, u32), theirs: (u32, u32)) -> Option<u32> {
    let newest = ours.1.min(theirs.1);
    (newest >= ours.0.max(theirs.0)).then_some(newest)
}

#[cfg(test)]
mod tests {
    use super::common;

    #[test]
    fn the_newest_common_version_is_spoken_or_none() {
        assert_eq!(common((1, 3), (2, 5)), Some(3));
        assert_eq!(common((4, 5), (1, 3)), None);
        assert_eq!(common((1, 1), (1, 1)), Some(1));
        assert_eq!(common((1, 3), (5, 2)), None);
    }

    #[test]
    fn whoever_is_one_or_two_versions_behind_is_spoken_to_in_its_own() {
        for behind in [1, 2] {
            assert_eq!(common((1, 1 + behind), (1, 1)), Some(1));
            assert_eq!(common((1, 1), (1, 1 + behind)), Some(1));
        }
    }
}
