//! What takes a server down when the program that started it ends without doing so: on Ctrl-C, or killed.
//!
//! A shell of its own that reads from a pipe. The pipe ends with this program, however that ends; then the shell ends the
//! processes listed in the server's folder, and removes the folder.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Result;
use crate::running::PIDS;

/// First the signal by which the server ends cleanly, after five seconds SIGKILL.
const SCRIPT: &str = r#"
read -r _
cd "$1" 2>/dev/null || exit 0
ids=$(cut -d' ' -f1 "$2" 2>/dev/null)
kill -CONT $ids 2>/dev/null
kill -"$3" $ids 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
  left=
  for id in $ids; do kill -0 "$id" 2>/dev/null && left=$id; done
  [ -n "$left" ] || break
  sleep 0.2
done
[ -z "$ids" ] || kill -KILL $ids 2>/dev/null
cd / && rm -rf "$1"
"#;

/// The waiting shell.
#[derive(Debug)]
pub(crate) struct Reaper(Child);

impl Reaper {
    /// Waits beside this program; `quit` where the server ends cleanly on SIGQUIT.
    pub(crate) fn watch(folder: &Path, quit: bool) -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "reaper"]).arg(folder).arg(PIDS).arg(if quit { "QUIT" } else { "KILL" });
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        apart(&mut command);
        command.spawn().map(Self).map_err(|e| format!("cannot start sh: {e}"))
    }
}

impl Drop for Reaper {
    /// The folder is gone by now, so it finds nothing to do.
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// In a process group of its own: Ctrl-C at the terminal does not reach it.
pub(crate) fn apart(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}
