//! What runs a call: its future, looked at again by whoever has an answer for it, at once.
//!
//! Not by wasm-bindgen-futures, which looks again in a microtask of its own: there a transaction of the browser's may wait
//! for what the call decides, and each such step costs a get as much as reading its entry does.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use dataknobs_kv_core::Result;
use wasm_bindgen::prelude::*;

use crate::convert::thrown;
use crate::places::Places;

#[wasm_bindgen(module = "/src/border.js")]
extern "C" {
    /// A promise for the task of this number.
    fn promised(task: u32) -> JsValue;
    /// A promise that has failed.
    fn rejected(error: &JsValue) -> JsValue;
    /// What comes of it.
    fn settle(task: u32, good: bool, value: &JsValue);
}

type Work = Pin<Box<dyn Future<Output = Result<JsValue>>>>;

struct Task {
    /// None while it runs.
    work: Option<Work>,
    /// Woken while it runs: to be looked at once more.
    again: bool,
    waker: Waker,
}

thread_local! {
    static TASKS: RefCell<Places<Task>> = const { RefCell::new(Places::new()) };
}

struct Bell(u32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if let Some(result) = run(self.0) {
            let (good, value) = match result {
                Ok(value) => (true, value),
                Err(error) => (false, thrown(&error)),
            };
            settle(self.0, good, &value);
        }
    }
}

/// What the call comes to, or a promise of it.
pub(crate) fn start(work: Work) -> JsValue {
    let number = TASKS.with_borrow_mut(|tasks| {
        tasks.put(|number| Task { work: Some(work), again: false, waker: Waker::from(Arc::new(Bell(number))) })
    });
    match run(number) {
        Some(Ok(value)) => value,
        Some(Err(error)) => rejected(&thrown(&error)),
        None => promised(number),
    }
}

/// Goes on with it: what came of it, if it has ended.
fn run(number: u32) -> Option<Result<JsValue>> {
    loop {
        let (mut work, waker) = TASKS.with_borrow_mut(|tasks| {
            let task = tasks.get(number)?;
            task.again = task.work.is_none();
            Some((task.work.take()?, task.waker.clone()))
        })?;
        // Whatever this calls may wake it, or start others.
        let polled = work.as_mut().poll(&mut Context::from_waker(&waker));
        let again = TASKS.with_borrow_mut(|tasks| {
            if polled.is_ready() {
                tasks.release(number);
                return Some(false);
            }
            let task = tasks.get(number)?;
            task.work = Some(work);
            Some(task.again)
        })?;
        match polled {
            Poll::Ready(result) => return Some(result),
            Poll::Pending if !again => return None,
            Poll::Pending => {}
        }
    }
}
