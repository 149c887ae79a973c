//! What is drawn at the points of a plot: lines, bars and steps.

use std::fmt::Write as _;

use super::svg::{Frame, GLYPH, colour};
use super::{Plot, Series, Unit, html::escape, scale};

impl Frame {
    pub(super) fn line(&self, out: &mut String, index: usize, series: &Series, count: usize) {
        let mut line = String::new();
        let mut area = String::new();
        for run in series.points.split(|(x, y)| self.at_x(*x).is_none() || self.at_y(*y).is_none())
        {
            let places: Vec<_> =
                run.iter().filter_map(|(x, y)| Some((self.at_x(*x)?, self.at_y(*y)?))).collect();
            let (Some(first), Some(last)) = (places.first(), places.last()) else { continue };
            let through: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
            let through = through.join("L");
            // A point on its own is a dot: a line of no length with round ends.
            let _ = write!(line, "M{through}{}", if run.len() == 1 { "h0" } else { "" });
            let bottom = self.bottom();
            let _ =
                write!(area, "M{:.1} {bottom:.1}L{through}L{:.1} {bottom:.1}Z", first.0, last.0);
        }
        let colour = colour(index);
        if count == 1 {
            let _ = write!(out, "<path class=\"area {colour}\" d=\"{area}\"/>");
        }
        let _ = write!(out, "<path class=\"line {colour}\" d=\"{line}\"/>");
        self.hints(out, &colour, series);
    }

    /// Dots that show their numbers to whoever points at them, unless they were too close.
    fn hints(&self, out: &mut String, colour: &str, series: &Series) {
        if series.points.len() as f64 * 3.0 > self.width {
            return;
        }
        for (x, y) in &series.points {
            let (Some(at_x), Some(at_y)) = (self.at_x(*x), self.at_y(*y)) else { continue };
            let text = self.hint(&series.name, *x, *y);
            let _ = write!(
                out,
                "<circle class=\"hint {colour}\" cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"5\"><title>{text}</title></circle>"
            );
        }
    }

    fn hint(&self, name: &str, x: f64, y: f64) -> String {
        let name = if name.is_empty() { String::new() } else { format!("{name}, ") };
        escape(&format!("{name}{}: {}", self.x.text(x), self.y.text(y)))
    }

    pub(super) fn bars(&self, out: &mut String, index: usize, series: &Series, plot: &Plot) {
        let count = plot.series.len().max(1) as f64;
        let width = self.slot * 0.8 / count;
        let all: f64 = series.points.iter().map(|point| point.1).filter(|y| y.is_finite()).sum();
        for (x, y) in &series.points {
            let (Some(middle), Some(top), Some(zero)) =
                (self.at_x(*x), self.at_y(*y), self.at_y(self.y.ends().0.max(0.0)))
            else {
                continue;
            };
            let left = middle + (index as f64 - count / 2.0) * width;
            let _ = write!(
                out,
                "<rect class=\"bar {}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\">\
                 <title>{} ({})</title></rect>",
                colour(index),
                top.min(zero),
                (width - 1.0).max(1.0),
                (zero - top).abs(),
                self.hint(&series.name, *x, *y),
                scale::text(y / all, Unit::Fraction),
            );
            let text = self.y.text(*y);
            if count == 1.0 && *y != 0.0 && text.chars().count() as f64 * GLYPH <= self.slot {
                let _ = write!(
                    out,
                    "<text class=\"tick mid\" x=\"{middle:.1}\" y=\"{:.1}\">{text}</text>",
                    top - 5.0
                );
            }
        }
    }

