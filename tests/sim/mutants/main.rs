//! Makes a copy of the workspace whose core holds all mutants, and runs cargo there: see `README.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const LIST: &str = include_str!("mutants.txt");

/// What the copy consists of.
const PARTS: [&str; 6] =
    ["Cargo.toml", "Cargo.lock", "README.md", "dht-core", "tests/model", "tests/sim"];

/// Goes into the core of the copy.
const SWITCH: &str = r#"
extern crate std;
use std::sync::LazyLock;

static ON: LazyLock<usize> = LazyLock::new(|| match std::env::var("DHT_MUTANT") {
    Ok(name) if !name.is_empty() => match NAMES.iter().position(|other| *other == name) {
        Some(at) => at,
        None => panic!("DHT_MUTANT: there is no {name}"),
    },
    _ => usize::MAX,
});
static REACHED: LazyLock<()> = LazyLock::new(|| std::eprintln!("mutant reached"));

#[inline]
pub(crate) fn on(mutant: usize) -> bool {
    let on = *ON == mutant;
    if on {
        *REACHED;
    }
    on
}
"#;

/// The replacement of one text by another.
struct Edit {
    mutant: usize,
    /// Below `dht-core/src`.
    file: String,
    /// Line of the list.
    line: usize,
    old: String,
    new: String,
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, String> {
    let root = root();
    let target = env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let copy = target.join("mutants");
    let mut files = BTreeMap::new();
    for part in PARTS {
        collect(&root, Path::new(part), &mut files)?;
    }
    let names = mutate(&mut files)?;
    write(&copy, &files)?;
    let args: Vec<_> = env::args_os().skip(1).collect();
    if args.is_empty() {
        names.iter().for_each(|name| println!("{name}"));
        return Ok(ExitCode::SUCCESS);
    }
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(args).current_dir(&copy).env("CARGO_TARGET_DIR", copy.join("target"));
    let status = cargo.status().map_err(|error| format!("cargo: {error}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn collect(root: &Path, part: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<(), String> {
    let path = root.join(part);
    let failed = |error| format!("{}: {error}", path.display());
    if path.is_dir() {
        for entry in fs::read_dir(&path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if name != "target" {
                collect(root, &part.join(name), files)?;
            }
        }
    } else {
        files.insert(part.to_owned(), fs::read(&path).map_err(failed)?);
    }
    Ok(())
}

/// Applies the whole list. Returns the names in it.
fn mutate(files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<Vec<&'static str>, String> {
    let (names, edits) = parse(LIST)?;
    let mut by_file = BTreeMap::<_, Vec<_>>::new();
    for edit in &edits {
        by_file.entry(Path::new("dht-core/src").join(&edit.file)).or_default().push(edit);
    }
    let mut errors = Vec::new();
    for (path, edits) in by_file {
        let original = text(files, &path).unwrap_or_default();
        match apply(&original, &names, &edits) {
            Ok(mutated) => drop(files.insert(path, mutated.into_bytes())),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors.join("\n"));
    }
    let lib = Path::new("dht-core/src/lib.rs");
    files.insert(lib.into(), (text(files, lib)? + "\nmod mutant;\n").into_bytes());
    let switch = format!("const NAMES: [&str; {}] = {names:?};\n{SWITCH}", names.len());
    files.insert("dht-core/src/mutant.rs".into(), switch.into_bytes());

    let manifest = text(files, Path::new("Cargo.toml"))?;
    let lines = manifest.lines().map(|line| match line.split_once(" = ") {
        Some(("members", _)) => r#"members = ["dht-core", "tests/model", "tests/sim"]"#,
        _ => line,
    });
    let manifest: String = lines.flat_map(|line| [line, "\n"]).collect();
    files.insert("Cargo.toml".into(), manifest.into_bytes());
    Ok(names)
}

fn text(files: &BTreeMap<PathBuf, Vec<u8>>, path: &Path) -> Result<String, String> {
    let bytes = files.get(path).cloned().ok_or(format!("there is no {}", path.display()))?;
    String::from_utf8(bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reads names and edits; the format is in the README.
fn parse(list: &'static str) -> Result<(Vec<&'static str>, Vec<Edit>), String> {
    let (mut names, mut edits) = (Vec::new(), Vec::<Edit>::new());
    for (line, at) in list.lines().zip(1..) {
        let (mark, rest) = line.split_at_checked(2).unwrap_or((line, ""));
        match (mark, edits.last_mut()) {
            ("# ", _) if names.contains(&rest) => return Err(format!("line {at}: twice")),
            ("# ", _) => names.push(rest),
            ("@ ", _) if !names.is_empty() => edits.push(Edit {
                mutant: names.len() - 1,
                file: rest.into(),
                line: at,
                old: String::new(),
                new: String::new(),
            }),
            ("- " | "-", Some(edit)) if edit.new.is_empty() => push_line(&mut edit.old, rest),
            ("+ " | "+", Some(edit)) => push_line(&mut edit.new, rest),
            ("- " | "-" | "+ " | "+" | "@ ", _) => return Err(format!("line {at}: out of place")),
            _ => {}
        }
    }
    Ok((names, edits))
}

fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

/// Makes all edits of one file. Each is looked up in the original, so none can build on another.
fn apply(source: &str, names: &[&str], edits: &[&Edit]) -> Result<String, String> {
    let (mut places, mut errors) = (Vec::new(), Vec::new());
    for edit in edits {
        let name = names.get(edit.mutant).copied().unwrap_or_default();
        let mut found = source.match_indices(edit.old.as_str()).map(|(start, _)| start);
        let wrong = match (found.next(), found.next()) {
            _ if !edit.new.contains("MUTANT") => "the new text has no MUTANT",
            (Some(start), None) if !edit.old.is_empty() => {
                places.push((start, name, *edit));
                continue;
            }
            (Some(_), Some(_)) if !edit.old.is_empty() => "the old text is there more than once",
            _ => "the old text is not there",
        };
        errors.push(format!("{name} (line {}, {}): {wrong}", edit.line, edit.file));
    }
    if !errors.is_empty() {
        return Err(errors.join("\n"));
    }
    places.sort_by_key(|(start, ..)| *start);
    let (mut mutated, mut end, mut before) = (String::new(), 0, "");
    for (start, name, edit) in places {
        let Some(kept) = source.get(end..start) else {
            return Err(format!("{before} and {name} overlap in {}", edit.file));
        };
        let on = format!("crate::mutant::on({} /* {name} */)", edit.mutant);
        mutated = mutated + kept + &edit.new.replace("MUTANT", &on);
        (end, before) = (start + edit.old.len(), name);
    }
    Ok(mutated + source.get(end..).unwrap_or_default())
}

/// Writes what has changed, so that cargo builds no more than needed, and removes what is gone.
fn write(copy: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) -> Result<(), String> {
    let mut old = BTreeMap::new();
    for part in PARTS.iter().filter(|part| copy.join(part).exists()) {
        collect(copy, Path::new(part), &mut old)?;
    }
    for path in old.keys().filter(|path| !files.contains_key(*path)) {
        fs::remove_file(copy.join(path)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    for (path, bytes) in files.iter().filter(|(path, bytes)| old.get(*path) != Some(bytes)) {
        let path = copy.join(path);
        let written = fs::create_dir_all(path.parent().unwrap_or(copy));
        let written = written.and_then(|()| fs::write(&path, bytes));
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_follows_the_code() {
        let mut files = BTreeMap::new();
        for part in PARTS {
            collect(&root(), Path::new(part), &mut files).unwrap();
        }
        let names = mutate(&mut files).unwrap();
        let told = |name: &&str| include_str!("README.md").contains(&format!("\n| `{name}` |"));
        assert_eq!(names.iter().find(|name| !told(name)), None, "not in the README");
    }

    fn mutated(source: &str, list: &'static str) -> Result<String, String> {
        let (names, edits) = parse(list)?;
        apply(source, &names, &edits.iter().collect::<Vec<_>>())
    }

    #[test]
    fn edits_stand_side_by_side_or_are_refused() {
        let on = |n, name| format!("crate::mutant::on({n} /* {name} */)");
        let list = "# x\n@ f\n- a\n+ a || MUTANT\n# y\n@ f\n- b\n- c\n+ MUTANT";
        let two = mutated("a && b\nc", list);
        assert_eq!(two.unwrap(), format!("a || {} && {}", on(0, "x"), on(1, "y")));
        let refused = [
            ("# x\n@ f\n- ab\n+ MUTANT\n# y\n@ f\n- bc\n+ MUTANT", "x and y overlap in f"),
            ("# x\n@ f\n- x\n+ MUTANT", "x (line 2, f): the old text is not there"),
            ("# x\n@ f\n+ MUTANT", "x (line 2, f): the old text is not there"),
            ("# x\n@ f\n- e\n+ MUTANT", "x (line 2, f): the old text is there more than once"),
            ("# x\n@ f\n- ab\n+ ab", "x (line 2, f): the new text has no MUTANT"),
            ("# x\n# x", "line 2: twice"),
            ("# x\n- a", "line 2: out of place"),
        ];
        for (list, error) in refused {
            assert_eq!(mutated("abcdee", list).unwrap_err().as_str(), error, "{list}");
        }
    }
}
