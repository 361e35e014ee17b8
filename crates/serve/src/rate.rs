//! Rate limit per client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Instant;

/// A token bucket per client, with a capacity of one second.
pub(super) struct Rate {
    a_second: f64,
    clients: Mutex<HashMap<IpAddr, Bucket>>,
}

struct Bucket {
    requests: f64,
    at: Instant,
}

/// Maximum number of stored clients. Beyond it, clients with full buckets are removed, or all if there are none.
const MAX_CLIENTS: usize = 10_000;

impl Rate {
    pub fn new(a_second: u32) -> Self {
        Rate { a_second: a_second.into(), clients: Mutex::new(HashMap::new()) }
    }

    /// Counts a request; or returns the seconds until it is allowed.
    pub fn count(&self, client: IpAddr, now: Instant) -> Result<(), u64> {
        let mut clients = self.clients.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if clients.len() >= MAX_CLIENTS && !clients.contains_key(&client) {
            clients.retain(|_, bucket| self.filled(bucket, now) < self.a_second);
            if clients.len() >= MAX_CLIENTS {
                clients.clear();
            }
        }
        let bucket = clients.entry(client).or_insert(Bucket { requests: self.a_second, at: now });
        bucket.requests = self.filled(bucket, now);
        bucket.at = now;
        if bucket.requests >= 1. {
            bucket.requests -= 1.;
            Ok(())
        } else {
            Err(((1. - bucket.requests) / self.a_second).ceil() as u64)
        }
    }

    fn filled(&self, bucket: &Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.requests + since * self.a_second).min(self.a_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_client_has_so_many_requests_a_second_and_another_one_its_own() {
        let rate = Rate::new(2);
        let (now, [a, b]) = (Instant::now(), [1, 2].map(|last| IpAddr::from([10, 0, 0, last])));
        let found: Vec<_> = (0..4).map(|_| rate.count(a, now)).collect();
        assert_eq!(found, [Ok(()), Ok(()), Err(1), Err(1)]);
        assert_eq!(rate.count(b, now), Ok(()));
        let later = now + Duration::from_millis(500);
        assert_eq!((rate.count(a, later), rate.count(a, later)), (Ok(()), Err(1)));
    }

    #[test]
    fn the_memory_for_clients_is_bounded() {
        let rate = Rate::new(1);
        let begin = Instant::now();
        for number in 0..3 * MAX_CLIENTS as u32 {
            let now = begin + Duration::from_millis(u64::from(number));
            let _ = rate.count(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(rate.clients.lock().unwrap().len() <= MAX_CLIENTS);
    }
}
