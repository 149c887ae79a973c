//! `results`: the figures that a node has to reach, measured again.

use std::path::{Path, PathBuf};
use std::time::Instant;

use dht_sim::atomic_file;
use dht_sim::results::{Figure, MEASURES, Measure, Size};
use dht_sim::text_table::TextTable;

use crate::failure::{Failure, because, print, say};
use crate::outputs;

/// Which, and what to do with them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which measures, by number (M8); all if none is named
    #[arg(value_name = "M")]
    measures: Vec<String>,
    /// Networks of 400 nodes, as the checks of every change run them
    #[arg(long)]
    small: bool,
    /// Compare with recorded results: they are exact
    #[arg(long, value_name = "FILE", conflicts_with = "write")]
    check: Option<PathBuf>,
    /// Record the results
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let names = |measure: &Measure, wanted: &str| {
        measure.ids.iter().any(|id| id.eq_ignore_ascii_case(wanted))
    };
    let wanted = &args.measures;
    let known = |wanted: &&String| MEASURES.iter().any(|measure| names(measure, wanted));
    if let Some(unknown) = wanted.iter().find(|wanted| !known(wanted)) {
        let mut ids: Vec<_> = MEASURES.iter().flat_map(|measure| measure.ids).copied().collect();
        ids.sort_by_key(|id| (id.get(..1), id.get(1..).and_then(|n| n.parse::<u32>().ok())));
        ids.dedup();
        return Err(because(format!("no measure {unknown:?}: there are {}", ids.join(", "))));
    }
    let recorded = args.check.as_deref().map(read).transpose()?;
    if let Some(path) = &args.write {
        outputs::check(&[path], &[])?;
    }
    let size = if args.small { Size::Small } else { Size::Full };
    let mut table = TextTable::new(["", "measure", "network", "result", "goal", "met", "trace"]);
    for measure in MEASURES {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| names(measure, wanted)) {
            continue;
        }
        let begun = Instant::now();
        let figures =
            measure.run(size).map_err(|violation| Failure::Violated(violation, Vec::new()))?;
        let took = begun.elapsed().as_secs_f64();
        say(format_args!("{} measured in {took:.1} s", measure.ids.join(", ")));
        for Figure { id, what, network, result, goal, met, trace } in figures {
            let (met, trace) = (if met { "yes" } else { "no" }, format!("{trace:016x}"));
            table.row([id, what, &network, &result, goal, met, &trace]);
        }
    }
    let text = table.markdown();
    print(text.trim_end())?;
    if let Some(path) = &args.write {
        atomic_file::write(path, &text)?;
    }
    recorded.map_or(Ok(()), |recorded| compare(&recorded, &text))
}

/// Each measured line has to be among the recorded ones.
fn compare(recorded: &str, text: &str) -> Result<(), Failure> {
    let wrong: Vec<_> =
        text.lines().filter(|line| !recorded.lines().any(|known| known == *line)).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    wrong.iter().for_each(|line| say(format_args!("not as recorded: {line}")));
    Err(because("the results are not the recorded ones; if they should be, record them by --write"))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| because(format!("{}: {error}", path.display())))
}
