use std::fmt;
use std::io;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::frame::frame;
use super::lines::screen_line;
use super::{Reporter, Screen, facts};
use crate::event::{Record, Volatile};
use crate::plan::Projection;
use crate::time::Now;
use crate::view::View;

/// How old a projection may be, milliseconds of the run.
const FRESH_MS: u64 = 1_000;
/// So many steps are looked through each [`TICK`]; with more, the block is drawn less often.
const STEPS_A_TICK: usize = 2_000;

/// A terminal that is redrawn: lines of what has happened scroll by above a block that shows
/// where the run stands.
pub struct Live {
    multi: MultiProgress,
    block: ProgressBar,
    screen: Screen,
    size: Box<dyn Fn() -> Option<(usize, usize)> + Send>,
    projection: Option<(u64, u64, Projection)>,
    drawn_ms: Option<u64>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("screen", &self.screen).finish_non_exhaustive()
    }
}

impl Live {
    /// Draws on `target`. `size` gives its columns and lines each time it is drawn, since windows
    /// are resized; without an answer, the size in `screen` holds.
    ///
    /// # Panics
    /// Never: the template is a constant.
    pub fn new(
        target: ProgressDrawTarget,
        screen: Screen,
        size: impl Fn() -> Option<(usize, usize)> + Send + 'static,
    ) -> Self {
        let multi = MultiProgress::with_draw_target(target);
        let style = ProgressStyle::with_template("{msg}").expect("a constant template");
        let block = multi.add(ProgressBar::new_spinner().with_style(style));
        Self { multi, block, screen, size: Box::new(size), projection: None, drawn_ms: None }
    }

    /// Draws on the terminal at standard error.
    #[must_use]
    pub fn stderr(screen: Screen) -> Self {
        Self::new(ProgressDrawTarget::stderr(), screen, || {
            let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
            (size.ws_col > 0 && size.ws_row > 0)
                .then(|| (usize::from(size.ws_col), usize::from(size.ws_row)))
        })
    }

    /// What draws: whoever else writes on the same terminal does so through its `println`.
    #[must_use]
    pub fn progress(&self) -> MultiProgress {
        self.multi.clone()
    }

    fn draw(&mut self, view: &View, now: Now) {
        if let Some((width, height)) = (self.size)() {
            self.screen.width = width;
            self.screen.height = height;
        }
        let seq = view.last_seq();
        let fresh = self.projection.as_ref().is_some_and(|(known, at_ms, _)| {
            *known == seq && now.elapsed_ms.saturating_sub(*at_ms) < FRESH_MS
        });
        if !fresh {
            self.projection = Some((seq, now.elapsed_ms, view.projection(now.elapsed_ms)));
        }
        let Some((_, _, projection)) = &self.projection else { return };
        self.block.set_message(frame(view, projection, now, &self.screen).join("\n"));
    }
}

impl Reporter for Live {
    fn record(&mut self, view: &View, record: &Record) -> io::Result<()> {
        for fact in facts(view, &record.event).iter().filter(|fact| !fact.detail) {
            self.multi.println(screen_line(&self.screen, &record.event, fact))?;
        }
        Ok(())
    }

    fn volatile(&mut self, _: &View, _: Now, _: &Volatile) -> io::Result<()> {
        Ok(())
    }

    fn tick(&mut self, view: &View, now: Now) -> io::Result<()> {
        let pause = TICK.as_millis() as u64 * (view.steps().len() / STEPS_A_TICK) as u64;
        if self.drawn_ms.is_none_or(|drawn| now.elapsed_ms.saturating_sub(drawn) >= pause) {
            self.drawn_ms = Some(now.elapsed_ms);
            self.draw(view, now);
        }
        Ok(())
    }

    fn end(&mut self, view: &View, now: Now) -> io::Result<()> {
        self.draw(view, now);
        // The redraw above may have been held back by the rate limit; what is cleared must be drawn.
        self.block.disable_steady_tick();
        self.block.finish_and_clear();
        self.multi.clear()
    }
}

/// How often [`Reporter::tick`] should be called on a terminal.
pub const TICK: Duration = Duration::from_millis(100);
