/// Versions whose ports behave as the shim expects: those of Debian 12 and Ubuntu 24.04.
const VERSIONS: [&str; 2] = ["22.11", "23.11"];

/// Refuses a version of DPDK that the shim was not made for, as pkg-config writes it.
pub(crate) fn check(version: &str) -> Result<(), String> {
    let known = |known: &&str| version == *known || version.starts_with(&format!("{known}."));
    if VERSIONS.iter().any(known) {
        return Ok(());
    }
    let made_for = VERSIONS.join(" and ");
    Err(format!("DPDK {version} is installed; tern is made for DPDK {made_for} (feature `dpdk`)"))
}
