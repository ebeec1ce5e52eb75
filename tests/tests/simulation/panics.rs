//! tokio keeps a task's panic to itself; a simulation must not.

use std::cell::Cell;
use std::sync::Once;

thread_local! {
    static SEEN: Cell<u32> = const { Cell::new(0) };
}

/// From now on panics of this thread are counted, from zero.
pub fn count_in_this_thread() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            SEEN.set(SEEN.get() + 1);
            report(panic);
        }));
    });
    SEEN.set(0);
}

/// Panics of this thread.
pub fn seen() -> u32 {
    SEEN.get()
}
