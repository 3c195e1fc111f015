//! Figures of benchmarks: several rounds of each, of which the median and the spread are printed.

/// The rounds of a benchmark. Odd, so that there is one in the middle.
pub const ROUNDS: usize = 15;

/// Prints the median of the rounds, the least and the most.
pub fn print(what: &str, mut rounds: Vec<f64>, unit: &str) {
    rounds.sort_by(f64::total_cmp);
    let (least, median, most) = (rounds[0], rounds[rounds.len() / 2], rounds[rounds.len() - 1]);
    println!("{what:<58} {median:>10.2} {unit:<3} [{least:.2}, {most:.2}]");
}

/// A percentile: the figure that so many of a hundred are not above. 0 is the least.
pub fn percentile(mut figures: Vec<f64>, percent: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[(figures.len() * percent).div_ceil(100).max(1) - 1]
}
