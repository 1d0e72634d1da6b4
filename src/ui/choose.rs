//! Chooses the view, once.

use std::io::{stderr, stdout};

use jiff::Timestamp;

use super::bars::{Bars, Screen};
use super::{JsonLines, Lines, NotifySocket, Style, Systemd, View};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always: somebody said so.
    Always,
    /// Never: somebody said so.
    Never,
}

/// What the choice depends on. Gathered by the command line, so that the choice itself looks at nothing.
#[derive(Debug, Clone, Copy)]
pub struct ViewInputs {
    /// `--json`.
    pub json: bool,
    /// `--color`.
    pub color: ColorChoice,
    /// Whether `NO_COLOR` is set to anything but nothing.
    pub no_color: bool,
    /// Whether stderr is a terminal.
    pub stderr_is_terminal: bool,
    /// Columns of that terminal, where it told.
    pub columns: Option<u16>,
    /// Whether `TERM` is `dumb`, empty or not set.
    pub dumb: bool,
    /// Whether stderr goes to the journal (`JOURNAL_STREAM`) or a service manager waits for us (`NOTIFY_SOCKET`).
    pub under_systemd: bool,
    /// Whether the locale is UTF-8.
    pub utf8: bool,
    /// The clock, for the seconds that tick between two events.
    pub clock: fn() -> Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewKind {
    /// Each event as a line of JSON on stdout.
    Json,
    /// Finished steps as lines, and the current one as a bar.
    Bars,
    /// Lines for the journal, and `STATUS=`.
    Systemd,
    /// A line for each event, with the elapsed time.
    Lines,
}

/// Columns below which a bar has no room for its words.
const BAR_COLUMNS: u16 = 60;

/// Which view the inputs ask for.
pub fn kind(inputs: &ViewInputs) -> ViewKind {
    // Somebody asked for data: then nothing that we guess from the surroundings matters.
    if inputs.json {
        return ViewKind::Json;
    }
    // A terminal comes before systemd: a shell may well have inherited the variables of the service that it is a
    // child of, and a person is looking.
    if inputs.stderr_is_terminal {
        // A dumb terminal cannot move its cursor, and a narrow one leaves no room beside the step's name. One that
        // does not tell its width is taken to be wide enough.
        let has_room = inputs.columns.is_none_or(|columns| columns >= BAR_COLUMNS);
        return if inputs.dumb || !has_room { ViewKind::Lines } else { ViewKind::Bars };
    }
    if inputs.under_systemd { ViewKind::Systemd } else { ViewKind::Lines }
}

/// Colours and marks for what goes to a stream that is, or is not, a terminal.
pub fn style(inputs: &ViewInputs, is_terminal: bool) -> Style {
    let color = match inputs.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => is_terminal && !inputs.no_color && !inputs.dumb,
    };
    let columns = inputs.columns.map_or(Style::COLUMNS, usize::from);
    // A report is read in columns of text: wider than this, the eye loses the line.
    Style { color, unicode: inputs.utf8, width: columns.clamp(40, 100) }
}

/// The view that the inputs ask for.
pub fn choose(inputs: &ViewInputs) -> Box<dyn View> {
    let style = style(inputs, inputs.stderr_is_terminal);
    match kind(inputs) {
        ViewKind::Json => Box::new(JsonLines::new(stdout())),
        ViewKind::Bars => Box::new(Bars::new(Screen::stderr(), style, inputs.clock)),
        ViewKind::Systemd => Box::new(Systemd::new(stderr(), NotifySocket)),
        ViewKind::Lines => Box::new(Lines::new(stderr(), style)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPE: ViewInputs = ViewInputs {
        json: false,
        color: ColorChoice::Auto,
        no_color: false,
        stderr_is_terminal: false,
        columns: None,
        dumb: false,
        under_systemd: false,
        utf8: true,
        clock: Timestamp::now,
    };
    const TERMINAL: ViewInputs = ViewInputs { stderr_is_terminal: true, columns: Some(120), ..PIPE };

    #[test]
    fn the_view_follows_from_the_inputs() {
        for (inputs, wanted, why) in [
            (PIPE, ViewKind::Lines, "a pipe"),
            (TERMINAL, ViewKind::Bars, "a terminal"),
            (ViewInputs { columns: Some(60), ..TERMINAL }, ViewKind::Bars, "just wide enough"),
            (ViewInputs { columns: Some(59), ..TERMINAL }, ViewKind::Lines, "too narrow"),
            (ViewInputs { columns: None, ..TERMINAL }, ViewKind::Bars, "width not told"),
            (ViewInputs { dumb: true, ..TERMINAL }, ViewKind::Lines, "cannot move its cursor"),
            (ViewInputs { under_systemd: true, ..PIPE }, ViewKind::Systemd, "a service"),
            (ViewInputs { under_systemd: true, ..TERMINAL }, ViewKind::Bars, "inherited variables, but a person looks"),
            (ViewInputs { json: true, ..TERMINAL }, ViewKind::Json, "asked for"),
            (ViewInputs { json: true, under_systemd: true, ..PIPE }, ViewKind::Json, "asked for, in a service"),
        ] {
            assert_eq!(kind(&inputs), wanted, "{why}");
        }
    }

    #[test]
    fn colour_is_for_terminals_unless_somebody_said_otherwise() {
        for (inputs, is_terminal, wanted) in [
            (TERMINAL, true, true),
            (TERMINAL, false, false),
            (ViewInputs { no_color: true, ..TERMINAL }, true, false),
            (ViewInputs { dumb: true, ..TERMINAL }, true, false),
            (ViewInputs { color: ColorChoice::Never, ..TERMINAL }, true, false),
            (ViewInputs { color: ColorChoice::Always, ..PIPE }, false, true),
            (ViewInputs { color: ColorChoice::Always, no_color: true, ..TERMINAL }, true, true),
        ] {
            assert_eq!(style(&inputs, is_terminal).color, wanted, "{inputs:?}");
        }
    }

    #[test]
    fn a_report_is_neither_squeezed_nor_stretched() {
        assert_eq!(style(&PIPE, false).width, 80);
        assert_eq!(style(&ViewInputs { columns: Some(10), ..TERMINAL }, true).width, 40);
        assert_eq!(style(&ViewInputs { columns: Some(300), ..TERMINAL }, true).width, 100);
    }
}
