//! libFuzzer's way into [`tern_fuzz::smf_n4`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tern_fuzz::smf_n4::run(data);
});
