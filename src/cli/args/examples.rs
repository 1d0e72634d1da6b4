//! Calls, and what each does: for the help and the man pages.

use clap::CommandFactory as _;

use super::Args;
use crate::exit_code;

/// Calls, and what each does. The help of a verb and its man page show those of that verb.
pub(in crate::cli) const EXAMPLES: [(&str, &str); 25] = [
    ("patchday init", "find what runs, and write a configuration"),
    ("patchday init --stdout", "show it first"),
    ("patchday config check", "is the configuration valid?"),
    ("patchday config show --changed", "what the files set, and which line does"),
    ("patchday config show upgrade", "every key of a table, with its value"),
    ("patchday plan", "what a run would do, and what stands in its way"),
    ("patchday plan --fetch", "the same, and fetch it for a later run --only-planned"),
    ("patchday checks", "what is asked before a run begins"),
    ("patchday run", "patch, reboot, verify"),
    ("patchday run --no-reboot", "patch, bring the services back, reboot another day"),
    ("patchday doctor mongod.service", "why this MongoDB does not start"),
    ("patchday attach", "follow the run that is at work"),
    ("patchday attach --last", "show how the last run went, from its beginning"),
    ("patchday status", "where the run stands"),
    ("patchday report --format markdown", "the report of the last run, as a post-mortem"),
    ("patchday report --format html --output report.html", "the same, as a page with pictures"),
    ("patchday history", "all runs, with their verdicts"),
    ("patchday notify --test", "send a test message over every channel"),
    ("patchday verify", "is the host as it was before the last run?"),
    ("patchday resume", "go on with a run that was interrupted"),
    ("patchday abort", "end the run, and bring the services back"),
    ("patchday windows", "when a run may begin next"),
    ("patchday hold --until 12h --reason \"a demo\"", "keep runs from beginning"),
    ("patchday release", "let runs begin again"),
    ("patchday limits --cpu 80%", "give the run at work more of the machine, now"),
];

/// How wide the calls are in the help of the program.
const CALLS: usize = 34;

/// The command line, with examples in the help of each verb, and every exit code in that of the program.
pub(in crate::cli) fn command() -> clap::Command {
    let command = with_examples(Args::command(), "patchday");
    let lines: Vec<String> = EXAMPLES.iter().filter(|(call, _)| call.len() < CALLS).map(example).collect();
    let codes = exit_code::ALL.map(|(code, meaning)| format!("  {code:>3}  {meaning}"));
    command.after_help(format!("Examples:\n{}\n\nExit codes:\n{}", lines.join("\n"), codes.join("\n")))
}

/// The verb, and those below it, each with its own examples.
fn with_examples(mut verb: clap::Command, call: &str) -> clap::Command {
    let below: Vec<String> = verb.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    for name in below {
        verb = verb.mut_subcommand(&name, |below| with_examples(below, &format!("{call} {name}")));
    }
    let shown: Vec<String> = EXAMPLES.iter().filter(|(example, _)| is_call_of(example, call)).map(example).collect();
    if shown.is_empty() { verb } else { verb.after_help(format!("Examples:\n{}", shown.join("\n"))) }
}

fn example((call, about): &(&str, &str)) -> String {
    format!("  {call:<CALLS$}{}{about}", if call.len() < CALLS { "" } else { "  " })
}

/// Whether an example is one of a verb.
pub(in crate::cli) fn is_call_of(example: &str, verb: &str) -> bool {
    example.strip_prefix(verb).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}
