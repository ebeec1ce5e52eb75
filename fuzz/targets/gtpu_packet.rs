//! libFuzzer's way into [`tern_fuzz::gtpu_packet`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tern_fuzz::gtpu_packet::run(data);
});
