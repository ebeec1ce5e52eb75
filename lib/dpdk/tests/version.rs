//! Which versions of DPDK the build takes.

#[path = "../version.rs"]
mod version;

#[test]
fn when_dpdk_is_of_another_version_then_the_build_says_which_it_is_and_which_it_takes() {
    for known in ["22.11", "22.11.11", "23.11.0"] {
        version::check(known).expect(known);
    }
    for other in ["22.1", "22.111.1", "21.11.9", "24.11.1", "23.1", "", "22", "122.11"] {
        let error = version::check(other).expect_err(other);
        assert!(error.contains(&format!("DPDK {other} is")) && error.contains("22.11 and 23.11"), "{error}");
    }
}
