use std::io;
use std::sync::{Arc, Mutex};

use indicatif::{ProgressDrawTarget, TermLike};

use super::now;
use crate::report::{Live, Reporter, Screen};
use crate::view::View;
use crate::view::fixture::{self, plan};

const COLUMNS: usize = 100;

/// As much of a terminal as the drawing needs: lines and a cursor.
#[derive(Debug, Clone, Default)]
struct Terminal(Arc<Mutex<(Vec<String>, usize, usize)>>);

impl Terminal {
    fn text(&self) -> String {
        let state = self.0.lock().expect("not poisoned");
        let lines: Vec<&str> = state.0.iter().map(|line| line.trim_end()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    fn put(&self, text: &str) {
        let mut state = self.0.lock().expect("not poisoned");
        for char in text.chars() {
            match char {
                '\n' => {
                    state.1 += 1;
                    state.2 = 0;
                }
                '\r' => state.2 = 0,
                _ => {
                    // As terminals do: the line is left only when something more is written.
                    if state.2 >= COLUMNS {
                        state.1 += 1;
                        state.2 = 0;
                    }
                    let (row, column) = (state.1, state.2);
                    while state.0.len() <= row {
                        state.0.push(String::new());
                    }
                    let mut line: Vec<char> = state.0[row].chars().collect();
                    while line.len() <= column {
                        line.push(' ');
                    }
                    line[column] = char;
                    state.0[row] = line.into_iter().collect();
                    state.2 += 1;
                }
            }
        }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        COLUMNS as u16
    }

    fn height(&self) -> u16 {
        24
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        let mut state = self.0.lock().expect("not poisoned");
        state.1 = state.1.saturating_sub(n);
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.lock().expect("not poisoned").1 += n;
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.lock().expect("not poisoned").2 += n;
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        let mut state = self.0.lock().expect("not poisoned");
        state.2 = state.2.saturating_sub(n);
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.put(text);
        self.put("\n");
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.put(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        let mut state = self.0.lock().expect("not poisoned");
        let row = state.1;
        if let Some(line) = state.0.get_mut(row) {
            line.clear();
        }
        state.2 = 0;
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_scroll_by_above_the_block_and_the_block_goes_away() {
    let terminal = Terminal::default();
    let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
    let screen = Screen { width: 100, height: 24, ..Screen::plain() };
    let mut live = Live::new(target, screen, || None);
    let mut view = View::new(&plan());
    let records = fixture::failed();
    for record in &records {
        view.apply_record(record);
        live.record(&view, record).expect("drawn");
        live.tick(&view, now(record.event.elapsed_ms)).expect("drawn");
        let shown = terminal.text();
        assert!(shown.lines().last().is_some_and(|line| !line.is_empty()), "{shown}");
        assert_eq!(shown.matches("shop_failover in production, live, ungraceful  ").count(), 1);
    }
    live.end(&view, now(view.elapsed_ms())).expect("drawn");
    insta::assert_snapshot!(terminal.text());
}
