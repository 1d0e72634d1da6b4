//! Charts as inline SVG. States differ by pattern and by word, and not only by colour.

use jiff::{SignedDuration, Timestamp};

use super::markup::{Html, element, literal, shape, text};
use crate::report::chart::{Chart, Direction, Lane, Span, State};
use crate::report::words::{duration, running, time_of_day};

const WIDTH: f64 = 920.0;
const GUTTER: f64 = 190.0;
const RIGHT: f64 = 14.0;
const HEAD: f64 = 40.0;
const ROW: f64 = 38.0;
const BAR: f64 = 20.0;
/// Of a letter of the charts' font.
const LETTER: f64 = 6.6;
const MOST_TICKS: i64 = 8;

/// The patterns, once a page: every chart refers to them.
pub(super) fn patterns() -> Html {
    literal(include_str!("patterns.svg"))
}

/// Every state with its name.
pub(super) fn legend() -> Html {
    let states = [State::Running, State::Stopping, State::Down, State::Starting, State::Ready, State::NotReady];
    let items = states.map(|state| {
        let swatch = shape("rect", &[("class", class(state)), ("width", "26"), ("height", "14"), ("rx", "2")]);
        let swatch = element("svg", &[("class", "swatch"), ("viewBox", "0 0 26 14"), ("aria-hidden", "true")], swatch);
        element("li", &[], [swatch, text(word(state))])
    });
    let band = shape("rect", &[("class", "band"), ("width", "26"), ("height", "14")]);
    let band = element("svg", &[("class", "swatch"), ("viewBox", "0 0 26 14"), ("aria-hidden", "true")], band);
    let items = items.into_iter().chain([element("li", &[], [band, text("the host is rebooting")])]);
    element("ul", &[("class", "legend")], items.collect::<Html>())
}

fn word(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Stopping => "stopping",
        State::Down => "down",
        State::Starting => "starting",
        State::Ready => "ready",
        State::NotReady => "not ready",
    }
}

fn class(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Stopping => "stopping",
        State::Down => "down",
        State::Starting => "starting",
        State::Ready => "ready",
        State::NotReady => "broken",
    }
}

/// Where things are in one chart.
struct Plan<'a> {
    chart: &'a Chart,
}

impl Plan<'_> {
    fn x(&self, at: Timestamp) -> f64 {
        let whole = self.chart.until.duration_since(self.chart.from).as_secs_f64();
        let part = at.duration_since(self.chart.from).as_secs_f64() / whole;
        GUTTER + part.clamp(0.0, 1.0) * (WIDTH - GUTTER - RIGHT)
    }

    fn y(row: usize) -> f64 {
        // A chart has a few hundred lanes at most.
        HEAD + ROW * f64::from(u32::try_from(row).unwrap_or(u32::MAX)) + ROW / 2.0
    }

    fn height(&self) -> f64 {
        Self::y(self.chart.lanes.len()) - ROW / 2.0 + 4.0
    }
}

pub(super) fn draw(chart: &Chart) -> Html {
    let plan = Plan { chart };
    let height = format!("0 0 {WIDTH} {:.0}", plan.height());
    let lanes = chart.lanes.iter().enumerate();
    let content: Html = [ticks(&plan), band(&plan)]
        .into_iter()
        .chain(lanes.map(|(row, lane)| draw_lane(&plan, row, lane)))
        .chain([edges(&plan)])
        .collect();
    let label = format!("{}: {}", chart.title, spoken(chart));
    element("svg", &[("class", "chart"), ("viewBox", &height), ("role", "img"), ("aria-label", &label)], content)
}

/// The chart for who does not see it.
fn spoken(chart: &Chart) -> String {
    let lane = |lane: &Lane| {
        let spans =
            lane.spans.iter().map(|span| format!("{} from {}", word(span.state), time_of_day(span.from, &chart.zone)));
        format!("{} {}", lane.name, spans.collect::<Vec<_>>().join(", "))
    };
    chart.lanes.iter().map(lane).collect::<Vec<_>>().join("; ")
}

fn number(value: f64) -> String {
    format!("{value:.1}")
}

fn label(class: &str, x: f64, y: f64, content: &str) -> Html {
    element("text", &[("class", class), ("x", &number(x)), ("y", &number(y))], text(content))
}

fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Html {
    let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(number);
    shape("line", &[("class", class), ("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)])
}

fn rect(class: &str, x: (f64, f64), y: (f64, f64)) -> [String; 5] {
    [class.to_owned(), number(x.0), number(y.0), number(x.1 - x.0), number(y.1 - y.0)]
}

fn draw_rect([class, x, y, width, height]: &[String; 5], title: &str) -> Html {
    let attributes = [("class", class.as_str()), ("x", x), ("y", y), ("width", width), ("height", height), ("rx", "2")];
    element("rect", &attributes, element("title", &[], text(title)))
}

fn ticks(plan: &Plan<'_>) -> Html {
    let chart = plan.chart;
    let step = tick(chart.until.duration_since(chart.zero));
    let bottom = plan.height();
    let mut marks = Vec::new();
    let mut at = chart.zero;
    while at <= chart.until {
        let x = plan.x(at);
        let offset = at.duration_since(chart.zero);
        let said = if offset.is_zero() { time_of_day(at, &chart.zone) } else { format!("+{}", mark(offset)) };
        marks.push(line("grid", (x, HEAD - 6.0), (x, bottom)));
        marks.push(label("tick", x, HEAD - 12.0, &said));
        match at.checked_add(step) {
            Ok(next) => at = next,
            Err(_) => break,
        }
    }
    marks.into_iter().collect()
}

/// Round figures need no tenths.
fn mark(offset: SignedDuration) -> String {
    if offset.subsec_nanos() == 0 { running(offset) } else { duration(offset) }
}

/// The distance between two marks of the axis: a round one, that gives few marks.
fn tick(span: SignedDuration) -> SignedDuration {
    let millis = [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000];
    let longer = [1, 2, 5, 10, 15, 30, 60, 120, 240, 480].map(|minutes| minutes * 60_000);
    let steps = millis.into_iter().chain(longer).map(SignedDuration::from_millis);
    let fits = |step: &SignedDuration| span.as_millis() / step.as_millis().max(1) < i128::from(MOST_TICKS);
    steps.into_iter().find(fits).unwrap_or(span / i32::try_from(MOST_TICKS).unwrap_or(1))
}

fn band(plan: &Plan<'_>) -> Html {
    let Some((requested, noticed)) = plan.chart.reboot.filter(|_| plan.chart.direction != Direction::Down) else {
        return Html::default();
    };
    let x = (plan.x(requested), plan.x(noticed));
    let said = format!("rebooting, {}", duration(noticed.duration_since(requested)));
    let shown = draw_rect(&rect("band", x, (HEAD - 6.0, plan.height())), &said);
    shown_with(
        shown,
        fitting(&said, "rebooting", x.1 - x.0).map(|said| label("mid", f64::midpoint(x.0, x.1), 12.0, &said)),
    )
}

fn shown_with(shape: Html, label: Option<Html>) -> Html {
    [shape].into_iter().chain(label).collect()
}

/// The longest of two texts that has room; none if neither has.
fn fitting(long: &str, short: &str, room: f64) -> Option<String> {
    let fits = |text: &&str| f64::from(u32::try_from(text.chars().count()).unwrap_or(u32::MAX)) * LETTER + 6.0 <= room;
    [long, short].into_iter().find(fits).map(str::to_owned)
}

fn draw_lane(plan: &Plan<'_>, row: usize, lane: &Lane) -> Html {
    let y = Plan::y(row);
    let shown = fitting(&lane.name, "", GUTTER - 8.0).filter(|name| !name.is_empty());
    let shown = shown.unwrap_or_else(|| lane.name.chars().take(26).chain(['…']).collect());
    let name = element(
        "text",
        &[("class", "name"), ("x", "0"), ("y", &number(y + 4.0))],
        [text(shown), element("title", &[], text(&lane.name))],
    );
    let base = line("grid", (GUTTER, y + ROW / 2.0), (WIDTH - RIGHT, y + ROW / 2.0));
    let spans = lane.spans.iter().filter(|span| span.until > plan.chart.from && span.from < plan.chart.until);
    let bars = spans.map(|span| draw_span(plan, y, span));
    [name, base].into_iter().chain(bars).collect()
}

fn draw_span(plan: &Plan<'_>, y: f64, span: &Span) -> Html {
    // What was too short to be seen is shown all the same.
    let (from, until) = (plan.x(span.from), plan.x(span.until).max(plan.x(span.from) + 2.0));
    let took = duration(span.until.duration_since(span.from));
    let said = format!("{} {took}", word(span.state));
    let zone = &plan.chart.zone;
    let title = format!("{said}, {} to {}", time_of_day(span.from, zone), time_of_day(span.until, zone));
    let bar = draw_rect(&rect(class(span.state), (from, until), (y - BAR / 2.0, y + BAR / 2.0)), &title);
    // How long it ran before and after depends on the picture's border.
    let (long, short) = match span.state {
        State::Running | State::Ready => (word(span.state), word(span.state)),
        _ => (said.as_str(), took.as_str()),
    };
    shown_with(
        bar,
        fitting(long, short, until - from).map(|said| label("mid", f64::midpoint(from, until), y + 4.0, &said)),
    )
}

/// From who was waited for to who waited: an arrow that leads back in time is an order that was not kept.
fn edges(plan: &Plan<'_>) -> Html {
    let chart = plan.chart;
    let mut arrows = Vec::new();
    for (row, lane) in chart.lanes.iter().enumerate() {
        for needed in &lane.after {
            let Some(other) = chart.lanes.get(*needed) else { continue };
            let ends = match chart.direction {
                Direction::Whole => None,
                Direction::Up => {
                    let ready = other.first(State::Ready).map(|span| span.from);
                    ready.and_then(|ready| Some((*needed, row, (ready, awaited(lane, ready)?))))
                }
                Direction::Down => {
                    let stopped = lane.first(State::Down).map(|span| span.from);
                    stopped.zip(other.first(State::Stopping).map(|span| span.from)).map(|ends| (row, *needed, ends))
                }
            };
            arrows.extend(ends.map(|(from, to, (done, began))| arrow(plan, (from, done), (to, began))));
        }
    }
    arrows.into_iter().collect()
}

/// What became of a lane that needed another, which was ready at this instant: its start; or its readiness, where it
/// started earlier and waited by itself, or did not wait.
fn awaited(lane: &Lane, ready: Timestamp) -> Option<Timestamp> {
    let start = lane.first(State::Starting).or(lane.first(State::NotReady))?.from;
    match lane.first(State::Ready) {
        Some(own) if start < ready => Some(own.from),
        _ => Some(start),
    }
}

fn arrow(plan: &Plan<'_>, from: (usize, Timestamp), to: (usize, Timestamp)) -> Html {
    let kept = from.1 <= to.1;
    let (x1, x2) = (plan.x(from.1), plan.x(to.1));
    let down = if from.0 < to.0 { 1.0 } else { -1.0 };
    let (y1, y2) = (Plan::y(from.0) + down * BAR / 2.0, Plan::y(to.0) - down * BAR / 2.0);
    let middle = y2 - down * 9.0;
    let path = format!("M{x1:.1},{y1:.1} V{middle:.1} H{x2:.1} V{:.1}", y2 - down * 4.0);
    let tip = format!("M{:.1},{:.1} h8 l-4,{:.1} z", x2 - 4.0, y2 - down * 5.0, down * 5.0);
    let class = if kept { "edge" } else { "edge early" };
    let tip_class = if kept { "tip" } else { "tip early" };
    [shape("path", &[("class", class), ("d", &path)]), shape("path", &[("class", tip_class), ("d", &tip)])].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_has_few_and_round_marks() {
        for (seconds, wanted) in
            [(0.7, "0.1 s"), (1.5, "0.2 s"), (36.9, "5 s"), (100.0, "15 s"), (1_500.0, "5 min"), (20_000.0, "1 h")]
        {
            let span = SignedDuration::try_from_secs_f64(seconds).unwrap();
            assert_eq!(mark(tick(span)), wanted, "{seconds}");
        }
        assert!(!tick(SignedDuration::from_hours(1_000)).is_zero());
    }

    #[test]
    fn an_arrow_ends_where_the_wait_ended() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let lane = |started, ready| Lane {
            name: "api.service".into(),
            spans: [(State::Down, 0, started), (State::Starting, started, ready), (State::Ready, ready, 20)]
                .map(|(state, from, until)| Span { state, from: at(from), until: at(until) })
                .to_vec(),
            after: vec![0],
        };
        // Started when the other was ready at 5; started before and waited; ready before it.
        for (started, ready, end) in [(6, 7, 6), (2, 7, 7), (2, 3, 3)] {
            assert_eq!(awaited(&lane(started, ready), at(5)), Some(at(end)), "{started} {ready}");
        }
    }

    #[test]
    fn a_text_without_room_is_left_out() {
        assert_eq!(fitting("starting 1.2 s", "1.2 s", 200.0).as_deref(), Some("starting 1.2 s"));
        assert_eq!(fitting("starting 1.2 s", "1.2 s", 50.0).as_deref(), Some("1.2 s"));
        assert_eq!(fitting("starting 1.2 s", "1.2 s", 10.0), None);
    }
}
