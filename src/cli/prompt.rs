//! What a person types without anybody seeing it.

use std::io;

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use super::out::Out;
use crate::plan::secret_input;

/// Longest line that is taken, in bytes.
const LONGEST: usize = 64 * 1024;

/// Asks for the value of a secret at the terminal.
pub(super) fn type_secret(name: &str, out: &Out) -> Result<Zeroizing<String>, String> {
    let input = secret_input(name);
    if !Out::is_attended() {
        let nobody = "has nobody at a terminal to type it";
        return Err(match input {
            Some(input) => format!("{nobody}: name a file that holds it, `--input {input}=@FILE`"),
            None => format!(
                "{nobody}: set a variable or a file as a further source of it, or start the run at \
                 a terminal"
            ),
        });
    }
    let what = input.map_or_else(|| format!("Secret `{name}`"), |input| format!("Input `{input}`"));
    let line = unseen(|| out.ask(&format!("{what} (nothing is shown while you type): ")));
    out.remark("\n");
    line
}

/// A line from the terminal, which shows nothing of it from before it is asked for.
fn unseen(ask: impl FnOnce()) -> Result<Zeroizing<String>, String> {
    let terminal = io::stdin();
    let broken = |error: &dyn std::fmt::Display| format!("cannot be read: {error}");
    let before = tcgetattr(&terminal).map_err(|error| broken(&error))?;
    let mut quiet = before.clone();
    // Keys that end programs are read as well: the terminal must not stay mute behind them.
    quiet.local_modes &= !(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
    quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(&terminal, OptionalActions::Flush, &quiet).map_err(|error| broken(&error))?;
    let _restored = Restored(before);
    ask();
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = [0_u8];
    loop {
        let read = rustix::io::retry_on_intr(|| rustix::io::read(&terminal, &mut byte));
        match read.map_err(|error| broken(&error))? {
            0 => break,
            _ => match byte[0] {
                b'\r' | b'\n' => break,
                // Ctrl-C, Ctrl-D and Ctrl-\
                3 | 4 | 28 => return Err("was not typed".to_owned()),
                // Backspace, by either name: a character may have several bytes.
                8 | 127 => while line.pop().is_some_and(|last| last & 0xc0 == 0x80) {},
                // Ctrl-U
                21 => line.clear(),
                _ if line.len() == LONGEST => return Err("is longer than 64 KiB".to_owned()),
                other => line.push(other),
            },
        }
    }
    match std::str::from_utf8(&line) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err("is not UTF-8 text".to_owned()),
    }
}

struct Restored(Termios);

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
