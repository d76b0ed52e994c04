use std::collections::BTreeMap;

/// What comes from each place of a written procedure: `(source, steps)`, the places in the order of
/// the procedure (`R-5.2` before `R-5.10`), the steps of one place in the order given.
pub fn by_source<'a, T: Copy>(
    steps: impl IntoIterator<Item = (&'a [String], T)>,
) -> Vec<(&'a str, Vec<T>)> {
    let mut places: BTreeMap<(Vec<Part<'a>>, &'a str), Vec<T>> = BTreeMap::new();
    for (sources, step) in steps {
        for source in sources {
            places.entry((parts(source), source)).or_default().push(step);
        }
    }
    places.into_iter().map(|((_, source), steps)| (source, steps)).collect()
}

/// A piece of a source: numbers are compared as numbers.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Number(u64),
    Text(&'a str),
}

fn parts(source: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|it: char| it.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        parts.push(part.parse().map_or(Part::Text(part), Part::Number));
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::by_source;

    #[test]
    fn places_are_in_the_order_of_the_procedure() {
        let source = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (first, second, third) =
            (source(&["R-5.10", "R-5.2"]), source(&["R-5.2"]), source(&["appendix", "R-5.c1"]));
        let steps = [(&first[..], "a"), (&second[..], "b"), (&third[..], "c")];
        assert_eq!(
            by_source(steps),
            [
                ("R-5.2", vec!["a", "b"]),
                ("R-5.10", vec!["a"]),
                ("R-5.c1", vec!["c"]),
                ("appendix", vec!["c"]),
            ]
        );
    }
}
