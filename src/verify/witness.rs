//! Sees services become ready who is there before they start: asks each from the moment it is active, often at first,
//! until it has said that it is ready, and writes down between which moments that was.
//!
//! A service that is asked and has not answered has not said that it is ready: so a question that is open counts as a look
//! at each tick. Nobody is asked before its unit is active, and all together no more than a budget of questions.

use std::collections::BTreeSet;

use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::{SignedDuration, Timestamp};

use super::pace::Pace;
use crate::config::ServiceSettings;
use crate::host::{Clock, HostResult, Prober, System, UnitChanges, Units, Witness};
use crate::model::{Readiness, ReadinessProbe, Sighting, UnitName, UnitState, UnitSurvey};

/// An open question is looked at this often.
const TICK: SignedDuration = SignedDuration::from_millis(5);
/// All units are looked at besides, since signals get lost: so often at first, and less often later.
const SURVEY_EVERY: SignedDuration = SignedDuration::from_millis(500);
const LONGEST_SURVEY: SignedDuration = SignedDuration::from_secs(10);
/// Questions that are open at the same time.
const AT_ONCE: usize = 16;

/// What a witness needs.
pub struct Witnessing<'a> {
    pub units: &'a dyn Units,
    pub prober: &'a dyn Prober,
    pub system: &'a dyn System,
    pub witness: &'a dyn Witness,
    pub clock: &'a dyn Clock,
    pub services: &'a [ServiceSettings],
    /// So long it stays at most.
    pub patience: SignedDuration,
}

/// What came back of a question.
enum Answer {
    Units(HostResult<UnitSurvey>),
    State(usize, HostResult<Box<UnitState>>),
    Listens(Question, HostResult<bool>),
    Said(Question, Readiness),
}

/// A question to a service.
#[derive(Debug, Clone, Copy)]
struct Question {
    of: usize,
    /// Which start of it is asked.
    start: u32,
    asked_usec: u64,
}

type Questions<'a> = FuturesUnordered<BoxFuture<'a, Answer>>;

/// One service, as far as it is known.
struct Asked<'a> {
    service: &'a ServiceSettings,
    /// The start that is asked; none while it is down.
    invocation: Option<String>,
    start: u32,
    pace: Pace,
    next: SignedDuration,
    not_ready_usec: Option<u64>,
    /// Something listens where the server should.
    listens: bool,
    /// Its question is open: ticks that it was still open at, as far as they count and not yet.
    open: Option<(Option<u64>, Option<u64>)>,
    is_looked_at: bool,
    look_again: bool,
    is_done: bool,
}

/// Watches until each service has said that it is ready, or the time is over.
pub async fn witness(with: &Witnessing<'_>, ears: &mut dyn UnitChanges) {
    Watch::new(with).run(ears).await;
}

struct Watch<'a> {
    with: &'a Witnessing<'a>,
    asked: Vec<Asked<'a>>,
    questions: Questions<'a>,
    began: SignedDuration,
    next_survey: SignedDuration,
    is_surveyed: bool,
}

impl<'a> Watch<'a> {
    fn new(with: &'a Witnessing<'a>) -> Self {
        // Where systemd's word is all there is, systemd keeps the moment itself; it is watched for who depends on it.
        let asked = with.services.iter().map(|service| Asked {
            service,
            invocation: None,
            start: 0,
            pace: Pace::of(&service.readiness),
            next: SignedDuration::ZERO,
            not_ready_usec: None,
            listens: false,
            open: None,
            is_looked_at: false,
            look_again: false,
            is_done: false,
        });
        let asked = asked.collect();
        let questions = FuturesUnordered::new();
        let began = with.clock.since_boot();
        Self { with, asked, questions, began, next_survey: began, is_surveyed: false }
    }

