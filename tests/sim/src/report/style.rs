//! How the page looks, in light and in dark.

/// The style sheet, which uses nothing but what every system has.
pub(super) const STYLE: &str = include_str!("style.css");

/// How many colours it has for series: `c0` and so on.
pub(super) const COLOURS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    type Rgb = [f64; 3];

    /// The colour of a variable in each of the themes, as linear RGB.
    fn colours(name: &str) -> Vec<Rgb> {
        let start = format!("--{name}: #");
        let values = STYLE.split(&start).skip(1);
        values.map(|rest| parse(rest.split(';').next().unwrap())).collect()
    }

    fn parse(hex: &str) -> Rgb {
        let long = if hex.len() == 3 {
            hex.chars().flat_map(|c| [c, c]).collect()
        } else {
            hex.to_owned()
        };
        [0, 2, 4].map(|at| {
            let part = f64::from(u8::from_str_radix(&long[at..at + 2], 16).unwrap()) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn through(matrix: [Rgb; 3], colour: Rgb) -> Rgb {
        matrix.map(|row| (0..3).map(|i| row[i] * colour[i]).sum::<f64>().clamp(0.0, 1.0))
    }

    /// Contrast as the WCAG define it.
    fn contrast(a: Rgb, b: Rgb) -> f64 {
        let [a, b] = [a, b].map(|c| 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] + 0.05);
        a.max(b) / a.min(b)
    }

    /// How different two colours look: their distance in CIELAB.
    fn difference(a: Rgb, b: Rgb) -> f64 {
        let lab = |colour| {
            let xyz = through(
                [[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8728]],
                colour,
            );
            let [x, y, z] =
                xyz.map(|t| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 });
            [116.0 * y, 500.0 * (x - y), 200.0 * (y - z)]
        };
        let (a, b) = (lab(a), lab(b));
        (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn text_is_readable_in_both_themes() {
        // Names of series are only on cards.
        let series = (0..COLOURS).map(|index| (format!("c{index}"), "card"));
        let others = ["ink", "soft", "c0"].map(|name| (name.to_owned(), "page"));
        let notes = ["ink", "soft"].map(|name| (name.to_owned(), "card"));
        for (name, behind) in series.chain(others).chain(notes) {
            let (own, behind) = (colours(&name), colours(behind));
            assert_eq!((own.len(), behind.len()), (2, 2), "{name}");
            for (own, behind) in own.into_iter().zip(behind) {
                let contrast = contrast(own, behind);
                assert!(contrast >= 4.5, "{name}: {contrast}");
            }
        }
        assert!(colours(&format!("c{COLOURS}")).is_empty());
    }

    #[test]
    fn everybody_can_tell_the_colours_apart() {
        // Machado, Oliveira and Fernandes (2009): how they look to people without one sort of cones.
        let eyes = [
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [
                [0.152_286, 1.052_583, -0.204_868],
                [0.114_503, 0.786_281, 0.099_216],
                [-0.003_882, -0.048_116, 1.051_998],
            ],
            [
                [0.367_322, 0.860_646, -0.227_968],
                [0.280_085, 0.672_501, 0.047_413],
                [-0.011_820, 0.042_940, 0.968_881],
            ],
            [
                [1.255_528, -0.076_749, -0.178_779],
                [-0.078_411, 0.930_809, 0.147_602],
                [0.004_733, 0.691_367, 0.303_900],
            ],
        ];
        let all: Vec<_> = (0..COLOURS).map(|index| colours(&format!("c{index}"))).collect();
        for theme in 0..2 {
            for eye in eyes {
                for (index, one) in all.iter().enumerate() {
                    for (before, other) in all[..index].iter().enumerate() {
                        let [one, other] = [one, other].map(|colour| through(eye, colour[theme]));
                        let difference = difference(one, other);
                        assert!(difference > 15.0, "{theme}: c{index}, c{before}: {difference}");
                    }
                }
            }
        }
    }
}
