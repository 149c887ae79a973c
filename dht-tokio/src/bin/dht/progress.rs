//! How a command shows that it is at work: by a bar, by a line, or not at all.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::say;

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Bars that move.
    Bars,
    /// A line per step, for files and pipes.
    Lines,
    /// Nothing.
    Quiet,
}

impl Mode {
    /// What suits standard error: `terminal` tells whether it is one, `term` its kind (`TERM`).
    pub(crate) fn choose(quiet: bool, terminal: bool, term: Option<&str>) -> Self {
        match term {
            _ if quiet => Self::Quiet,
            Some("dumb") => Self::Lines,
            _ if terminal => Self::Bars,
            _ => Self::Lines,
        }
    }

    /// Begins a step of `total` parts.
    pub(crate) fn begin(self, what: &str, total: usize) -> Progress {
        match self {
            Self::Bars => {
                let target = ProgressDrawTarget::stderr();
                let bar = ProgressBar::with_draw_target(u64::try_from(total).ok(), target);
                let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                bar.set_message(what.to_owned());
                return Progress(Some(bar));
            }
            Self::Lines => say(format_args!("{what} …")),
            Self::Quiet => {}
        }
        Progress(None)
    }
}

/// A step under way. Its bar goes when this does.
#[derive(Debug)]
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// The number of parts that are done.
    pub(crate) fn at(&self, done: usize) {
        if let Some(bar) = &self.0 {
            bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_for_terminals() {
        let cases = [
            // quiet, terminal, TERM: mode
            (false, true, Some("xterm"), Mode::Bars),
            (false, true, None, Mode::Bars),
            (false, true, Some("dumb"), Mode::Lines),
            (false, false, Some("xterm"), Mode::Lines),
            (false, false, None, Mode::Lines),
            (true, true, Some("xterm"), Mode::Quiet),
            (true, false, Some("dumb"), Mode::Quiet),
        ];
        for (quiet, terminal, term, mode) in cases {
            assert_eq!(Mode::choose(quiet, terminal, term), mode, "{quiet} {terminal} {term:?}");
        }
    }
}
