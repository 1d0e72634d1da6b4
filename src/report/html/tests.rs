//! The page as a reader and as an attacker sees it. `tests/lab/pictures` shows it in a browser.

use super::*;
use crate::report::sample::Story;
use crate::report::tests::stories;

#[test]
fn every_ending_is_one_page_that_needs_nothing_else() {
    for (name, story) in stories() {
        let report = story.report();
        let page = render(&report);
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"), "{name}");
        for outside in ["http:", "https:", "src=", "href=", "<script", "@import", "url(http", "onload"] {
            assert!(!page.contains(outside), "{name}: {outside}");
        }
        assert!(page.contains(&report.run.to_string()), "{name}");
        for opened in [
            "section", "table", "caption", "tr", "td", "time", "ul", "li", "div", "svg", "text", "figure", "p", "span",
            "details",
        ] {
            let (open, close) = (format!("<{opened}"), format!("</{opened}>"));
            let opens = [">", " "].iter().map(|end| page.matches(&format!("{open}{end}")).count()).sum::<usize>();
            assert_eq!(opens, page.matches(&close).count(), "{name}: {opened}");
        }
    }
}

#[test]
fn every_shade_of_the_page_has_a_pattern_that_is_defined() {
    let page = render(&Story::healthy().report());
    let used: Vec<&str> = page.split("url(#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(used.len() >= 4, "{used:?}");
    for pattern in used {
        assert!(page.contains(&format!("<pattern id=\"{pattern}\"")), "{pattern}");
    }
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print"));
}

#[test]
fn foreign_text_cannot_write_the_page() {
    const EVIL: &str = "</style></td><script>alert(1)</script><img src=x onerror=\"y\">";
    let mut story = Story::healthy();
    story.run.host = EVIL.into();
    story.run.reboot_reasons = vec![EVIL.into()];
    story.run.upgrade.as_mut().unwrap().changes[0].name = EVIL.into();
    for record in &mut story.run.history {
        record.note = Some(EVIL.into());
    }
    for check in &mut story.run.checks {
        if let Some(finding) = &mut check.finding {
            finding.title = EVIL.into();
            finding.evidence.push(EVIL.into());
            finding.journal.push(EVIL.into());
        }
    }
    let page = render(&story.report());
    assert!(page.contains("&lt;script&gt;alert(1)"), "it is told");
    for markup in ["<script", "<img", "</style></td>"] {
        assert!(!page.contains(markup), "{markup}");
    }
}

#[test]
fn the_healthy_page_reads_from_the_verdict_to_the_moments() {
    let page = render(&Story::healthy().report());
    let body = page.split("<main>").nth(1).unwrap();
    let (mut words, mut inside) = (String::new(), false);
    for c in body.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                words.push(' ');
            }
            c if !inside => words.push(c),
            _ => {}
        }
    }
    let lines = words.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    crate::report::sample::snapshots(|| insta::assert_snapshot!("html_healthy", lines.join("\n")));
}
