//! How the page looks, in light and in dark.

/// The style sheet, which uses nothing but what every system has.
pub(super) const STYLE: &str = include_str!("style.css");

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

    /// Contrast as the WCAG define it.
    fn contrast(a: Rgb, b: Rgb) -> f64 {
        let [a, b] = [a, b].map(|c| 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn text_is_readable_in_both_themes() {
        let names = ["ink", "soft", "c0"];
        for (name, behind) in ["page", "card"].iter().flat_map(|at| names.map(|name| (name, at))) {
            let (own, behind) = (colours(name), colours(behind));
            assert_eq!((own.len(), behind.len()), (2, 2), "{name}");
            for (own, behind) in own.into_iter().zip(behind) {
                let contrast = contrast(own, behind);
                assert!(contrast >= 4.5, "{name}: {contrast}");
            }
        }
    }
}