    pub(super) fn steps(&self, out: &mut String, index: usize, series: &Series) {
        let mut line = String::new();
        let bottom = self.bottom();
        let mut hints = String::new();
        for pair in series.points.windows(2) {
            let &[(from, y), (to, _)] = pair else { continue };
            let (Some(left), Some(right), Some(top)) =
                (self.at_x(from), self.at_x(to), self.at_y(y))
            else {
                continue;
            };
            if line.is_empty() {
                let _ = write!(line, "M{left:.1} {bottom:.1}");
            }
            let _ = write!(line, "L{left:.1} {top:.1}H{right:.1}");
            let text = self.hint(&series.name, from, y);
            let _ = write!(
                hints,
                "<rect class=\"step\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{text}</title></rect>",
                self.top,
                (right - left).max(0.0),
                self.height
            );
        }
        let colour = colour(index);
        let close = if line.is_empty() { String::new() } else { format!("V{bottom:.1}") };
        let _ = write!(
            out,
            "<path class=\"area strong {colour}\" d=\"{line}{close}\"/><path class=\"line {colour}\" d=\"{line}{close}\"/>{hints}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::svg::tests::plot;
    use super::super::svg::{NARROW, WIDE, picture};
    use super::*;

    /// The path of an element of this class.
    fn path<'a>(svg: &'a str, class: &str) -> &'a str {
        let start = svg.find(&format!("<path class=\"{class}\" d=\"")).unwrap();
        svg[start..].split('"').nth(3).unwrap()
    }

    #[test]
    fn a_line_goes_through_its_points() {
        let series = Series::new("p50", [(0.0, 0.0), (5.0, 10.0), (10.0, 5.0)]);
        let svg = picture(&plot(Kind::Lines, vec![series]), WIDE);
        // "10 s" is four letters wide, and the plot 560 by 300.
        let (left, right) = (4.0 * GLYPH + 12.0, 560.0 - 14.0);
        let expected =
            format!("M{left:.1} 256.0L{:.1} 36.0L{right:.1} 146.0", (left + right) / 2.0);
        assert_eq!(path(&svg, "line c0"), expected);
        assert!(svg.contains("<title>p50, 5 s: 10 s</title>"), "{svg}");
        let words = "Line plot: latency, by time. p50 goes from 0 at 0 to 5 s at 10 s; \
                     at most 10 s, at 5 s.";
        assert!(svg.contains(&format!("aria-label=\"{words}\"")), "{svg}");
    }

    #[test]
    fn what_is_no_number_interrupts_a_line() {
        let points = [(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0), (f64::INFINITY, 1.0)];
        let svg = picture(&plot(Kind::Lines, vec![Series::new("", points)]), NARROW);
        let line = path(&svg, "line c0");
        assert_eq!((line.matches('M').count(), line.matches('L').count()), (2, 1), "{line}");
        assert!(line.ends_with("h0"), "a dot: {line}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn bars_begin_at_zero_and_say_their_numbers() {
        let hops = Series::new("", [(1.0, 50.0), (2.0, 100.0), (4.0, 0.0)]);
        let mut plot = plot(Kind::Bars, vec![hops]);
        (plot.x.unit, plot.y.unit) = (Unit::Count, Unit::Count);
        let svg = picture(&plot, WIDE);
        let heights: Vec<_> =
            svg.split(" height=\"").skip(1).map(|s| s.split('"').next().unwrap()).collect();
        assert_eq!(heights, ["110.0", "220.0", "0.0"]);
        assert!(svg.contains("<title>2: 100 (66.67 %)</title>"), "{svg}");
        // Above the bars, but nothing above one that isn't there.
        let label = |y: &str, text: &str| svg.contains(&format!(" y=\"{y}\">{text}</text>"));
        assert!(label("31.0", "100") && label("141.0", "50") && !label("251.0", "0"), "{svg}");
        for tick in ["1", "2", "4"] {
            assert!(svg.contains(&format!("y=\"274.0\">{tick}</text>")), "{tick}");
        }
        assert!(!svg.contains("y=\"274.0\">3</text>"), "nothing is there");
    }

    #[test]
    fn steps_end_where_the_last_bucket_does() {
        let series = Series::new("", [(0.0, 1.0), (10.0, 2.0), (30.0, 0.0)]);
        let svg = picture(&plot(Kind::Histogram, vec![series]), WIDE);
        let line = path(&svg, "line c0");
        assert_eq!(line.matches('H').count(), 2);
        assert!(line.ends_with("H546.0V256.0"), "{line}");
    }
}
