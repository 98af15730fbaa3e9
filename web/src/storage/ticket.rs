//! Tickets: what JavaScript was asked, and will answer later.
//!
//! A call gets a number along; JavaScript tells of it by [`tell_item`], as often as there are items, and then once by
//! [`tell_end`] or [`tell_failure`]. So an answer costs a call or two, without a promise, and without a function that is
//! made for each.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use dataknobs_kv_core::{Error, Result};
use wasm_bindgen::prelude::*;

use super::item::Item;
use super::unanswered;
use crate::places::Places;

/// All that is told of one call.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) items: Vec<Item>,
    /// Many short texts, joined by line breaks.
    pub(super) text: Option<String>,
    /// Where to go on.
    pub(super) next: Option<String>,
    /// How many.
    pub(super) number: Option<f64>,
}

/// What is known of one ticket.
#[derive(Default)]
struct Asked {
    answer: Answer,
    /// Set once all is told, until somebody takes it.
    end: Option<Result<()>>,
    /// Whether nothing more follows.
    last: bool,
    waker: Option<Waker>,
    /// Whether nobody waits for it any longer.
    given_up: bool,
}

thread_local! {
    static DESK: RefCell<Places<Box<Asked>>> = const { RefCell::new(Places::new()) };
}

/// One call, to be answered.
pub(super) struct Ticket {
    number: u32,
    /// Whether the last word was heard.
    ended: bool,
}

impl Ticket {
    pub(super) fn new() -> Self {
        let number = DESK.with_borrow_mut(|desk| desk.put(|_| Box::default()));
        Ticket { number, ended: false }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Whether nothing follows what was answered.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }
}

/// What is told next: a question, or the end.
impl Future for Ticket {
    type Output = Result<Answer>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        DESK.with_borrow_mut(|desk| match desk.get(self.number) {
            None => Poll::Ready(Err(unanswered())),
            Some(asked) => match asked.end.take() {
                Some(end) => {
                    self.ended = asked.last;
                    Poll::Ready(end.map(|()| std::mem::take(&mut asked.answer)))
                }
                None => {
                    asked.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            },
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        DESK.with_borrow_mut(|desk| match desk.get(self.number) {
            // JavaScript still has the number.
            Some(asked) if !self.ended => asked.given_up = true,
            _ => desk.release(self.number),
        });
    }
}

/// One of the items of an answer, as `item.rs` reads it.
pub(super) fn told_item(number: u32, item: Item, last: bool) {
    DESK.with_borrow_mut(|desk| {
        if let Some(asked) = desk.get(number) {
            asked.answer.items.push(item);
        }
    });
    if last {
        told(number, true, Ok(()), |_| {});
    }
}

fn told(number: u32, last: bool, end: Result<()>, also: impl FnOnce(&mut Answer)) {
    let waker = DESK.with_borrow_mut(|desk| {
        let asked = desk.get(number)?;
        if asked.given_up {
            if last {
                desk.release(number);
            }
            return None;
        }
        also(&mut asked.answer);
        asked.end = Some(end);
        asked.last = last;
        asked.waker.take()
    });
    // Whoever waits may ask again at once.
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// All items were told; `last` unless more is told of this ticket later.
#[wasm_bindgen(js_name = tellEnd)]
pub fn tell_end(ticket: u32, last: bool, text: Option<String>, next: Option<String>, number: Option<f64>) {
    told(ticket, last, Ok(()), |answer| {
        answer.text = text;
        answer.next = next;
        answer.number = number;
    });
}

/// It came to nothing, and nothing of it was applied. `code` is the error's.
#[wasm_bindgen(js_name = tellFailure)]
pub fn tell_failure(ticket: u32, code: &str, message: String) {
    let error = match code {
        "invalid-argument" => Error::InvalidArgument(message),
        "unsupported" => Error::Unsupported(message),
        "access-denied" => Error::AccessDenied(message),
        "unavailable" => Error::Unavailable(message),
        _ => Error::Internal(message),
    };
    told(ticket, true, Err(error), |_| {});
}
