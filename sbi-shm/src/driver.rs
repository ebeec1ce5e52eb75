//! A thread that drives a stack whose streams are watched by foreign event loops.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::connection::Waiter;
use crate::stack::Handle;
use crate::state::State;

/// Starts the thread, once a stack. It ends with the stack.
pub(crate) fn start(stack: &Arc<Handle>) -> io::Result<()> {
    if stack.shared.own_driver.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let shared = stack.shared.clone();
    let run = move || {
        let stopped = |state: &mut State| state.stopped.then_some(());
        shared.block(None, stopped, |_, _: Waiter| {});
    };
    std::thread::Builder::new().name("sbi-shm-driver".into()).spawn(run)?;
    Ok(())
}
