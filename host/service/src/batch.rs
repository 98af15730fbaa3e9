//! Many entries in one request.

use axum::extract::{Request, State};
use dataknobs_kv_core::store::{Action, MAX_ITEMS};
use dataknobs_kv_core::wire::{Batch, Committed, GetMany, Include, ItemResult, Keys, Results, Transaction};
use dataknobs_kv_core::{Error, Projection, Result};

use crate::app::Shared;
use crate::conditions::Conditions;
use crate::headers::json;
use crate::path::Target;
use crate::problem::Reply;

pub(crate) async fn get_many(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let Target { namespace, .. } = Target::of(&parts)?;
    let GetMany { keys, include } = app.request(&parts, body, None).await?;
    let with_value = match include.unwrap_or(Include(Projection::Value)).0 {
        Projection::Value => true,
        Projection::Attributes => false,
        Projection::Key => return Err(Error::InvalidArgument("include: metadata or value".into()).into()),
    };
    let answers = app.read(app.store.get_many(&namespace, &keys, with_value)).await?;
    let remaining = keys.len().saturating_sub(answers.len()) as u64;
    let results = keys.into_iter().zip(answers).map(|(key, answer)| ItemResult::of_get(key, answer)).collect();
    Ok(json(&Results { results, remaining: Some(remaining) })?)
}

pub(crate) async fn set_many(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let Target { namespace, .. } = Target::of(&parts)?;
    Conditions::refuse(&parts.headers)?;
    let Batch { items } = app.request(&parts, body, None).await?;
    if items.len() > MAX_ITEMS {
        return Err(Error::too_large("items", MAX_ITEMS as u64, items.len() as u64).into());
    }
    let mut good = Vec::with_capacity(items.len());
    let mut read = Vec::with_capacity(items.len());
    for item in &items {
        let (key, item) = Batch::read(item);
        read.push((key, item.map(|item| good.push(item))));
    }
    let mut answers = app.write(app.store.set_many(&namespace, good)).await?.into_iter();
    let mut answer = || answers.next().unwrap_or_else(|| Err(Error::Internal("an answer is missing".into())));
    let results = read.into_iter().map(|(key, item)| ItemResult::of_set(key, item.and_then(|()| answer()))).collect();
    Ok(json(&Results { results, remaining: None })?)
}

pub(crate) async fn delete_many(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let Target { namespace, .. } = Target::of(&parts)?;
    Conditions::refuse(&parts.headers)?;
    let Keys { keys } = app.request(&parts, body, None).await?;
    let answers = app.write(app.store.delete_many(&namespace, &keys)).await?;
    let results = keys.into_iter().zip(answers).map(|(key, answer)| ItemResult::of_delete(key, answer)).collect();
    Ok(json(&Results { results, remaining: None })?)
}

pub(crate) async fn transact(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let Target { namespace, .. } = Target::of(&parts)?;
    Conditions::refuse(&parts.headers)?;
    let (checks, actions) = app.request::<Transaction>(&parts, body, None).await?.into_parts()?;
    let checked: Vec<String> = checks.iter().map(|check| check.key.clone()).collect();
    let acted: Vec<String> = actions
        .iter()
        .map(|action| match action {
            Action::Set(item) => item.key.clone(),
            Action::Delete(key) => key.clone(),
        })
        .collect();
    let result = app.write(app.store.transact(&namespace, checks, actions)).await?;
    let name = |in_checks, index: usize| -> String {
        let keys = if in_checks { &checked } else { &acted };
        keys.get(index).cloned().unwrap_or_default()
    };
    let answer: Result<Committed> = Committed::new(result, name);
    Ok(json(&answer?)?)
}
