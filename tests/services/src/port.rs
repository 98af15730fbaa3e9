//! Free ports.
//!
//! They are looked for below the range from which systems give ports to outgoing connections: a server that was killed
//! shall find its own free when it comes back.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use crate::Result;

/// So that the port 10,000 above, on which a node of a Redis cluster talks to the others, is below that range too.
const RANGE: Range<u16> = 12_000..22_000;

/// How far above its own port a Redis node listens for the others.
pub(crate) const BUS: u16 = 10_000;

/// Ports that nobody listened on a moment ago.
pub(crate) fn free(count: usize) -> Result<Vec<u16>> {
    let length = RANGE.end - RANGE.start;
    let begin = u16::try_from(random() % u64::from(length)).unwrap_or(0);
    let mut found = Vec::with_capacity(count);
    for step in 0..length {
        if found.len() == count {
            break;
        }
        let port = RANGE.start + (u32::from(begin) + u32::from(step)).rem_euclid(u32::from(length)) as u16;
        if is_free(port) && is_free(port + BUS) {
            found.push(port);
        }
    }
    if found.len() == count { Ok(found) } else { Err(format!("no {count} free ports in {RANGE:?}")) }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Unlike from call to call and process to process; no secret.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_different() {
        let ports = free(20).expect("ports");
        let listeners: Vec<_> = ports.iter().map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port))).collect();
        assert!(listeners.iter().all(Result::is_ok));
        assert!(!is_free(ports[0]));
    }
}
