//! Curves as a picture: panels of lines over two logarithmic axes, as SVG that reads well in the light and in the dark.

use std::fmt::Write as _;

/// Panels in a row.
const COLUMNS: usize = 3;
const PANEL: (f64, f64) = (300.0, 200.0);
/// What a panel has around its axes: left, top, right, bottom.
const MARGIN: (f64, f64, f64, f64) = (46.0, 30.0, 14.0, 26.0);
const LEGEND_HEIGHT: f64 = 44.0;

/// Colours that are told apart with any eyes, on white and on black: each line's, in order.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#7f7f7f"];

const STYLE: &str = "text{font:11px system-ui,sans-serif;fill:#333}.t{font-weight:600}.a{stroke:#999;fill:none}\
.g{stroke:#ddd;fill:none}.l{fill:none;stroke-width:1.8}\
@media(prefers-color-scheme:dark){text{fill:#ccc}.a{stroke:#777}.g{stroke:#3a3a3a}}";

/// Some lines over the same axes.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
}

/// Points from left to right, all of them greater than 0.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// Whole powers of ten between which all values lie.
#[derive(Clone, Copy, Debug)]
struct Axis {
    from: i32,
    to: i32,
    /// Where the lower end and the upper one are drawn.
    ends: (f64, f64),
}

impl Axis {
    #[allow(clippy::cast_possible_truncation)] // Far within the bounds.
    fn over(values: impl Iterator<Item = f64> + Clone, ends: (f64, f64)) -> Self {
        let from = values.clone().fold(f64::INFINITY, f64::min).max(1e-3).log10().floor() as i32;
        let to = values.fold(1e-3, f64::max).log10().ceil() as i32;
        Self { from, to: to.max(from + 1), ends }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        self.ends.0 + share * (self.ends.1 - self.ends.0)
    }

    /// The powers of ten on it, and where they are.
    fn marks(&self) -> impl Iterator<Item = (f64, f64)> {
        (self.from..=self.to).map(|power| 10f64.powi(power)).map(|value| (value, self.at(value)))
    }
}

/// The whole picture.
pub(super) fn svg(panels: &[Panel]) -> String {
    let columns = panels.len().clamp(1, COLUMNS);
    let rows = panels.len().div_ceil(columns);
    let (width, height) = (PANEL.0 * as_float(columns), PANEL.1 * as_float(rows) + LEGEND_HEIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\"><style>{STYLE}</style>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        let (x, y) = (PANEL.0 * as_float(index % columns), PANEL.1 * as_float(index / columns));
        panel.draw(&mut svg, x, y);
    }
    let names: Vec<_> = panels.first().into_iter().flat_map(|panel| &panel.lines).map(|line| line.name).collect();
    legend(&mut svg, &names, PANEL.1 * as_float(rows));
    svg + "</svg>\n"
}

impl Panel {
    fn draw(&self, svg: &mut String, x: f64, y: f64) {
        let (left, right) = (x + MARGIN.0, x + PANEL.0 - MARGIN.2);
        let (top, bottom) = (y + MARGIN.1, y + PANEL.1 - MARGIN.3);
        let points = self.lines.iter().flat_map(|line| &line.points);
        let across = Axis::over(points.clone().map(|point| point.0), (left, right));
        let up = Axis::over(points.map(|point| point.1), (bottom, top));
        element(
            svg,
            &format!("<text class=\"t\" x=\"{left:.1}\" y=\"{:.1}\">{}</text>", y + 18.0, escaped(&self.title)),
        );
        for (value, at) in across.marks() {
            element(svg, &format!("<path class=\"g\" d=\"M{at:.1} {top:.1}V{bottom:.1}\"/>"));
            let label = short(value);
            element(
                svg,
                &format!("<text text-anchor=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{label}</text>", bottom + 15.0),
            );
        }
        for (value, at) in up.marks() {
            element(svg, &format!("<path class=\"g\" d=\"M{left:.1} {at:.1}H{right:.1}\"/>"));
            let (x, y, label) = (left - 5.0, at + 4.0, short(value));
            element(svg, &format!("<text text-anchor=\"end\" x=\"{x:.1}\" y=\"{y:.1}\">{label}</text>"));
        }
        element(svg, &format!("<path class=\"a\" d=\"M{left:.1} {top:.1}V{bottom:.1}H{right:.1}\"/>"));
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let places = line.points.iter().map(|&(x, y)| (across.at(x), up.at(y)));
            let path: Vec<_> = places.clone().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
            element(svg, &format!("<path class=\"l\" stroke=\"{colour}\" d=\"M{}\"/>", path.join("L")));
            for (x, y) in places {
                element(svg, &format!("<circle fill=\"{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.4\"/>"));
            }
        }
    }
}

fn legend(svg: &mut String, names: &[&str], y: f64) {
    for (index, (name, colour)) in names.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let (x, y) = (MARGIN.0 + PANEL.0 * as_float(index % COLUMNS), y + 14.0 + 18.0 * as_float(index / COLUMNS));
        element(svg, &format!("<path class=\"l\" stroke=\"{colour}\" d=\"M{x:.1} {:.1}h18\"/>", y - 4.0));
        element(svg, &format!("<text x=\"{:.1}\" y=\"{y:.1}\">{}</text>", x + 24.0, escaped(name)));
    }
}

fn element(svg: &mut String, element: &str) {
    writeln!(svg, "{element}").expect("a string takes all");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// A power of ten, as an axis has room for it.
fn short(value: f64) -> String {
    match value {
        _ if value >= 1e6 => format!("{:.0}M", value / 1e6),
        _ if value >= 1e3 => format!("{:.0}k", value / 1e3),
        _ => format!("{value}"),
    }
}

/// With a comma between thousands.
pub(super) fn thousands(number: u32) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[allow(clippy::cast_precision_loss)] // A few panels.
fn as_float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_between_the_powers_of_ten_around_them() {
        let line = Line { name: "a < b", points: vec![(10.0, 20.0), (1_000.0, 500.0)] };
        let svg = svg(&[Panel { title: "t".to_owned(), lines: vec![line] }]);
        // From 10 to 1,000 across all of the axis; from 10 to 1,000 upwards, where 20 is 15 % of the way.
        let (left, right) = (MARGIN.0, PANEL.0 - MARGIN.2);
        assert!(svg.contains(&format!("M{left:.1} 152.3L{right:.1} 51.7\"")), "{svg}");
        assert!(svg.contains("a &lt; b") && svg.contains(">1k</text>"), "{svg}");
        assert_eq!([7, 1_234, 100_000].map(thousands), ["7", "1,234", "100,000"]);
    }
}
