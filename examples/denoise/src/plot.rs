//! How the tiles kept back fared over time, as an SVG file.

use std::fmt::Write;

use crate::adapt::Point;

/// Width and height of the picture, and what is left of it, above, to the right and below for the
/// axes.
const SIZE: [f64; 2] = [640.0, 320.0];
const LEFT: f64 = 64.0;
const TOP: f64 = 36.0;
const RIGHT: f64 = 24.0;
const BOTTOM: f64 = 48.0;

/// An axis: what it goes from and to, and how far apart its marks are.
#[derive(Debug, Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    mark: f64,
}

impl Axis {
    /// That covers numbers, with 4 to 10 marks at multiples of 1, 2 or 5 times a power of ten.
    fn over(low: f64, high: f64) -> Self {
        let extent = (high - low).max(1e-3);
        let power = 10f64.powf((extent / 4.0).log10().floor());
        let fits = [5.0, 2.0].into_iter().find(|by| by * power <= extent / 4.0);
        let mark = power * fits.unwrap_or(1.0);
        Self {
            low: (low / mark).floor() * mark,
            high: ((low + extent) / mark).ceil() * mark,
            mark,
        }
    }

    /// Where a number lies, from 0 to 1.
    fn share(&self, x: f64) -> f64 {
        (x - self.low) / (self.high - self.low)
    }

    fn marks(&self) -> impl Iterator<Item = f64> {
        let count = ((self.high - self.low) / self.mark).round() as usize;
        (0..=count).map(|at| self.low + at as f64 * self.mark)
    }

    fn label(&self, x: f64) -> String {
        let digits = (-self.mark.log10().floor()).clamp(0.0, 4.0) as usize;
        format!("{x:.digits$}")
    }
}

/// PSNR over seconds, with a dashed line at the first one. `title` is shown above it.
pub fn svg(points: &[Point], title: &str) -> String {
    let finite = || points.iter().filter(|point| point.psnr.is_finite());
    let over = |of: fn(&Point) -> f64, low: f64| {
        let values = finite().map(of);
        let least = values.clone().fold(low, f64::min);
        let most = values.fold(f64::NEG_INFINITY, f64::max);
        match least <= most {
            true => Axis::over(least, most),
            false => Axis::over(0.0, 1.0),
        }
    };
    let seconds = over(|point| point.seconds, 0.0);
    let ratios = over(|point| point.psnr, f64::INFINITY);
    let [width, height] = SIZE;
    let x = |at: f64| LEFT + seconds.share(at) * (width - LEFT - RIGHT);
    let y = |at: f64| height - BOTTOM - ratios.share(at) * (height - TOP - BOTTOM);

    let mut marks = String::new();
    for mark in seconds.marks() {
        let (at, below, label) = (x(mark), height - BOTTOM, seconds.label(mark));
        let _ = writeln!(
            marks,
            "<path d=\"M{at:.1} {below}V{TOP}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            below + 18.0
        );
    }
    for mark in ratios.marks() {
        let (at, label) = (y(mark), ratios.label(mark));
        let _ = writeln!(
            marks,
            "<path d=\"M{LEFT} {at:.1}H{}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            width - RIGHT,
            LEFT - 8.0,
            at + 4.0
        );
    }
    let mut line = String::new();
    let mut dots = String::new();
    for point in finite() {
        let (x, y) = (x(point.seconds), y(point.psnr));
        let _ = write!(line, "{x:.1},{y:.1} ");
        let _ = write!(dots, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>");
    }
    let before = finite().next().map_or(String::new(), |point| {
        let at = y(point.psnr);
        format!(
            "<path d=\"M{LEFT} {at:.1}H{}\" stroke=\"#888\" stroke-dasharray=\"5 4\"/>",
            width - RIGHT
        )
    });
    let (middle, foot) = (0.5 * (LEFT + width - RIGHT), height - 10.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <g stroke=\"#ddd\" fill=\"#444\"><style>text {{ stroke: none }}</style>\n{marks}</g>\n\
         <text x=\"{LEFT}\" y=\"22\" fill=\"#222\">{title}</text>\n\
         <text x=\"{middle}\" y=\"{foot}\" fill=\"#444\" text-anchor=\"middle\">seconds</text>\n\
         {before}\n\
         <polyline points=\"{}\" fill=\"none\" stroke=\"#2a6fc9\" stroke-width=\"2\"/>\n\
         <g fill=\"#2a6fc9\">{dots}</g>\n\
         </svg>\n",
        line.trim_end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_cover_their_numbers_with_round_marks() {
        for (low, high) in [(0.0, 61.3), (24.13, 25.97), (-3.0, 1e4), (7.0, 7.0)] {
            let axis = Axis::over(low, high);
            assert!(axis.low <= low && axis.high >= high, "{axis:?}");
            let marks = axis.marks().count();
            assert!((4..=13).contains(&marks), "{marks} marks of {axis:?}");
        }
        assert_eq!(Axis::over(0.0, 60.0).label(20.0), "20");
        assert_eq!(Axis::over(24.1, 25.9).label(24.2), "24.2");
    }

    #[test]
    fn plots_are_drawn_of_any_number_of_points() {
        let point = |seconds: f64, psnr: f64| Point {
            seconds,
            steps: 0,
            psnr,
        };
        let all = [
            point(1.0, 24.0),
            point(2.0, f64::INFINITY),
            point(3.0, 25.0),
        ];
        for count in 0..=all.len() {
            let plot = svg(&all[..count], "tiles");
            assert!(!plot.contains("NaN") && !plot.contains("inf"), "{plot}");
            let dots = all[..count].iter().filter(|p| p.psnr.is_finite()).count();
            assert_eq!(plot.matches("<circle").count(), dots);
        }
    }
}
