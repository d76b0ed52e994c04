/// What a delta makes of its base; none if it is damaged or makes more than `most` bytes.
pub(super) fn apply(base: &[u8], delta: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut rest = delta;
    if number(&mut rest)? != base.len() {
        return None;
    }
    let size = number(&mut rest)?;
    if size > most {
        return None;
    }
    let mut out = Vec::with_capacity(size);
    while let Some((&code, after)) = rest.split_first() {
        rest = after;
        if code & 0x80 == 0 {
            let length = usize::from(code);
            if length == 0 {
                return None;
            }
            out.extend_from_slice(rest.get(..length)?);
            rest = &rest[length..];
        } else {
            let mut field = |first: u8, bytes: u8| -> Option<usize> {
                let mut value = 0;
                for byte in 0..bytes {
                    if code & first << byte != 0 {
                        let (&next, after) = rest.split_first()?;
                        value |= usize::from(next) << (8 * byte);
                        rest = after;
                    }
                }
                Some(value)
            };
            let offset = field(1, 4)?;
            let length = match field(16, 3)? {
                0 => 0x1_0000,
                length => length,
            };
            out.extend_from_slice(base.get(offset..offset.checked_add(length)?)?);
        }
        if out.len() > size {
            return None;
        }
    }
    (out.len() == size).then_some(out)
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let (mut value, mut shift) = (0_usize, 0);
    loop {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= usize::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::apply;

    #[test]
    fn deltas_copy_and_insert() {
        let base = b"the quick brown fox";
        // Sizes; copy 4 from 0; insert "slow"; copy 10 from 9.
        let delta = [19, 18, 0x91, 0, 4, 4, b's', b'l', b'o', b'w', 0x91, 9, 10];
        assert_eq!(apply(base, &delta, 100).as_deref(), Some(&b"the slow brown fox"[..]));
        for damaged in [&delta[..12], &[1, 1][..], &[19, 1, 0][..], &[19, 4, 0x91, 18, 4][..]] {
            assert_eq!(apply(base, damaged, 100), None, "{damaged:?}");
        }
        assert_eq!(apply(base, &delta, 3), None);
    }

    proptest::proptest! {
        #[test]
        fn nothing_breaks_it(base: Vec<u8>, delta: Vec<u8>) {
            let _ = apply(&base, &delta, 1 << 20);
        }
    }
}
