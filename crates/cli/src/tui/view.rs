//! Layout of the dashboard.

use cresset::data::TaskKind;
use cresset::model::Outputs;
use cresset::train::EpochRecord;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, LegendPosition, Paragraph};

use crate::progress::{Figures, duration, rounded, short};

/// The contents of the dashboard.
#[derive(Default)]
pub struct State {
    pub title: String,
    pub epochs: u32,
    pub epoch: u32,
    pub steps: usize,
    pub step: usize,
    pub now: Option<Figures>,
    pub history: Vec<EpochRecord>,
    pub note: Option<String>,
    pub outputs: Outputs,
}

/// A curve's name, color, and its value in an epoch.
type Curve = (&'static str, Color, fn(&EpochRecord) -> f64);

const LOSS: [Curve; 2] = [
    ("training", Color::Cyan, |record| record.train_loss),
    ("validation", Color::Yellow, |record| record.validation_loss),
];

/// Accuracy or F1.
const PERCENT: [Curve; 2] = [
    ("training", Color::Cyan, |record| 100. * record.train_accuracy),
    ("validation", Color::Yellow, |record| 100. * record.validation_accuracy),
];

/// R².
const SCORE: [Curve; 2] = [
    ("training", Color::Cyan, |record| record.train_accuracy),
    ("validation", Color::Yellow, |record| record.validation_accuracy),
];

/// Minimum height for the charts, and minimum width to place them side by side.
const MIN_ROWS: u16 = 12;
const MIN_COLUMNS: u16 = 80;

pub fn draw(state: &State, frame: &mut Frame) {
    let [title, gauge, figures, curves, last, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(state.title.as_str().bold(), title);
    frame.render_widget(epoch_gauge(state), gauge);
    frame.render_widget(figures_line(state), figures);
    if frame.area().height >= MIN_ROWS {
        let halves = [Constraint::Fill(1), Constraint::Fill(1)];
        let layout = match frame.area().width < MIN_COLUMNS {
            true => Layout::vertical(halves),
            false => Layout::horizontal(halves),
        };
        let [left, right] = layout.areas(curves);
        chart(state, "loss", &LOSS, LegendPosition::TopRight, left, frame);
        let name = state.outputs.score_name();
        let (title, curves) = match state.outputs.task() {
            TaskKind::Regression | TaskKind::Ranking => (name.to_string(), &SCORE),
            _ => (format!("{name}, %"), &PERCENT),
        };
        chart(state, &title, curves, LegendPosition::BottomRight, right, frame);
    }
    frame.render_widget(last_epoch(state), last);
    let note = state.note.as_deref().map_or("q  stop and save".dim(), |note| note.to_string().yellow());
    frame.render_widget(Paragraph::new(Line::from(note)), keys);
}

fn epoch_gauge(state: &State) -> Gauge<'_> {
    let share = state.step as f64 / state.steps.max(1) as f64;
    let label = format!("epoch {} of {}, step {} of {}", state.epoch, state.epochs, state.step, state.steps);
    Gauge::default().ratio(share.clamp(0., 1.)).label(label).gauge_style(Style::new().cyan().on_black())
}

fn figures_line(state: &State) -> Line<'_> {
    let Some(now) = &state.now else { return Line::default() };
    let figure = |name: &'static str, value: String| {
        [Span::from(name).dim(), Span::from(format!(" {value}   "))].into_iter()
    };
    let optional = |name, value: Option<String>| value.into_iter().flat_map(move |value| figure(name, value));
    let spans = figure("loss", format!("{:.4}", now.loss))
        .chain(figure(now.score.0, now.score.1.clone()))
        .chain(optional("ETA", now.remaining.map(duration)))
        .chain(optional("examples/s", now.rate.map(|rate| short(rate).trim().to_string())))
        .chain(figure("lr", rounded(now.lr)))
        .chain(optional("memory", now.memory.map(|bytes| format!("{}B", short(bytes as f64)))));
    Line::from_iter(spans)
}

fn last_epoch(state: &State) -> Line<'_> {
    let Some(last) = state.history.last() else { return Line::default() };
    let best = EpochRecord::best(&state.history).unwrap_or(last);
    let best_value = match best.score {
        Some(score) => format!("best monitored metric {:.2} %", 100. * score),
        None => format!("lowest loss {:.4}", best.validation_loss),
    };
    Line::from(format!(
        "validation after epoch {}: loss {:.4}, {} {}; {best_value} (epoch {})",
        last.epoch,
        last.validation_loss,
        state.outputs.score_name(),
        state.outputs.show_score(last.validation_accuracy),
        best.epoch,
    ))
}

