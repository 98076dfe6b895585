//! Idempotency keys: a mutation that is sent again with its key is carried out once.

use sha2::{Digest, Sha256};

/// The key of a mutation, and what it was sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// SHA-256 of the subject, the mutation and the key, in hexadecimal digits: keys of other subjects and mutations are others.
    pub digest: String,
    /// SHA-256 of the input without the key.
    pub input_digest: String,
}

impl IdempotencyKey {
    pub fn new(subject: &str, mutation: &str, key: &str, input: &str) -> IdempotencyKey {
        IdempotencyKey { digest: digest(&[subject, mutation, key]), input_digest: digest(&[input]) }
    }
}

fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_other_subjects_and_mutations_are_others() {
        let parts = ["a", "b", "c", "ab", ""];
        let mut digests = Vec::new();
        for subject in parts {
            for mutation in parts {
                digests.extend(parts.map(|key| IdempotencyKey::new(subject, mutation, key, "input").digest));
            }
        }
        let count = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }
}
