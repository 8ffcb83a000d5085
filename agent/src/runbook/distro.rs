//! Every distribution, one row each.

/// A distribution: how its packages are named, asked for and installed.
#[derive(Debug, PartialEq, Eq)]
pub struct Distro {
    /// What people call it: `Debian 13`.
    pub name: &'static str,
    /// `ID` of os-release.
    pub id: &'static str,
    /// The `VERSION_ID`s that this row holds for.
    pub versions: &'static [&'static str],
    /// The engine, compose v2, openssl, git, curl and their like.
    pub packages: &'static [&'static str],
    /// The reverse proxy.
    pub caddy: &'static [&'static str],
    /// The engine's unit.
    pub engine_unit: &'static str,
}

/// The rows.
pub const DISTROS: &[Distro] = &[];

/// The row for a system.
pub fn detect(_system: &crate::host::System) -> Result<&'static Distro, chatalot_protocol::advice::Advice> {
    Err(chatalot_protocol::advice::Advice::new(
        "DISTRO_UNSUPPORTED",
        "-",
        "-",
        "-",
    ))
}
