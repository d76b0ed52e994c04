use serde_json::Value;

use crate::CallError;

/// Longest script: systems limit the length of one argument.
const LONGEST: usize = 120 * 1024;

/// The interpreter of a script that names none.
#[must_use]
pub fn default_interpreter() -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-eu".to_owned()]
}

/// The argv that runs `script`: it follows the interpreter's option for a program text, which is
/// `-e` for perl, ruby, node, lua and osascript, `-r` for php, else `-c`, unless the interpreter
/// already ends with one of these.
///
/// # Errors
/// A permanent `bad_input` for an empty interpreter or a script that is too long.
pub fn script_argv(interpreter: &[String], script: &str) -> Result<Vec<String>, CallError> {
    let Some(program) = interpreter.first() else {
        return Err(CallError::permanent("bad_input", "`interpreter` is empty"));
    };
    if script.len() > LONGEST {
        return Err(CallError::permanent(
            "bad_input",
            format!("`script` is longer than {} KiB", LONGEST / 1024),
        )
        .with_help("put it into a file there and call the file"));
    }
    let name = program.rsplit('/').next().unwrap_or(program);
    let option = match name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') {
        "perl" | "ruby" | "node" | "nodejs" | "lua" | "osascript" => "-e",
        "php" => "-r",
        _ => "-c",
    };
    let mut argv = interpreter.to_vec();
    let given = interpreter.len() > 1
        && interpreter.last().is_some_and(|last| ["-c", "-e", "-r"].contains(&last.as_str()));
    if !given {
        argv.push(option.to_owned());
    }
    argv.push(script.to_owned());
    Ok(argv)
}

/// Refuses an input whose `fields` refer to secrets: what they hold is seen by everybody who lists
/// the processes.
///
/// # Errors
/// A permanent `secret_in_argv`.
pub fn refuse_secrets(input: &Value, fields: &[&str]) -> Result<(), CallError> {
    for field in fields {
        if input.get(field).is_some_and(holds_secret) {
            return Err(CallError::permanent(
                "secret_in_argv",
                format!("`{field}` holds a secret, which the list of processes would show"),
            )
            .with_help("hand it over in `env` or `stdin`"));
        }
    }
    Ok(())
}

fn holds_secret(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_secret),
        Value::Object(map) => map.contains_key("$secret") || map.values().any(holds_secret),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scripts_follow_their_interpreter() {
        for (interpreter, argv) in [
            (&["/bin/sh", "-eu"][..], &["/bin/sh", "-eu", "-c", "x"][..]),
            (&["python3.11"], &["python3.11", "-c", "x"]),
            (&["perl", "-w"], &["perl", "-w", "-e", "x"]),
            (&["psql", "-c"], &["psql", "-c", "x"]),
        ] {
            let interpreter: Vec<String> = interpreter.iter().map(|w| (*w).to_owned()).collect();
            assert_eq!(script_argv(&interpreter, "x").unwrap(), argv);
        }
        assert_eq!(script_argv(&[], "x").unwrap_err().code, "bad_input");
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(script_argv(&default_interpreter(), &long).unwrap_err().code, "bad_input");
    }

    #[test]
    fn secrets_are_kept_out_of_argv() {
        let input = json!({"argv": ["a", {"$text": ["b", {"$secret": "pw"}]}], "env": {"A": {"$text": [{"$secret": "pw"}]}}});
        assert_eq!(refuse_secrets(&input, &["argv"]).unwrap_err().code, "secret_in_argv");
        assert!(refuse_secrets(&input, &["script", "cwd"]).is_ok());
    }
}
