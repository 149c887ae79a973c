//! A plot as SVG. Colours come from the page's style, so that they follow light and dark.

use maud::{Markup, html};

use super::html::text;
use super::{Kind, Plot, scale, scale::Scale};

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

pub(super) fn picture(plot: &Plot, size: Size) -> Markup {
    let frame = Frame::new(plot, size);
    let view = format!("0 0 {} {}", size.width, size.height);
    html! {
        svg class=(size.class) viewBox=(view) role="img" aria-label=(text(&in_words(plot))) {
            (frame.marks(plot))
            (frame.axes(plot, size))
            @match plot.kind {
                Kind::Lines => (frame.line(plot)),
                Kind::Bars => (frame.bars(plot)),
                Kind::Histogram => (frame.steps(plot)),
            }
            (frame.goals(plot))
        }
    }
}

/// A length on the page.
pub(super) fn px(length: f64) -> String {
    format!("{length:.1}")
}

/// What a plot shows, for readers who don't see it.
fn in_words(plot: &Plot) -> String {
    let kind = match plot.kind {
        Kind::Lines => "Line plot",
        Kind::Bars => "Bar chart",
        Kind::Histogram => "Histogram",
    };
    let what = format!("{kind}: {}, by {}.", plot.y.label, plot.x.label);
    let points = || plot.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
    let (Some(first), Some(last)) = (points().next(), points().next_back()) else { return what };
    let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
    let top = points().max_by(by_height).unwrap_or(first);
    let said = |(x, y): &(f64, f64)| {
        format!("{} at {}", scale::text(*y, plot.y.unit), scale::text(*x, plot.x.unit))
    };
    let [first, last, top] = [first, last, top].map(said);
    format!("{what} It goes from {first} to {last}; at most {top}.")
}

/// The rectangle that the points are in, and what its sides mean.
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) x: Scale,
    pub(super) y: Scale,
    /// How wide a place for bars is; also how far apart points are at least.
    pub(super) slot: f64,
}

