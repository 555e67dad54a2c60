use std::{env, fmt::Write as _, fs, path::Path};

use super::{bounds, file::SettingsFile, table, template};

fn problems(text: &str) -> Vec<String> {
    let problems = SettingsFile::parse(Path::new("t.toml"), text).expect_err("something is wrong");
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn each_problem_of_a_file_is_told_with_its_place() {
    let text = "max-conections = 5\nmax-topics = 0\n\n  durability = \"never\"\nlog = 3\nmax-groups = \"many\"\n\
                log-format = \"xml\"\nlisten = [\"localhost:1\", \"ftp://localhost:2\"]\nmax-headers = [20]\n";
    assert_eq!(
        problems(text),
        [
            "t.toml:1:1: max-conections is no setting; max-connections is one",
            "t.toml:2:14: max-topics: 0 is not in 1..=1000000",
            "t.toml:4:16: durability: expected fsync, interval:MS or os",
            "t.toml:5:7: log: expected a string, and found the integer 3",
            "t.toml:6:14: max-groups: expected an integer, and found the string \"many\"",
            "t.toml:7:14: log-format: \"xml\" is none of text, json",
            "t.toml:8:26: listen: ftp is neither http nor https",
            "t.toml:9:15: max-headers: expected an integer, and found an array",
        ]
    );
}

#[test]
fn what_is_no_toml_is_told_with_its_place() {
    let problems = problems("log = \"info\nmax-topics = 4\n");
    assert!(problems[0].starts_with("t.toml:1:12: "), "{problems:?}");
}

#[test]
fn every_whole_number_is_written_as_one() {
    let file = SettingsFile::parse(Path::new("t.toml"), "replication = 3\ncells = 8\nmax-connections = 100\n");
    assert!(file.is_ok(), "{file:?}");
    assert_eq!(problems("replication = 16\n"), ["t.toml:1:15: replication: 16 is not in 1..=15"]);
}

#[test]
fn a_table_is_refused_since_settings_stand_in_none() {
    let expected = "t.toml:1:2: limits is a table: settings stand at the top of the file, in no table";
    assert_eq!(problems("[limits]\nmax-topics = 4\n"), [expected]);
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    assert!(problems("max-topics = 4\nmax-topics = 5\n")[0].starts_with("t.toml:2:1: "));
}

#[test]
fn the_template_is_a_file_without_settings_and_with_its_comments_removed_one_with_all_of_them() {
    let template = template();
    let lines: Vec<_> = template.lines().collect();
    assert!(SettingsFile::parse(Path::new("t.toml"), &template).is_ok());
    let is_setting =
        |line: &&str| table().iter().any(|arg| line.starts_with(&format!("# {} = ", arg.get_long().unwrap())));
    let settings: Vec<_> = lines.iter().filter(|line| is_setting(line) && !line.ends_with("# not set")).collect();
    let text = settings.iter().map(|line| &line[2..]).collect::<Vec<_>>().join("\n");
    let file = SettingsFile::parse(Path::new("t.toml"), &text).expect("every default is in order");
    for arg in table().iter().filter(|arg| !arg.get_default_values().is_empty()) {
        assert!(file.has(arg.get_long().unwrap()), "{arg:?}\n{template}");
    }
}

#[test]
fn every_setting_has_a_variable_and_every_number_has_bounds() {
    for arg in table() {
        let long = arg.get_long().expect("a setting has a flag");
        let variable = arg.get_env().expect("a setting has a variable").to_string_lossy().into_owned();
        assert_eq!(variable, format!("TAKHIN_{}", long.to_uppercase().replace('-', "_")));
        assert_eq!(bounds::kind(&arg) == bounds::Kind::Integer, bounds::of(&arg).is_some(), "{long}");
        assert!(arg.get_help().is_some(), "{long}");
    }
}

/// The options in docs/configuration.md are those of the program. With `TAKHIN_UPDATE_DOCS` set they are written there.
#[test]
fn the_documentation_has_every_option() {
    const BEGIN: &str = "<!-- options: written by the test the_documentation_has_every_option -->\n";
    const END: &str = "<!-- end of options -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let text = fs::read_to_string(&path).expect("the documentation");
    let (before, rest) = text.split_once(BEGIN).expect("a beginning");
    let (_, after) = rest.split_once(END).expect("an end");
    let expected = format!("{before}{BEGIN}{}{END}{after}", documented());
    if env::var_os("TAKHIN_UPDATE_DOCS").is_some() {
        return fs::write(&path, expected).expect("the documentation can be written");
    }
    assert_eq!(text, expected, "set TAKHIN_UPDATE_DOCS=1 and run this test to write it anew");
}

/// A table for each heading.
fn documented() -> String {
    let mut text = String::new();
    let mut heading = None;
    for arg in table() {
        let of = arg.get_help_heading().map(str::to_owned);
        if of != heading {
            let title = of.as_deref().unwrap_or_default();
            write!(text, "\n### {title}\n\n| flag and key | default | from, to | |\n|---|---|---|---|\n").unwrap();
            heading = of;
        }
        let default: Vec<_> = arg.get_default_values().iter().map(|it| format!("`{}`", it.to_string_lossy())).collect();
        let default = if default.is_empty() { "not set".to_owned() } else { default.join(", ") };
        let bounds = bounds::of(&arg).map_or_else(String::new, |range| format!("{}, {}", range.least, range.most));
        let several = if arg.get_value_delimiter().is_some() { " (several)" } else { "" };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
        writeln!(text, "| `{}`{several} | {default} | {bounds} | {help} |", arg.get_long().unwrap()).unwrap();
    }
    text + "\n"
}
