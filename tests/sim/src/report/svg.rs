//! A plot as SVG. Colours come from the page's style, so that they follow light and dark.

use std::fmt::Write as _;

use super::html::escape;
use super::scale::{self, Scale};
use super::{Kind, Plot, Series};

/// For which width of the page a picture is made: text has the same size in all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) class: &'static str,
    width: f64,
    height: f64,
    x_ticks: usize,
    y_ticks: usize,
}

/// Half of a large screen.
pub(super) const WIDE: Size =
    Size { class: "wide", width: 560.0, height: 300.0, x_ticks: 6, y_ticks: 5 };
/// A phone.
pub(super) const NARROW: Size =
    Size { class: "narrow", width: 340.0, height: 250.0, x_ticks: 4, y_ticks: 4 };

/// Whether the names of the series stand at the ends of their lines, rather than in a legend.
pub(super) fn labelled_directly(plot: &Plot) -> bool {
    let names = || plot.series.iter().map(|series| series.name.chars().count());
    plot.kind == Kind::Lines && (2..=6).contains(&names().count()) && names().all(|len| len <= 14)
}

/// The picture of a plot.
pub(super) fn picture(plot: &Plot, size: Size) -> String {
    let frame = Frame::new(plot, size);
    let mut out = String::new();
    // Writing to a string can't fail, here and below.
    let _ = write!(
        out,
        "<svg class=\"{}\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
        size.class,
        size.width,
        size.height,
        escape(&in_words(plot))
    );
    frame.marks(&mut out, plot);
    frame.axes(&mut out, plot, size);
    for (index, series) in plot.series.iter().enumerate() {
        match plot.kind {
            Kind::Lines => frame.line(&mut out, index, series, plot.series.len()),
            Kind::Bars => frame.bars(&mut out, index, series, plot),
            Kind::Histogram => frame.steps(&mut out, index, series),
        }
    }
    frame.goals(&mut out, plot);
    if labelled_directly(plot) {
        frame.labels(&mut out, plot);
    }
    out.push_str("</svg>");
    out
}

/// What a plot shows, for those who don't see it.
fn in_words(plot: &Plot) -> String {
    let kind = match plot.kind {
        Kind::Lines => "Line plot",
        Kind::Bars => "Bar chart",
        Kind::Histogram => "Histogram",
    };
    let mut text = format!("{kind}: {}, by {}.", plot.y.label, plot.x.label);
    for series in &plot.series {
        let points = || series.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        let (Some(first), Some(last)) = (points().next(), points().next_back()) else { continue };
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let top = points().max_by(by_height).unwrap_or(first);
        let [x_first, x_last, x_top] = [first, last, top].map(|p| scale::text(p.0, plot.x.unit));
        let [y_first, y_last, y_top] = [first, last, top].map(|p| scale::text(p.1, plot.y.unit));
        let name = if series.name.is_empty() { "It" } else { &series.name };
        let _ = write!(
            text,
            " {name} goes from {y_first} at {x_first} to {y_last} at {x_last}; at most {y_top}, at {x_top}."
        );
    }
    text
}

/// The rectangle that the points are in, and what its sides mean.
struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    x: Scale,
    y: Scale,
    /// How wide a place for bars is; also how far apart points are at least.
    slot: f64,
}

impl Frame {
    fn new(plot: &Plot, size: Size) -> Self {
        let points = || plot.series.iter().flat_map(|series| &series.points);
        let heights = points().map(|point| point.1).chain(plot.goals.iter().map(|goal| goal.at));
        let from_zero = plot.kind != Kind::Lines || {
            let all = Scale::new(&plot.y, heights.clone(), false).ends();
            // If all is far above zero, that would only make the line flat.
            all.0 < 0.6 * all.1
        };
        let y = Scale::new(&plot.y, heights, from_zero).rounded(&plot.y, size.y_ticks);
        let places = points().map(|point| point.0);
        let ends = plot.marks.iter().flat_map(|mark| [mark.from, mark.to]);
        let x = Scale::new(&plot.x, places.clone().chain(ends), false);

        let text = |text: &str| text.chars().count() as f64 * GLYPH;
        let tick_width =
            y.ticks(size.y_ticks).iter().map(|(_, tick)| text(tick)).fold(0.0, f64::max);
        let names = plot.series.iter().map(|series| text(&series.name)).fold(0.0, f64::max);
        let left = tick_width + 12.0;
        let right = if labelled_directly(plot) { names + 12.0 } else { 14.0 };
        let width = (size.width - left - right).max(40.0);

        let mut frame =
            Self { left, top: TOP, width, height: size.height - TOP - BELOW, x, y, slot: width };
        if plot.kind == Kind::Bars {
            let gap = least_gap(places);
            frame.x = x.padded(gap * 0.5);
            let (low, high) = frame.x.ends();
            frame.slot = (width * gap / (high - low)).min(width);
        }
        frame
    }

