use super::objects::{Kind, Oid};
use super::{GitError, Repository};

/// Symbolic references that point to each other end here.
const DEPTH: u32 = 10;

impl Repository {
    /// The commit that a name means: a branch, a tag, `HEAD`, a hash or a unique beginning of one,
    /// each with `~N` and `^N` behind it.
    ///
    /// # Errors
    /// [`GitError::Revision`], [`GitError::Object`].
    pub fn commit(&self, revision: &str) -> Result<Oid, GitError> {
        let unknown = || GitError::Revision(revision.to_owned());
        let end = revision.find(['~', '^']).unwrap_or(revision.len());
        let (name, mut steps) = revision.split_at(end);
        let name = if name == "@" { "HEAD" } else { name };
        let found = self.named(name).or_else(|| self.objects.complete(name)).ok_or_else(unknown)?;
        let mut commit = self.peel(found)?.ok_or_else(unknown)?;
        while let Some(sign) = steps.chars().next() {
            let digits = steps[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(steps.len() - 1);
            let (number, rest) = steps[1..].split_at(digits);
            let number: usize =
                if number.is_empty() { 1 } else { number.parse().map_err(|_| unknown())? };
            steps = rest;
            match sign {
                '~' => {
                    for _ in 0..number {
                        commit = self.parents(&commit)?.into_iter().next().ok_or_else(unknown)?;
                    }
                }
                '^' if number == 0 => {}
                '^' => {
                    let parents = self.parents(&commit)?;
                    commit = parents.into_iter().nth(number - 1).ok_or_else(unknown)?;
                }
                _ => return Err(unknown()),
            }
        }
        Ok(commit)
    }

    /// What a reference of this name points to, in git's order of places.
    fn named(&self, name: &str) -> Option<Oid> {
        let safe = !name.is_empty()
            && !name.starts_with('/')
            && !name.split('/').any(|part| part.is_empty() || part == "." || part == "..");
        if !safe {
            return None;
        }
        let places = [
            name.to_owned(),
            format!("refs/{name}"),
            format!("refs/tags/{name}"),
            format!("refs/heads/{name}"),
            format!("refs/remotes/{name}"),
            format!("refs/remotes/{name}/HEAD"),
        ];
        places.iter().find_map(|place| self.reference(place, DEPTH))
    }

    fn reference(&self, place: &str, depth: u32) -> Option<Oid> {
        let loose = [&self.own, &self.common]
            .into_iter()
            .find_map(|folder| std::fs::read_to_string(folder.join(place)).ok());
        let Some(text) = loose else { return self.packed(place) };
        // `FETCH_HEAD` has more behind the hash.
        let line = text.lines().next().unwrap_or_default();
        match line.strip_prefix("ref:") {
            Some(target) if depth > 0 => self.reference(target.trim(), depth - 1),
            Some(_) => None,
            None => Oid::parse(line.split_whitespace().next()?),
        }
    }

    fn packed(&self, place: &str) -> Option<Oid> {
        let text = std::fs::read_to_string(self.common.join("packed-refs")).ok()?;
        text.lines().find_map(|line| {
            let (oid, name) = line.split_once(' ')?;
            if name == place { Oid::parse(oid) } else { None }
        })
    }

    /// The commit behind a tag; none if something else is behind it.
    fn peel(&self, mut oid: Oid) -> Result<Option<Oid>, GitError> {
        for _ in 0..DEPTH {
            let (kind, content) = self.objects.read(&oid)?;
            match kind {
                Kind::Commit => return Ok(Some(oid)),
                Kind::Tag => match headers(&content, "object ").into_iter().next() {
                    Some(target) => oid = target,
                    None => return Ok(None),
                },
                Kind::Tree | Kind::Blob => return Ok(None),
            }
        }
        Ok(None)
    }

    fn parents(&self, commit: &Oid) -> Result<Vec<Oid>, GitError> {
        let (_, content) = self.objects.read(commit)?;
        Ok(headers(&content, "parent "))
    }
}

/// Hashes of the header lines that begin with `key`.
fn headers(content: &[u8], key: &str) -> Vec<Oid> {
    let text = String::from_utf8_lossy(content);
    let head = text.lines().take_while(|line| !line.is_empty());
    head.filter_map(|line| Oid::parse(line.strip_prefix(key)?)).collect()
}
