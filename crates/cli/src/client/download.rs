//! Bytes of an artifact into a file of one's own.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Client;
use crate::failure::Failure;

/// How long a download may take: the largest artifact over a slow line.
const LIMIT: Duration = Duration::from_hours(2);
/// Bytes read at once.
const BLOCK: usize = 128 << 10;

impl Client {
    /// Saves what is at `path` to a new file `to`, for its owner alone; it must have `size` bytes
    /// and this SHA-256. Otherwise nothing is left there.
    pub(crate) fn download(
        &self,
        path: &str,
        to: &Path,
        (size, sha256): (u64, &str),
    ) -> Result<(), Failure> {
        let request = self.agent.get(self.at(path)).config().timeout_global(Some(LIMIT)).build();
        let mut answer = self.signed(request).call().map_err(|source| self.unasked(source))?;
        if answer.status().as_u16() != 200 {
            return self.read(Ok(answer)).map(drop);
        }
        let local =
            |source| Failure::Local { doing: format!("saving to {}", to.display()), source };
        let mut file =
            File::options().write(true).create_new(true).mode(0o600).open(to).map_err(local)?;
        // One more than it should be, to see when it is too long.
        let body = answer.body_mut().with_config().limit(size + 1).reader();
        let saved = save(body, &mut file).and_then(|(length, hash)| {
            let whole = length == size && hash == sha256;
            whole.then_some(()).ok_or_else(|| {
                io::Error::other("what came is not the artifact; it was removed, try again")
            })
        });
        if saved.is_err() {
            // The error that counts is the first.
            let _ = std::fs::remove_file(to);
        }
        saved.map_err(local)
    }
}

fn save(mut body: impl Read, file: &mut File) -> io::Result<(u64, String)> {
    let (mut hash, mut length, mut block) = (Sha256::new(), 0, vec![0; BLOCK]);
    loop {
        let count = body.read(&mut block)?;
        if count == 0 {
            let digits = hash.finalize();
            let digits = digits.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            let digits = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16));
            return Ok((length, digits.collect()));
        }
        hash.update(&block[..count]);
        file.write_all(&block[..count])?;
        length += count as u64;
    }
}