    async fn run(mut self, ears: &mut dyn UnitChanges) {
        loop {
            let now = self.with.clock.since_boot();
            if self.asked.iter().all(|one| one.is_done) || now - self.began > self.with.patience {
                return;
            }
            self.ask(now);
            let wait = self.wait(now);
            let before = self.with.system.moment();
            if self.questions.is_empty() {
                let changed = ears.next(wait).await;
                self.look_at(&changed);
                continue;
            }
            let (told, changed) = {
                let next = std::pin::pin!(self.questions.next());
                let heard = std::pin::pin!(ears.next(wait));
                match select(next, heard).await {
                    Either::Left((told, _)) => (told, BTreeSet::new()),
                    Either::Right((changed, _)) => (None, changed),
                }
            };
            match told {
                Some(answer) => self.hear(answer).await,
                None if changed.is_empty() => self.tick(before),
                None => {}
            }
            self.look_at(&changed);
        }
    }

    fn open_questions(&self) -> usize {
        self.asked.iter().filter(|one| one.open.is_some()).count()
    }

    /// Until something is due; a tick at most while a question is open.
    fn wait(&self, now: SignedDuration) -> SignedDuration {
        let open = self.open_questions();
        // What is not asked before another answer is there does not become due by waiting.
        let waiting = self.asked.iter().filter(|one| one.may_be_asked() && open < AT_ONCE).map(|one| one.next);
        let survey = (!self.is_surveyed).then_some(self.next_survey);
        let longest = if open > 0 { TICK } else { SURVEY_EVERY };
        let due = waiting.chain(survey).min().map_or(longest, |due| due - now);
        due.clamp(SignedDuration::from_millis(1), longest)
    }

    /// What was not there when a whole wait began was not there at that moment. It counts from the next tick on: by then
    /// whatever had come has been handed on.
    fn tick(&mut self, wait_began_usec: u64) {
        for open in self.asked.iter_mut().filter_map(|one| one.open.as_mut()) {
            *open = (open.1, Some(wait_began_usec));
        }
    }

    fn look_at(&mut self, changed: &BTreeSet<UnitName>) {
        for at in 0..self.asked.len() {
            if changed.contains(&self.asked[at].service.unit) {
                self.look(at);
            }
        }
    }

    fn look(&mut self, at: usize) {
        let one = &mut self.asked[at];
        if one.is_done {
            return;
        }
        if one.is_looked_at {
            one.look_again = true;
            return;
        }
        one.is_looked_at = true;
        let (units, unit) = (self.with.units, &one.service.unit);
        self.questions.push(Box::pin(async move { Answer::State(at, units.state(unit).await.map(Box::new)) }));
    }

    fn ask(&mut self, now: SignedDuration) {
        if self.next_survey <= now && !self.is_surveyed {
            self.is_surveyed = true;
            let units = self.with.units;
            self.questions.push(Box::pin(async move { Answer::Units(units.survey().await) }));
            self.next_survey = now + ((now - self.began) / 20).clamp(SURVEY_EVERY, LONGEST_SURVEY);
        }
        let mut open = self.open_questions();
        for at in 0..self.asked.len() {
            let one = &mut self.asked[at];
            if open >= AT_ONCE {
                return;
            }
            if !one.may_be_asked() || one.next > now {
                continue;
            }
            open += 1;
            one.open = Some((None, None));
            let question = Question { of: at, start: one.start, asked_usec: self.with.system.moment() };
            let (prober, service) = (self.with.prober, one.service);
            let is_database = matches!(service.readiness, ReadinessProbe::Mongodb(_));
            self.questions.push(if is_database && !one.listens {
                Box::pin(async move { Answer::Listens(question, prober.listens(&service.readiness).await) })
            } else {
                Box::pin(async move {
                    let said = prober.probe(&service.unit, &service.readiness, service.probe_timeout);
                    Answer::Said(question, said.await)
                })
            });
        }
    }