fn chart(
    state: &State,
    title: &str,
    curves: &[Curve; 2],
    legend: LegendPosition,
    area: Rect,
    frame: &mut Frame,
) {
    let points = |value: fn(&EpochRecord) -> f64| -> Vec<(f64, f64)> {
        let points = state.history.iter().map(|record| (f64::from(record.epoch), value(record)));
        points.filter(|(_, value)| value.is_finite()).collect()
    };
    let data = curves.map(|(_, _, value)| points(value));
    let (low, high) = bounds(data.iter().flatten().map(|(_, value)| *value));
    let datasets = curves.iter().zip(&data).map(|((name, color, _), points)| {
        Dataset::default()
            .name(*name)
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(Style::new().fg(*color))
            .data(points)
    });
    let last = f64::from(state.epochs.max(2));
    let chart = Chart::new(datasets.collect())
        .block(Block::bordered().title(title.to_string()))
        .legend_position(Some(legend))
        .x_axis(Axis::default().bounds([1., last]).labels(["1".to_string(), format!("{last}")]))
        .y_axis(Axis::default().bounds([low, high]).labels([format!("{low:.2}"), format!("{high:.2}")]));
    frame.render_widget(chart, area);
}

/// Minimum and maximum of the values, always different, also for one value or none.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    match low.partial_cmp(&high) {
        Some(std::cmp::Ordering::Less) => (low, high),
        Some(std::cmp::Ordering::Equal) => (low - 0.5, high + 0.5),
        _ => (0., 1.),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn screen(state: &State, columns: u16, rows: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| draw(state, frame)).unwrap();
        terminal.backend().to_string()
    }

    fn state() -> State {
        let record = |epoch: u32| EpochRecord {
            epoch,
            train_loss: 2. / f64::from(epoch),
            train_accuracy: 1. - 0.5 / f64::from(epoch),
            validation_loss: 2.5 / f64::from(epoch),
            validation_accuracy: 1. - 0.6 / f64::from(epoch),
            lr: 1e-3,
            seconds: 0.1,
            score: None,
        };
        State {
            title: "runs/photos".into(),
            epochs: 10,
            epoch: 5,
            steps: 100,
            step: 50,
            history: (1..=4).map(record).collect(),
            ..State::default()
        }
    }

    #[test]
    fn curves_figures_and_keys_are_shown_at_every_size() {
        let state = state();
        let wide = screen(&state, 100, 24);
        for part in [
            "runs/photos",
            "epoch 5 of 10, step 50 of 100",
            "validation",
            "2.50",
            "lowest loss 0.6250 (epoch 4)",
            "q  stop",
        ] {
            assert!(wide.contains(part), "{part} is missing:\n{wide}");
        }
        // Braille: a curve was drawn.
        assert!(wide.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{wide}");
        let small = screen(&state, 40, 8);
        assert!(small.contains("epoch 5 of 10") && !small.contains("accuracy, %"), "{small}");
        for (columns, rows) in [(1, 1), (5, 3), (20, 12), (300, 100)] {
            screen(&state, columns, rows);
        }
    }

    #[test]
    fn the_score_is_that_of_the_task() {
        let labels = Outputs::Multilabel { thresholds: vec![0.5] };
        let shown = screen(&State { outputs: labels, ..state() }, 100, 24);
        assert!(shown.contains("F1, %") && shown.contains("87.50") && !shown.contains("accuracy"), "{shown}");
        let value = Outputs::Regression { offset: 0., scale: 1., interval: None };
        let shown = screen(&State { outputs: value, ..state() }, 100, 24);
        assert!(shown.contains("R²") && shown.contains("│0.88") && shown.contains("R² 0.8500"), "{shown}");
        assert!(!shown.contains('%') && !shown.contains("accuracy"), "{shown}");
    }

    #[test]
    fn a_training_that_has_no_figures_yet_is_shown() {
        screen(&State::default(), 80, 24);
        let mut broken = state();
        broken.history.iter_mut().for_each(|record| record.validation_loss = f64::NAN);
        screen(&broken, 80, 24);
    }
}
