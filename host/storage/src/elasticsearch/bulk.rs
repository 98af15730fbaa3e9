//! Writes of documents as requests: one alone, or many in a `_bulk`, each guarded.

use reqwest::Method;
use serde::Deserialize;

use super::client::{Client, Content, Deadline};
use super::failure::{Failure, Refusal, Told, unreadable};
use super::format::Id;
use super::index::Index;
use super::seen::Guard;

/// About how large one request with several operations is at most.
const REQUEST_BYTES: usize = 8 << 20;
/// What we read of a bulk answer; the rest need not be sent.
const ANSWER: &str = "filter_path=items.*.status,items.*._seq_no,items.*._primary_term,items.*.result,items.*.error.type,items.*.error.reason";

/// What is done to a document.
pub(super) enum Op {
    /// Where there is none.
    Create(Vec<u8>),
    /// In the place of this one.
    Index(Guard, Vec<u8>),
    /// Fields of this one.
    Update(Guard, Vec<u8>),
    /// This one; or, without a guard, whatever is there.
    Delete(Option<Guard>),
}

impl Op {
    pub(super) fn body(&self) -> &[u8] {
        match self {
            Op::Create(body) | Op::Index(_, body) | Op::Update(_, body) => body,
            Op::Delete(_) => &[],
        }
    }

    fn guard(&self) -> Option<Guard> {
        match self {
            Op::Create(_) => None,
            Op::Index(guard, _) | Op::Update(guard, _) => Some(*guard),
            Op::Delete(guard) => *guard,
        }
    }

    /// The line before the body's in a `_bulk`.
    fn action(&self, id: &Id) -> String {
        let name = match self {
            Op::Create(_) => "create",
            Op::Index(..) => "index",
            Op::Update(..) => "update",
            Op::Delete(_) => "delete",
        };
        let guard = self.guard().map_or_else(String::new, |guard| {
            format!(r#","if_seq_no":{},"if_primary_term":{}"#, guard.seq_no, guard.primary_term)
        });
        format!(r#"{{"{name}":{{"_id":"{}"{guard}}}}}"#, id.0)
    }
}

/// The document's new state.
pub(super) type Written = Result<Guard, Failure>;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    status: u16,
    #[serde(rename = "_seq_no")]
    seq_no: Option<u64>,
    #[serde(rename = "_primary_term")]
    primary_term: Option<u64>,
    result: Option<String>,
    error: Option<Told>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Item {
    Create(Answer),
    Index(Answer),
    Update(Answer),
    Delete(Answer),
}

#[derive(Deserialize)]
struct Answers {
    items: Vec<Item>,
}

impl Answer {
    fn written(self) -> Written {
        if let Some(error) = self.error {
            return Err(Failure::Refused(Refusal::told(self.status, Some(error))));
        }
        if self.result.as_deref() == Some("not_found") {
            return Err(Failure::Refused(Refusal::not_found()));
        }
        match (self.seq_no, self.primary_term) {
            (Some(seq_no), Some(primary_term)) => Ok(Guard { seq_no, primary_term }),
            _ => Err(unreadable()),
        }
    }
}

/// How long the server waits for a shard that is not there: it shall say so before we give up.
fn patience(deadline: Deadline) -> String {
    let left = deadline.left().unwrap_or_default();
    format!("timeout={}ms", (left * 4 / 5).as_millis().max(1))
}

/// One.
pub(super) async fn send(client: &Client, index: &Index, id: &Id, op: Op, deadline: Deadline) -> Written {
    let (method, place) = match &op {
        Op::Create(_) => (Method::PUT, "_create"),
        Op::Index(..) => (Method::PUT, "_doc"),
        Op::Update(..) => (Method::POST, "_update"),
        Op::Delete(_) => (Method::DELETE, "_doc"),
    };
    let mut path = format!("{}/{place}/{}?{}", index.path, id.0, patience(deadline));
    if let Some(guard) = op.guard() {
        path += &format!("&if_seq_no={}&if_primary_term={}", guard.seq_no, guard.primary_term);
    }
    let content = match op {
        // It never makes an index.
        Op::Delete(_) => Content::Nothing,
        Op::Create(body) | Op::Index(_, body) | Op::Update(_, body) => {
            path += "&require_alias=true";
            Content::Json(body)
        }
    };
    client.ask::<Answer>(method, &path, content, deadline).await?.written()
}

/// Many, in as few requests as their size allows: results in order.
pub(super) async fn send_many(
    client: &Client,
    index: &Index,
    ops: &[(&Id, Op)],
    mut deadline: impl FnMut() -> Deadline,
) -> Vec<Written> {
    let mut written = Vec::with_capacity(ops.len());
    let mut rest = ops;
    // One that the server found too large is halved, and what follows is not made larger again.
    let mut most = usize::MAX;
    while !rest.is_empty() {
        let count = together(rest).min(most);
        let (now, later) = rest.split_at(count.max(1).min(rest.len()));
        match request(client, index, now, deadline()).await {
            Err(Failure::Refused(refusal)) if refusal.is_too_large() && now.len() > 1 => most = now.len() / 2,
            Ok(answers) => {
                written.extend(answers);
                rest = later;
            }
            Err(failure) => {
                written.extend(now.iter().map(|_| Err(failure.clone())));
                rest = later;
            }
        }
    }
    written
}

/// How many fit into one request.
fn together(ops: &[(&Id, Op)]) -> usize {
    let mut bytes: usize = 0;
    let fits = |(_, op): &&(&Id, Op)| {
        bytes = bytes.saturating_add(op.body().len()).saturating_add(100);
        bytes <= REQUEST_BYTES
    };
    ops.iter().take_while(fits).count()
}

async fn request(
    client: &Client,
    index: &Index,
    ops: &[(&Id, Op)],
    deadline: Deadline,
) -> Result<Vec<Written>, Failure> {
    let mut lines = Vec::with_capacity(ops.iter().map(|(_, op)| op.body().len() + 120).sum());
    for (id, op) in ops {
        lines.extend_from_slice(op.action(id).as_bytes());
        lines.push(b'\n');
        if !matches!(op, Op::Delete(_)) {
            lines.extend_from_slice(op.body());
            lines.push(b'\n');
        }
    }
    let path = format!("{}/_bulk?require_alias=true&{}&{ANSWER}", index.path, patience(deadline));
    let answers: Answers = client.ask(Method::POST, &path, Content::Lines(lines), deadline).await?;
    if answers.items.len() != ops.len() {
        return Err(unreadable());
    }
    let written = answers.items.into_iter().map(|item| match item {
        Item::Create(answer) | Item::Index(answer) | Item::Update(answer) | Item::Delete(answer) => answer.written(),
    });
    Ok(written.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_bounded() {
        let id = Id::new("n", "k");
        let ops: Vec<_> =
            [4 << 20, 3 << 20, 2 << 20, 20 << 20, 1].map(|size| (&id, Op::Create(vec![b' '; size]))).into();
        assert_eq!(together(&ops), 2);
        assert_eq!(together(&ops[2..]), 1);
        assert_eq!(together(&ops[3..]), 0, "one that is larger goes alone");
    }

    #[test]
    fn actions() {
        let id = Id("x".into());
        let guard = Guard { seq_no: 5, primary_term: 2 };
        assert_eq!(Op::Create(vec![]).action(&id), r#"{"create":{"_id":"x"}}"#);
        assert_eq!(Op::Delete(Some(guard)).action(&id), r#"{"delete":{"_id":"x","if_seq_no":5,"if_primary_term":2}}"#);
    }
}