impl Frame {
    fn new(plot: &Plot, size: Size) -> Self {
        let heights = plot.points.iter().map(|point| point.1);
        let heights = heights.chain(plot.goals.iter().map(|goal| goal.at));
        let from_zero = plot.kind != Kind::Lines || {
            let all = Scale::new(&plot.y, heights.clone(), false).ends();
            // If all is far above zero, that would only make the line flat.
            all.0 < 0.6 * all.1
        };
        let y = Scale::new(&plot.y, heights, from_zero).rounded(&plot.y, size.y_ticks);
        let places = plot.points.iter().map(|point| point.0);
        let ends = plot.marks.iter().flat_map(|mark| [mark.from, mark.to]);
        let x = Scale::new(&plot.x, places.clone().chain(ends), false);

        let text = |text: &str| text.chars().count() as f64 * GLYPH;
        let tick_width =
            y.ticks(size.y_ticks).iter().map(|(_, tick)| text(tick)).fold(0.0, f64::max);
        let left = tick_width + 12.0;
        let width = (size.width - left - RIGHT).max(40.0);

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

    pub(super) fn at_x(&self, x: f64) -> Option<f64> {
        self.x.place(x).map(|place| self.left + place * self.width)
    }

    /// Cut off at the top and the bottom: what is outside of the axis isn't drawn outside of it.
    pub(super) fn at_y(&self, y: f64) -> Option<f64> {
        let place = self.y.place(y).map(|place| place.clamp(0.0, 1.0));
        place.map(|place| self.top + (1.0 - place) * self.height)
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    fn axes(&self, plot: &Plot, size: Size) -> Markup {
        let (left, right, bottom) = (px(self.left), px(self.right()), self.bottom());
        let y_ticks = self.y.ticks(size.y_ticks).into_iter();
        let y_ticks = y_ticks.filter_map(|(value, label)| Some((self.at_y(value)?, label)));
        let x_ticks = self.x_ticks(plot, size).into_iter();
        let x_ticks = x_ticks.filter_map(|(value, label)| Some((self.at_x(value)?, label)));
        html! {
            text class="axis" x="0" y="13" { (text(&plot.y.label)) }
            @for (y, label) in y_ticks {
                path class="grid" d={ "M" (left) " " (px(y)) "H" (right) } {}
                text class="tick end" x=(px(self.left - 7.0)) y=(px(y + 4.0)) { (label) }
            }
            path class="base" d={ "M" (left) " " (px(bottom)) "H" (right) } {}
            @for (x, label) in x_ticks {
                path class="base" d={ "M" (px(x)) " " (px(bottom)) "v4" } {}
                text class="tick mid" x=(px(x)) y=(px(bottom + 18.0)) { (label) }
            }
            text class="axis end" x=(right) y=(px(bottom + 37.0)) { (text(&plot.x.label)) }
        }
    }

    /// Under bars that there are few of, each has its number.
    fn x_ticks(&self, plot: &Plot, size: Size) -> Vec<(f64, String)> {
        let texts = plot.points.iter().map(|(place, _)| (*place, self.x.text(*place)));
        let texts: Vec<_> = texts.collect();
        let widest = texts.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(0);
        match plot.kind {
            Kind::Bars if widest as f64 * GLYPH + 6.0 <= self.slot => texts,
            _ => self.x.ticks(size.x_ticks),
        }
    }

    fn marks(&self, plot: &Plot) -> Markup {
        let within = |x: f64| x.clamp(self.left, self.right());
        let marks = plot.marks.iter().filter_map(|mark| {
            Some((within(self.at_x(mark.from)?), within(self.at_x(mark.to)?), &mark.label))
        });
        html! {
            @for (from, to, label) in marks {
                // Above it; to the left of its beginning if there is no room to the right.
                @let width = label.chars().count() as f64 * GLYPH;
                @let end = if from + width > self.right() { " end" } else { "" };
                rect class=(if from < to { "mark" } else { "moment" }) x=(px(from))
                    y=(px(self.top - 4.0)) width=(px((to - from).max(1.5)))
                    height=(px(self.height + 4.0)) {}
                text class={ "remark" (end) } x=(px(from)) y=(px(self.top - 8.0)) { (text(label)) }
            }
        }
    }

    fn goals(&self, plot: &Plot) -> Markup {
        let goals = plot.goals.iter().filter_map(|goal| Some((self.at_y(goal.at)?, &goal.label)));
        let (left, right) = (px(self.left), self.right());
        html! {
            @for (y, label) in goals {
                // Under its line at the very top, else above it.
                @let below = if y < self.top + 14.0 { 14.0 } else { -5.0 };
                path class="goal" d={ "M" (left) " " (px(y)) "H" (px(right)) } {}
                text class="remark over end" x=(px(right - 5.0)) y=(px(y + below)) { (text(label)) }
            }
        }
    }
}

/// The smallest difference between two places, 1 if there are none.
fn least_gap(places: impl Iterator<Item = f64>) -> f64 {
    let mut places: Vec<_> = places.filter(|place| place.is_finite()).collect();
    places.sort_by(f64::total_cmp);
    let gaps = places.windows(2).filter_map(|pair| Some(pair.get(1)? - pair.first()?));
    let gap = gaps.filter(|gap| *gap > 0.0).fold(f64::INFINITY, f64::min);
    if gap.is_finite() { gap } else { 1.0 }
}

/// Above the plot: the name of the axis, and under it the names of marks.
const TOP: f64 = 36.0;
/// To the right of the plot.
const RIGHT: f64 = 14.0;
/// Below the plot: numbers and the name of the axis.
const BELOW: f64 = 44.0;
/// About how wide a letter is.
pub(super) const GLYPH: f64 = 6.7;

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Axis, Goal, Mark, Unit};
    use super::*;

    pub(in crate::report) fn plot(kind: Kind, points: Vec<(f64, f64)>) -> Plot {
        Plot {
            x: Axis::new("time", Unit::Seconds),
            y: Axis::new("latency", Unit::Seconds),
            kind,
            points,
            ..Plot::default()
        }
    }

    #[test]
    fn nothing_is_drawn_outside() {
        let odd = [f64::NAN, -1e300, 0.0, 1e300, f64::INFINITY, 5e-324, 7.0];
        let points: Vec<_> = odd.iter().flat_map(|x| odd.iter().map(|y| (*x, *y))).collect();
        for kind in [Kind::Lines, Kind::Bars, Kind::Histogram] {
            for points in [&points[..], &points[16..17], &[]] {
                let mut plot = plot(kind, points.to_vec());
                plot.y.max = Some(10.0);
                plot.marks = vec![Mark { from: -5.0, to: f64::NAN, label: "m".into() }];
                plot.goals = vec![Goal { at: 1e9, label: "g".into() }];
                let svg = picture(&plot, NARROW).into_string();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                assert!(svg.ends_with("</svg>"));
            }
        }
    }
}
