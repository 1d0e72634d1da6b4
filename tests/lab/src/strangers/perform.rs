//! Makes situations, some at a time.

use super::outcome::Outcome;
use super::scene::Scene;
use super::situation::Situation;
use crate::image::Image;
use crate::lab::Lab;
use crate::machine::Machine;
use crate::process::last_lines;
use anyhow::Result;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// What is installed on the machines, and how many there are at a time.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'a> {
    /// The Patchday program.
    pub patchday: &'a Path,
    /// The directory with its unit files.
    pub systemd: &'a Path,
    /// How many machines work at a time.
    pub jobs: usize,
}

/// Makes these situations of one topic, and tells of each as it ends.
pub fn perform(
    stage: Stage<'_>,
    topic: &str,
    situations: Vec<Situation>,
    told: &(dyn Fn(&Outcome) + Sync),
) -> Vec<Outcome> {
    let mut groups: VecDeque<Vec<(usize, Situation)>> = VecDeque::new();
    for (number, situation) in situations.into_iter().enumerate() {
        let fits = |group: &&mut Vec<(usize, Situation)>| group.iter().any(|(_, other)| share(other, &situation));
        match groups.iter_mut().find(fits) {
            Some(group) => group.push((number, situation)),
            None => groups.push_back(vec![(number, situation)]),
        }
    }
    let groups = Mutex::new(groups);
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..stage.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let Some(group) = groups.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { return };
                    one_after_the_other(stage, topic, &group, &|number, outcome| {
                        told(&outcome);
                        outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((number, outcome));
                    });
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Whether two situations can be made on one machine.
fn share(one: &Situation, other: &Situation) -> bool {
    one.shares.is_some() && (one.shares, one.suite, &one.image) == (other.shares, other.suite, &other.image)
}

fn one_after_the_other(stage: Stage<'_>, topic: &str, group: &[(usize, Situation)], ended: &dyn Fn(usize, Outcome)) {
    let mut machine: Option<Machine> = None;
    for (place, (number, situation)) in group.iter().enumerate() {
        let began = Instant::now();
        let mut outcome = Outcome {
            name: situation.name.clone(),
            said: String::new(),
            text: String::new(),
            host: String::new(),
            report: None,
            wrong: None,
            took: began.elapsed(),
        };
        let there = match machine.take() {
            Some(machine) => Ok(machine),
            None => a_machine(stage, &format!("strangers-{topic}-{number}"), situation),
        };
        match there.and_then(|machine| Ok((on(&machine, situation, &mut outcome)?, machine))) {
            Ok((true, still)) if place + 1 < group.len() => machine = Some(still),
            Ok(_) => {}
            Err(error) => outcome.wrong = Some(format!("{error:#}")),
        }
        outcome.took = began.elapsed();
        ended(*number, outcome);
    }
}

fn a_machine(stage: Stage<'_>, name: &str, situation: &Situation) -> Result<Machine> {
    let lab = Lab::new()?;
    let mut image = Image::ensure(&lab, situation.suite)?;
    if !situation.image.is_empty() {
        image = image.with(&lab, &situation.image)?;
    }
    let machine = lab.booted_machine_of(&image, name)?;
    machine.install(stage.patchday, stage.systemd)?;
    Ok(machine)
}

/// Makes one situation, and says whether the machine can be used for another.
fn on(machine: &Machine, situation: &Situation, outcome: &mut Outcome) -> Result<bool> {
    let scene = Scene::set(machine, situation)?;
    let acted = (situation.act)(&scene);
    let served = if situation.ends_otherwise || acted.is_err() { Ok(()) } else { scene.serves() };
    outcome.host = scene.afterwards();
    outcome.report = scene.report.take();
    if let Some(said) = &*scene.last.borrow() {
        outcome.text.clone_from(&said.text);
        outcome.said = format!("{}: {}", said.exit(), said.headline);
    }
    if let Err(error) = acted.and(served) {
        outcome.wrong = Some(format!("{error:#}\n-- journal --\n{}\n--", last_lines(&machine.journal(), 40)));
        return Ok(false);
    }
    // What cannot be put back costs a boot, and no more.
    Ok(situation.shares.is_some() && scene.take_back().is_ok())
}
