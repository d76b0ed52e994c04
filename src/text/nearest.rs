/// The one of `candidates` that `name` was most likely meant to be; `None` if nothing is close.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match name.chars().count() {
        0..=2 => 1,
        3..=6 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .filter(|candidate| *candidate != name)
        .filter_map(|candidate| {
            let distance = distance(name, candidate);
            let folded = candidate.eq_ignore_ascii_case(name)
                || candidate.replace('_', "-") == name
                || candidate.replace('_', "") == name;
            (folded || distance <= limit && distance < candidate.len())
                .then_some((if folded { 0 } else { distance }, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// ``did you mean `x`?`` or a list of all there are, short enough to read.
pub(super) fn suggestion<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let mut all: Vec<&str> = candidates.into_iter().collect();
    if let Some(close) = nearest(name, all.iter().copied()) {
        return Some(format!("did you mean `{close}`?"));
    }
    all.sort_unstable();
    all.dedup();
    match all.len() {
        1 => Some(format!("there is only `{}`", all[0])),
        2..=12 => Some(format!("there are `{}`", all.join("`, `"))),
        _ => None,
    }
}

/// Insertions, deletions, substitutions and swaps of neighbours between two short names.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(64).collect();
    let right: Vec<char> = right.chars().take(64).collect();
    let width = right.len() + 1;
    let mut rows = vec![0; (left.len() + 1) * width];
    for (column, cell) in rows.iter_mut().take(width).enumerate() {
        *cell = column;
    }
    for row in 1..=left.len() {
        rows[row * width] = row;
        for column in 1..width {
            let same = left[row - 1] == right[column - 1];
            let mut best = (rows[(row - 1) * width + column] + 1)
                .min(rows[row * width + column - 1] + 1)
                .min(rows[(row - 1) * width + column - 1] + usize::from(!same));
            let swapped = row > 1
                && column > 1
                && left[row - 1] == right[column - 2]
                && left[row - 2] == right[column - 1];
            if swapped {
                best = best.min(rows[(row - 2) * width + column - 2] + 1);
            }
            rows[row * width + column] = best;
        }
    }
    rows[rows.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_is_found_and_a_stranger_is_not() {
        let names = ["values", "inputs", "steps", "outputs", "result", "last_commit"];
        for (written, meant) in [
            ("value", Some("values")),
            ("setps", Some("steps")),
            ("reuslt", Some("result")),
            ("Inputs", Some("inputs")),
            ("last-commit", Some("last_commit")),
            ("lastcommit", Some("last_commit")),
            ("x", None),
            ("", None),
            ("something_else", None),
        ] {
            assert_eq!(nearest(written, names), meant, "{written}");
        }
    }
}
