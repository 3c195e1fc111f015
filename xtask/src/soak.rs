//! The soak: builds it, runs it, and draws what it measured.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use plotters::prelude::*;

use crate::command::Tool;
use crate::guests;
use crate::workspace::Workspace;

/// How long, where nothing else is said.
const MINUTES: u64 = 20;

/// Beyond this a mistyped number is likelier than a wish.
const MOST_MINUTES: u64 = 24 * 60;

const SIZE: (u32, u32) = (900, 620);

pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let (mut minutes, mut dev) = (MINUTES, false);
    for argument in arguments {
        match argument.to_str() {
            Some("--dev") => dev = true,
            Some(text) if text.parse().is_ok_and(|minutes| (1..=MOST_MINUTES).contains(&minutes)) => {
                minutes = text.parse()?;
            }
            _ => bail!("`{}` is neither a number of minutes nor `--dev`", argument.display()),
        }
    }
    let workspace = Workspace::find()?;
    guests::build_default(&workspace)?;
    let profile = if dev { "dev" } else { "release" };
    // Of the whole workspace, so that dependencies have the features that all else is built with.
    let programs = ["--bin", "soak", "--bin", "awkward-server"];
    workspace.cargo().args(["build", "--workspace", "--profile", profile]).args(programs).run("build the soak")?;

    let folder = workspace.target.join("soak");
    let program = workspace.target.join(if dev { "debug" } else { "release" }).join("soak");
    let seconds = (minutes * 60).to_string();
    println!("200 users for {minutes} minutes; what is measured goes to {}", folder.display());
    let outcome = Tool::new(program).args([OsString::from(seconds), folder.clone().into()]).run("run the soak");
    // What failed is worth a look too.
    let samples = folder.join("samples.csv");
    if samples.exists() {
        draw(&samples, &folder.join("soak.svg"))?;
    }
    outcome
}

/// One column of the samples, by its name, against the seconds.
fn column(rows: &[Vec<f64>], names: &[&str], name: &str, unit: f64) -> Result<Vec<(f64, f64)>> {
    let place = names.iter().position(|column| *column == name).with_context(|| format!("no column `{name}`"))?;
    Ok(rows.iter().filter_map(|row| Some((*row.first()?, row.get(place)? / unit))).collect())
}

fn draw(samples: &Path, picture: &Path) -> Result<()> {
    let text = fs::read_to_string(samples).with_context(|| format!("read {}", samples.display()))?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let rows: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').filter_map(|cell| cell.parse().ok()).collect()).collect();

    let area = SVGBackend::new(picture, SIZE).into_drawing_area();
    let drawn = |error: &dyn std::fmt::Display| anyhow!("draw {}: {error}", picture.display());
    area.fill(&WHITE).map_err(|error| drawn(&error))?;
    let halves = area.split_evenly((2, 1));
    let memory = [("resident memory, MiB", column(&rows, &names, "resident_bytes", 1024.0 * 1024.0)?, BLUE)];
    let counts = [
        ("descriptors", column(&rows, &names, "files", 1.0)?, BLACK),
        ("processes of sessions", column(&rows, &names, "processes", 1.0)?, RED),
        ("sessions", column(&rows, &names, "sessions", 1.0)?, BLUE),
        ("leases", column(&rows, &names, "leases", 1.0)?, GREEN),
    ];
    for (half, lines) in halves.iter().zip([&memory[..], &counts[..]]) {
        lines_on(half, lines).map_err(|error| drawn(&error))?;
    }
    area.present().map_err(|error| drawn(&error))?;
    println!("drew {}", picture.display());
    Ok(())
}

type Line<'a> = (&'a str, Vec<(f64, f64)>, RGBColor);

fn lines_on<B: DrawingBackend>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    lines: &[Line<'_>],
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let points = || lines.iter().flat_map(|(_, points, _)| points);
    let end = points().map(|(at, _)| *at).fold(1.0, f64::max);
    let top = points().map(|(_, value)| *value).fold(1.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area);
    let chart = chart.margin(12).x_label_area_size(28).y_label_area_size(56);
    let mut chart = chart.build_cartesian_2d(0.0..end, 0.0..top)?;
    chart.configure_mesh().light_line_style(TRANSPARENT).x_desc("seconds").draw()?;
    for (name, points, colour) in lines {
        let colour = *colour;
        let series = chart.draw_series(LineSeries::new(points.iter().copied(), colour))?;
        series.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
    }
    chart.configure_series_labels().position(SeriesLabelPosition::LowerRight).background_style(WHITE.mix(0.8)).draw()
}
