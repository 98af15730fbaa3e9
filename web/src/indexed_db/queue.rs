//! Calls of one tick share one transaction, and each gets its own answer.
//!
//! Whoever writes or reads puts an [`Op`] into the queue; what is there when the browser has run all that is ready to run
//! goes into one transaction (`write.rs`). If that fails each is tried by itself, so that nobody fails for what another
//! one wanted. A transaction that did not complete was undone, so trying again is safe.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use dataknobs_kv_core::storage::{Change, Mutation, Outcome};
use dataknobs_kv_core::{Error, Projection, Result, State, Timestamp, Version};
use futures::channel::{mpsc, oneshot};
use wasm_bindgen_futures::spawn_local;

use super::failure::Failure;
use super::link::Link;
use super::write;

/// One call.
pub(super) struct Op {
    pub(super) namespace: String,
    pub(super) now: Timestamp,
    pub(super) call: Call,
    answer: oneshot::Sender<Result<Answer>>,
}

pub(super) enum Call {
    Write {
        mutations: Vec<Mutation>,
        atomic: bool,
        on_conflict: Projection,
    },
    /// Whoever waits for the answer decides.
    Update {
        key: String,
        want: Projection,
        questions: mpsc::UnboundedSender<Question>,
    },
    Read {
        keys: Vec<String>,
        with_value: bool,
    },
}

/// What is there, and where the decision goes.
pub(super) struct Question {
    pub(super) state: Option<State>,
    pub(super) decision: oneshot::Sender<Result<Option<Change>>>,
}

pub(super) enum Answer {
    Written(Vec<Result<Outcome>>),
    Updated(Result<Option<Version>>),
    Read(Vec<Result<Option<State>>>),
}

/// Told of the namespace and keys that a transaction has changed, and for each whether it is there now.
pub(super) type Observer = Box<dyn Fn(&[(String, String, bool)])>;

pub(super) struct Queue {
    pub(super) link: Link,
    waiting: RefCell<Vec<Op>>,
    pub(super) observer: RefCell<Option<Observer>>,
    /// For tasks that outlive a call.
    this: Weak<Queue>,
}

impl Queue {
    pub(super) fn new(link: Link) -> Rc<Self> {
        Rc::new_cyclic(|this| Queue {
            link,
            waiting: RefCell::default(),
            observer: RefCell::default(),
            this: this.clone(),
        })
    }

    /// Puts a call into the queue: what will be its answer.
    pub(super) fn push(&self, namespace: &str, now: Timestamp, call: Call) -> oneshot::Receiver<Result<Answer>> {
        let (answer, receiver) = oneshot::channel();
        let mut waiting = self.waiting.borrow_mut();
        waiting.push(Op { namespace: namespace.to_owned(), now, call, answer });
        // The first one sees to it that all go: behind whatever is ready to run now, and would come along.
        if let (1, Some(this)) = (waiting.len(), self.this.upgrade()) {
            spawn_local(async move {
                let ops = std::mem::take(&mut *this.waiting.borrow_mut());
                this.run(ops).await;
            });
        }
        receiver
    }

    /// Tells of what a transaction has changed.
    pub(super) fn tell(&self, changed: &[(String, String, bool)]) {
        if let (Some(observer), false) = (&*self.observer.borrow(), changed.is_empty()) {
            observer(changed);
        }
    }

    async fn run(&self, ops: Vec<Op>) {
        if ops.is_empty() {
            return;
        }
        match self.attempt(&ops).await {
            Ok(answers) => {
                for (op, answer) in ops.into_iter().zip(answers) {
                    // Nobody may be waiting any longer.
                    let _ = op.answer.send(Ok(answer));
                }
            }
            Err(failure) if ops.len() == 1 => {
                for op in ops {
                    let _ = op.answer.send(Err(self.link.error(&failure)));
                }
            }
            Err(_) => {
                for op in ops {
                    let answer = match self.attempt(std::slice::from_ref(&op)).await {
                        Ok(answers) => answers.into_iter().next().ok_or_else(|| Error::Internal("no answer".into())),
                        Err(failure) => Err(self.link.error(&failure)),
                    };
                    let _ = op.answer.send(answer);
                }
            }
        }
    }

    /// In one transaction; in a second one where the connection was lost under the first.
    async fn attempt(&self, ops: &[Op]) -> Result<Vec<Answer>, Failure> {
        match write::transaction(self, ops).await {
            Err(failure) if failure.connection_lost() => {
                self.link.forget();
                write::transaction(self, ops).await
            }
            done => done,
        }
    }
}
