/// How many cases a test with many of them takes: `few` by default, `many` where `DR_TEST_CASES`
/// is `ci`, ten times as many where it is `full`.
///
/// # Panics
/// When the variable has another value.
pub fn cases(few: usize, many: usize) -> usize {
    match std::env::var("DR_TEST_CASES").as_deref() {
        Err(_) | Ok("" | "few") => few,
        Ok("ci") => many,
        Ok("full") => many * 10,
        Ok(other) => panic!("DR_TEST_CASES is `{other}`; it may be few, ci or full"),
    }
}
