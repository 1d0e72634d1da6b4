//! The man pages: one for the program, one for each verb, one for the file. All of it is made from the verbs, the keys
//! and the exit codes.

use std::fs;
use std::io;
use std::path::Path;

use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::args::{EXAMPLES, is_call_of};
use crate::config::keys::{KEYS, Key, TABLES, header};
use crate::exit_code;
use crate::report::words;

/// Commands of the administrator.
const SECTION: &str = "8";
const MANUAL: &str = "System administration";

/// What the pages are about besides the program: where it keeps things.
const FILES: [(&str, &str); 9] = [
    ("/etc/patchday/patchday.toml", "The configuration; see patchday.toml(5)."),
    ("/etc/patchday/patchday.toml.d/*.toml", "Its drop-ins, each of which amends what was read before it."),
    ("/var/lib/patchday", "The recorded runs, with their reports and the output of their work."),
    ("/var/cache/patchday", "What `patchday plan --fetch` fetched."),
    ("/run/patchday", "What only counts until the next boot."),
    ("patchday.service", "One unattended run."),
    ("patchday-resume.service", "Goes on with the open run after a reboot. Without it, enabled, a run is refused."),
    ("patchday-witness.service", "Sees the services of a boot become ready, before a run goes on after it."),
    ("patchday.timer", "Starts patchday.service once a month. Disabled, until somebody enables it."),
];

pub(super) const ENVIRONMENT: [(&str, &str); 6] = [
    ("PATCHDAY_CONFIG", "The configuration, like `--config`."),
    ("PATCHDAY_STATE", "Where runs are recorded, like `--state`."),
    ("PATCHDAY_LOG", "What is logged on stderr: `warn` by default; `debug` tells much more."),
    (
        "PATCHDAY_PAGER",
        "The program, with its arguments, that shows what is longer than the screen; none if it is empty.",
    ),
    ("PAGER", "The same, where `PATCHDAY_PAGER` is not set. By default it is less(1)."),
    ("NO_COLOR", "Without colours, if it is set and not empty."),
];

/// Writes all pages below a directory, where `man` looks for them.
pub(super) fn write(command: clap::Command, directory: &Path) -> io::Result<()> {
    for (name, text) in pages(command)? {
        let section = directory.join(format!("man{}", name.rsplit('.').next().unwrap_or(SECTION)));
        fs::create_dir_all(&section)?;
        fs::write(section.join(name), text)?;
    }
    Ok(())
}

/// Names of files and what is in them.
pub(super) fn pages(mut command: clap::Command) -> io::Result<Vec<(String, String)>> {
    command.build();
    let version = format!("patchday {}", env!("CARGO_PKG_VERSION"));
    let mut pages = vec![
        (format!("patchday.{SECTION}"), program(&command, &version)?),
        ("patchday.toml.5".to_owned(), file(&version)),
    ];
    for verb in shown(&command) {
        verb_pages(verb, "patchday", &version, &mut pages)?;
    }
    Ok(pages)
}

/// The verbs below one that everybody may use.
fn shown(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set())
}

/// The page of a verb, and those of the verbs below it.
fn verb_pages(verb: &clap::Command, above: &str, version: &str, pages: &mut Vec<(String, String)>) -> io::Result<()> {
    let call = format!("{above} {}", verb.get_name());
    pages.push((format!("{}.{SECTION}", page_name(&call)), page(verb, &call, version)?));
    shown(verb).try_for_each(|below| verb_pages(below, &call, version, pages))
}

fn page_name(call: &str) -> String {
    call.replace(' ', "-")
}

fn program(command: &clap::Command, version: &str) -> io::Result<String> {
    let man = titled(command.clone(), "patchday", version);
    let mut text = head(&man)?;
    man.render_subcommands_section(&mut text)?;
    let mut roff = Roff::new();
    exit_status(&mut roff);
    described(&mut roff, "FILES", &FILES);
    described(&mut roff, "ENVIRONMENT", &ENVIRONMENT);
    examples(&mut roff, EXAMPLES.iter());
    let verbs = shown(command).map(|verb| (format!("patchday-{}", verb.get_name()), SECTION));
    see_also(&mut roff, [("patchday.toml".to_owned(), "5")].into_iter().chain(verbs));
    finished(text, &roff)
}

fn page(verb: &clap::Command, call: &str, version: &str) -> io::Result<String> {
    // As it is called: clap names a verb after its parent only where it prints it.
    let text = head(&titled(verb.clone().bin_name(call), &page_name(call), version))?;
    let mut roff = Roff::new();
    exit_status(&mut roff);
    examples(&mut roff, EXAMPLES.iter().filter(|(example, _)| is_call_of(example, call)));
    let below = shown(verb).map(|below| (page_name(&format!("{call} {}", below.get_name())), SECTION));
    see_also(&mut roff, [("patchday".to_owned(), SECTION), ("patchday.toml".to_owned(), "5")].into_iter().chain(below));
    finished(text, &roff)
}

fn titled(command: clap::Command, name: &str, version: &str) -> Man {
    Man::new(command).title(name.to_uppercase()).section(SECTION).source(version).manual(MANUAL)
}

/// What every page begins with.
fn head(man: &Man) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    Ok(text)
}