    fn at_x(&self, x: f64) -> Option<f64> {
        self.x.place(x).map(|place| self.left + place * self.width)
    }

    /// Cut off at the top and the bottom: what is outside of the axis isn't drawn outside of it.
    fn at_y(&self, y: f64) -> Option<f64> {
        let place = self.y.place(y).map(|place| place.clamp(0.0, 1.0));
        place.map(|place| self.top + (1.0 - place) * self.height)
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }

    fn right(&self) -> f64 {
        self.left + self.width
    }

    fn axes(&self, out: &mut String, plot: &Plot, size: Size) {
        let (left, right, bottom) = (self.left, self.right(), self.bottom());
        let _ =
            write!(out, "<text class=\"axis\" x=\"0\" y=\"13\">{}</text>", escape(&plot.y.label));
        for (value, text) in self.y.ticks(size.y_ticks) {
            let Some(y) = self.at_y(value) else { continue };
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>\
                 <text class=\"tick end\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
                left - 7.0,
                y + 4.0
            );
        }
        let _ = write!(out, "<path class=\"base\" d=\"M{left:.1} {bottom:.1}H{right:.1}\"/>");
        for (value, text) in self.x_ticks(plot, size) {
            let Some(x) = self.at_x(value) else { continue };
            let _ = write!(
                out,
                "<path class=\"base\" d=\"M{x:.1} {bottom:.1}v4\"/>\
                 <text class=\"tick mid\" x=\"{x:.1}\" y=\"{:.1}\">{text}</text>",
                bottom + 18.0
            );
        }
        let _ = write!(
            out,
            "<text class=\"axis end\" x=\"{right:.1}\" y=\"{:.1}\">{}</text>",
            bottom + 37.0,
            escape(&plot.x.label)
        );
    }

    /// Under bars that there are few of, each has its number.
    fn x_ticks(&self, plot: &Plot, size: Size) -> Vec<(f64, String)> {
        let mut places: Vec<_> =
            plot.series.iter().flat_map(|series| &series.points).map(|point| point.0).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        let texts = places.into_iter().map(|place| (place, self.x.text(place)));
        let texts: Vec<_> = texts.collect();
        let widest = texts.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(0);
        match plot.kind {
            Kind::Bars if widest as f64 * GLYPH + 6.0 <= self.slot => texts,
            _ => self.x.ticks(size.x_ticks),
        }
    }

    fn line(&self, out: &mut String, index: usize, series: &Series, count: usize) {
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

    fn bars(&self, out: &mut String, index: usize, series: &Series, plot: &Plot) {
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
                scale::text(y / all, super::Unit::Fraction),
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

    fn steps(&self, out: &mut String, index: usize, series: &Series) {
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

    fn marks(&self, out: &mut String, plot: &Plot) {
        for mark in &plot.marks {
            let (Some(from), Some(to)) = (self.at_x(mark.from), self.at_x(mark.to)) else {
                continue;
            };
            let (from, to) =
                (from.clamp(self.left, self.right()), to.clamp(self.left, self.right()));
            // Above it; to the left of its beginning if there is no room to the right.
            let text = mark.label.chars().count() as f64 * GLYPH;
            let end = if from + text > self.right() { " end" } else { "" };
            let class = if from < to { "mark" } else { "moment" };
            let _ = write!(
                out,
                "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
                 <text class=\"remark{end}\" x=\"{from:.1}\" y=\"{:.1}\">{}</text>",
                self.top - 4.0,
                (to - from).max(1.5),
                self.height + 4.0,
                self.top - 8.0,
                escape(&mark.label)
            );
        }
    }

    fn goals(&self, out: &mut String, plot: &Plot) {
        for goal in &plot.goals {
            let Some(y) = self.at_y(goal.at) else { continue };
            let (left, right) = (self.left, self.right());
            // Under its line at the very top, else above it.
            let text = if y < self.top + 14.0 { y + 14.0 } else { y - 5.0 };
            let _ = write!(
                out,
                "<path class=\"goal\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>\
                 <text class=\"remark over end\" x=\"{:.1}\" y=\"{text:.1}\">{}</text>",
                right - 5.0,
                escape(&goal.label)
            );
        }
    }

    /// Names at the ends of the lines, moved apart where they would cover each other.
    fn labels(&self, out: &mut String, plot: &Plot) {
        let mut labels: Vec<(f64, usize, &str)> = Vec::new();
        for (index, series) in plot.series.iter().enumerate() {
            let end = series.points.iter().rev().find_map(|point| self.at_y(point.1));
            labels.extend(end.map(|y| (y, index, series.name.as_str())));
        }
        labels.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let places = spread(&labels.iter().map(|label| label.0).collect::<Vec<_>>(), self.bottom());
        for ((_, index, name), y) in labels.into_iter().zip(places) {
            let _ = write!(
                out,
                "<text class=\"name {}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                colour(index),
                self.right() + 7.0,
                y + 4.0,
                escape(name)
            );
        }
    }
}

/// Sorted places, moved as little as needed to be a line of text apart, none of them below `bottom`.
fn spread(places: &[f64], bottom: f64) -> Vec<f64> {
    let mut places = places.to_vec();
    let mut least = f64::NEG_INFINITY;
    for place in &mut places {
        *place = place.max(least);
        least = *place + LINE;
    }
    let mut most = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - LINE;
    }
    places
}

/// The smallest difference between two places, 1 if there are none.
fn least_gap(places: impl Iterator<Item = f64>) -> f64 {
    let mut places: Vec<_> = places.filter(|place| place.is_finite()).collect();
    places.sort_by(f64::total_cmp);
    let gaps = places.windows(2).filter_map(|pair| Some(pair.get(1)? - pair.first()?));
    let gap = gaps.filter(|gap| *gap > 0.0).fold(f64::INFINITY, f64::min);
    if gap.is_finite() { gap } else { 1.0 }
}

/// The class of a series; after the last colour from the first one on.
pub(super) fn colour(index: usize) -> String {
    format!("c{}", index % COLOURS)
}

/// How many the style has.
const COLOURS: usize = 6;
/// Above the plot: the name of the axis, and under it those of marks.
const TOP: f64 = 36.0;
/// Below the plot: numbers and the name of the axis.
const BELOW: f64 = 44.0;
/// About how wide a letter is.
const GLYPH: f64 = 6.7;
/// How far apart lines of text are.
const LINE: f64 = 15.0;

#[cfg(test)]
mod tests {
    use super::super::{Axis, Goal, Mark, Unit};
    use super::*;

    fn plot(kind: Kind, series: Vec<Series>) -> Plot {
        Plot {
            x: Axis::new("time", Unit::Seconds),
            y: Axis::new("latency", Unit::Seconds),
            kind,
            series,
            ..Plot::default()
        }
    }

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

    #[test]
    fn names_don_t_cover_each_other() {
        assert_eq!(spread(&[10.0, 50.0, 90.0], 100.0), [10.0, 50.0, 90.0]);
        assert_eq!(spread(&[10.0, 12.0, 12.0], 100.0), [10.0, 25.0, 40.0]);
        assert_eq!(spread(&[95.0, 99.0, 100.0], 100.0), [70.0, 85.0, 100.0]);
        let series = |names: &[&str]| {
            names.iter().map(|name| Series::new(*name, [(0.0, 1.0), (1.0, 1.0)])).collect()
        };
        assert!(labelled_directly(&plot(Kind::Lines, series(&["a", "b"]))));
        assert!(!labelled_directly(&plot(Kind::Lines, series(&["a"]))), "the title says it");
        assert!(!labelled_directly(&plot(Kind::Lines, series(&["a", "a name beyond any margin"]))));
        assert!(!labelled_directly(&plot(Kind::Bars, series(&["a", "b"]))));
    }

    #[test]
    fn nothing_is_drawn_outside() {
        let odd = [f64::NAN, -1e300, 0.0, 1e300, f64::INFINITY, 5e-324, 7.0];
        let points: Vec<_> = odd.iter().flat_map(|x| odd.iter().map(|y| (*x, *y))).collect();
        for kind in [Kind::Lines, Kind::Bars, Kind::Histogram] {
            for log in [false, true] {
                for points in [&points[..], &points[16..17], &[]] {
                    let series = Series::new("a", points.iter().copied());
                    let mut plot = plot(kind, vec![series.clone(), series]);
                    (plot.x.log, plot.y.log, plot.y.max) = (log, log, Some(10.0));
                    plot.marks = vec![Mark { from: -5.0, to: f64::NAN, label: "m".into() }];
                    plot.goals = vec![Goal { at: 1e9, label: "g".into() }];
                    let svg = picture(&plot, NARROW);
                    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                    assert!(svg.ends_with("</svg>"));
                }
            }
        }
    }
}