    async fn hear(&mut self, answer: Answer) {
        match answer {
            Answer::Units(survey) => {
                self.is_surveyed = false;
                let active = survey.map(|survey| survey.active).unwrap_or_default();
                for at in 0..self.asked.len() {
                    let one = &self.asked[at];
                    if one.invocation.is_some() != active.contains(&one.service.unit) {
                        self.look(at);
                    }
                }
            }
            Answer::State(at, state) => self.hear_state(at, state),
            Answer::Listens(question, listens) => {
                // Where that cannot be told, the server itself is asked.
                let listens = listens.unwrap_or(true);
                if self.close(question, (!listens).then_some(question.asked_usec)) && listens {
                    self.asked[question.of].listens = true;
                    self.asked[question.of].next = self.with.clock.since_boot();
                    self.turn_to_dependents(question.of);
                }
            }
            Answer::Said(question, said) => self.hear_said(question, &said).await,
        }
    }

    fn hear_state(&mut self, at: usize, state: HostResult<Box<UnitState>>) {
        let now = self.with.clock.since_boot();
        let one = &mut self.asked[at];
        one.is_looked_at = false;
        if let Ok(state) = state {
            let invocation = state.is_up().then_some(state.invocation);
            if invocation != one.invocation {
                // Whatever was seen is of another start.
                (one.not_ready_usec, one.listens) = (None, false);
                one.pace.begin(now);
                one.next = now;
                one.invocation = invocation;
                one.start += 1;
                if one.invocation.is_some() && one.service.readiness == ReadinessProbe::Unit {
                    one.is_done = true;
                    self.turn_to_dependents(at);
                }
            }
        }
        if std::mem::take(&mut self.asked[at].look_again) {
            self.look(at);
        }
    }

    async fn hear_said(&mut self, question: Question, said: &Readiness) {
        let ready_usec = self.with.system.moment();
        let pause = said.ask_again_after();
        let one = &self.asked[question.of];
        // Only who answers with one word and at once has not said it while it was silent: a program takes its time.
        let is_one_word = matches!(one.service.readiness, ReadinessProbe::Http { .. });
        let silent = one.open.and_then(|(silent, _)| silent).filter(|_| is_one_word);
        match said {
            Readiness::Ready(_) => {
                let is_of_this_start = self.close(question, silent);
                let one = &mut self.asked[question.of];
                let Some(invocation) = one.invocation.clone().filter(|_| is_of_this_start) else { return };
                one.is_done = true;
                let since_boot = SignedDuration::from_micros(i64::try_from(ready_usec).unwrap_or_default());
                let seen = Sighting {
                    unit: one.service.unit.clone(),
                    invocation,
                    not_ready_usec: one.not_ready_usec,
                    ready_usec,
                    booted: self.with.clock.wall().checked_sub(since_boot).unwrap_or(Timestamp::UNIX_EPOCH),
                };
                self.turn_to_dependents(question.of);
                // What cannot be written is not known: then the verification has seen it, or nobody has.
                let _ = self.with.witness.note(&seen).await;
            }
            Readiness::NotReady(_) => {
                self.close(question, silent.max(Some(question.asked_usec)));
            }
            Readiness::TooOften(_) => {
                self.close(question, None);
            }
        }
        if let Some(pause) = pause {
            self.asked[question.of].next = self.with.clock.since_boot() + pause;
        }
    }

    /// The question is answered; it was not ready at that moment. False if another start than the one that was asked is at
    /// it by now, of which this tells nothing.
    fn close(&mut self, question: Question, not_ready_usec: Option<u64>) -> bool {
        let now = self.with.clock.since_boot();
        let busy = self.asked.iter().filter(|one| one.may_be_asked() || one.open.is_some()).count();
        let one = &mut self.asked[question.of];
        one.open = None;
        one.next = now + one.pace.pause(now, busy);
        if one.start != question.start {
            return false;
        }
        one.not_ready_usec = one.not_ready_usec.max(not_ready_usec);
        true
    }

    /// At once, so that it is seen whether they were ready before what they depend on.
    fn turn_to_dependents(&mut self, on: usize) {
        let (now, unit) = (self.with.clock.since_boot(), &self.asked[on].service.unit);
        for one in self.asked.iter_mut().filter(|one| one.service.after.contains(unit)) {
            one.pace.turn_to(now);
            one.next = now;
        }
    }
}

impl Asked<'_> {
    fn may_be_asked(&self) -> bool {
        !self.is_done && self.open.is_none() && self.invocation.is_some()
    }
}
