//! The page around the plots.

use maud::{Markup, PreEscaped, html};

use super::style::STYLE;
use super::svg::{self, NARROW, WIDE};
use super::text_table::TextTable;
use super::{Kind, Plot, Report, Table, Unit, scale};

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let page = html! {
        (PreEscaped("<!doctype html>\n"))
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (text(&report.title)) }
                style { (PreEscaped(STYLE)) }
            }
            body { main {
                (header(report))
                @if !report.notes.is_empty() {
                    ul.notes { @for note in &report.notes { li { (text(note)) } } }
                }
                @if !report.plots.is_empty() {
                    section.plots aria-label="Plots" {
                        @for plot in &report.plots { (figure(plot)) }
                    }
                }
                @for table in &report.tables { (section(table)) }
                footer { "dht-sim " (env!("CARGO_PKG_VERSION")) " · the same seed gives the same run" }
            } }
        }
    };
    page.into_string() + "\n"
}

/// It lets a browser confirm that the page loads and runs nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Text for the page, which escapes it: what HTML has no way to write is replaced.
pub(super) fn text(text: &str) -> String {
    text.replace(|c: char| c.is_control() && !matches!(c, '\n' | '\t'), "\u{fffd}")
}

fn header(report: &Report) -> Markup {
    html! {
        header {
            p.eyebrow { "Simulation · seed " (report.seed) }
            h1 { (text(&report.title)) }
            @if !report.command.is_empty() {
                pre.command tabindex="0" aria-label="The command that runs this again" {
                    // Word by word, so that a line doesn't end within `--loss`.
                    code { @for word in report.command.split(' ') { span { (text(word)) } " " } }
                }
            }
        }
        @if !report.summary.is_empty() {
            dl.summary style={ "--columns: " (columns(report.summary.len())) } {
                @for (what, value) in &report.summary {
                    div { dt { (text(what)) } dd { (text(value)) } }
                }
            }
        }
    }
}

/// The number of columns in which this many figures leave the fewest places empty; if several do, the largest.
fn columns(count: usize) -> usize {
    match count {
        0..=6 => count.max(1),
        _ => (4..=6)
            .min_by_key(|columns| (count.next_multiple_of(*columns), 6 - columns))
            .unwrap_or(4),
    }
}

fn figure(plot: &Plot) -> Markup {
    let (table, left_out) = numbers(plot);
    html! {
        figure {
            h2 { (text(&plot.title)) }
            @if !plot.caption.is_empty() { figcaption { (text(&plot.caption)) } }
            // One for each width: in a single picture that is scaled, text would be too small on a phone.
            @for size in [WIDE, NARROW] { (svg::picture(plot, size)) }
            @if !table.rows.is_empty() {
                details {
                    summary { "The numbers" }
                    @if left_out { p { "Not all of them: evenly spread." } }
                    (scrolling(&table, &format!("The numbers of: {}", plot.title)))
                }
            }
        }
    }
}

/// What a plot shows as a table, and whether it was too much for one.
fn numbers(plot: &Plot) -> (TextTable, bool) {
    let from = if plot.kind == Kind::Histogram { " from" } else { "" };
    let mut table = TextTable::new([format!("{}{from}", plot.x.label), plot.y.label.clone()]);
    let every = plot.points.len().div_ceil(ROWS_MAX).max(1);
    for (x, y) in plot.points.iter().filter(|(x, _)| x.is_finite()).step_by(every) {
        table.row([exact(*x, plot.x.unit), exact(*y, plot.y.unit)]);
    }
    (table, every > 1)
}

/// In a table numbers are compared digit by digit: whole ones stay whole.
fn exact(number: f64, unit: Unit) -> String {
    match unit {
        Unit::Count if number.fract() == 0.0 && number.abs() < 1e9 => format!("{number}"),
        _ => scale::text(number, unit),
    }
}

fn section(table: &Table) -> Markup {
    html! {
        section.table {
            h2 { (text(&table.title)) }
            @if !table.caption.is_empty() { p { (text(&table.caption)) } }
            (scrolling(&table.table, &table.title))
        }
    }
}

/// A table that scrolls sideways on its own, also by the keyboard.
fn scrolling(table: &TextTable, name: &str) -> Markup {
    let class = |column| table.is_numeric(column).then_some("number");
    html! {
        div.scroll role="region" tabindex="0" aria-label=(text(name)) {
            table {
                thead { tr {
                    @for (column, title) in table.header.iter().enumerate() {
                        th scope="col" class=[class(column)] { (text(title)) }
                    }
                } }
                tbody {
                    @for row in &table.rows { tr {
                        @for (column, cell) in row.iter().enumerate() {
                            td class=[class(column)] { (text(cell)) }
                        }
                    } }
                }
            }
        }
    }
}