fn finished(mut text: Vec<u8>, roff: &Roff) -> io::Result<String> {
    roff.to_writer(&mut text)?;
    String::from_utf8(text).map_err(io::Error::other)
}

/// The page of the configuration.
fn file(version: &str) -> String {
    let mut roff = Roff::new();
    roff.control("TH", ["PATCHDAY.TOML", "5", "", version, "File formats"]);
    section(&mut roff, "NAME");
    roff.text([roman("patchday.toml - configuration of patchday(8)")]);
    section(&mut roff, "SYNOPSIS");
    roff.text([italic("/etc/patchday/patchday.toml"), roman(", "), italic("/etc/patchday/patchday.toml.d/*.toml")]);
    section(&mut roff, "DESCRIPTION");
    roff.text([roman(
        "A file of TOML, written by patchday-init(8). Every key is optional but those whose default is called required. A \
         key, a word or a unit that is not known is an error: it is shown with its line, and nothing is touched. Root must \
         own the file, and nobody else may write to it.",
    )]);
    roff.control("PP", []);
    roff.text(inlines(
        "Files in `patchday.toml.d` whose names end in `.toml` and do not begin with a dot are drop-ins. They are read \
         after the file, in the order of the bytes of their names. A key in one of them replaces that of an earlier file, \
         and so does a list. An entry of a table in double brackets amends the one of an earlier file that has the same \
         values of the keys by which such entries are told apart, or is added. What all files say together is shown by \
         `patchday config show`.",
    ));
    roff.control("PP", []);
    let lists = TABLES.iter().filter_map(|table| Some(format!("{} by {}", header(table), told_apart_by(table)?)));
    roff.text([roman(format!("Told apart are {}.", lists.collect::<Vec<_>>().join("; ")))]);
    for table in TABLES {
        section(&mut roff, &header(table));
        for key in KEYS.iter().filter(|key| key.table == table) {
            entry(&mut roff, key);
        }
    }
    section(&mut roff, "EXAMPLES");
    roff.text([roman("An API that needs a MongoDB, patched only while a window is open:")]);
    listing(&mut roff, EXAMPLE_FILE);
    see_also(&mut roff, ["patchday", "patchday-init", "patchday-plan"].map(|page| (page.to_owned(), SECTION)));
    roff.to_roff()
}

/// A small file; a test reads it as one.
pub(super) const EXAMPLE_FILE: &str = "\
[[service]]
unit = \"mongod.service\"
kind = \"mongodb\"

[[service]]
unit = \"api.service\"
after = [\"mongod.service\"]

[service.readiness]
probe = \"http\"
url = \"http://127.0.0.1:8080/health\"

[[window]]
calendar = \"Sun *-*-8..14 03:00\"
duration = \"4h\"
";

/// The keys by which entries of a table are told apart.
fn told_apart_by(table: &str) -> Option<String> {
    let keys: Vec<&str> =
        KEYS.iter().filter(|key| key.table == table && key.identifies()).map(|key| key.name).collect();
    (!keys.is_empty()).then(|| words::list(keys))
}

fn entry(roff: &mut Roff, key: &Key) {
    roff.control("TP", []);
    roff.text([bold(key.name)]);
    roff.text(inlines(key.about));
    roff.control("IP", []);
    let default =
        [("Default: ", key.default)].into_iter().chain(key.mongodb_default.map(|text| ("; for mongodb ", text)));
    let default: String = default.map(|(before, text)| format!("{before}{text}")).collect();
    let takes = format!("Takes {}. {default}. Example: `{} = {}`", key.kind.expected(), key.name, key.example);
    roff.text(inlines(&takes));
}

fn section(roff: &mut Roff, title: &str) {
    roff.control("SH", [title]);
}

fn exit_status(roff: &mut Roff) {
    section(roff, "EXIT STATUS");
    for (code, meaning) in exit_code::ALL {
        roff.control("TP", []);
        roff.text([bold(code.to_string())]);
        roff.text([roman(meaning)]);
    }
}

fn described(roff: &mut Roff, title: &str, rows: &[(&str, &str)]) {
    section(roff, title);
    for (name, about) in rows {
        roff.control("TP", []);
        roff.text([bold(*name)]);
        roff.text(inlines(about));
    }
}

fn examples<'e>(roff: &mut Roff, examples: impl Iterator<Item = &'e (&'e str, &'e str)>) {
    let mut examples = examples.peekable();
    if examples.peek().is_some() {
        section(roff, "EXAMPLES");
    }
    for (call, about) in examples {
        roff.control("TP", []);
        roff.text([bold(*call)]);
        roff.text([roman(format!("{}.", capitalised(about)))]);
    }
}

fn listing(roff: &mut Roff, text: &str) {
    roff.control("PP", []);
    roff.control("EX", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("EE", []);
}

fn see_also(roff: &mut Roff, pages: impl IntoIterator<Item = (String, &'static str)>) {
    section(roff, "SEE ALSO");
    let mut line = Vec::new();
    for (page, section) in pages {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.extend([bold(page), roman(format!("({section})"))]);
    }
    roff.text(line);
}

/// What documents set as code is bold here.
fn inlines(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 0 { roman(part) } else { bold(part) }).collect()
}

fn capitalised(text: &str) -> String {
    let mut letters = text.trim_end_matches(['.', '?']).chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
