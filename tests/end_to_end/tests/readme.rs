//! What the README and the page of the JSON file show is what happens: their console sessions run in a shell, line by line.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dataknobs_kv_end_to_end::{binary, cache};

/// A command as it stands behind the prompt, and what is printed below it.
#[derive(Debug)]
struct Step {
    command: String,
    expected: Vec<String>,
}

/// All sessions of the page, in order: ```` ```console ```` blocks, where `$ ` begins a command.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match (inside, line) {
            (_, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, line) => match line.strip_prefix("$ ") {
                Some(command) => steps.push(Step { command: command.to_owned(), expected: Vec::new() }),
                None => steps.last_mut().expect("a command first").expected.push(line.to_owned()),
            },
            _ => {}
        }
    }
    steps
}

/// Ends what one command printed; followed by its exit code.
const MARK: &str = "\u{1e}";

/// Runs them in one shell, and what each printed, both streams as a terminal shows them.
fn run(steps: &[Step], folder: &Path) -> Vec<Vec<String>> {
    let mut script = String::from("exec 2>&1\n");
    for step in steps {
        script.push_str(&format!("{}\nprintf '\\n{MARK}\\n'\n", step.command));
    }
    let mut shell = Command::new("sh");
    let release = folder.join("target/release");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(release).chain(std::env::split_paths(&path));
    shell.env("PATH", std::env::join_paths(path).expect("a path"));
    shell.args(["-c", &script]).current_dir(folder).stdin(Stdio::null()).stderr(Stdio::null());
    for variable in ["DATAKNOBS_KV_STORE", "DATAKNOBS_KV_NAMESPACE", "DATAKNOBS_KV_TOKEN", "DATAKNOBS_KV_CONFIG"] {
        shell.env_remove(variable);
    }
    let output = shell.env("HOME", folder).env("XDG_CACHE_HOME", cache()).output().expect("a shell");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut printed: Vec<Vec<String>> =
        text.split(MARK).map(|part| part.trim_matches('\n').lines().map(str::to_owned).collect()).collect();
    assert_eq!(printed.pop(), Some(Vec::new()), "the shell went through to the end");
    printed
}

/// A service that ends with the value.
struct Service(Child);

impl Service {
    /// Over memory, on a free port; and its address.
    fn start() -> (Self, String) {
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", "127.0.0.1:0", "--store", "memory:"]).env_remove("DATAKNOBS_KV_TOKEN");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut service = Service(command.spawn().expect("the service starts"));
        let mut line = String::new();
        BufReader::new(service.0.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on http://").expect("its address").to_owned();
        (service, address)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Runs the page's sessions and compares.
fn compare(page: &str, at_least: usize) {
    let (_service, here) = Service::start();
    let folder = tempfile::tempdir().expect("a folder");
    let release = folder.path().join("target/release");
    std::fs::create_dir_all(&release).expect("folders");
    std::os::unix::fs::symlink(binary(), release.join("dataknobs-kv")).expect("a link");

    // No progress meter, as on a terminal.
    std::fs::write(folder.path().join(".curlrc"), "silent\nshow-error\n").expect("a file");
    let mut steps = steps(page);
    assert!(steps.len() >= at_least, "the sessions are there");
    for step in &mut steps {
        step.command = step.command.replace("127.0.0.1:8700", &here);
    }
    let printed = run(&steps, folder.path());
    assert_eq!(printed.len(), steps.len());
    for (step, printed) in steps.iter().zip(printed) {
        let printed: Vec<String> = printed.into_iter().map(|line| line.replace(&here, "127.0.0.1:8700")).collect();
        assert_eq!(printed, step.expected, "$ {}", step.command);
    }
}

#[test]
fn every_session_prints_what_the_readme_shows() {
    compare(include_str!("../../../README.md"), 11);
}

#[test]
fn the_page_of_the_json_file_shows_what_it_prints() {
    compare(include_str!("../../../docs/backends/json.md"), 3);
}

#[test]
fn the_first_screen_is_one() {
    let page = include_str!("../../../README.md");
    let session = page.split("```").nth(3).expect("a second block");
    assert!(session.lines().count() <= 18, "the session has some fifteen lines");
    let end = page.find(session).expect("it is there") + session.len();
    assert!(page[..end].lines().count() <= 35, "and ends on the first screen");
}
