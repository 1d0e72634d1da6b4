//! `patchday windows`.

use std::io::stdout;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::app::{App, json_text};
use super::args::WindowsArgs;
use crate::error::Failure;
use crate::exit_code;
use crate::model::Hold;
use crate::ui;
use crate::ui::windows::WindowsInputs;
use crate::window::Piece;

/// Version of the shape of `patchday windows --json`.
const WINDOWS_FORMAT: u32 = 1;

#[derive(Serialize)]
struct Windows<'a> {
    format: u32,
    /// Without windows the host may always be patched, but in blackouts.
    always: bool,
    hold: Option<&'a Hold>,
    pieces: &'a [Piece],
}

pub(super) fn windows(app: &App, args: &WindowsArgs) -> Result<u8, Failure> {
    let located = app.load_config()?;
    let (now, zone) = (Timestamp::now(), TimeZone::system());
    let hold = app.state.hold()?.filter(|hold| hold.is_in_force(now));
    let always = located.settings.windows.is_empty();
    let pieces = located.settings.schedule(&zone).pieces(now, hold.as_ref(), args.count.into());
    let text = if args.json {
        json_text(&Windows { format: WINDOWS_FORMAT, always, hold: hold.as_ref(), pieces: &pieces })?
    } else {
        let inputs = WindowsInputs { now, zone: &zone, always, hold: hold.as_ref(), pieces: &pieces };
        ui::windows::render(&inputs, &app.stdout_style())
    };
    ui::print_data(&mut stdout(), &text);
    Ok(exit_code::DONE)
}
