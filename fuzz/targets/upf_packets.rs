//! libFuzzer's way into [`tern_fuzz::upf_packets`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tern_fuzz::upf_packets::run(data);
});
