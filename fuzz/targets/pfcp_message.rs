//! libFuzzer's way into [`tern_fuzz::pfcp_message`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tern_fuzz::pfcp_message::run(data);
});
