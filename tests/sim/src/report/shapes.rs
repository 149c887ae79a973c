//! What is drawn at the points of a plot: lines, bars and steps.

use maud::{Markup, html};

use super::html::text;
use super::svg::{Frame, GLYPH, px};
use super::{Plot, Unit, scale};

impl Frame {
    pub(super) fn line(&self, plot: &Plot) -> Markup {
        let (mut line, mut area) = (String::new(), String::new());
        for run in plot.points.split(|(x, y)| self.at_x(*x).is_none() || self.at_y(*y).is_none()) {
            let places: Vec<_> =
                run.iter().filter_map(|(x, y)| Some((self.at_x(*x)?, self.at_y(*y)?))).collect();
            let (Some(first), Some(last)) = (places.first(), places.last()) else { continue };
            let through: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
            let through = through.join("L");
            // A point on its own is a dot: a line of no length with round ends.
            line += &format!("M{through}{}", if run.len() == 1 { "h0" } else { "" });
            let (first, last, bottom) = (px(first.0), px(last.0), px(self.bottom()));
            area += &format!("M{first} {bottom}L{through}L{last} {bottom}Z");
        }
        html! {
            path class="area" d=(area) {}
            path class="line" d=(line) {}
            (self.hints(plot))
        }
    }

    /// Dots that show their numbers to a pointer, unless they would be too close to each other.
    fn hints(&self, plot: &Plot) -> Markup {
        let few = plot.points.len() as f64 * 3.0 <= self.width;
        let places = plot.points.iter().filter(|_| few);
        let places = places.filter_map(|(x, y)| Some((self.at_x(*x)?, self.at_y(*y)?, *x, *y)));
        html! {
            @for (at_x, at_y, x, y) in places {
                circle class="hint" cx=(px(at_x)) cy=(px(at_y)) r="5" {
                    title { (self.hint(x, y)) }
                }
            }
        }
    }

    fn hint(&self, x: f64, y: f64) -> String {
        text(&format!("{}: {}", self.x.text(x), self.y.text(y)))
    }

    pub(super) fn bars(&self, plot: &Plot) -> Markup {
        let width = self.slot * 0.8;
        let all: f64 = plot.points.iter().map(|point| point.1).filter(|y| y.is_finite()).sum();
        let zero = self.at_y(self.y.ends().0.max(0.0));
        let places = plot.points.iter();
        let places =
            places.filter_map(|(x, y)| Some((self.at_x(*x)?, self.at_y(*y)?, zero?, *x, *y)));
        html! {
            @for (middle, top, zero, x, y) in places {
                @let left = middle - width / 2.0;
                @let label = self.y.text(y);
                @let fits = label.chars().count() as f64 * GLYPH <= self.slot;
                rect class="bar" x=(px(left)) y=(px(top.min(zero)))
                    width=(px((width - 1.0).max(1.0))) height=(px((zero - top).abs())) rx="2" {
                    title {
                        (self.hint(x, y))
                        " (" (scale::text(y / all, Unit::Fraction)) ")"
                    }
                }
                @if y != 0.0 && fits {
                    text class="tick mid" x=(px(middle)) y=(px(top - 5.0)) { (label) }
                }
            }
        }
    }

    pub(super) fn steps(&self, plot: &Plot) -> Markup {
        let places = plot.points.windows(2).filter_map(|pair| {
            let &[(from, y), (to, _)] = pair else { return None };
            Some((self.at_x(from)?, self.at_x(to)?, self.at_y(y)?, from, y))
        });
        let (mut line, places, bottom) =
            (String::new(), places.collect::<Vec<_>>(), px(self.bottom()));
        for (left, right, top, ..) in &places {
            if line.is_empty() {
                line = format!("M{left:.1} {bottom}");
            }
            line += &format!("L{left:.1} {top:.1}H{right:.1}");
        }
        if !line.is_empty() {
            line += &format!("V{bottom}");
        }
        html! {
            path class="area strong" d=(line) {}
            path class="line" d=(line) {}
            @for (left, right, _, from, y) in places {
                rect class="step" x=(px(left)) y=(px(self.top))
                    width=(px((right - left).max(0.0))) height=(px(self.height)) {
                    title { (self.hint(from, y)) }
                }
            }
        }
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
        let points = vec![(0.0, 0.0), (5.0, 10.0), (10.0, 5.0)];
        let svg = picture(&plot(Kind::Lines, points), WIDE).into_string();
        // "10 s" is four letters wide, and the plot 560 by 300.
        let (left, right) = (4.0 * GLYPH + 12.0, 560.0 - 14.0);
        let expected =
            format!("M{left:.1} 256.0L{:.1} 36.0L{right:.1} 146.0", (left + right) / 2.0);
        assert_eq!(path(&svg, "line"), expected);
        assert!(svg.contains("<title>5 s: 10 s</title>"), "{svg}");
        let words = "Line plot: latency, by time. It goes from 0 at 0 to 5 s at 10 s; \
                     at most 10 s at 5 s.";
        assert!(svg.contains(&format!("aria-label=\"{words}\"")), "{svg}");
    }

    #[test]
    fn what_is_no_number_interrupts_a_line() {
        let points = [(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0), (f64::INFINITY, 1.0)];
        let svg = picture(&plot(Kind::Lines, points.to_vec()), NARROW).into_string();
        let line = path(&svg, "line");
        assert_eq!((line.matches('M').count(), line.matches('L').count()), (2, 1), "{line}");
        assert!(line.ends_with("h0"), "a dot: {line}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn bars_begin_at_zero_and_say_their_numbers() {
        let mut plot = plot(Kind::Bars, vec![(1.0, 50.0), (2.0, 100.0), (4.0, 0.0)]);
        (plot.x.unit, plot.y.unit) = (Unit::Count, Unit::Count);
        let svg = picture(&plot, WIDE).into_string();
        let heights: Vec<_> =
            svg.split(" height=\"").skip(1).map(|s| s.split('"').next().unwrap()).collect();
        assert_eq!(heights, ["110.0", "220.0", "0.0"]);
        assert!(svg.contains("<title>2: 100 (66.67 %)</title>"), "{svg}");
        // Above the bars, but not above a bar of height 0.
        let label = |y: &str, text: &str| svg.contains(&format!(" y=\"{y}\">{text}</text>"));
        assert!(label("31.0", "100") && label("141.0", "50") && !label("251.0", "0"), "{svg}");
        for tick in ["1", "2", "4"] {
            assert!(svg.contains(&format!("y=\"274.0\">{tick}</text>")), "{tick}");
        }
        assert!(!svg.contains("y=\"274.0\">3</text>"), "nothing is there");
    }

    #[test]
    fn steps_end_where_the_last_bucket_does() {
        let points = vec![(0.0, 1.0), (10.0, 2.0), (30.0, 0.0)];
        let svg = picture(&plot(Kind::Histogram, points), WIDE).into_string();
        let line = path(&svg, "line");
        assert_eq!(line.matches('H').count(), 2);
        assert!(line.ends_with("H546.0V256.0"), "{line}");
    }
}