/// Rows of a table of numbers: more of them are not read.
const ROWS_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::super::{Axis, Goal, Mark};
    use super::*;

    const EVIL: &str = "<script>alert('1')</script>\" onload=\"x\u{0}&";

    /// Every text of it is this one.
    fn report(text: &str, kind: Kind) -> Report {
        let axis = || Axis::new(text, Unit::Count);
        let mut table = TextTable::new([text]);
        table.row([text]);
        let plot = Plot {
            title: text.into(),
            caption: text.into(),
            x: axis(),
            y: axis(),
            kind,
            points: vec![(1.0, 2.0), (2.0, 3.0)],
            marks: vec![Mark { from: 1.0, to: 1.5, label: text.into() }],
            goals: vec![Goal { at: 2.0, label: text.into() }],
        };
        Report {
            title: text.into(),
            command: text.into(),
            seed: 7,
            summary: vec![(text.into(), text.into())],
            notes: vec![text.into()],
            plots: vec![plot],
            tables: vec![Table { title: text.into(), caption: text.into(), table }],
        }
    }

    #[test]
    fn every_letter_that_means_something_is_escaped() {
        assert_eq!(
            html! { (text("a<b>&\"'\u{1b}\n–")) }.into_string(),
            "a&lt;b&gt;&amp;&quot;'\u{fffd}\n–"
        );
    }

    #[test]
    fn all_text_is_escaped() {
        for kind in [Kind::Lines, Kind::Bars, Kind::Histogram] {
            let html = report(EVIL, kind).html();
            assert!(!html.contains("<script") && !html.contains("\" onload"), "{html}");
            assert!(!html.contains('\0'));
            // A short name, so that it stands at the ends of lines.
            let harmless = report("<b>'\"&", kind).html();
            assert!(!harmless.contains("<b>") && !harmless.contains("'\"&"), "{harmless}");
            // It is there wherever a text of another kind is, so no field was forgotten.
            let places = report("harmless", kind).html().matches("harmless").count();
            assert!(places > 20);
            assert_eq!(report("<b>7", kind).html().matches("&lt;b&gt;7").count(), places);
        }
    }

    #[test]
    fn tags_are_balanced() {
        for kind in [Kind::Lines, Kind::Bars, Kind::Histogram] {
            let html = report("text", kind).html();
            let names = "html head style body main header section figure svg text title path rect ul li dl div table tr td th details";
            for name in names.split(' ') {
                let opened = html.matches(&format!("<{name}>")).count()
                    + html.matches(&format!("<{name} ")).count();
                let closed = html.matches(&format!("</{name}>")).count();
                let start = format!("<{name} ");
                let tags = html.split(&start).skip(1).map(|rest| rest.split('>').next().unwrap());
                let empty = tags.filter(|tag| tag.ends_with('/')).count();
                assert_eq!(opened, closed + empty, "{name}");
            }
        }
    }

    #[test]
    fn no_figure_is_left_alone() {
        let expected = [(1, 1), (5, 5), (7, 4), (8, 4), (9, 5), (10, 5), (11, 6), (12, 6), (13, 5)];
        for (count, expected) in expected {
            assert_eq!(columns(count), expected, "{count}");
        }
    }

    #[test]
    fn nothing_is_loaded() {
        let html = report("text", Kind::Lines).html();
        for from in ["http:", "https:", "src=", "href=", "url(", "@import", "<script"] {
            assert!(!html.contains(from), "{from}");
        }
    }

    #[test]
    fn an_empty_report_is_a_page() {
        let html = Report::default().html();
        assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
        assert!(!html.contains("<figure>") && !html.contains("<table>") && !html.contains("<dl"));
    }

    #[test]
    fn long_series_are_shortened_in_tables_only() {
        let points = (0..1_000u32).map(|n| (f64::from(n), f64::from(n)));
        let plot = Plot { points: points.collect(), ..Plot::default() };
        let (table, left_out) = numbers(&plot);
        assert!(left_out && table.rows.len() <= ROWS_MAX, "{}", table.rows.len());
        assert_eq!(table.rows.last().unwrap(), &["986", "986"]);
    }
}
